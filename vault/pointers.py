"""Whether a text is a secret, or only says where one is: the one place that knows how other tools write references.

| written | is |
|---|---|
| ``${X}``, ``$X``, ``${X:?why}``, ``{env:X}``, ``env:X``, ``os.environ/X``, ``%X%``, ``$env:X`` | a variable |
| ``${X:-other}``, ``${X:=other}``, ``${X-other}`` | the variable, with a default, which is never taken for a secret |
| ``$(command)``, ```` `command` ````, ``!command`` | a command's output |
| ``keyring:SERVICE/USER``, ``keychain:PROVIDER``, ``file:PATH``, ``{file:PATH}`` | an entry of the OS keyring, a file |
| ``op://…``, ``vault:…``, ``ref+awsssm://…``, ``arn:aws:ssm:…``, ``projects/P/secrets/S`` … | another manager's secret |
| ``encrypted:…``, ``ENC[…]``, ``$ANSIBLE_VAULT;…``, ``-----BEGIN AGE ENCRYPTED FILE-----`` … | an encrypted value |
| ``<your key>``, ``your-api-key-here``, ``changeme``, ``xxx``, ``sk-…``, ``__KEY__``, ``{{ key }}`` … | a placeholder |
| a text with ``${X}`` or ``$(command)`` in it | put together by the program that reads it |
| anything else with ``scheme://`` in front | an address |

Nothing is looked up here. What is said of a pointer shows nothing of it, for its default may be a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "an address"
_COMPOSITION = "put together from several parts by the program that reads it"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True, slots=True)
class Pointer:
    """A text that stands for a secret. ``what`` names it, as in "it is WHAT".

    ``scheme`` and ``target`` are a reference of vault's own kinds (env, command, keyring, keychain, file), both empty where
    nothing here could follow it. ``default`` is what its reader takes instead of an unset variable, where it says so.
    """

    what: str
    scheme: str = ""
    target: str = ""
    default: str | None = None


_VARIABLES = re.compile(
    rf"\$\{{({_NAME})(?::?\?[^{{}}]*)?\}}|\$({_NAME})|\{{env:({_NAME})\}}|env:({_NAME})|os\.environ/({_NAME})|%({_NAME})%"
    rf"|\$\{{?env:({_NAME})\}}?|\$\{{\{{\s*env\.({_NAME})\s*\}}\}}"
)
_WITH_DEFAULT = re.compile(rf"\$\{{({_NAME}):?[-=](.*)\}}", re.DOTALL)
_COMMANDS = re.compile(r"\$\((.*)\)|`([^`]*)`|!(\s*(?=\S*[\s/])[A-Za-z0-9_./~\"'].*)", re.DOTALL)
_FILES = re.compile(r"\{file:(.+)\}|file:(?!//)(.+)|file://(/.+)")
_COMPOSED = re.compile(
    rf"\$\{{{_NAME}[^{{}}]*\}}|\$\{{\{{[^{{}}]*\}}\}}|\$\([A-Za-z_./][^()]*\s[^()]*\)|\{{(?:env|file):[^{{}}]+\}}"
)

_MANAGERS = (
    ("a reference to 1Password", r"op://|\{\{\s*op://|onepassword(?:Read)?[:( ]"),
    ("a placeholder of the vault's own", r"vault:[a-z0-9.-]+$"),
    ("a reference to HashiCorp Vault", r"vault:|hcvault:|bao:|openbao:"),
    (
        "a reference to AWS",
        r"arn:aws[a-z-]*:(?:secretsmanager|ssm):|(?:aws-?)?(?:secretsmanager|secrets-manager|ssm|sm)://|aws-?"
        r"(?:secretsmanager|secrets-manager|secrets?|ssm|sm|ps|parameter-store):|(?:secretsmanager|ssm):|\{\{resolve:",
    ),
    (
        "a reference to Google's Secret Manager",
        r"(?:gcp|google)-?(?:sm|secret-?manager|secrets?):|gsm:|projects/[^/]+/secrets/",
    ),
    (
        "a reference to Azure's Key Vault",
        r"(?:azure-?)?(?:akv|key-?vault)[:/]|@Microsoft\.KeyVault\(|https://[a-z0-9-]+\.vault\.azure\.[a-z.]+/secrets/",
    ),
    ("a reference to Doppler", r"doppler:|\$\{\{?\s*doppler"),
    ("a reference to Bitwarden", r"bws?://|bitwarden(?:-secrets)?:"),
    ("a reference to Infisical", r"infisical:"),
    (
        "a reference to a password store",
        r"(?:go)?pass:|passage:|keepass(?:xc)?:|lastpass:|lpass:|dashlane:|dl://|protonpass:",
    ),
    ("a reference to Kubernetes", r"k8s:|kubernetes:|secretKeyRef:"),
    ("a reference of vals", r"ref\+[a-z0-9+]+:"),
    (
        "a reference to an OS keyring",
        r"(?:secret-?service|libsecret|wincred|credman|osxkeychain|kwallet|keyring|keychain):",
    ),
    ("a reference of another tool", r"(?:secretref|secret|secrets|exec|cmd|command|credential):(?!$)|secretref-"),
)
_ENCRYPTED = (
    ("encrypted by dotenvx", r"encrypted:"),
    ("encrypted by sops", r"ENC\[[A-Z0-9_]+,"),
    ("encrypted by Ansible", r"\$ANSIBLE_VAULT;|!vault\b"),
    ("encrypted by age", r"-----BEGIN AGE ENCRYPTED FILE-----|age-encryption\.org/|age:"),
    ("encrypted by PGP", r"-----BEGIN PGP MESSAGE-----"),
    ("encrypted", r"ENC\(.*\)$|\{cipher\}|secure:|SECURE\[|AQICAH[A-Za-z0-9+/=]{60}|env-vault:|dotenv://"),
)
_KINDS = [(what, re.compile(start, re.DOTALL)) for what, start in (*_MANAGERS, *_ENCRYPTED)]
_PLACEHOLDERS = re.compile(
    r"""
    <[^<>]*>|\[[^\[\]]*\]|\{[^{}"]*\}|\{\{.*\}\}|<%.*%>|%%.*%%|@@.*@@|\(\(.*\)\)|__[A-Z]\w*__|\*+|\.{3,}|…
    |(?:change|replace|fix)[-_ ]?(?:me|this|it)|to[-_ ]?do|tbd|n/?a|none|null|nil|undefined|empty|unset|placeholder|dummy
    |redacted|removed|hidden|secret|password|token|(?:api[-_ ]?)?key|api[-_ ]?token|insert[-_ ]?here|x{3,}
    |(?:sk|pk|rk|key|api|gh[a-z]|gsk|hf|xai|pplx|r8|AIza)(?:[-_][a-z0-9]{1,12})*[-_]?(?:x{3,}|\*{3,}|\.{3,}|…|[-_](?:your|placeholder|here))
    |opencode-oauth-dummy-key|oc-sent-v.*|secretref-managed|env-managed
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_LONGEST_PLACEHOLDER = 100
_ENDINGS = ("key", "token", "secret", "here")
_ASKING = frozenset({"insert", "enter", "replace", "paste", "put"})
_ASKED_FOR = frozenset(
    {"key", "apikey", "token", "secret", "password", "pat", "credential", "credentials", "here", "value"}
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def pointer_in(text: str, base: Path | None = None) -> Pointer | None:
    """What a text points to; None for one that can be a secret itself. ``base`` is the folder that relative paths are from."""
    text = text.strip()
    if not text:
        return None
    for find in (_variable, _keyring, lambda t: _file(t, base), _elsewhere, _command):
        found = find(text)
        if found is not None:
            return found
    if _COMPOSED.search(text):
        return Pointer(_COMPOSITION)
    if _is_placeholder(text):
        return Pointer("a placeholder")
    return Pointer(ADDRESS) if _ADDRESS.match(text) else None


def _variable(text: str) -> Pointer | None:
    found = _VARIABLES.fullmatch(text)
    if found:
        name = next(group for group in found.groups() if group)
        return Pointer("a reference to a variable", "env", name)
    found = _WITH_DEFAULT.fullmatch(text)
    # A brace that is closed before the end belongs to something else: ${A:-b}${C}.
    if found and _closed_at_the_end(text):
        return Pointer("a reference to a variable, with a default", "env", found[1], found[2])
    return None


def _closed_at_the_end(text: str) -> bool:
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0 and character == "}":
            return place == len(text) - 1
    return False


def _command(text: str) -> Pointer | None:
    found = _COMMANDS.fullmatch(text)
    command = next((group.strip() for group in found.groups() if group), "") if found else ""
    if not command:
        return None
    if text.startswith("$(") and not is_one_command(text):
        return Pointer(_COMPOSITION)
    return Pointer("a command that prints it", "command", command)


def is_one_command(text: str) -> bool:
    """Whether the first parenthesis is closed by the last one, as far as counting tells."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and 0 < place < len(text) - 1:
            return False
    return depth == 0


def _keyring(text: str) -> Pointer | None:
    scheme, colon, target = text.partition(":")
    if not colon or not target or target.startswith("//"):
        return None
    if scheme == "keyring" and all(target.partition("/")[::2]):
        return Pointer("a reference to the OS keyring", scheme, target)
    return Pointer("a reference to the OS keyring", scheme, target) if scheme == "keychain" else None


def _file(text: str, base: Path | None) -> Pointer | None:
    found = _FILES.fullmatch(text)
    if found is None:
        return None
    what, place = "a reference to a file", next(group for group in found.groups() if group)
    try:
        path = Path(place).expanduser()
    except RuntimeError:
        return Pointer(what)
    if not path.is_absolute():
        return Pointer(what) if base is None else Pointer(what, "file", str(base / path))
    return Pointer(what, "file", str(path))


def _is_placeholder(text: str) -> bool:
    """Whether a text only says that a secret belongs there."""
    if len(text) > _LONGEST_PLACEHOLDER:
        return False
    words = re.split(r"[^a-z0-9]+", text.lower())
    asking = next(
        (at for at, word in enumerate(words) if word.startswith("your") or (at == 0 and word in _ASKING)), None
    )
    asked_for = asking is not None and any(word in _ASKED_FOR or word.endswith(_ENDINGS) for word in words[asking:])
    return asked_for or bool(_PLACEHOLDERS.fullmatch(text))


def _elsewhere(text: str) -> Pointer | None:
    return next((Pointer(what) for what, start in _KINDS if start.match(text)), None)
