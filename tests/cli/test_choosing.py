"""why, order, pin, unpin, report and health clear: what steers the choice, and the explanation of it."""

from __future__ import annotations

import os

import pytest

from tests.cli.running import Shell
from tests.support import START, Files
from vault.commands.candidates import pin_of
from vault.values import DAY, HOUR, MINUTE, SECOND, AgentId, ProviderId, format_instant_exact

pytestmark = pytest.mark.usefixtures("files")
NOW = START + DAY


@pytest.fixture(autouse=True)
def three(files: Files, shell: Shell) -> None:
    """main has anthropic:a, b, c; child inherits from main."""
    for name in "abc":
        shell.login(f"anthropic:{name}", f"fake-key-{name}")
    shell("agent", "add", "child")


def chosen(shell: Shell, *arguments: str) -> str | None:
    found: str | None = shell.json("why", "anthropic", *arguments)["chosen"]
    return found


def codes(shell: Shell, *arguments: str) -> dict[str, str]:
    return {c["candidate"]: c["code"] for c in shell.json("why", "anthropic", *arguments)["candidates"]}


def test_why_says_what_and_why(shell: Shell) -> None:
    told = shell("why", "anthropic")
    assert told.err == ""
    assert told.lines[0] == (
        "agent main would use anthropic:a for anthropic: "
        "no order is set: oauth, then token, then api_key, least recently used first"
    )
    assert told.lines[1].split() == ["CANDIDATE", "KIND", "AGENT", "REASON"]
    assert told.row("anthropic:a").endswith("chosen")
    assert told.row("anthropic:b").endswith("eligible, after the chosen one")


def test_why_as_json(shell: Shell) -> None:
    told = shell.json("why", "anthropic", "--agent", "child")
    assert set(told) >= {"schema", "agent", "provider", "chosen", "basis", "candidates"}
    assert (told["schema"], told["agent"], told["provider"], told["chosen"]) == (
        "vault.why/1",
        "child",
        "anthropic",
        "anthropic:a",
    )
    assert told["candidates"][0] == {
        "candidate": "anthropic:a",
        "owner": "main",
        "kind": "api_key",
        "code": "chosen",
        "reason": "chosen",
        "until": None,
        "base_url": None,
    }


def test_why_hands_nothing_out_and_appends_nothing(shell: Shell, files: Files) -> None:
    told = shell("why", "anthropic")
    assert "fake-key" not in told.out + told.err
    with files.open() as context:
        assert context.store.head().position == 5


def test_why_for_nothing(shell: Shell) -> None:
    assert shell("why", "openai").out == "agent main has nothing to use for openai\n"
    told = shell.json("why", "openai")
    assert (told["chosen"], told["candidates"]) == (None, [])


def test_the_environment_comes_first_and_why_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "fake-ambient")
    told = shell("why", "anthropic")
    assert told.lines[0].startswith(
        "agent main would use env:ANTHROPIC_API_KEY for anthropic: ANTHROPIC_API_KEY is set"
    )
    assert codes(shell) == {"env:ANTHROPIC_API_KEY": "chosen"} | dict.fromkeys(
        ["anthropic:a", "anthropic:b", "anthropic:c"], "environment_first"
    )
    assert "fake-ambient" not in told.out
    assert shell("get", "anthropic").out == "fake-ambient\n"


@pytest.mark.parametrize("spelt", ["anthropic:c", " anthropic@c , openai:b,", "Anthropic@c"])
def test_a_session_s_pin_comes_before_everything(spelt: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell("pin", "anthropic:b")
    shell("order", "set", "--provider", "anthropic", "a")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "fake-ambient")
    monkeypatch.setenv("VAULT_PIN", spelt)
    for agent in ("main", "child"):
        told = shell.json("why", "anthropic", "--agent", agent)
        assert (told["chosen"], told["basis"]) == ("anthropic:c", "pinned for this session by VAULT_PIN")
    assert codes(shell) == {
        "anthropic:c": "chosen",
        "anthropic:a": "not_pinned",
        "anthropic:b": "not_pinned",
        "env:ANTHROPIC_API_KEY": "not_pinned",
    }
    assert shell("get", "anthropic").out == "fake-key-c\n"
    assert "fake-key-c" in shell("env", "--provider", "anthropic").out
    assert shell("get", "anthropic:a").out == "fake-key-a\n", "a profile that is named is the one"
    monkeypatch.delenv("VAULT_PIN")
    assert chosen(shell) == "anthropic:b"


