"""Reading token answers: no bytes from a provider may break it, lose tokens, or get a secret into words that are kept."""

from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oauth.authority import jwt
from vault.events.credentials import OAuth
from vault.providers.steps import NoAnswer, Response
from vault.providers.tokens import (
    LONGEST_LIFETIME,
    NotSent,
    Refreshed,
    Refused,
    Rules,
    Tokens,
    Uncertain,
    claims_of,
    expiry_of,
    fields_of,
    outcome_of,
    problem_of,
    renewed,
    scrubbed,
    tokens_of,
    visible,
)
from vault.values import DAY, HOUR, SECOND, Instant, format_instant, moment_of

NOW = Instant(1_767_225_600_000_000)
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [
        *("access_token", "refresh_token", "expires_in", "expires_at", "expired_in", "scope", "error", "id_token"),
        *("error_description", "token_type", "status", "account", "organization", "user_id", "message"),
    ]
)


def response(body: Any, status: int = 200, **more: Any) -> Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(host="example.com", status=status, at=NOW, body=raw, **more)


@given(st.binary(max_size=400), st.sampled_from([200, 204, 302, 400, 401, 403, 429, 500, 503]), st.booleans())
def test_any_bytes_have_a_meaning(body: bytes, status: int, spends: bool) -> None:
    outcome = outcome_of(response(body, status), Rules(spends=spends))
    assert isinstance(outcome, Refused | NotSent | Uncertain | Refreshed)
    assert not (isinstance(outcome, Uncertain) and not spends)
    assert isinstance(outcome, Refreshed) <= (status < 300)


@given(st.dictionaries(NAMES, JSON, max_size=8), st.sampled_from([200, 400, 500]))
def test_any_json_has_a_meaning(fields: dict[str, Any], status: int) -> None:
    outcome = outcome_of(response(fields, status), Rules())
    if isinstance(outcome, Refreshed):
        ends = outcome.tokens.expires_at
        assert visible(outcome.tokens.access)
        assert ends is None or NOW <= ends <= NOW + LONGEST_LIFETIME
        assert all(isinstance(v, str) for v in outcome.tokens.account.values())
    if status == 200 and visible(fields.get("access_token")):
        assert isinstance(outcome, Refreshed)


@given(VISIBLE, VISIBLE, st.integers(1, 10**9))
def test_json_and_form_say_the_same(access: str, refresh: str, seconds: int) -> None:
    fields = {"access_token": access, "refresh_token": refresh, "expires_in": str(seconds), "token_type": "bearer"}
    form = tokens_of(response(urlencode(fields).encode()))
    assert form == tokens_of(response(fields))
    assert form is not None
    assert (form.access, form.refresh) == (access, refresh)
    assert form.expires_at == NOW + min(seconds * SECOND, LONGEST_LIFETIME)


@given(VISIBLE, st.text(max_size=60), st.text(max_size=60))
def test_what_was_sent_is_never_kept(secret: str, before: str, after: str) -> None:
    assert secret not in scrubbed(before + secret + after, [secret]) or secret in "… " or len(secret) < 8


@given(st.text(max_size=500))
def test_what_is_kept_is_one_short_printable_line(text: str) -> None:
    kept = scrubbed(text)
    assert len(kept) <= 200
    assert kept.isprintable()


@given(st.text(st.sampled_from("abcXYZ0189-_=+~"), min_size=24, max_size=200))
def test_whatever_is_long_enough_to_be_a_token_is_not_kept(token: str) -> None:
    assert token not in scrubbed(f"the token {token} is bad")


@given(st.integers(-50, 50), st.integers(1, 10**8), st.sampled_from(["s", "ms", "iso"]))
def test_an_absolute_time_is_corrected_by_the_date(hours: int, seconds: int, unit: str) -> None:
    """Whatever the server's clock says, the token lives as long as the server meant it to."""
    from datetime import UTC, datetime

    off = hours * 3600
    then = NOW // SECOND + off + seconds
    value: Any = {"s": then, "ms": then * 1000, "iso": datetime.fromtimestamp(then, UTC).isoformat()}[unit]
    answer = response({}, date=Instant(NOW + off * SECOND))
    assert expiry_of({"expires_at": value}, answer) == NOW + seconds * SECOND


@given(st.integers(1, 10**8))
def test_expired_in_has_three_encodings(seconds: int) -> None:
    then = NOW // SECOND + seconds
    for value in (seconds, then, then * 1000):
        assert expiry_of({"expired_in": value}, response({})) == NOW + seconds * SECOND


@pytest.mark.parametrize(
    "value", [None, True, "soon", "", [], {}, math.nan, math.inf, -math.inf, 10**400, "1e5", "0x10"]
)
def test_an_expiry_that_is_none_is_assumed(value: Any) -> None:
    assert expiry_of({"expires_in": value}, response({})) is None
    body = json.dumps({"access_token": "fake-a", "refresh_token": "fake-r", "expires_in": 0}).replace("0", "NaN")
    found = tokens_of(response(body.encode()))
    assert found is not None
    assert found.expires_at == NOW + HOUR


def test_a_token_without_expiry_and_refresh_lives_for_ever() -> None:
    found = tokens_of(response({"access_token": "fake-a"}))
    assert found == Tokens(access="fake-a")


