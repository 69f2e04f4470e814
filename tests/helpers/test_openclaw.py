"""OpenClaw's exec protocol: many ids in one call, each with a value or an error of its own, each value a hand-out in the log."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.desk import Counter
from vault.errors import (
    Defect,
    Gone,
    InputError,
    IntegrityError,
    Locked,
    NotFound,
    SignInAgain,
    StorageError,
    TryAgain,
    VaultError,
)
from vault.events.credentials import AnyCredential, OAuth, Reference, Token
from vault.interop.helpers import Answer, Given, Holding, Request, helper
from vault.interop.openclaw_refs import asked_for, reference_id
from vault.values import HOUR, MINUTE, Secret, parse_profile

# what OpenClaw accepts as an id, besides that no path segment is . or ..
THEIR_GRAMMAR = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}")


def request(*ids: str, **more: Any) -> str:
    return json.dumps({"protocolVersion": 1, "provider": "vault", "ids": ids, **more})


def answer(said: Answer) -> dict[str, Any]:
    """What OpenClaw makes of an answer: exit status 0 and one JSON object, an id in one map only."""
    assert said.status == 0
    found = json.loads(said.out)
    assert set(found) == {"protocolVersion", "values", "errors"}
    assert found["protocolVersion"] == 1
    assert not set(found["values"]) & set(found["errors"])
    return dict(found)


def test_every_id_is_answered_in_one_call_and_every_value_is_a_hand_out(counter: Counter) -> None:
    counter.login("openai:work", "fake-key-openai-work")
    counter.login("openai:home", "fake-key-openai-home")
    counter.login("anthropic:me@example.com", Token(token="fake-token-anthropic"))
    ids = ("openai/work", "openai:home", "anthropic/me#40example.com", "anthropic#access_token", "groq", "openai/gone")
    said = counter.ask("openclaw", stdin=request(*ids))
    found = answer(said)
    assert found["values"] == {
        "openai/work": "fake-key-openai-work",
        "openai:home": "fake-key-openai-home",
        "anthropic/me#40example.com": "fake-token-anthropic",
        "anthropic#access_token": "fake-token-anthropic",
    }
    assert {name: error["code"] for name, error in found["errors"].items()} == {
        "groq": "NOT_FOUND",
        "openai/gone": "NOT_FOUND",
    }
    assert said.err.startswith("vault: no value for 'groq' (and 1 more of 6): ")
    assert "vault login groq" in said.err
    assert "fake-" not in said.err
    issued = [(event.profile, event.way, event.program) for event in counter.issued]
    assert issued == [
        ("openai:work", "helper openclaw", "test"),
        ("openai:home", "helper openclaw", "test"),
        ("anthropic:me@example.com", "helper openclaw", "test"),
        ("anthropic:me@example.com", "helper openclaw", "test"),
    ]


def test_a_provider_is_what_the_order_says(counter: Counter) -> None:
    counter.login("openai:work", "fake-key-openai-work")
    counter.login("openai:home", "fake-key-openai-home")
    ids = ("openai/home", "openai:home", "openai:home#key", "openai/home")
    assert set(answer(counter.ask("openclaw", stdin=request(*ids)))["values"].values()) == {"fake-key-openai-home"}
    assert [event.profile for event in counter.issued] == ["openai:home"], "one thing asked for is handed out once"
    assert answer(counter.ask("openclaw", stdin=request("openai")))["values"] == {"openai": "fake-key-openai-work"}


def test_what_cannot_be_handed_out_says_why(counter: Counter) -> None:
    counter.login("openai:ended", OAuth(access="fake-access", expires_at=counter.clock.now() + MINUTE))
    counter.login("openai:well", OAuth(access="fake-access-well", expires_at=counter.clock.now() + HOUR))
    counter.login("groq:elsewhere", Reference(scheme="env", target="FAKE_VARIABLE_THAT_IS_NOT_SET"))
    counter.clock.forward(2 * MINUTE)
    found = answer(counter.ask("openclaw", stdin=request("openai/ended", "groq/elsewhere", "openai/well")))
    assert found["values"] == {"openai/well": "fake-access-well"}
    assert found["errors"]["openai/ended"]["code"] == "SIGN_IN_AGAIN"
    assert "vault login openai:ended" in found["errors"]["openai/ended"]["message"]
    assert found["errors"]["groq/elsewhere"]["code"] == "NOT_FOUND"
    assert [event.profile for event in counter.issued] == ["openai:well"]


def test_no_ids_are_an_answer_too(counter: Counter) -> None:
    said = counter.ask("openclaw", stdin=request())
    assert answer(said) == {"protocolVersion": 1, "values": {}, "errors": {}}
    assert said.err == ""


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"protocolVersion": 2, "provider": "vault", "ids": ["openai"]}',
        '{"protocolVersion": true, "provider": "vault", "ids": ["openai"]}',
        '{"provider": "vault", "ids": ["openai"]}',
        '{"protocolVersion": 1, "provider": "vault"}',
        '{"protocolVersion": 1, "provider": "vault", "ids": "openai"}',
        '{"protocolVersion": 1, "provider": "vault", "ids": [1]}',
        '{"protocolVersion": 1, "provider": "vault", "ids": ["\\ud800"]}',
        " " * (1 << 20) + "{}",
    ],
)
def test_a_request_that_is_none_is_one_line_and_a_failure(content: str, counter: Counter) -> None:
    counter.login("openai:work", "fake-key-openai-work")
    said = counter.ask("openclaw", stdin=content)
    assert (said.out, said.status) == (b"", 65)
    assert said.err.startswith("vault: ")
    assert "\n" not in said.err
    assert counter.issued == []


def test_arguments_are_wrong_usage(counter: Counter) -> None:
    assert counter.ask("openclaw", "openai", stdin=request("openai")).status == 64


@pytest.mark.parametrize(
    "name",
    ["", "@", "openai/", "openai:", "/work", "openai/a b", "openai/me@example.com", "openai/#4", "openai/#GG", "o p",
     "openai/a#unknown_field", "openai/#FF", "OPENAI", "openai/../work\n", "x" * 300],
)  # fmt: skip
def test_an_id_that_means_nothing_is_not_found_and_harms_no_other(name: str, counter: Counter) -> None:
    counter.login("groq:default", "fake-key-groq")
    found = answer(counter.ask("openclaw", stdin=request(name, "groq")))
    assert found["values"] == {"groq": "fake-key-groq"}
    assert found["errors"][name]["code"] == "NOT_FOUND"


@given(name=st.text(string.ascii_letters + string.digits + "@+._:/#-%é😀", min_size=1, max_size=20))
def test_every_profile_has_an_id_that_openclaw_accepts_and_that_leads_back(name: str) -> None:
    if name[0] in ":-":
        name = "x" + name
    profile = parse_profile(f"openai:{name}")
    made = reference_id(profile)
    assert THEIR_GRAMMAR.fullmatch(made)
    assert not {".", ".."} & set(made.split("/"))
    assert asked_for(made) == profile


def test_a_provider_with_a_foreign_name_has_an_id() -> None:
    for what in ("git.example%3a8443:octo", "my_provider", "x%20y"):
        assert THEIR_GRAMMAR.fullmatch(reference_id(what))
        assert asked_for(reference_id(what)) == what
    with pytest.raises(InputError):
        reference_id("%4c%4d%53tudio")


def test_the_ids_of_plain_names_are_plain() -> None:
    assert reference_id("openai") == "openai"
    assert reference_id("openai:work") == "openai/work"
    assert reference_id("openai:..") == "openai/#2E#2E"
    assert reference_id("openai:me@example.com") == "openai/me#40example.com"
    with pytest.raises(InputError):
        reference_id("openai:" + "😀" * 64)


class Troubled:
    """A vault in which one profile meets an error."""

    now = 0

    def __init__(self, error: VaultError) -> None:
        self.error = error

    def give(self, what: str, *, agent: str = "") -> Given:
        if what == "lab:bad":
            raise self.error
        return Given(Secret(f"fake-key-{what}"), "lab", what, "api_key", None)

    def give_fitting(self, what: str, fits: Callable[[str, str], bool]) -> Given | None:
        raise AssertionError

    def holdings(self, provider: str = "", *, agent: str = "") -> Sequence[Holding]:
        raise AssertionError

    def is_secret_of(self, profile: str, secret: str, *, agent: str = "") -> bool:
        raise AssertionError

    def keep(self, profile: str, credential: AnyCredential, *, label: str = "", agent: str = "") -> None:
        raise AssertionError

    def end(self, profile: str, *, agent: str = "") -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("no"), "NOT_FOUND"),
        (Gone("no"), "NOT_FOUND"),
        (SignInAgain("no"), "SIGN_IN_AGAIN"),
        (TryAgain("no"), "TRY_AGAIN"),
        (StorageError("no"), "STORAGE"),
        (Locked("the keyring is locked"), "LOCKED"),
    ],
)
def test_one_trouble_is_one_error(error: VaultError, code: str) -> None:
    asked = Request([], {}, lambda: request("lab/bad", "lab/well", "lab:bad").encode())
    found = answer(helper("openclaw").run(asked, Troubled(error)))
    assert found["values"] == {"lab/well": "fake-key-lab:well"}
    assert {name: one["code"] for name, one in found["errors"].items()} == {"lab/bad": code, "lab:bad": code}


@pytest.mark.parametrize("error", [IntegrityError("the log was altered"), Defect("a defect")])
def test_nothing_is_handed_out_of_a_log_that_was_altered(error: VaultError) -> None:
    asked = Request([], {}, lambda: request("lab/well", "lab/bad").encode())
    with pytest.raises(type(error)):
        helper("openclaw").run(asked, Troubled(error))


def test_a_batch_as_large_as_openclaw_sends(counter: Counter) -> None:
    counter.login("lab:one", "fake-key-lab")
    ids = ["lab/one", *(f"lab/missing-{number}" for number in range(511))]
    found = answer(counter.ask("openclaw", stdin=request(*ids)))
    assert found["values"] == {"lab/one": "fake-key-lab"}
    assert len(found["errors"]) == 511
