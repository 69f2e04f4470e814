"""get, env and exec: the secret goes where it was asked for, the history says so first, and nothing else changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.running import Real, Shell, finish, next_line
from tests.support import START, Files
from vault.cli.issue import _assignment
from vault.commands.login import log_in
from vault.errors import InputError, StorageError
from vault.events.credentials import Reference, WellKnown
from vault.log.store import EventStore
from vault.values import DAY, HOUR, MAIN_AGENT, ProfileId, format_instant_exact, parse_secret

pytestmark = pytest.mark.usefixtures("files")

NASTY = """fake-'"`$(echo gone)${HOME}\\n\\\\ !*?[]{}~#&|;<>()%^ö…"""


def head(files: Files) -> int:
    with files.open() as context:
        return context.store.head().position


def issued(shell: Shell) -> list[dict[str, object]]:
    return [e["facts"] for e in shell.json("history", "--type", "credential_issued")["events"]]


def test_get_prints_the_secret_alone(shell: Shell) -> None:
    shell.login("anthropic", NASTY)
    told = shell("get", "anthropic")
    assert (told.out, told.err) == (f"{NASTY}\n", "")
    assert shell("get", "anthropic:default").out == f"{NASTY}\n"


def test_get_as_json(shell: Shell) -> None:
    shell.login("anthropic", "fake-token", "--expires-in", "1h")
    assert shell.json("get", "anthropic") == {
        "schema": "vault.get/1",
        "agent": "main",
        "provider": "anthropic",
        "profile": "anthropic:default",
        "source": "stored",
        "kind": "token",
        "expires_at": format_instant_exact(START + DAY + HOUR),
        "position": 3,
        "mode": None,
        "secret": "fake-token",
        "variables": None,
        "base_url": None,
    }


def test_each_hand_out_says_who_asked(shell: Shell) -> None:
    shell.login("anthropic", "fake-key")
    shell("agent", "add", "coder")
    shell("get", "anthropic", "--agent", "coder", "--reason", "a test")
    (event,) = shell.json("history", "-n", "1")["events"]
    assert (event["type"], event["reason"], event["actor"]["agent"], event["actor"]["way"]) == (
        "credential_issued",
        "a test",
        "coder",
        "get",
    )
    facts = event["facts"]
    assert facts.pop("program") == event["actor"]["program"] != ""
    assert facts == {
        "agent": "coder",
        "owner": "main",
        "provider": "anthropic",
        "profile": "anthropic:default",
        "fingerprint": shell.json("show", "anthropic:default")["fingerprint"],
        "way": "get",
    }


