"""What of a text may be shown: control characters made visible, and what looks like a secret left out.

Two questions, each answered here and nowhere else. ``printable`` makes a text from elsewhere safe for a terminal.
``looks_secret`` decides whether a text may be repeated: one that is written like a known kind of key, or that is long and has
no words in it, may not. Names of providers, profiles, models, files, hosts and variables are words; a UUID and a fingerprint
are ids.
"""

from __future__ import annotations

import re

HIDDEN = "(not shown: it looks like a secret)"
RULE = "a secret is never given as an argument, where others can read it and the shell remembers it"
ADVICE = "type it at the prompt, or use --stdin, --from-file PATH or --from-fd N; and change the one you just typed"
LONGEST_SHOWN = 40

_BLANK = frozenset(map(ord, "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")) | frozenset(
    (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
)
"""Characters that take part in a text without being seen, beside those that Python already counts as not printable."""

_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-(?:ant|proj|or|svcacct|admin|lf|litellm)-\S{8,}|sk-(?=[\w-]*\d)[\w-]{16,}|(?:sk|rk|pk)_(?:live|test)_\w{8,}"
    r"|(?:gh[opsur]|gsk|hf|r8|fw|npm|jina|ntn|secret)_[a-z0-9]{16,}|(?:github_pat|tgp_v1|dop_v1|lin_api)_\w{16,}"
    r"|(?:xai|csk|pplx)-[a-z0-9]{16,}|(?:gl(?:pat|dt|rt|ptt|soat|cbt)|nvapi|tskey|pypi-AgE)-?[\w-]{16,}"
    r"|AIza[\w-]{16,}|ya29\.[\w-]{8,}|1//0[\w-]{16,}|GOCSPX-[\w-]{8,}|xox[a-z]-[\w-]{8,}|hv[bs]\.[\w-]{16,}"
    r"|eyJ[\w-]{6,}\.[\w-]{8,}|AGE-SECRET-KEY-1\w{16,}|bedrock-api-key-\S{8,}|ABSK[\w+/=]{32,})",
    re.ASCII | re.IGNORECASE,
)
_WORD = re.compile(r"[^\s'\"`(){}\[\]<>,;|“”‘’«»]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_HOST = re.compile(r"(?:[a-z0-9_-]+\.)+[a-z]{2,}\.?(?::\d{1,5})?(?:/[\w./~%-]*)?", re.ASCII)
_PLACE = re.compile(r"(?:~|\.{1,2}/|/[^/]*/|[A-Za-z]:\\|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9]+")
_NUMBERED = re.compile(r"(?:[A-Z]?[a-z]{1,20}|[A-Z]{1,20})\d{1,4}|\d{1,4}(?:[A-Z]?[a-z]{1,20}|[A-Z]{1,20})|\d+")
_HUMPS = re.compile(r"[A-Z]*[a-z]+|[A-Z]+")
_TURN = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])|(?<=[a-z])(?=[A-Z])")
_VOWELLESS = re.compile(r"[bcdfghjklmnpqrstvwxz]{7,}", re.IGNORECASE)
_SPELT = re.compile(r"%([0-9a-f]{2})")
_RANDOM = 16
_LONGEST_WORD = 24
_TURNS = 6
_DENSE = 0.22


def printable(text: str) -> str:
    """A text from elsewhere as a terminal may get it: on one line, a question mark for each character that can't be seen.

    Those are control characters, escapes, line ends, marks of direction, characters without a width and halves of characters.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _visible(c) else "?" for c in text)


def safe_json(text: str) -> str:
    r"""A JSON text in which such characters are escaped, as JSON does: the values are the same."""
    if text.isascii():
        return text.replace("\x7f", "\\u007f")
    return "".join(c if c == "\n" or _visible(c) else _json_escaped(c) for c in text)


def is_key(text: str) -> bool:
    """Whether a text has something in it that is written as a known kind of key is."""
    return _KEY.search(text) is not None


def looks_secret(text: str) -> bool:
    """Whether a text could be a secret, so that it must not be repeated."""
    return is_key(text) or any(_random(word) for word in _WORD.findall(text))


def without_secrets(text: str) -> str:
    """A text with what looks like a secret left out of it."""
    if len(text) < _RANDOM:
        return text
    return _WORD.sub(lambda word: HIDDEN if is_key(word[0]) or _random(word[0]) else word[0], text)


def shown(text: str) -> str:
    """A text that somebody gave, as a sentence may repeat it: quoted, short, visible, and never what looks like a secret."""
    if not text:
        return "an empty text"
    if looks_secret(text):
        return f"a text of {len(text)} characters {HIDDEN}"
    if len(text) > LONGEST_SHOWN:
        return f"a text of {len(text)} characters"
    return f"'{printable(text)}'"


def _visible(character: str) -> bool:
    return character.isprintable() and ord(character) not in _BLANK


def _json_escaped(character: str) -> str:
    code = ord(character)
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def _random(word: str) -> bool:
    """Whether a word is long and has no words in it. Paths, addresses, hosts, UUIDs and fingerprints don't count."""
    if len(word) < _RANDOM:
        return False
    word = _SPELT.sub(lambda spelt: chr(int(spelt[1], 16)), word.rstrip(".:!?…"))
    if _PLACE.match(word) or _UUID.fullmatch(word) or _FINGERPRINT.fullmatch(word) or _HOST.fullmatch(word):
        return False
    first, colon, rest = word.partition(":")
    if colon and rest:
        return _random(first) or _random(rest)
    name, at, host = word.rpartition("@")
    if at and _HOST.fullmatch(host):
        word = name
    if _UUID.search(word):
        word = _UUID.sub("", word)
    runs = _RUN.findall(word)
    if sum(len(run) for run in runs if not _wordlike(run)) >= _RANDOM:
        return True
    turns = len(_TURN.findall(word))
    return turns >= _TURNS and turns >= _DENSE * sum(len(run) - 1 for run in runs)


def _wordlike(run: str) -> bool:
    if len(run) < 5 or _NUMBERED.fullmatch(run):
        return True
    if run.isalpha():
        humps = _HUMPS.findall(run)
        return len(run) / len(humps) >= 3 and max(map(len, humps)) <= _LONGEST_WORD and _VOWELLESS.search(run) is None
    return len(run) < 12 and len(_TURN.findall(run)) <= 2
