"""Names of environment variables that a credential may go into. Pure.

Where another's document names the variable (a server's sign-in document, another tool's store, a fetched catalogue),
only names that can be a credential's are taken: those whose last word says so. A list of what to refuse would always
miss one, for many programs obey their environment: ``HTTPS_PROXY``, ``SSL_CERT_FILE``, ``JAVA_TOOL_OPTIONS``,
``EDITOR``, ``PROMPT_COMMAND`` and more each year.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_CREDENTIAL = re.compile(
    r"(?:[A-Z0-9_]*[A-Z0-9]_)?(?:API_?)?(?:KEY|TOKEN|SECRET|PAT|PASSWORD|PASSWD|PASS|AUTH|JWT|BEARER|CREDENTIAL)"
    r"|AWS_BEARER_TOKEN_BEDROCK|AWS_ACCESS_KEY_ID",
    re.IGNORECASE,
)
_OURS = "VAULT_"


def is_credentials(name: str) -> bool:
    """Whether a name can be a credential's, such as ``CORP_TOKEN`` or ``MY_API_KEY``; never one of the vault's own settings."""
    return is_variable(name) and _CREDENTIAL.fullmatch(name) is not None and not name.upper().startswith(_OURS)


def is_variable(name: str) -> bool:
    """Whether a text is a name that every shell takes for a variable's."""
    return _NAME.fullmatch(name) is not None