def test_nothing_is_handed_out_when_it_can_not_be_recorded(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.login("anthropic", "fake-key")

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("the disk is full", hint="make room")

    monkeypatch.setattr(EventStore, "append", refuse)
    monkeypatch.setattr("vault.cli.issue._become", lambda *_: pytest.fail("the program ran"))
    for words in (("get", "anthropic"), ("get", "anthropic", "--json"), ("env",), ("exec", "--", "true")):
        told = shell(*words, status=74)
        assert told.out == ""
        assert "fake-key" not in told.err


def test_a_variable_that_is_handed_out_is_recorded_with_its_name(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "fake-ambient")
    told = shell.json("get", "anthropic")
    assert (told["source"], told["profile"], told["kind"], told["secret"]) == (
        "env:ANTHROPIC_API_KEY",
        None,
        "environment",
        "fake-ambient",
    )
    assert issued(shell)[0]["source"] == "env:ANTHROPIC_API_KEY"


def test_a_variable_that_is_not_text_is_refused(real: Real) -> None:
    told = real("get", "anthropic", env={"ANTHROPIC_API_KEY": os.fsdecode(b"fake\xff")}, status=65)
    assert (told.out, "is not UTF-8" in told.err) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("get", "openai"), 66, "agent main has no credential for openai: vault login openai"),
        (("get", "anthropic:nope"), 66, "agent main has no profile anthropic:nope"),
        (("get", "anthropic:gone"), 66, "anthropic:gone of agent main is logged out"),
        (("get", "openrouter"), 82, "agent main has no usable credential for openrouter: openrouter:old expired"),
        (("get", "openrouter:old"), 82, "openrouter:old of agent main can't be used: expired"),
        (("get", "anthropic:bad name"), 65, "is not a profile name"),
        (("get",), 64, "is missing"),
        (("get", "anthropic", "extra"), 64, "there are too many arguments"),
        (("get", "anthropic", "--agent", "nobody"), 66, "there is no agent nobody"),
        (("env", "--provider", "openai"), 66, "agent main has no credential for openai"),
        (("env", "--shell", "tcsh"), 64, "'tcsh' is not a shell that vault knows"),
        (("env", "--agent", "lone"), 66, "agent lone has no usable credential"),
        (("exec", "--agent", "lone", "--", "true"), 66, "agent lone has no usable credential"),
        (("exec", "--provider", "openrouter", "--", "true"), 82, "expired"),
        (
            ("exec", "--provider", "google-vertex", "--", "true"),
            64,
            "google-vertex has no environment variable for a api_key",
        ),
        (("exec", "--", "no-such-program-here"), 69, "the program no-such-program-here is not there"),
        (("exec", "--", "./folder"), 69, "the program ./folder is not there"),
        (("exec", "--", "./plain.txt"), 69, "the program ./plain.txt is not there"),
        (("exec",), 64, "is missing"),
        (("exec", "--bogus", "--", "true"), 64, "there is no option --bogus"),
    ],
)
def test_what_can_not_be_handed_out(
    shell: Shell, files: Files, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, what: str
) -> None:
    monkeypatch.setattr("vault.cli.issue._become", lambda *_: pytest.fail("the program ran"))
    Path("folder").mkdir()
    Path("plain.txt").touch()
    shell.login("anthropic", "fake-key")
    shell.login("anthropic:gone", "fake-key-gone")
    shell("logout", "anthropic:gone")
    shell.login("openrouter:old", "fake-token", "--expires-in", "1h")
    shell.login("google-vertex", "fake-key-vertex")
    shell("agent", "add", "lone", "--none")
    shell.clock.forward(HOUR)
    before = head(files)
    told = shell(*arguments, status=status)
    assert told.out == ""
    assert what in told.err
    assert "fake-" not in told.err
    assert head(files) == before


# -- env


