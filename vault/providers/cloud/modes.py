"""A resolved cloud credential mode: where the credential comes from, whether it would work, and why. Never a secret.

``ready`` means that nothing on this machine stands in the way. It proves nothing about the cloud: that takes a request.
A problem that blocks makes a mode not ready; the others are worth telling. Facts are redacted before they get here: of an
access key id at most the first and the last four characters, of an address only scheme, host and port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vault.errors import InputError, NotFound, NotReady, SignInAgain, VaultError
from vault.files import read_regular
from vault.providers.cloud.extras import is_safe_url, shown_host
from vault.values import Secret, format_instant, format_instant_exact, text_of

Reader = Callable[[Path], str | None]

OK, FINDING = "ok", "finding"
LARGEST_FILE = 1024 * 1024

_ABSENT = ("no_source", "not_set", "profile_missing", "file_missing")
_PERSON = ("sign_in", "expired", "mfa")
_LONG_ENOUGH_FOR_BOTH_ENDS = 16
_LONG_ENOUGH_FOR_ONE_END = 12


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to do. ``blocking`` says whether the mode can't work because of it."""

    code: str
    text: str
    hint: str = ""
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Reason:
    """One source in the order they are tried, and what became of it."""

    what: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class CloudMode:
    """What was resolved for one provider. An empty ``mode`` means that no source was found.

    ``source`` names the variable, file or profile; ``auth_source`` is what the settings asked for; ``secret_names`` are the
    variables that hold the mode's secrets, in the order id, secret, session token. ``region`` is Google's location.
    ``expires_at`` is when a person has to act, in microseconds UTC, where that is known.
    """

    provider: str
    cloud: str
    auth_source: str
    mode: str = ""
    source: str = ""
    region: str = ""
    region_source: str = ""
    profile: str = ""
    profile_source: str = ""
    secret_names: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    reasons: tuple[Reason, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    expires_at: int | None = None

    @property
    def ready(self) -> bool:
        """Whether nothing on this machine stands in the way."""
        return not any(problem.blocking for problem in self.problems)

    def require_ready(self) -> None:
        """Raise the first blocking problem: SignInAgain, NotFound or NotReady."""
        for problem in self.problems:
            if problem.blocking:
                raise _error(self.provider, problem)


@dataclass(frozen=True, slots=True)
class KeyPair:
    """AWS keys. ``expires_at`` in microseconds UTC, None for keys that last."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret | None = None
    expires_at: int | None = None

    def __repr__(self) -> str:
        return f"KeyPair({redacted_id(self.access_key_id)})"


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token or key that is sent as it is. ``expires_at`` in microseconds UTC, None for one that lasts or doesn't tell."""

    token: Secret
    expires_at: int | None = None


CloudCredential = KeyPair | Bearer


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a doctor's report: ``status`` is ok or finding."""

    name: str
    status: str
    text: str
    hint: str = ""


def status_rows(mode: CloudMode) -> list[tuple[str, str]]:
    """A mode as (name, value) rows for people: mode, source, region, profile, readiness, then its facts."""
    rows = [
        ("provider", mode.provider),
        ("mode", f"{mode.mode or 'none'} ({_asked(mode)})"),
        ("source", mode.source),
        ("location" if mode.cloud == "google" else "region", sourced(mode.region, mode.region_source)),
        ("profile", sourced(mode.profile, mode.profile_source)),
        ("expires", format_instant(mode.expires_at) if mode.expires_at is not None else ""),
        ("ready", "yes, as far as can be seen from here" if mode.ready else "no"),
    ]
    rows += [(name.replace("_", " "), value) for name, value in mode.facts.items()]
    rows += [("problem" if p.blocking else "note", f"{p.text}: {p.hint}" if p.hint else p.text) for p in mode.problems]
    return [row for row in rows if row[1]]


def reason_rows(mode: CloudMode) -> list[tuple[str, str]]:
    """Every source in the order they are tried, and what became of it."""
    return [(reason.what, reason.text) for reason in mode.reasons]


def doctor_rows(modes: Iterable[CloudMode]) -> list[Row]:
    """The modes of one or all providers as a doctor's report. Everything that isn't fine is a finding, with its hint."""
    rows = []
    for mode in modes:
        if mode.mode:
            where = [f"{mode.mode} from {mode.source}"]
            where += [f"region {mode.region} from {mode.region_source}"] if mode.region else []
            where += [f"profile {mode.profile}"] if mode.profile else []
            text = ", ".join([_asked(mode), *where])
        else:
            text = f"{_asked(mode)}, no credential found"
        rows.append(
            Row(mode.provider, OK if mode.ready else FINDING, f"{'ready' if mode.ready else 'not ready'}: {text}")
        )
        rows += [Row(mode.provider, FINDING, problem.text, problem.hint) for problem in mode.problems]
    return rows


def as_json(mode: CloudMode) -> dict[str, Any]:
    """A mode as a JSON object: stable names, null for what isn't there."""
    return {
        "provider": mode.provider,
        "cloud": mode.cloud,
        "auth_source": mode.auth_source,
        "mode": mode.mode or None,
        "source": mode.source or None,
        "region": mode.region or None,
        "region_source": mode.region_source or None,
        "profile": mode.profile or None,
        "profile_source": mode.profile_source or None,
        "ready": mode.ready,
        "expires_at": None if mode.expires_at is None else format_instant_exact(mode.expires_at),
        "facts": dict(mode.facts),
        "problems": [
            {"code": p.code, "text": p.text, "hint": p.hint or None, "blocking": p.blocking} for p in mode.problems
        ],
        "reasons": [{"what": r.what, "code": r.code, "text": r.text} for r in mode.reasons],
    }


def redacted_id(text: str) -> str:
    """An access key id as it may be shown: the first and last four characters at most, fewer of a short one."""
    if len(text) >= _LONG_ENOUGH_FOR_BOTH_ENDS:
        return f"{text[:4]}…{text[-4:]}"
    return f"{text[:4]}…" if len(text) >= _LONG_ENOUGH_FOR_ONE_END else "…"


def sourced(value: str, source: str) -> str:
    """A value with where it came from: ``us-east-1 (from AWS_REGION)``; empty for no value."""
    return f"{value} (from {source})" if value and source else value


def checked_endpoint(url: str, source: str) -> tuple[str, list[Problem]]:
    """An endpoint as it may be shown and used, and what is wrong with it: a credential must not travel to every address."""
    shown = shown_host(url)
    if not is_safe_url(url):
        text = f"the endpoint from {source} is not https ({shown or 'no host'})"
        return shown, [Problem("refused", text, "use https, or this machine")]
    if "@" in url or "?" in url or "#" in url:
        text = f"the endpoint from {source} holds more than an address"
        return shown, [Problem("endpoint_odd", text, "give scheme, host and path only")]
    return url, []


def first_set(environ: Mapping[str, str], *names: str) -> str:
    """The first of the variables that is set and not blank, or an empty text."""
    return next((name for name in names if environ.get(name, "").strip()), "")


def read_file(path: Path) -> str | None:
    """A text file of at most a mebibyte, or None when there is none.

    Raises OSError or ValueError when it is there and can't be read as such; what it holds is never in the message.
    """
    try:
        content = read_regular(path, LARGEST_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return text_of(content)
    except InputError:
        raise ValueError("not UTF-8 text") from None


def looked_at(reader: Reader, path: Path) -> tuple[str | None, str]:
    """A file's text and an empty trouble; or None and, where it is there and can't be read, why not."""
    try:
        return reader(path), ""
    except UnicodeDecodeError:
        return None, "not UTF-8 text"
    except ValueError as error:
        return None, str(error)
    except OSError as error:
        return None, error.strerror or type(error).__name__


def home_path(text: str, home: Path) -> Path:
    """A path from a variable or a setting, with a leading ``~`` as this home."""
    if text == "~" or text.startswith(("~/", "~\\")):
        return home / text[2:]
    return Path(text)


def _asked(mode: CloudMode) -> str:
    return "chosen automatically" if mode.auth_source == "auto" else f"pinned by auth_source = {mode.auth_source}"


def _error(provider: str, problem: Problem) -> VaultError:
    kind = SignInAgain if problem.code in _PERSON else NotFound if problem.code in _ABSENT else NotReady
    return kind(f"{provider} has no usable cloud credential: {problem.text}", hint=problem.hint)
