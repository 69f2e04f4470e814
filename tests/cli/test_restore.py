"""logout and restore: nothing is lost, nothing is rewound, and what happened is told."""

from __future__ import annotations

import pytest

from tests.cli.running import Shell
from tests.support import START, Files
from vault.values import HOUR, SECOND, format_instant_exact

pytestmark = pytest.mark.usefixtures("files")


def secret(shell: Shell, what: str = "anthropic") -> str:
    return shell("get", what).out.rstrip("\n")


def test_logout_ends_a_profile_and_restore_undoes_it(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    told = shell("logout", "anthropic:default")
    assert (told.out, told.err) == (
        "",
        "logged out anthropic:default of agent main\nundo: vault restore anthropic:default\n",
    )
    assert "no credential for anthropic" in shell("get", "anthropic", status=66).err
    shell("restore", "anthropic:default")
    assert secret(shell) == "fake-key-1"


def test_logout_as_json(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    told = shell.json("logout", "anthropic:default", "--reason", "left")
    assert (
        told.items()
        >= {"schema": "vault.logout/1", "agent": "main", "profile": "anthropic:default", "position": 3}.items()
    )
    assert shell.json("history", "--limit", "1")["events"][0]["reason"] == "left"


def test_logout_by_provider_where_there_is_one(shell: Shell) -> None:
    shell.login("anthropic:work", "fake-key-1")
    shell.login("openai", "fake-key-2")
    assert shell.json("logout", "Anthropic")["profile"] == "anthropic:work"


def test_logout_happens_once_for_a_command_id(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    first = shell.json("logout", "anthropic:default", "--command-id", "once")
    shell.login("anthropic", "fake-key-2")
    assert shell.json("logout", "anthropic:default", "--command-id", "once") == first
    assert secret(shell) == "fake-key-2"


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("anthropic:nope",), 66, "agent main has no profile anthropic:nope"),
        (("openai",), 66, "agent main has no profile for openai"),
        (("Bad Provider!",), 65, "is not a provider id"),
        (("anthropic",), 64, "agent main has several profiles for anthropic: name one of anthropic:a, anthropic:b"),
        ((), 64, "no profile was named: name one of anthropic:a, anthropic:b"),
        (("--agent", "child", "anthropic:a"), 66, "anthropic:a belongs to agent main; child only inherits it"),
        (("--agent", "nobody", "anthropic:a"), 66, "there is no agent nobody"),
    ],
)
def test_logout_that_can_not_be(shell: Shell, arguments: tuple[str, ...], status: int, what: str) -> None:
    shell.login("anthropic:a", "fake-key-1")
    shell.login("anthropic:b", "fake-key-2")
    shell("agent", "add", "child")
    assert what in shell("logout", *arguments, status=status).err
    assert len(shell.json("list")["profiles"]) == 2


def test_restore_brings_the_previous_credential_back_and_forth(shell: Shell) -> None:
    for number in (1, 2, 3):
        shell.login("anthropic", f"fake-key-{number}")
    told = shell("restore", "anthropic:default")
    assert told.out == ""
    assert told.err.startswith("restored: anthropic:default of agent main is the api_key of position 3 (fingerprint ")
    assert secret(shell) == "fake-key-2"
    shell("restore", "anthropic:default")
    assert secret(shell) == "fake-key-3"


def test_restore_as_json(shell: Shell) -> None:
    old = shell.json("login", "anthropic", "--stdin", stdin="fake-key-1")
    shell.login("anthropic", "fake-key-2")
    assert shell.json("restore", "anthropic:default") == {
        "schema": "vault.restore/1",
        "agent": "main",
        "profile": "anthropic:default",
        "position": 4,
        "changed": True,
        "from_position": 2,
        "kind": "api_key",
        "fingerprint": old["fingerprint"],
        "replaced": 3,
        "warning": None,
        "probe": None,
    }


def test_restore_to_a_position(shell: Shell) -> None:
    for number in (1, 2, 3):
        shell.login("anthropic", f"fake-key-{number}")
    shell("restore", "anthropic:default", "--to", "2")
    assert secret(shell) == "fake-key-1"
    again = shell.json("restore", "anthropic:default", "--to", "2")
    assert (again["position"], again["changed"]) == (None, False)
    assert "nothing to do" in shell("restore", "anthropic:default", "--to", "2").err
    assert shell.json("restore", "anthropic:default", "--to", "5")["changed"] is False, (
        "a restore's position names what it brought back"
    )