def test_a_session_s_pin_says_nothing_of_other_providers(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.login("openai:a", "fake-key-openai")
    for value in ("anthropic:c", "", " , "):
        monkeypatch.setenv("VAULT_PIN", value)
        assert shell("get", "openai").out == "fake-key-openai\n"


def test_a_session_s_pin_of_what_is_not_there_hands_nothing_out(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_PIN", "anthropic:gone")
    assert codes(shell)["anthropic:gone"] == "missing"
    refused = shell("get", "anthropic", status=66)
    assert refused.out == ""
    assert "fake-key" not in refused.err


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("anthropic", "VAULT_PIN names the provider anthropic and no profile of it"),
        ("anthropic:", "VAULT_PIN: 'anthropic:' is not a profile id"),
        ("anthropic@", "VAULT_PIN: an empty text is not a profile name"),
        ("anthropic:a b", "VAULT_PIN: 'a b' is not a profile name"),
        ("anthropic:a,anthropic@b", "VAULT_PIN names two profiles of anthropic"),
        ("openai:a,Anthropicc@b", "VAULT_PIN: there is no provider 'Anthropicc'"),
    ],
)
def test_a_session_s_pin_that_says_nothing_is_a_mistake(
    value: str, told: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_PIN", value)
    for words in (("why", "anthropic"), ("get", "anthropic")):
        refused = shell(*words, "--json", status=78)
        assert refused.error["message"].startswith(told)
        assert refused.error["hint"]
    assert shell("list").status == 0, "what chooses nothing isn't kept from working"


def test_whose_pin_is_in_force(files: Files, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def pinned() -> tuple[str, str]:
        with files.open() as context:
            context.environ = os.environ
            return pin_of(context, AgentId("child"), ProviderId("anthropic"))

    assert pinned() == ("", "")
    shell("pin", "anthropic:b")
    assert pinned() == ("anthropic:b", "agent main")
    monkeypatch.setenv("VAULT_PIN", "anthropic:c")
    assert pinned() == ("anthropic:c", "VAULT_PIN")


def test_least_recently_used_comes_first(shell: Shell) -> None:
    handed = []
    for _ in range(6):
        shell.clock.forward(SECOND)
        handed.append(shell("get", "anthropic").out.strip()[-1])
    assert "".join(handed) == "abcabc"


def test_an_order_is_followed_and_excludes_the_rest(shell: Shell) -> None:
    told = shell("order", "set", "--provider", "anthropic", "c", "anthropic:a")
    assert (told.out, told.err) == ("", "agent main tries anthropic:c, anthropic:a for anthropic\n")
    assert codes(shell) == {"anthropic:c": "chosen", "anthropic:a": "next", "anthropic:b": "not_in_order"}
    assert shell("order", "get", "--provider", "anthropic").out == "anthropic:c\nanthropic:a\n"


def test_order_as_json(shell: Shell) -> None:
    order = ("--provider", "anthropic")
    assert shell.json("order", "get", *order) == {
        "schema": "vault.order/1",
        "agent": "main",
        "provider": "anthropic",
        "order": None,
        "set_by": None,
    }
    told = shell.json("order", "set", *order, "b", "--reason", "cheaper")
    assert told == {
        "schema": "vault.order/1",
        "order": ["anthropic:b"],
        "agent": "main",
        "provider": "anthropic",
        "position": 6,
        "changed": True,
    }
    assert shell.json("order", "get", *order)["set_by"] == "main"
    assert shell.json("history", "-n", "1")["events"][0]["reason"] == "cheaper"
    told = shell.json("order", "clear", *order)
    assert told == {
        "schema": "vault.order/1",
        "order": None,
        "agent": "main",
        "provider": "anthropic",
        "position": 7,
        "changed": True,
    }


def test_an_order_that_is_so_already_appends_nothing(shell: Shell) -> None:
    shell("order", "set", "--provider", "anthropic", "b")
    again = shell.json("order", "set", "--provider", "anthropic", "b")
    assert (again["position"], again["changed"]) == (None, False)
    assert shell("order", "set", "--provider", "anthropic", "b").err.endswith(" (no change)\n")
    shell("order", "clear", "--provider", "anthropic")
    assert shell.json("order", "clear", "--provider", "anthropic")["changed"] is False


def test_an_order_is_inherited_until_there_is_one_of_its_own(shell: Shell) -> None:
    shell("order", "set", "--provider", "anthropic", "c", "b")
    assert chosen(shell, "--agent", "child") == "anthropic:c"
    told = shell("order", "get", "--provider", "anthropic", "--agent", "child")
    assert (told.out, told.err) == ("anthropic:c\nanthropic:b\n", "inherited from agent main\n")
    shell("order", "set", "--provider", "anthropic", "--agent", "child", "a")
    assert codes(shell, "--agent", "child")["anthropic:c"] == "not_in_order"
    assert chosen(shell) == "anthropic:c"
    shell("order", "clear", "--provider", "anthropic", "--agent", "child")
    assert chosen(shell, "--agent", "child") == "anthropic:c"


def test_no_order_is_said(shell: Shell) -> None:
    told = shell("order", "get", "--provider", "anthropic")
    assert (told.out, told.err.startswith("agent main has no order for anthropic")) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("set", "--provider", "anthropic", "openai:x"), 65, "openai:x is not a profile of anthropic"),
        (("set", "--provider", "anthropic", "nope"), 66, "agent main has no profile anthropic:nope"),
        (("set", "--provider", "anthropic", "a", "a"), 65, "the order names a profile twice"),
        (("set", "--provider", "anthropic", "a", "bad name"), 65, "is not a profile name"),
        (("set", "--provider", "anthropic"), 64, "is missing"),
        (("set", "a"), 64, "--provider is missing"),
        (("get",), 64, "--provider is missing"),
        (("set", "--provider", "anthropic", "--agent", "nobody", "a"), 66, "there is no agent nobody"),
        (("clear", "--provider", "Bad!"), 65, "is not a provider id"),
        (("reverse",), 64, "there is no such command"),
        ((), 64, ""),
    ],
)
def test_orders_that_can_not_be(shell: Shell, arguments: tuple[str, ...], status: int, what: str) -> None:
    assert what in shell("order", *arguments, status=status).err
    assert shell.json("order", "get", "--provider", "anthropic")["order"] is None


