"""What an answer to a probe proves. Pure. No text here repeats a word of an answer: some providers quote the key in it.

An answer is *works*, *refused* or *unclear*. What keeps a credential from working has a word of ``vault report`` beside it: auth,
auth_permanent, billing, rate_limit, overloaded or timeout; an empty one where the answer tells nothing of that kind.
"""

from __future__ import annotations

from typing import Any

from vault.errors import InputError
from vault.parsing import parse_json

WORKS, REFUSED, UNCLEAR = "works", "refused", "unclear"
BODY = 16 * 1024
BILLING = "billing: the provider knows the credential and wants to be paid first"
CLAUDE_CODE_ONLY = "this credential is only for Claude Code; use an Anthropic API key for other programs"


def judge(status: int, body_start: bytes | str) -> tuple[str, str, str]:
    """(works, refused or unclear; why; the reason as ``vault report`` has it, or an empty text).

    ``body_start`` is the beginning of the answer; nothing of it is repeated.
    """
    raw = body_start.encode("utf-8", "replace") if isinstance(body_start, str) else body_start
    text = raw[:BODY].decode("utf-8", "replace").lower()
    if "only authorized for use with claude code" in text:
        return REFUSED, CLAUDE_CODE_ONLY, "auth_permanent"
    if 200 <= status < 300:
        return _good(text)
    if status == 401 or (status == 400 and any(mark in text for mark in _BAD_KEY)):
        return _REFUSED
    if status == 403:
        return _forbidden(text)
    if status == 402:
        return UNCLEAR, BILLING, "billing"
    if status == 429:
        return UNCLEAR, "the provider limits the rate now; it usually does that to credentials it knows", "rate_limit"
    if 300 <= status < 400:
        return UNCLEAR, "the provider redirects, which is not followed with a credential", ""
    if status in (404, 405, 501):
        return UNCLEAR, "the provider does not offer this request", ""
    if status == 408:
        return UNCLEAR, "the provider gave up waiting", "timeout"
    if status >= 500:
        return UNCLEAR, "the provider has an internal problem", "overloaded"
    return UNCLEAR, f"the provider answered {status}", ""


_REFUSED = (REFUSED, "the provider refuses the credential", "auth")
_BAD_KEY = ("api_key_invalid", "api key not valid", "incorrect api key", "invalid api key", "invalid_api_key")
_LIMITED = (
    "missing scopes",
    "insufficient permission",
    "accessdenied",
    "not authorized to perform",
    "service_disabled",
    "_blocked",
)
_NOT_VALID = ("not valid", "key is valid", "is invalid")
_ELSEWHERE = ("unsupported_country", "not available in your country", "location is not supported")


def _forbidden(text: str) -> tuple[str, str, str]:
    if text.lstrip().startswith("<"):
        return UNCLEAR, "something before the provider, a firewall perhaps, refused the request", ""
    if any(mark in text for mark in _ELSEWHERE):
        return UNCLEAR, "the provider does not serve this country", ""
    if any(mark in text for mark in _LIMITED) and not any(mark in text for mark in _NOT_VALID):
        return UNCLEAR, "the provider knows the credential, which is not allowed this request", ""
    return _REFUSED


def _good(text: str) -> tuple[str, str, str]:
    """A good status: is the answer one, too? Some providers say 200 and put the error inside; portals answer with a page."""
    if not text.lstrip().startswith(("{", "[")):
        return UNCLEAR, "the answer is not the provider's: it isn't JSON", ""
    try:
        found: Any = parse_json(text, "the answer")
    except InputError:
        found = {}
    if not isinstance(found, dict):
        return WORKS, "the provider accepts it", ""
    inner = found.get("base_resp")
    code = inner.get("status_code") if isinstance(inner, dict) else 0
    if code in (1004, 2049):
        return _REFUSED
    if code or found.get("error") or found.get("success") is False:
        return UNCLEAR, "the provider answered with an error", ""
    return WORKS, "the provider accepts it", ""
