"""tools, import of everything, export, connect, disconnect, sync, helper, exec --tool: the verbs, with OpenCode as the tool."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import VAULT, WAIT, Real, Shell, ended, next_line, terminal
from tests.support import Files
from vault.interop.tools import tools

STORE = ".local/share/opencode/auth.json"
PLUGIN = ".config/opencode/plugin/vault.js"


@pytest.fixture
def home(isolated: Path) -> Path:
    return Path(os.environ["HOME"])


@pytest.fixture
def store(home: Path) -> Path:
    return home / STORE


@pytest.fixture
def two(shell: Shell, files: Files) -> Shell:
    shell.login("anthropic", "fake-key-anthropic")
    shell.login("openai", "fake-key-openai")
    return shell


def types(shell: Shell) -> list[str]:
    return [e["type"] for e in json.loads(shell("history", "--json").out)["events"]][::-1]


def test_the_table_names_every_tool_and_one_line_to_type(shell: Shell, home: Path) -> None:
    from vault.interop.tools import MODULES

    (home / STORE).parent.mkdir(parents=True)
    (home / STORE).write_text("{}")
    told = json.loads(shell("tools", "--json").out)["tools"]
    assert [t["tool"] for t in told] == list(MODULES)
    assert {t["tool"] for t in told if t["found"]} == {"opencode"}
    for found in tools():
        row = shell("tools").row(found.name)
        assert found.line in row
        assert found.line.startswith("vault ")
        assert found.ownership in row


def test_an_export_is_an_event_before_it_is_a_file(two: Shell, store: Path) -> None:
    told = two("export", "opencode", "--reason", "trying")
    assert json.loads(store.read_text()) == {
        "anthropic": {"type": "api", "key": "fake-key-anthropic"},
        "openai": {"type": "api", "key": "fake-key-openai"},
    }
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert "wrote 2 into OpenCode's store" in told.err
    assert types(two)[-2:] == ["profile_exported", "profile_exported"]
    assert "wrote openai:default into opencode's store for main" in two("history").out


def test_exporting_twice_writes_and_records_once(two: Shell, store: Path) -> None:
    two("export", "opencode")
    before, events = store.stat().st_mtime_ns, len(types(two))
    assert "has all 2 already" in two("export", "opencode").err
    assert (store.stat().st_mtime_ns, len(types(two))) == (before, events)


def test_an_export_that_can_not_be_recorded_writes_nothing(
    two: Shell, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vault.errors import StorageError
    from vault.log.store import EventStore

    def full(*_: object, **__: object) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(EventStore, "append", full)
    two("export", "opencode", status=74)
    assert not store.exists()


def test_a_dry_run_of_an_export_does_nothing(two: Shell, store: Path) -> None:
    events = len(types(two))
    assert "would write 2" in two("export", "opencode", "--dry-run").err
    assert not store.exists()
    assert len(types(two)) == events


def test_only_what_is_named_is_exported(two: Shell, store: Path) -> None:
    two("export", "opencode", "--provider", "openai")
    assert list(json.loads(store.read_text())) == ["openai"]
    two("export", "opencode", "--provider", "groq", status=66)


def test_what_the_agent_would_use_is_exported(two: Shell, store: Path) -> None:
    two.login("openai:second", "fake-key-second")
    two("order", "set", "--provider", "openai", "second", "default")
    two("export", "opencode", "--provider", "openai")
    assert json.loads(store.read_text())["openai"]["key"] == "fake-key-second"


def test_a_damaged_store_is_told_and_left_alone(two: Shell, store: Path) -> None:
    store.parent.mkdir(parents=True)
    store.write_text('{"anthropic": {"type"')
    told = two("export", "opencode", status=65)
    assert str(store) in told.err
    assert store.read_text() == '{"anthropic": {"type"'
    assert "profile_exported" not in types(two)


def test_a_rotating_refresh_token_stays_unless_it_is_handed_over(shell: Shell, files: Files, store: Path) -> None:
    from tests.support import START
    from vault.commands.login import log_in
    from vault.events.credentials import OAuth
    from vault.values import DAY, MAIN_AGENT, ProfileId

    far = START + 36_500 * DAY
    with files.open() as context:
        credential = OAuth(access="fake-access", refresh="fake-refresh-of-the-vault", expires_at=far)
        log_in(context, MAIN_AGENT, ProfileId("xai:default"), credential)
    shell("export", "opencode", status=None)
    assert not store.exists() or "fake-refresh-of-the-vault" not in store.read_text()
    assert "--yes" in shell("export", "opencode", "--hand-over", status=64).err
    shell("export", "opencode", "--hand-over", "--yes")
    assert json.loads(store.read_text())["xai"]["refresh"] == "fake-refresh-of-the-vault"
    shown = json.loads(shell("show", "xai:default", "--json").out)
    assert shown["ownership"] == "external"
    document = json.loads(store.read_text())
    document["xai"] |= {"access": "fake-access-newer", "refresh": "fake-refresh-newer"}
    store.write_text(json.dumps(document))
    assert shell("get", "xai").out == "fake-access-newer\n", "its store is read again at each use"


def test_connect_says_in_short_what_changes_and_needs_somebody_to_agree(two: Shell, home: Path) -> None:
    told = two("connect", "opencode", status=64).err
    assert f"make {home / PLUGIN}: " in told
    assert "a plugin by which OpenCode asks the vault" in told
    assert "(it holds secrets: no line is shown)" in told or "auth.json" in told
    assert "--show shows every line" in told
    assert len(told.splitlines()) <= 8
    assert "export const" not in told
    assert not (home / PLUGIN).exists()
    assert two("connect", "opencode", "--dry-run").err.startswith("make ")
    assert not (home / PLUGIN).exists()


def test_connect_show_shows_every_line(two: Shell, home: Path) -> None:
    told = two("connect", "opencode", "--dry-run", "--show").err
    assert f"+++ {home / PLUGIN}" in told
    shown = [line.strip()[1:] for line in told.splitlines() if line.startswith("    +") and "+++" not in line]
    told = two("connect", "opencode", "--yes", "--show").err
    assert f"+++ {home / PLUGIN}" in told
    written = (home / PLUGIN).read_text().splitlines()
    assert [line.strip() for line in shown][: len(written)] == [line.strip() for line in written]


def test_a_change_of_a_few_lines_is_shown_as_it_is(two: Shell, home: Path) -> None:
    config = home / ".codex" / "config.toml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text('model = "gpt-5"\n')
    told = two("connect", "codex", "-p", "openai", "--dry-run").err
    assert f"change {config}: " in told
    assert "lines more" in told
    assert "    +" in told or "--show" in told
    (change,) = [
        c for c in two.json("connect", "codex", "-p", "openai", "--dry-run")["changes"] if c["path"] == str(config)
    ]
    assert change["done"] == "change"
    assert change["added"] > 0


@pytest.mark.parametrize("tool", [t.name for t in tools() if t.connect])
def test_no_tool_gets_a_screenful_before_the_question(two: Shell, tool: str) -> None:
    two("login", "amazon-bedrock", "--stdin", stdin="fake-bearer")
    two("login", "google", "--stdin", stdin="fake-key-google")
    told = two("connect", tool, "--dry-run", status=None)
    assert told.status in (0, 64, 66, 69), told
    assert len(told.err.splitlines()) <= 20


def test_connect_and_undo(two: Shell, home: Path, store: Path) -> None:
    store.parent.mkdir(parents=True)
    store.write_text('{"groq": {"type": "api", "key": "fake-key-groq"}}')
    before = store.read_bytes()
    two("connect", "opencode", "--yes")
    assert (home / PLUGIN).exists()
    assert "asks the vault already" in two("connect", "opencode", "--yes").err
    two("connect", "opencode", "--undo")
    assert not (home / PLUGIN).exists()
    assert store.read_bytes() == before
    two("connect", "opencode", "--undo", status=83)


def test_the_backup_of_a_connection_is_sealed(two: Shell, home: Path, store: Path, files: Files) -> None:
    store.parent.mkdir(parents=True)
    store.write_text('{"groq": {"type": "api", "key": "fake-key-groq-canary"}}')
    two("connect", "opencode", "--yes")
    kept = [p for p in files.folder.rglob("*") if p.is_file()]
    assert any("connections" in str(p) for p in kept)
    assert all(b"fake-key-groq-canary" not in p.read_bytes() for p in kept)


def test_disconnect_keeps_what_was_edited_since(two: Shell, home: Path, store: Path) -> None:
    two("connect", "opencode", "--yes")
    document = json.loads(store.read_text())
    document["mistral"] = {"type": "api", "key": "fake-key-of-the-person"}
    store.write_text(json.dumps(document))
    assert "was edited since" in two("connect", "opencode", "--undo", status=83).err
    two("disconnect", "opencode")
    assert json.loads(store.read_text()) == {"mistral": {"type": "api", "key": "fake-key-of-the-person"}}
    assert not (home / PLUGIN).exists()


def test_what_is_not_connected_is_not_disconnected(two: Shell) -> None:
    two("disconnect", "opencode", status=66)


def test_asked_on_a_terminal(files: Files, home: Path, two: Shell) -> None:
    for answer, exists in (("n", False), ("y", True)):
        with terminal("connect", "opencode") as child:
            child.expect_exact("Change OpenCode's configuration? [y/N]")
            child.sendline(answer)
            status, said = ended(child)
        assert status == 0
        assert (home / PLUGIN).exists() is exists
        assert "fake-key" not in said


def test_import_of_everything_shows_and_asks(shell: Shell, files: Files, store: Path) -> None:
    assert "none of the tools that vault knows" in shell("import").err
    store.parent.mkdir(parents=True)
    store.write_text('{"groq": {"type": "api", "key": "fake-key-groq"}}')
    told = shell("import", status=64)
    assert "groq:default" in told.out
    assert "--yes" in told.err
    assert "profile_imported" not in types(shell)
    assert "would take 1" in shell("import", "--dry-run").err
    with terminal("import") as child:
        child.expect_exact("Take over from OpenCode? [Y/n]")
        child.sendline("n")
        assert ended(child)[0] == 0
    assert "profile_imported" not in types(shell)
    body = json.loads(shell("import", "--all", "--yes", "--json").out)
    assert [i["tool"] for i in body["imports"] if i["taken"]] == ["opencode"]
    assert shell("get", "groq").out == "fake-key-groq\n"
    assert json.loads(shell("import", "--yes", "--json").out)["imports"][0]["taken"] == 0


def test_a_store_that_can_not_be_read_does_not_stop_the_others(
    shell: Shell, files: Files, home: Path, store: Path
) -> None:
    store.parent.mkdir(parents=True)
    store.write_text("{")
    claw = home / ".openclaw" / "agents" / "main" / "agent" / "auth-profiles.json"
    claw.parent.mkdir(parents=True)
    claw.write_text(
        '{"version": 1, "profiles": {"groq:default": {"type": "api_key", "provider": "groq", "key": "fake-key"}}}'
    )
    told = shell("import", "--yes")
    assert "OpenCode can't be read" in told.err
    assert shell("get", "groq").out == "fake-key\n"


def test_scrub_leaves_no_secret_and_undo_brings_it_back(shell: Shell, files: Files, home: Path, store: Path) -> None:
    store.parent.mkdir(parents=True)
    store.write_text('{"groq": {"type": "api", "key": "fake-key-groq"}}')
    before = store.read_bytes()
    told = shell("import", "opencode", "--scrub")
    assert "it asks the vault now" in told.err
    assert b"fake-key-groq" not in store.read_bytes()
    assert shell("get", "groq").out == "fake-key-groq\n"
    shell("connect", "opencode", "--undo")
    assert store.read_bytes() == before


def test_scrub_leaves_what_the_vault_holds_otherwise(shell: Shell, files: Files, store: Path) -> None:
    store.parent.mkdir(parents=True)
    store.write_text('{"groq": {"type": "api", "key": "fake-key-groq"}}')
    shell("import", "opencode")
    shell.login("groq", "fake-key-newer")
    told = shell("import", "opencode", "--scrub")
    assert "groq:default stays in " in told.err
    assert b"fake-key-groq" in store.read_bytes()


def test_sync_follows_both_ways(two: Shell, store: Path) -> None:
    assert "nothing here" in two("sync").err
    two("export", "opencode")
    assert "is as it was" in two("sync").err
    two.login("openai", "fake-key-newer")
    told = two("sync")
    assert f"{store}: written again" in told.err
    assert json.loads(store.read_text())["openai"]["key"] == "fake-key-newer"
    assert json.loads(two("sync", "--json").out)["written"][0]["changed"] is False


def test_sync_reads_what_another_tool_refreshed(shell: Shell, files: Files, store: Path) -> None:
    store.parent.mkdir(parents=True)
    entry = {"type": "oauth", "refresh": "fake-refresh-1", "access": "fake-access-1", "expires": 4102444800000}
    store.write_text(json.dumps({"openai": entry}))
    shell("import", "opencode")
    assert "is as it was" in shell("sync").err
    store.write_text(json.dumps({"openai": {**entry, "refresh": "fake-refresh-2", "access": "fake-access-2"}}))
    assert "openai:default of main" in shell("sync", "opencode").err
    assert types(shell)[-1] == "profile_imported"
    store.write_text("{}")
    assert "is gone there" in shell("sync").err
    store.write_text("{")
    shell("sync", status=1)
    assert shell("get", "openai").out == "fake-access-2\n", "what the vault has lasts as long as it lasts"


def test_sync_watches_until_it_is_stopped(files: Files, two: Shell, store: Path) -> None:
    two("export", "opencode")
    process = subprocess.Popen(
        [str(VAULT), "sync", "--watch", "--every", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        two.login("openai", "fake-key-newer")
        assert "written again" in next_line(process)
        assert json.loads(store.read_text())["openai"]["key"] == "fake-key-newer"
    finally:
        process.send_signal(2)
        process.wait(WAIT)
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode == 130


def test_a_helper_answers_in_its_protocol_and_never_asks(real: Real, files: Files, two: Shell) -> None:
    assert real("helper", "token", "anthropic").out == "fake-key-anthropic\n"
    assert (
        real("helper", "token", "anthropic", "--tool", "claude-code", "--agent", "main").out == "fake-key-anthropic\n"
    )
    history = two("history", "--type", "credential_issued").out
    assert "through helper token for claude-code" in history
    locked = dict.fromkeys(("VAULT_KEY_FILE", "VAULT_PASSPHRASE"), "")
    with_nobody = real("helper", "token", "anthropic", env={**locked, "VAULT_STATE": "/nonexistent"}, status=None)
    assert with_nobody.out == ""
    assert with_nobody.err.startswith("vault: ")
    assert with_nobody.err.count("\n") == 1
    real("helper", "nothing", status=66)
    real("helper", "token", status=64)
    assert "token" in real("helper").out


def test_helpers_have_names_of_their_own(files: Files, two: Shell) -> None:
    asked = "protocol=https\nhost=git.example\nusername=octo\npassword=fake-password\n"
    for program, argument, stdin in (
        ("git-credential-vault", "store", asked),
        ("git-credential-vault", "get", "protocol=https\nhost=git.example\n"),
        ("docker-credential-vault", "version", ""),
    ):
        done = subprocess.run(
            [str(VAULT.with_name(program)), argument],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=True,
        )
    assert done.stdout.startswith("docker-credential-vault")
    assert "through helper git for git" in two("history").out


def test_exec_gives_a_tool_its_credentials_in_its_own_way(real: Real, two: Shell) -> None:
    told = real(
        "exec",
        "--tool",
        "opencode",
        "--",
        "sh",
        "-c",
        'printf %s "$OPENCODE_AUTH_CONTENT"; env | grep -c _API_KEY; true',
    )
    content, count = told.out.rsplit("}", 1)
    assert json.loads(content + "}") == {
        "anthropic": {"type": "api", "key": "fake-key-anthropic"},
        "openai": {"type": "api", "key": "fake-key-openai"},
    }
    assert count.strip() == "0"
    assert types(two)[-2:] == ["credential_issued", "credential_issued"]
    assert "through exec for opencode" in two("history").out


def test_exec_says_that_opencode_s_file_is_damaged_and_injects_all_the_same(
    real: Real, two: Shell, store: Path
) -> None:
    store.parent.mkdir(parents=True)
    store.write_text('{"anthropic": {"type": "api", "key": "fake-secret-canary"')
    told = real("exec", "--tool", "opencode", "--", "printenv", "OPENCODE_AUTH_CONTENT")
    assert set(json.loads(told.out)) == {"anthropic", "openai"}
    assert f"{store} is not valid JSON" in told.err
    assert "nothing of that file" in told.err
    assert "canary" not in told.err
    assert types(two)[-2:] == ["credential_issued", "credential_issued"]


@pytest.mark.parametrize(
    ("tool", "file"), [("qwen", ".qwen/settings.json"), ("goose", ".config/goose/custom_providers/own.json")]
)
def test_exec_gives_no_key_where_the_file_that_names_the_servers_is_damaged(
    real: Real, two: Shell, home: Path, tool: str, file: str
) -> None:
    (home / file).parent.mkdir(parents=True)
    (home / file).write_text("{")
    told = real("exec", "--tool", tool, "--", "env", status=65)
    assert "it says which server is sent which key" in told.err
    assert "fake-key" not in told.out + told.err
    assert "credential_issued" not in types(two)


def test_exec_puts_a_secret_on_a_descriptor(real: Real, two: Shell) -> None:
    script = 'env | grep -c fake-key; cat <&"$CLAUDE_CODE_API_KEY_FILE_DESCRIPTOR"'
    told = real("exec", "--tool", "claude-code", "--", "sh", "-c", script)
    assert told.out == "0\nfake-key-anthropic"


def test_exec_follows_a_reference_for_a_tool(real: Real, shell: Shell, files: Files) -> None:
    shell("login", "openai", "--reference", "${FAKE_ELSEWHERE}")
    told = real(
        "exec",
        "--tool",
        "codex",
        "--",
        "sh",
        "-c",
        'echo "$CODEX_API_KEY"',
        env={"FAKE_ELSEWHERE": "fake-key-elsewhere"},
    )
    assert told.out == "fake-key-elsewhere\n"
    assert "can't be resolved" in real("exec", "--tool", "codex", "--", "true", status=66).err


def test_exec_starts_nothing_when_there_is_nothing_for_the_tool(real: Real, two: Shell, tmp_path: Path) -> None:
    for words in (("gh",), ("kimi",), ("no-such-tool",), ("codex", "--provider", "groq")):
        real("exec", "--tool", words[0], *words[1:], "--", "touch", str(tmp_path / "ran"), status=66)
    assert not (tmp_path / "ran").exists()
    assert "credential_issued" not in types(two)


def test_a_server_s_password_goes_to_nobody_who_did_not_ask_for_that_server(
    real: Real, two: Shell, store: Path
) -> None:
    asked = "protocol=https\nhost=git.example\nusername=octo\npassword=fake-password-git\n"
    real("helper", "git", "store", stdin=asked)
    two("login", "keyring:app/octo", "--stdin", stdin="fake-password-app")
    assert "fake-password" not in real("exec", "--", "env").out
    assert "fake-password" not in real("exec", "--tool", "opencode", "--", "env").out
    two("export", "opencode")
    assert "fake-password" not in store.read_text()
    assert real("helper", "git", "get", stdin="protocol=https\nhost=git.example\n").out.endswith("fake-password-git\n")
    assert "keyring:app/octo is left out" in two("export", "gh").err, "gh wants the tokens of servers"


def test_connect_asks_only_for_what_the_tool_takes(two: Shell, home: Path) -> None:
    two("connect", "claude-code", "--yes")
    assert "api-key anthropic" in (home / ".claude" / "settings.json").read_text()
    two("connect", "codex", "--yes")
    assert '"openai"' in (home / ".codex" / "config.toml").read_text()


def test_there_is_nothing_to_connect_an_empty_vault_to(shell: Shell, files: Files) -> None:
    assert "nothing that OpenCode could ask for" in shell("connect", "opencode", "--yes", status=66).err