def test_restore_at_a_moment(shell: Shell) -> None:
    for number in (1, 2, 3):
        shell.login("anthropic", f"fake-key-{number}")
        shell.clock.forward(HOUR)
    shell("logout", "anthropic:default")
    shell("restore", "anthropic:default", "--at", "150m")
    assert secret(shell) == "fake-key-1"
    shell("restore", "anthropic:default", "--at", format_instant_exact(shell.clock.at - 2 * HOUR))
    assert secret(shell) == "fake-key-2"


def test_restore_happens_once_for_a_command_id(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1")
    shell.login("anthropic", "fake-key-2")
    first = shell.json("restore", "anthropic:default", "--command-id", "once")
    assert shell.json("restore", "anthropic:default", "--command-id", "once") == first
    assert secret(shell) == "fake-key-1"


def test_restore_warns_of_what_has_expired(shell: Shell) -> None:
    shell.login("anthropic", "fake-token", "--expires-in", "1h")
    shell.login("anthropic", "fake-key")
    shell.clock.forward(2 * HOUR)
    assert "note: it has expired" in shell("restore", "anthropic:default").err
    assert "sign" not in shell("show", "anthropic:default").err
    shell("get", "anthropic", status=82)


def test_restore_registers_the_agent_of_a_profile_again(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-1", "--agent", "coder")
    shell.json("login", "anthropic", "--agent", "coder", "--stdin", stdin="fake-key-2")
    shell("agent", "remove", "coder")
    shell("restore", "anthropic:default", "--agent", "coder")
    assert shell("get", "anthropic", "--agent", "coder").out == "fake-key-1\n"


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("anthropic:default",), 66, "has no earlier credential"),
        (("anthropic:nope",), 66, "agent main never had a profile anthropic:nope"),
        (("anthropic:default", "--to", "1"), 66, "position 1 holds no credential of anthropic:default"),
        (("anthropic:default", "--to", "999"), 66, "position 999 holds no credential"),
        (("anthropic:default", "--to", "3"), 66, "position 3 holds no credential of anthropic:default"),
        (("anthropic:default", "--to", "0"), 64, "the value of --to is not valid"),
        (("anthropic:default", "--at", "2025-12-31"), 66, "had no credential then"),
        (("anthropic:default", "--at", "soon"), 65, "is not a time"),
        (("anthropic:default", "--at", "2h", "--to", "2"), 64, "two events to go back to"),
        ((), 64, "no profile was named"),
        (("anthropic:default", "--provider", "anthropic"), 64, "no profile was named"),
        (("anthropic",), 65, "is not a profile id"),
        (("--order",), 64, "no provider was named"),
        (("--order", "anthropic"), 66, "agent main never had an order for anthropic"),
    ],
)
def test_restore_that_can_not_be(
    shell: Shell, files: Files, arguments: tuple[str, ...], status: int, what: str
) -> None:
    shell.login("anthropic", "fake-key-1")
    shell.login("openai", "fake-key-2")
    assert what in shell("restore", *arguments, status=status).err
    with files.open() as context:
        assert context.store.head().position == 3


def order(shell: Shell) -> list[str] | None:
    found: list[str] | None = shell.json("order", "get", "--provider", "anthropic")["order"]
    return found


def test_restore_an_order(shell: Shell) -> None:
    for name in ("a", "b"):
        shell.login(f"anthropic:{name}", f"fake-key-{name}")
    shell("order", "set", "--provider", "anthropic", "a", "b")
    shell.clock.forward(HOUR)
    shell("order", "set", "--provider", "anthropic", "b", "a")
    shell.clock.forward(HOUR)
    shell("order", "clear", "--provider", "anthropic")
    told = shell("restore", "--order", "--provider", "anthropic")
    assert told.err == "restored: the order of agent main for anthropic is anthropic:b, anthropic:a\n"
    assert order(shell) == ["anthropic:b", "anthropic:a"]
    shell("restore", "--order", "--provider", "anthropic", "--to", "4")
    assert order(shell) == ["anthropic:a", "anthropic:b"]
    shell("restore", "--order", "anthropic", "--at", "30m")
    assert order(shell) == ["anthropic:b", "anthropic:a"]
    told = shell("restore", "--order", "anthropic", "--at", format_instant_exact(START + SECOND))
    assert told.err == "restored: the order of agent main for anthropic is none of its own\n"
    assert order(shell) is None