def test_a_pin_excludes_everything_else(shell: Shell) -> None:
    shell("order", "set", "--provider", "anthropic", "a")
    told = shell("pin", "anthropic:c")
    assert (told.out, told.err) == ("", "agent main uses anthropic:c and no other\n")
    assert codes(shell) == {"anthropic:c": "chosen", "anthropic:a": "not_pinned", "anthropic:b": "not_pinned"}
    assert "pinned for agent main" in shell("why", "anthropic").lines[0]
    assert shell.json("show", "anthropic:c")["pinned"] is True
    assert chosen(shell, "--agent", "child") == "anthropic:c"
    assert shell("unpin", "anthropic").err == "agent main no longer has a pin for anthropic\n"
    assert chosen(shell) == "anthropic:a"


def test_a_pin_comes_before_the_environment(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "fake-ambient")
    shell("pin", "anthropic:c")
    assert codes(shell)["env:ANTHROPIC_API_KEY"] == "not_pinned"
    assert shell("get", "anthropic").out == "fake-key-c\n"


def test_pin_and_unpin_as_json(shell: Shell) -> None:
    assert shell.json("pin", "anthropic:b") == {
        "schema": "vault.pin/1",
        "profile": "anthropic:b",
        "agent": "main",
        "position": 6,
        "changed": True,
    }
    assert shell.json("pin", "anthropic:b")["changed"] is False
    assert shell.json("unpin", "anthropic:b") == {
        "schema": "vault.unpin/1",
        "provider": "anthropic",
        "agent": "main",
        "position": 7,
        "changed": True,
    }


