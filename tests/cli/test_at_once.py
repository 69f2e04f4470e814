"""Several processes of the real command at once: nothing is lost, nothing is refused, nothing forks."""

from __future__ import annotations

import json
import threading

import pytest

from tests.cli.running import Real, Shell, finish
from tests.support import Files
from vault.commands.login import log_in
from vault.commands.rotation import report
from vault.events.credentials import ApiKey
from vault.values import MAIN_AGENT, ProfileId

pytestmark = pytest.mark.usefixtures("files")


def test_two_logins_to_one_profile(real: Real, shell: Shell) -> None:
    started = [real.start("login", "anthropic", "--stdin", "--json") for _ in range(2)]
    secrets = ["fake-key-first", "fake-key-second"]
    for process, secret in zip(started, secrets, strict=True):  # both have the vault open and wait for their secret
        assert process.stdin is not None
        process.stdin.write(secret.encode())
        process.stdin.close()
        process.stdin = None
    results = []
    for process in started:
        assert process.stdout is not None
        out = process.stdout.read()
        assert process.wait(30) == 0
        results.append(json.loads(out)["position"])
    assert sorted(results) == [2, 3]
    events = shell.json("history", "--profile", "anthropic:default", "--reverse")["events"]
    assert [e["type"] for e in events] == ["profile_logged_in"] * 2
    assert [e["version"] for e in events] == [1, 2]
    current = shell("get", "anthropic").out.strip()
    assert current in secrets
    shell("restore", "anthropic:default")
    assert shell("get", "anthropic").out.strip() == next(s for s in secrets if s != current)
    assert shell.json("verify")["credentials"] == 2


def test_many_logins_of_one_new_agent_register_it_once(real: Real, shell: Shell) -> None:
    started = [real.start("login", "anthropic", "--agent", "coder", "--profile", f"p{n}", "--stdin") for n in range(4)]
    threads = [threading.Thread(target=finish, args=(p, f"fake-key-{n}")) for n, p in enumerate(started)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [p.returncode for p in started] == [0] * 4
    assert len(shell.json("history", "--type", "agent_registered")["events"]) == 1
    assert len(shell.json("list", "--agent", "coder")["profiles"]) == 4
    shell("verify")


def test_one_command_id_given_to_many_happens_once(real: Real, shell: Shell) -> None:
    started = [real.start("login", "anthropic", "--stdin", "--json", "--command-id", "once") for _ in range(4)]
    threads = [threading.Thread(target=lambda p=p: results.append(finish(p, "fake-key"))) for p in started]
    results: list[object] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({str(r) for r in results}) == 1, "every one of them is told the same"
    assert len(shell.json("history", "--type", "profile_logged_in")["events"]) == 1


def test_many_get_at_once(real: Real, shell: Shell) -> None:
    shell.login("anthropic", "fake-key")
    started = [real.start("get", "anthropic") for _ in range(6)]
    results = [finish(process) for process in started]
    assert [(r.status, r.out, r.err) for r in results] == [(0, "fake-key\n", "")] * 6
    handed = shell.json("history", "--type", "credential_issued")["events"]
    assert len(handed) == 6
    assert len({e["actor"]["pid"] for e in handed}) == 6
    shell("verify")


def test_rebuild_and_verify_while_another_appends(real: Real, shell: Shell, files: Files) -> None:
    log_in_once = threading.Event()
    stop = threading.Event()
    appended = 0

    def append() -> None:
        nonlocal appended
        with files.open() as context:
            log_in(context, MAIN_AGENT, ProfileId("anthropic:default"), ApiKey(key="fake-key"))
            log_in_once.set()
            while not stop.is_set():
                report(context, MAIN_AGENT, ProfileId("anthropic:default"), "success")
                appended += 1

    writer = threading.Thread(target=append)
    writer.start()
    try:
        assert log_in_once.wait(30)
        for _ in range(3):
            assert real("rebuild", "--json").json["identical"] is True
            assert real("verify", "--json").json["ok"] is True
    finally:
        stop.set()
        writer.join()
    assert appended > 0
    assert shell.json("verify")["events"] == appended + 2
    assert shell.json("rebuild")["identical"] is True


def test_orders_set_at_once_are_all_in_the_history(real: Real, shell: Shell) -> None:
    for name in "ab":
        shell.login(f"anthropic:{name}", f"fake-key-{name}")
    started = [real.start("order", "set", "--provider", "anthropic", *order) for order in ("ab", "ba", "a", "b")]
    assert [finish(process).status for process in started] == [0] * 4
    events = shell.json("history", "--type", "order_set")["events"]
    assert sorted("".join(p[-1] for p in e["facts"]["profiles"]) for e in events) == ["a", "ab", "b", "ba"]
    assert shell.json("order", "get", "--provider", "anthropic")["order"] == events[0]["facts"]["profiles"]