def test_restore_an_order_as_json(shell: Shell) -> None:
    shell.login("anthropic:a", "fake-key-a")
    shell("order", "set", "--provider", "anthropic", "a")
    told = shell.json("restore", "--order", "--provider", "anthropic", "--command-id", "once")
    assert told == {
        "schema": "vault.order/1",
        "agent": "main",
        "provider": "anthropic",
        "order": None,
        "position": 4,
        "changed": True,
    }
    shell("order", "set", "--provider", "anthropic", "a")
    assert shell.json("restore", "--order", "--provider", "anthropic", "--command-id", "once") == told
    assert order(shell) == ["anthropic:a"]
    nothing = shell.json("restore", "--order", "--provider", "anthropic", "--to", "6")
    assert (nothing["position"], nothing["changed"], nothing["order"]) == (None, False, ["anthropic:a"])


def test_an_order_comes_back_exactly_though_a_profile_is_gone(shell: Shell) -> None:
    for name in ("a", "b"):
        shell.login(f"anthropic:{name}", f"fake-key-{name}")
    shell("order", "set", "--provider", "anthropic", "b", "a")
    shell("logout", "anthropic:b")
    shell("order", "clear", "--provider", "anthropic")
    shell("restore", "--order", "--provider", "anthropic")
    assert order(shell) == ["anthropic:b", "anthropic:a"]
    codes = {c["candidate"]: c["code"] for c in shell.json("why", "anthropic")["candidates"]}
    assert codes == {"anthropic:a": "chosen", "anthropic:b": "missing"}


COMMANDS = {
    "login": ("login", "anthropic:a", "--stdin"),
    "logout": ("logout", "anthropic:a"),
    "restore": ("restore", "anthropic:a"),
    "order set": ("order", "set", "--provider", "anthropic", "a"),
    "order clear": ("order", "clear", "--provider", "anthropic"),
    "restore order": ("restore", "--order", "anthropic"),
    "pin": ("pin", "anthropic:a"),
    "pin another": ("pin", "anthropic:b"),
    "unpin": ("unpin", "anthropic"),
    "report": ("report", "anthropic:a", "failure"),
    "report otherwise": ("report", "anthropic:a", "success"),
    "health clear": ("health", "clear", "anthropic:a"),
    "agent add": ("agent", "add", "third"),
    "agent inherit": ("agent", "inherit", "child", "--none"),
    "agent remove": ("agent", "remove", "child"),
    "agent remove another": ("agent", "remove", "other"),
}


@pytest.mark.parametrize("first", COMMANDS)
def test_a_command_id_of_one_command_is_refused_by_every_other(shell: Shell, files: Files, first: str) -> None:
    for name in ("a", "a", "b"):
        shell.login(f"anthropic:{name}", "fake-key")
    for words in (
        "agent add child",
        "agent add other",
        "order set --provider anthropic b",
        "pin anthropic:b",
    ):
        shell(*words.split())
    if first not in (
        "login",
        "restore",
    ):  # these forgive failures themselves, and health clear would rightly say that it is done
        shell("report", "anthropic:a", "failure")
    if first == "pin another":
        shell("unpin", "anthropic")
    shell(*COMMANDS[first], "--command-id", "used", stdin="fake-key")
    with files.open() as context:
        head = context.store.head()
    for other, words in COMMANDS.items():
        if (
            other == first
            or {first, other} == {"order set", "restore order"}
            or {first, other} == {"order clear", "restore order"}
        ):
            continue
        told = shell(*words, "--command-id", "used", stdin="fake-key", status=None)
        assert told.status in (83, 66), (other, told)
        assert told.out == ""
    with files.open() as context:
        assert context.store.head() == head