def test_a_pin_whose_profile_is_gone_is_explained(shell: Shell) -> None:
    shell("pin", "anthropic:b")
    shell("logout", "anthropic:b")
    assert codes(shell) == {"anthropic:b": "missing", "anthropic:a": "not_pinned", "anthropic:c": "not_pinned"}
    assert chosen(shell) is None
    shell("get", "anthropic", status=66)


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("pin", "anthropic:nope"), 66, "agent main has no profile anthropic:nope"),
        (("pin", "anthropic"), 65, "is not a profile id"),
        (("pin",), 64, "is missing"),
        (("unpin", "anthropic"), 66, "agent main has no pin for anthropic"),
        (("why",), 64, "is missing"),
        (("why", "Antropic"), 66, "did you mean anthropic"),
        (("why", "anthropic", "--agent", "nobody"), 66, "there is no agent nobody"),
        (("report", "anthropic:nope", "failure"), 66, "agent main has no profile anthropic:nope"),
        (("report", "anthropic:a", "maybe"), 64, "'maybe' is not an outcome"),
        (("report", "anthropic:a", "failure", "--reason", "boredom"), 64, "'boredom' is not a reason for a failure"),
        (("report", "anthropic:a", "success", "--reason", "auth"), 64, "a success has no reason"),
        (("report", "anthropic:a", "success", "--retry-after", "5m"), 64, "a success has no reason and no reset time"),
        (("report", "anthropic:a", "failure", "--until", "soon"), 65, "'soon' is not a time"),
        (("report", "anthropic:a", "failure", "--retry-after", "soon"), 65, "'soon' is not a length of time"),
        (("report", "anthropic:a"), 64, "is missing"),
        (("health", "clear", "anthropic:nope"), 66, "agent main has no profile anthropic:nope"),
        (("health", "clear"), 64, "is missing"),
        (("health",), 64, ""),
    ],
)
def test_what_can_not_be(shell: Shell, files: Files, arguments: tuple[str, ...], status: int, what: str) -> None:
    assert what in shell(*arguments, status=status).err
    with files.open() as context:
        assert context.store.head().position == 5


def test_a_rate_limit_cools_down_and_comes_last(shell: Shell) -> None:
    told = shell("report", "anthropic:a", "failure", "--reason", "rate_limit")
    assert (told.out, told.err) == ("", "anthropic:a: cooling down for 30s\n")
    assert list(codes(shell)) == ["anthropic:b", "anthropic:c", "anthropic:a"]
    assert codes(shell)["anthropic:a"] == "cooling_down"
    assert "cooling down, so it comes last (in 30s)" in shell("why", "anthropic").row("anthropic:a")
    assert "cooling down: rate_limit, 30s left" in shell("list").row("anthropic:a")
    shell.clock.forward(30 * SECOND)
    assert codes(shell)["anthropic:a"] == "chosen"


def test_report_as_json(shell: Shell) -> None:
    told = shell.json(
        "report", "anthropic:a", "failure", "--reason", "billing", "--note", "card expired", "--model", "m-1"
    )
    assert told == {
        "schema": "vault.report/1",
        "profile": "anthropic:a",
        "agent": "main",
        "failures": 1,
        "cooldown_until": None,
        "disabled_until": format_instant_exact(NOW + 10 * MINUTE),
        "position": 6,
        "changed": True,
    }
    (event,) = shell.json("history", "-n", "1")["events"]
    assert (event["reason"], event["facts"]["model"], event["facts"]["failure"]) == ("card expired", "m-1", "billing")