def test_env_prints_a_line_for_each_variable(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-a")
    shell.login("openai:work", "fake-key-o")
    assert shell("env").lines == ["export ANTHROPIC_API_KEY=fake-key-a", "export OPENAI_API_KEY=fake-key-o"]
    assert shell("env", "--provider", "openai:work").lines == ["export OPENAI_API_KEY=fake-key-o"]
    assert [i["way"] for i in issued(shell)] == ["env"] * 3


def test_env_as_json(shell: Shell) -> None:
    shell.login("anthropic", "fake-key-a")
    assert shell.json("env") == {
        "schema": "vault.env/1",
        "agent": "main",
        "variables": {"ANTHROPIC_API_KEY": "fake-key-a"},
        "removed": [],
        "issued": [
            {
                "provider": "anthropic",
                "profile": "anthropic:default",
                "source": "stored",
                "variables": ["ANTHROPIC_API_KEY"],
                "position": 3,
            }
        ],
    }


@pytest.mark.parametrize("secret", [NASTY, "'", "\\", "-n", "a b", "$'x'", "\\'", "!!"])
def test_sh_reads_back_exactly_what_env_wrote(shell: Shell, secret: str) -> None:
    shell.login("anthropic", secret)
    lines = shell("env").out
    script = lines + 'printf %s "$ANTHROPIC_API_KEY"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout.decode() == secret


def secrets() -> st.SearchStrategy[str]:
    """Anything that may be a secret."""

    def possible(text: str) -> bool:
        try:
            return parse_secret(text) == text
        except InputError:
            return False

    characters = st.one_of(st.sampled_from("'\"\\$`!‘’‚‛ #;&%"), st.characters(exclude_categories=("Cs", "Cc")))
    return st.text(characters, min_size=1, max_size=20).filter(possible)


@given(secrets())
def test_fish_reads_back_exactly_what_env_wrote(secret: str) -> None:
    line = _assignment("fish", "X", secret)
    assert line.startswith("set -gx X '")
    assert read_fish(line.removeprefix("set -gx X ")) == secret


@given(secrets())
def test_powershell_reads_back_exactly_what_env_wrote(secret: str) -> None:
    line = _assignment("powershell", "X", secret)
    assert line.startswith("$Env:X = '")
    assert read_powershell(line.removeprefix("$Env:X = ")) == secret


def read_fish(quoted: str) -> str:
    """A single-quoted text as fish reads it: only ``\\\\`` and ``\\'`` are escapes."""
    assert quoted[0] == "'"
    text, rest = "", quoted[1:]
    while rest[0] != "'":
        take = 2 if rest[:2] in ("\\\\", "\\'") else 1
        text, rest = text + rest[take - 1], rest[take:]
    assert rest == "'", "something follows the closing quote"
    return text


def read_powershell(quoted: str) -> str:
    """A single-quoted text as PowerShell reads it: any of five quotes ends it, two in a row are one."""
    quotes = "'‘’‚‛"
    assert quoted[0] in quotes
    text, rest = "", quoted[1:]
    while rest[0] not in quotes or (len(rest) > 1 and rest[1] in quotes):
        take = 2 if rest[0] in quotes else 1
        text, rest = text + rest[0], rest[take:]
    assert rest[1:] == "", "something follows the closing quote"
    return text


def test_a_hostile_variable_name_is_left_out(shell: Shell, files: Files) -> None:
    with files.open(shell.clock) as context:
        for number, name in enumerate(["X=1; touch owned; Y", "9LIVES", "A B", "", "Ä", "LD_PRELOAD", "HTTPS_PROXY"]):
            server = WellKnown(url="https://example.test", env=name, token="fake-token")
            log_in(context, MAIN_AGENT, ProfileId(f"server-{number}:default"), server)
    shell.login("anthropic", "fake-key")
    told = shell("env")
    assert told.lines == ["export ANTHROPIC_API_KEY=fake-key"]
    assert "server-1:default: it is put into no variable: the one it names can't be a credential's" in told.err
    assert len(issued(shell)) == 1
    assert "has no environment variable" in shell("env", "--provider", "server-0", status=64).err


def test_an_own_provider_that_starts_with_a_digit_works_in_exec_and_harms_no_env(real: Real) -> None:
    real("login", "9router", "--custom", "--stdin", stdin="fake-key-9")
    real("login", "anthropic", "--stdin", stdin="fake-key-a")
    assert real("env").out == "export ANTHROPIC_API_KEY=fake-key-a\n"
    program = "import os; print(os.environ['9ROUTER_API_KEY'], os.environ['ANTHROPIC_API_KEY'])"
    assert real("exec", "--", sys.executable, "-c", program).out == "fake-key-9 fake-key-a\n"


def test_one_that_can_not_be_had_now_does_not_keep_the_others_back(shell: Shell, files: Files) -> None:
    Path("reference").write_text("two\nlines\n")
    with files.open(shell.clock) as context:
        log_in(
            context,
            MAIN_AGENT,
            ProfileId("groq:default"),
            Reference(scheme="file", target=str(Path("reference").absolute())),
        )
    assert shell("env", status=65).out == "", "alone, its trouble is the command's"
    shell.login("anthropic", "fake-key")
    told = shell("env")
    assert told.lines == ["export ANTHROPIC_API_KEY=fake-key"]
    assert told.err.startswith("groq:default is left out: ")
    assert "the secret has more than one line" in told.err
    assert shell("env", "--provider", "anthropic", "--provider", "groq", status=65).out == "", (
        "what is named must be had"
    )
    assert len(issued(shell)) == 1


# -- exec


def environment_of_child(real: Real, *arguments: str, env: dict[str, str] | None = None) -> dict[str, str]:
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    told = real("exec", *arguments, "--", sys.executable, "-c", program, env=env)
    found: dict[str, str] = json.loads(told.out)
    return found


def test_exec_gives_the_child_the_credentials_and_its_agent(real: Real) -> None:
    real("login", "anthropic", "--stdin", stdin=NASTY)
    real("login", "openai", "--agent", "coder", "--stdin", stdin="fake-key-o")
    child = environment_of_child(real, "--agent", "coder")
    assert (child["ANTHROPIC_API_KEY"], child["OPENAI_API_KEY"], child["VAULT_AGENT"]) == (NASTY, "fake-key-o", "coder")
    child = environment_of_child(real, "--agent", "coder", "--provider", "openai")
    assert "ANTHROPIC_API_KEY" not in child
    child = environment_of_child(real)
    assert "OPENAI_API_KEY" not in child
    assert child["VAULT_AGENT"] == "main"


def test_exec_records_the_program_it_was_for(real: Real) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    real("exec", "--reason", "nightly", "--", "true")
    (event,) = real("history", "-n", "1", "--json").json["events"]
    assert (event["facts"]["program"], event["facts"]["way"], event["reason"]) == ("true", "exec", "nightly")


def test_exec_removes_stale_values_of_the_same_provider(real: Real) -> None:
    real("login", "openai", "--stdin", stdin="fake-key-new")
    stale = {"OPENAI_API_KEY": "fake-stale", "CODEX_API_KEY": "fake-stale", "GROQ_API_KEY": "fake-kept"}
    child = environment_of_child(real, env=stale)
    assert child["OPENAI_API_KEY"] == "fake-key-new"
    assert "CODEX_API_KEY" not in child
    assert child["GROQ_API_KEY"] == "fake-kept"


def test_exec_puts_the_stored_credential_in_place_of_the_environments(real: Real) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key-stored")
    child = environment_of_child(real, "--provider", "anthropic", env={"ANTHROPIC_API_KEY": "fake-ambient"})
    assert child["ANTHROPIC_API_KEY"] == "fake-key-stored"


def test_exec_keeps_the_passphrase_from_the_child(real: Real, files: Files) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    passphrase = {"VAULT_PASSPHRASE": "fake-passphrase"}
    assert "VAULT_PASSPHRASE" not in environment_of_child(real, env=passphrase)
    assert environment_of_child(real, "--keep-passphrase", env=passphrase)["VAULT_PASSPHRASE"] == "fake-passphrase"


def test_two_profiles_for_one_variable_are_told(real: Real) -> None:
    real("login", "github-copilot", "--stdin", stdin="fake-key-1")
    real("login", "github-models", "--stdin", stdin="fake-key-2")
    told = real("exec", "--", "sh", "-c", 'echo "$GITHUB_TOKEN"')
    assert told.out == "fake-key-1\n"
    assert "github-models:default is left out: github-copilot:default has GITHUB_TOKEN already" in told.err
    assert [
        e["facts"]["provider"] for e in real("history", "--type", "credential_issued", "--json").json["events"]
    ] == ["github-copilot"]
    assert real("exec", "--provider", "github-models", "--", "sh", "-c", 'echo "$GITHUB_TOKEN"').out == "fake-key-2\n"


def test_exec_passes_arguments_and_streams_through(real: Real) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    program = "import sys; print(sys.argv[1:]); print(sys.stdin.read(), file=sys.stderr)"
    words = ["--json", "--help", "-p", "", "a b", "--", "*", "ö"]
    told = real("exec", "--", sys.executable, "-c", program, *words, stdin="given")
    assert (told.out, told.err) == (f"{words}\n", "given\n")


@pytest.mark.parametrize("status", [0, 1, 7, 64, 70, 127, 255])
def test_exec_ends_as_the_child_does(real: Real, status: int) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    assert real("exec", "--", "sh", "-c", f"exit {status}", status=status).err == ""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL", "SIGHUP", "SIGPIPE", "SIGXFSZ"])
def test_a_child_that_dies_of_a_signal_is_seen_to(real: Real, name: str) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    program = f"import os, signal; signal.signal(signal.{name}, signal.SIG_DFL); os.kill(os.getpid(), signal.{name})"
    if name == "SIGKILL":
        program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    real("exec", "--", sys.executable, "-c", program, status=-getattr(signal, name))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_a_signal_reaches_the_child(real: Real, name: str) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    program = (
        "import signal, sys, threading\n"
        f"signal.signal(signal.{name}, lambda *_: sys.exit(9))\n"
        "print('ready', flush=True)\n"
        "signal.pause()\n"
    )
    process = real.start("exec", "--", sys.executable, "-c", program)
    assert next_line(process) == "ready"
    process.send_signal(getattr(signal, name))
    assert finish(process).status == 9


@pytest.mark.parametrize("name", ["PIPE", "XFSZ"])
def test_no_signal_is_ignored_in_the_child_because_python_ignores_it(real: Real, name: str) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    told = real("exec", "--", "sh", "-c", f"kill -{name} $$; echo survived", status=-getattr(signal, f"SIG{name}"))
    assert told.out == ""


def test_what_can_not_be_run_is_told(real: Real) -> None:
    real("login", "anthropic", "--stdin", stdin="fake-key")
    script = Path("script")
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    told = real("exec", "--", "./script", status=69)
    assert (told.out, "the program ./script can't be run" in told.err) == ("", True)
    error = real("exec", "--json", "--", "no-such-program-here", status=69).error
    assert (error["code"], error["exit"]) == ("unavailable", 69)
