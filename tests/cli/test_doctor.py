"""doctor: each trouble is found once, with what to do; what can be mended is, by events, and looked at again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.doctoring import (
    MANY,
    NOW,
    X,
    everything,
    findings,
    key,
    look,
    made_whole,
    ordered,
    token,
)
from tests.cli.lives import Make, build, claim, end, hold, lose, opencode_login, probed, tokens
from tests.cli.running import Shell
from tests.cli.troubles import ALSO, CASES
from tests.oauth.authority import Authority
from tests.oauth.server import Server
from tests.support import Files
from vault.events.credentials import OAuth
from vault.providers.clients import client, remembered
from vault.values import DAY, HOUR, Instant


@pytest.fixture
def whole(files: Files, shell: Shell) -> Files:
    """A vault in which doctor finds nothing."""
    return made_whole(files, shell)


@pytest.mark.parametrize("trouble", CASES)
def test_each_trouble_is_found_once_and_mended_or_told(
    shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    case = CASES[trouble]
    Path("pins.toml").write_text('[providers.groq]\nauth_source = "stored"\n')
    for name, value in case.environ.items():
        monkeypatch.setenv(name, str(Path(value).absolute()) if name == "VAULT_CONFIG" else value)
    build(whole, shell.clock, *case.makes)
    before = everything(whole)
    found = findings(shell)
    assert len(found) == ALSO.get(trouble, 1), found
    (one,) = [f for f in found if f["name"] == case.name]
    assert (one["text"], one["hint"]) == (case.text, case.hint)
    assert (one["mend"] is not None) == bool(case.types or case.left)
    line = one["command"]
    assert line is None or line in one["hint"]
    shown = shell("doctor", status=1)
    assert f"✗ {case.name}: {case.text}" in shown.lines
    assert f"    → {case.hint}" in shown.lines
    assert shown.err == ""
    assert everything(whole) == before, "looking changes nothing"

    last = shell.json("history", "-n", "1")["events"][0]["position"]
    told = look(shell, "--fix", "--yes")
    left = {c["name"] for c in told["checks"] if c["status"] == "finding"}
    events = [e for e in shell.json("history")["events"] if e["position"] > last]
    assert tuple(e["type"] for e in reversed(events)) == case.types
    assert {e["reason"] for e in events} <= {"doctor"}
    assert [m["error"] for m in told["mended"]] == [None] * len(case.types)
    assert [m["position"] for m in told["mended"]] == [e["position"] for e in reversed(events)]
    assert left == (set(case.left) if case.types or case.left else {case.name})
    assert told["ok"] == (not left)
    assert shell("doctor", status=1 if left else 0).out.count("✗") == len(left)


def test_what_is_mended_can_be_typed(shell: Shell, whole: Files) -> None:
    """The command of every mend does what doctor would have done."""
    for number, (trouble, case) in enumerate(CASES.items()):
        if not case.types:
            continue
        copy = whole.copy(whole.folder.parent / f"copy-{number}")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in copy.environ().items():
                patch.setenv(name, value)
            build(copy, shell.clock, *case.makes)
            (one,) = [f for f in findings(shell) if f["name"] == case.name]
            for line in one["command"].split(" && "):
                shell(*line.split()[1:])
            assert {f["name"] for f in findings(shell)} == set(case.left), trouble


def test_refresh_is_tried_once_more(shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(Authority("doctor-test")) as server:
        monkeypatch.setenv("VAULT_OAUTH_ENDPOINTS", server.url)

        def login(refresh: str) -> Make:
            metadata = remembered(client("xai"), {})
            ends = Instant(NOW - HOUR)
            return hold(X, OAuth(access="fake-old-access", refresh=refresh, expires_at=ends, metadata=metadata))

        build(whole, shell.clock, login(server.authority.seed()), claim(X))
        (one,) = findings(shell)
        assert one["name"] == "refresh"
        assert one["text"] == "a refresh of xai:default of agent main was claimed, and has no outcome"
        assert one["command"] == one["hint"] == f"vault refresh {X}"
        told = look(shell, "--fix", "--yes")
        assert told["ok"]
        events = shell.json("history", "-n", "2")["events"]
        assert [(e["type"], e["reason"]) for e in events] == [
            ("tokens_refreshed", "doctor"),
            ("refresh_claimed", "doctor"),
        ]
        assert told["mended"][0]["position"] == events[0]["position"]
        build(whole, shell.clock, login("fake-refresh-nobody-knows"), lose(X, "uncertain", "timeout"))
        assert findings(shell)[0]["text"] == "the last refresh of xai:default of agent main has no known outcome"
        told = look(shell, "--fix", "--yes")
    assert "refused to refresh" in told["mended"][0]["error"]
    (left,) = [c for c in told["checks"] if c["status"] == "finding"]
    assert (left["name"], left["command"]) == ("credentials", f"vault login {X}")
    assert left["mend"] is None


def test_another_tool_s_login_that_went_stale(shell: Shell, whole: Files, tmp_path: Path) -> None:
    store = tmp_path / "auth.json"
    opencode_login(store, "first", NOW + HOUR)
    shell("import", "opencode", "--from", str(store))
    assert findings(shell) == []
    shell.clock.forward(HOUR)
    (one,) = findings(shell)
    assert (one["name"], one["mend"]) == ("external", None)
    assert one["hint"] == "use OpenCode once, or sign in with it again"
    look(shell, "--fix", "--yes")
    opencode_login(store, "second", NOW + 2 * HOUR)
    (one,) = findings(shell)
    assert "has ended here, and opencode has a newer one" in one["text"]
    assert one["command"] == "vault sync opencode"
    told = look(shell, "--fix", "--yes")
    assert told["ok"]
    newest = shell.json("history", "-n", "1")["events"][0]
    assert (newest["type"], newest["reason"]) == ("profile_imported", "doctor")
    assert newest["position"] == told["mended"][0]["position"]
    shell.clock.forward(2 * HOUR)
    for content, why in (("{}", "no longer holds it"), ("{", "it has ended, and ")):
        store.write_text(content)
        (one,) = findings(shell)
        assert why in one["text"]
        assert one["mend"] is None


def test_another_tool_s_login_is_judged_by_what_its_store_holds_now(shell: Shell, whole: Files, tmp_path: Path) -> None:
    store = tmp_path / "auth.json"
    opencode_login(store, "first", NOW + 3 * HOUR)
    shell("import", "opencode", "--from", str(store))
    opencode_login(store, "second", NOW + 4 * HOUR)
    assert findings(shell) == [], "a newer one is read at its next use"
    opencode_login(store, "third", NOW - HOUR)
    (one,) = findings(shell)
    assert one["name"] == "external"
    assert "OpenCode holds another one now, which has ended" in one["text"]
    assert one["hint"] == one["command"] == "vault sync opencode"
    shell("sync", "opencode")
    (one,) = findings(shell)
    assert one["hint"] == "use OpenCode once, or sign in with it again"
    opencode_login(store, "fourth", NOW + 5 * HOUR)
    assert look(shell, "--fix", "--yes")["ok"]
    opencode_login(store, "fifth", NOW - HOUR)
    told = look(shell, "--fix", "--yes")
    assert [(m["command"], m["error"]) for m in told["mended"]] == [("vault sync opencode", None)]
    assert [c["mend"] for c in told["checks"] if c["status"] == "finding"] == [None]
    opencode_login(store, "sixth", NOW + 5 * HOUR)
    shell("sync")
    before = everything(whole)
    store.write_text("{")
    assert [f["name"] for f in findings(shell)] == ["external"]
    for gone in (lambda: store.write_text("{}"), store.unlink):
        gone()
        (one,) = findings(shell)
        assert one["hint"] == "sign in with OpenCode again, then: vault sync opencode"
        assert one["command"] == "vault sync opencode"
    assert everything(whole) == before


def test_what_the_provider_refused_when_it_was_asked(shell: Shell, whole: Files) -> None:
    build(whole, shell.clock, key("groq:a"), probed("groq:a", "refused"))
    (one,) = findings(shell)
    assert (one["name"], one["command"]) == ("credentials", "vault login groq:a")
    assert one["text"] == ("groq:a of agent main: the provider refused it when it was asked last (probe: refused)")
    build(whole, shell.clock, probed("groq:a", "works"))
    assert findings(shell) == []


def test_the_catalogue_that_is_broken(shell: Shell, whole: Files) -> None:
    from vault.providers import stored

    place = stored.place()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("{")
    (one,) = findings(shell)
    assert (one["name"], one["hint"]) == ("catalogue", "vault provider update")
    assert one["command"] == "vault provider update --embedded"
    assert look(shell)["mended"] == []
    assert place.read_text() == "{"
    told = look(shell, "--fix", "--yes")
    assert told["ok"]
    assert told["mended"][0]["position"] is None


def test_two_mends_of_one_order_are_done_one_after_the_other(shell: Shell, whole: Files) -> None:
    """The first may make the second needless, or another one."""
    build(
        whole,
        shell.clock,
        *(key(f"groq:{name}") for name in "abc"),
        ordered("groq", "a", "b"),
        end("groq:a"),
        token("groq:b", NOW - 1),
    )
    assert [f["name"] for f in findings(shell)] == ["credentials", "order", "order"]
    told = look(shell, "--fix", "--yes")
    assert [m["command"] for m in told["mended"]] == [
        "vault order set --provider groq groq:b",
        "vault order set --provider groq groq:b groq:c",
    ]
    assert [c["name"] for c in told["checks"] if c["status"] == "finding"] == ["credentials"]
    assert shell("get", "groq").out == "fake-key\n"


def test_what_the_vault_does_not_spend_may_have_two_owners(shell: Shell, whole: Files) -> None:
    for ownership in ("external", "copy"):
        both = [hold(f"{name}:a", tokens(ownership, NOW + HOUR), ownership=ownership) for name in ("xai", "openai")]
        build(whole, shell.clock, *both)
        assert findings(shell) == []


def test_the_shape_of_the_answer(shell: Shell, whole: Files) -> None:
    told = look(shell)
    assert set(told) == {"schema", "ok", "checks", "mended"}
    assert (told["schema"], told["ok"], told["mended"]) == ("vault.doctor/1", True, [])
    assert all(set(c) == {"name", "status", "text", "hint", "command", "mend"} for c in told["checks"])
    build(whole, shell.clock, *MANY)
    told = look(shell, "--yes")
    assert not told["ok"]
    assert all(set(m) == {"name", "text", "mend", "command", "position", "error"} for m in told["mended"])


def test_a_week_old_vault(shell: Shell, furnished: Files) -> None:
    told = {f["name"]: f for f in findings(shell)}
    assert set(told) == {"slots", "credentials", "health"}
    assert told["credentials"]["command"] == "vault login huggingface:old"
    assert told["slots"]["command"] == "vault key add --recovery"
    assert all(f["hint"] for f in told.values())
    shell.clock.forward(-3 * DAY)
    assert "clock" in {f["name"] for f in findings(shell)}


def test_a_mend_that_fails_is_told(shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    from vault.errors import TryAgain

    def busy(*_: object, **__: object) -> None:
        raise TryAgain("the log is busy", hint="try again")

    build(whole, shell.clock, *MANY[:6])
    monkeypatch.setattr("vault.commands.rotation.clear_health", busy)
    told = look(shell, "--fix", "--yes")
    assert [m["error"] for m in told["mended"]] == ["the log is busy: try again", None]
    assert "✗ clear the failures of groq:a" in shell("doctor", "--yes", status=1).out


def test_what_the_settings_disable_is_left_alone(shell: Shell, whole: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    build(whole, shell.clock, *MANY)
    assert len(findings(shell)) == 3
    monkeypatch.setenv("VAULT_DISABLED_PROVIDERS", "groq,openai")
    assert [f["name"] for f in findings(shell)] == ["owners"]