def test_a_disabled_profile_is_not_used(shell: Shell) -> None:
    shell("order", "set", "--provider", "anthropic", "a")
    assert (
        shell("report", "anthropic:a", "failure", "--reason", "auth_permanent").err == "anthropic:a: disabled for 10m\n"
    )
    told = shell("get", "anthropic", status=75)
    assert told.out == ""
    assert "anthropic:a disabled after a failure" in told.err
    assert "vault health clear PROFILE" in told.err
    assert shell("why", "anthropic").lines[0] == "agent main has nothing to use for anthropic"
    assert shell("get", "anthropic:a").out == "fake-key-a\n", "a profile asked for by its id is handed out all the same"


@pytest.mark.parametrize(
    ("told_by", "until"),
    [
        (("--retry-after", "90m"), NOW + 90 * MINUTE),
        (("--until", format_instant_exact(NOW + 2 * HOUR)), NOW + 2 * HOUR),
        (("--until", "2026-12-31"), NOW + 31 * DAY),
        (("--retry-after", "99y"), NOW + 31 * DAY),
    ],
)
def test_the_providers_own_reset_time_counts(shell: Shell, told_by: tuple[str, str], until: int) -> None:
    told = shell.json("report", "anthropic:a", "failure", "--reason", "rate_limit", *told_by)
    assert told["cooldown_until"] == format_instant_exact(until)


def test_a_success_and_a_clear_forgive(shell: Shell) -> None:
    for forgive in (("report", "anthropic:a", "success"), ("health", "clear", "anthropic:a")):
        shell("report", "anthropic:a", "failure", "--reason", "billing")
        assert codes(shell)["anthropic:a"] == "disabled"
        told = shell(*forgive)
        assert told.out == ""
        assert codes(shell)["anthropic:a"] == "chosen"


def test_health_clear_as_json(shell: Shell) -> None:
    shell("report", "anthropic:a", "failure")
    told = shell.json("health", "clear", "anthropic:a", "--reason", "a mistake")
    assert told == {
        "schema": "vault.health/1",
        "profile": "anthropic:a",
        "agent": "main",
        "position": 7,
        "changed": True,
    }
    again = shell("health", "clear", "anthropic:a")
    assert again.err == "the failures of anthropic:a are cleared (no change)\n"


def test_health_belongs_to_the_owner(shell: Shell) -> None:
    shell("report", "anthropic:a", "failure", "--reason", "billing", "--agent", "child")
    assert codes(shell)["anthropic:a"] == "disabled"
    shell("health", "clear", "anthropic:a", "--agent", "child")
    assert codes(shell)["anthropic:a"] == "chosen"


def test_failures_in_a_row_wait_longer(shell: Shell) -> None:
    waits = []
    for _ in range(3):
        told = shell.json("report", "anthropic:a", "failure", "--reason", "overloaded")
        waits.append(told["cooldown_until"])
    assert waits == [format_instant_exact(NOW + s * SECOND) for s in (30, 60, 120)]


def test_an_expired_token_is_passed_over_and_named(shell: Shell) -> None:
    shell.login("anthropic:t", "fake-token", "--expires-in", "1h")
    assert chosen(shell) == "anthropic:t", "a token comes before keys"
    shell.clock.forward(HOUR)
    assert codes(shell)["anthropic:t"] == "expired"
    assert chosen(shell) == "anthropic:a"


def test_reports_and_the_like_happen_once_for_a_command_id(shell: Shell) -> None:
    for words in (
        "report anthropic:a failure",
        "pin anthropic:a",
        "order set --provider anthropic a",
        "health clear anthropic:a",
    ):
        once = (*words.split(), "--command-id", f"once {words}")
        first = shell.json(*once)
        assert shell.json(*once)["position"] == first["position"]