@pytest.mark.parametrize(
    "said", [{"expires_in": value} for value in (0, -1, -5.5, "0", "-3600", -(10**18))] + [{"expires_at": 12}]
)
def test_expires_in_negative_or_zero_tells_nothing_and_a_lifetime_is_assumed(said: dict[str, Any]) -> None:
    """No token comes dead; zero and -1 are how some servers write "never"."""
    assert expiry_of(said, response({})) is None
    found = tokens_of(response({"access_token": "fake-a", "refresh_token": "fake-r", **said}))
    assert found is not None
    assert found.expires_at == NOW + HOUR


@pytest.mark.parametrize("value", [100 * 365 * 86400, "9999999999", 1e17])
def test_expires_in_of_a_century_is_taken_for_ten_years(value: Any) -> None:
    assert expiry_of({"expires_in": value}, response({})) == NOW + 10 * 365 * DAY


@pytest.mark.parametrize(("value", "lasts"), [(90.5, 90.5), ("90.5", 90.5), ("3600", 3600), (" 60 ", 60)])
def test_expires_in_may_be_a_fraction_or_a_text(value: Any, lasts: float) -> None:
    assert expiry_of({"expires_in": value}, response({})) == NOW + lasts * SECOND


@given(st.floats() | st.integers() | st.text(max_size=12), st.sampled_from(["expires_in", "expires_at", "expired_in"]))
def test_whatever_an_answer_says_the_end_is_after_now_and_within_ten_years(value: Any, field: str) -> None:
    ends = expiry_of({field: value}, response({}))
    assert ends is None or NOW <= ends <= NOW + 10 * 365 * DAY


@given(st.floats() | st.integers() | st.text(max_size=12) | st.booleans() | st.none(), st.sampled_from([1000, SECOND]))
def test_whatever_a_store_says_a_moment_can_be_shown(value: Any, unit: int) -> None:
    at = moment_of(value, unit)
    assert at is None or format_instant(at) <= "9999-12-31T23:59:59Z"


def test_a_jwt_tells_its_end() -> None:
    access = jwt({"exp": NOW // SECOND + 600})
    found = tokens_of(response({"access_token": access, "refresh_token": "fake-r"}))
    assert found is not None
    assert found.expires_at == NOW + 600 * SECOND


@given(st.text(max_size=100))
def test_what_is_no_jwt_has_no_claims(text: str) -> None:
    assert claims_of(text) == {} or text.count(".") == 2


@pytest.mark.parametrize("token", ["", " ", "a b\n", "ä", "\x00", "a" * 70_000, 7, None, ["x"], "line\r\nHeader: x"])
def test_a_token_that_could_break_a_header_is_none(token: Any) -> None:
    assert tokens_of(response({"access_token": token})) is None


def test_a_deep_nest_is_not_understood() -> None:
    deep = b'{"a":' * 100_000
    assert fields_of(response(deep)) is None
    assert isinstance(outcome_of(response(deep), Rules()), Uncertain)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"error": "invalid_grant"}, 400, "invalid_grant"),
        ({"error": {"code": "refresh_token_expired", "message": "gone"}}, 401, "refresh_token_expired"),
        ({"error": {"type": "invalid_request_error"}}, 400, "invalid_request_error"),
        ({"error": "bad_refresh_token"}, 200, "bad_refresh_token"),
        ({"status": "error"}, 200, "error"),
        ({"message": "no"}, 404, "http_404"),
        (b"<html>", 502, "http_502"),
        (b"error=access_denied&error_description=no", 400, "access_denied"),
    ],
)
def test_the_name_of_an_error(body: Any, status: int, code: str) -> None:
    problem = problem_of(response(body, status))
    assert problem is not None
    assert problem.code == code


def test_a_success_has_no_problem() -> None:
    assert problem_of(response({"access_token": "fake-a", "error": None})) is None


DEAD = ["invalid_grant", "bad_refresh_token", "invalid_refresh_token", "refresh_token_reused", "token_revoked"]
ALIVE = ["invalid_client", "invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type", "odd"]


@pytest.mark.parametrize("code", DEAD + ALIVE)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_which_refusals_are_for_good(code: str, status: int) -> None:
    outcome = outcome_of(response({"error": code}, status), Rules())
    assert isinstance(outcome, Refused)
    assert outcome.permanent is (code in DEAD)


@pytest.mark.parametrize("code", ["slow_down", "temporarily_unavailable", "rate_limit_exceeded"])
def test_which_refusals_mean_later(code: str) -> None:
    assert isinstance(outcome_of(response({"error": code}, 400), Rules()), NotSent)


@pytest.mark.parametrize(
    ("sent", "spends", "kind"), [(True, True, Uncertain), (True, False, NotSent), (False, True, NotSent)]
)
def test_no_answer(sent: bool, spends: bool, kind: type[Any]) -> None:
    answer = NoAnswer("example.com", sent, "no answer", NOW)
    assert isinstance(outcome_of(answer, Rules(spends=spends)), kind)


def test_nothing_secret_is_in_a_repr() -> None:
    tokens = Tokens("fake-access-1", "fake-refresh-1", id_token="fake-id-1", extra={"x": "fake-extra-1"})
    for shown in (repr(tokens), repr(Refreshed(tokens)), repr(response({"access_token": "fake-access-1"}))):
        assert "fake-" not in shown


def test_a_providers_extra_never_takes_the_place_of_the_client_secret() -> None:
    found = tokens_of(response({"access_token": "fake-a", "client_secret": "fake-other", "resource_url": "r"}))
    assert found is not None
    old = OAuth(access="fake-o", refresh="fake-r", extra={"client_secret": "fake-mine", "kept": [1]})
    assert renewed(old, found).extra == {"client_secret": "fake-mine", "kept": [1], "resource_url": "r"}
