"""list, ls and show: what an agent sees, now and at any past moment; never a secret, and nothing is appended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import SECRETS, Real, Shell
from tests.support import START, Files
from vault.providers.catalogue import providers
from vault.values import DAY, HOUR, SECOND, format_instant_exact

pytestmark = pytest.mark.usefixtures("furnished")

BODY = {
    "env",
    "profile",
    "provider",
    "owner",
    "inherited_from",
    "kind",
    "label",
    "account",
    "reference",
    "base_url",
    "fingerprint",
    "ownership",
    "refreshable",
    "position",
    "since",
    "age_seconds",
    "expires_at",
    "last_used",
    "place",
    "reason",
    "pinned",
    "in_order",
    "original",
    "health",
}


def test_list_is_a_table(shell: Shell) -> None:
    told = shell("list")
    assert told.lines[0].split() == [
        "PROFILE",
        "KIND",
        "LABEL",
        "FINGERPRINT",
        "AGE",
        "EXPIRES",
        "HEALTH",
        "ORDER",
        "FROM",
    ]
    rows = [line.split("  ")[0] for line in told.lines[1:]]
    assert rows == ["anthropic:work", "anthropic:default", "huggingface:old", "mistral:paid", "openai:default"]
    assert told.row("anthropic:work").split()[1:] == [
        "api_key",
        "work",
        *told.row("anthropic:work").split()[3:4],
        "23h",
        "ok",
        "1",
    ]
    assert told.row("huggingface:old").endswith(" -")
    assert "expired 22h ago" in told.row("huggingface:old")
    assert "disabled: billing, 29d left" in told.row("mistral:paid")
    assert told.err == "logged out (vault restore PROFILE): groq:spare\n"


def test_ls_is_list(shell: Shell) -> None:
    assert shell("ls") == shell("list")
    assert shell("ls", "--json") == shell("list", "--json")


def test_list_as_json(shell: Shell) -> None:
    told = shell.json("list")
    assert set(told) >= {"schema", "agent", "at", "profiles", "logged_out", "environment"}
    assert (told["schema"], told["agent"], told["at"], told["environment"]) == ("vault.list/1", "main", None, [])
    by_profile = {p["profile"]: p for p in told["profiles"]}
    assert all(set(p) == BODY for p in by_profile.values())
    work = by_profile["anthropic:work"]
    assert (work["place"], work["in_order"], work["owner"], work["inherited_from"]) == (1, True, "main", None)
    assert by_profile["mistral:paid"]["place"] is None
    assert by_profile["mistral:paid"]["health"]["state"] == "disabled"
    assert by_profile["huggingface:old"]["reason"] == "expired, and nothing can refresh it"
    assert by_profile["anthropic:default"]["age_seconds"] == DAY // SECOND - 1
    (out,) = told["logged_out"]
    assert set(out) == {"profile", "owner", "since"}
    assert (out["profile"], out["owner"]) == ("groq:spare", "main")


def test_no_secret_is_listed_and_nothing_appended(shell: Shell, furnished: Files) -> None:
    with furnished.open() as context:
        head = context.store.head()
    told = [
        shell(*words)
        for words in (("list",), ("list", "--json"), ("show", "anthropic:work"), ("show", "anthropic:work", "--json"))
    ]
    for secret in SECRETS.values():
        assert all(secret not in t.out + t.err for t in told)
    with furnished.open() as context:
        assert context.store.head() == head


def test_an_inherited_profile_says_from_whom(shell: Shell) -> None:
    told = shell("list", "--agent", "coder")
    assert told.row("anthropic:work").endswith("main")
    assert told.row("openai:own").split()[-1] == "2", "its own and its parent's are tried alike"
    profiles = {p["profile"]: p["inherited_from"] for p in shell.json("list", "--agent", "coder")["profiles"]}
    assert profiles["anthropic:work"] == "main"
    assert profiles["openai:own"] is None
    assert "inherited by coder" in shell("show", "anthropic:work", "--agent", "coder").row("agent")


def test_an_agent_that_inherits_from_nobody_sees_its_own(shell: Shell) -> None:
    told = shell("list", "--agent", "lone")
    assert told.out == ""
    assert told.err == "agent lone has no profiles; make one with: vault login PROVIDER\n"
    assert shell.json("list", "--agent", "lone")["profiles"] == []


def test_only_one_provider(shell: Shell) -> None:
    for name in ("anthropic", "Anthropic"):
        assert [p["profile"] for p in shell.json("list", "--provider", name)["profiles"]] == [
            "anthropic:work",
            "anthropic:default",
        ]


def test_the_environment_has_a_block_of_its_own_with_one_row_a_variable(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "fake-ambient-token")
    monkeypatch.setenv("OPENAI_API_KEY", " ")
    told = shell("list")
    heading = told.lines.index("")
    assert told.lines[heading + 1].split("  ")[0] == "VARIABLE"
    block = told.lines[heading + 2 :]
    assert len(block) == 1, "a blank variable satisfies nobody, and one that several read is one row"
    name, place, *readers = block[0].replace(",", "").split()
    assert (name, place) == ("GITHUB_TOKEN", "environment")
    assert {"github-copilot", "github-models"} <= set(readers)
    found = {a["provider"]: a for a in shell.json("list")["environment"]}
    assert found["github-copilot"]["variable"] == "GITHUB_TOKEN"
    assert "github-models" in found["github-copilot"]["shared_with"]
    assert "fake-ambient-token" not in told.out + shell("list", "--json").out


def test_seventeen_variables_make_seventeen_rows(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    names = sorted({v for p in providers() for v in p.key_env if p.shared_with})[:17]
    for name in names:
        monkeypatch.setenv(name, "fake-ambient")
    told = shell("list").lines
    assert [line.split()[0] for line in told[told.index("") + 2 :]] == names
    assert len(shell.json("list")["environment"]) > len(names)
    only = shell("list", "--provider", "github-copilot").lines
    assert all(line.split()[0] in names for line in only if "environment" in line)


def test_variables_of_the_dotenv_and_of_the_env_file_are_listed_with_their_place(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path(".env").write_text("GROQ_API_KEY=fake-dotenv\n")
    env_file = tmp_path / "env"
    env_file.touch(mode=0o600)
    env_file.write_text("GROQ_API_KEY=fake-file\nMISTRAL_API_KEY=fake-file\n")
    monkeypatch.setenv("VAULT_ENV_FILE", str(env_file))
    monkeypatch.setenv("MISTRAL_API_KEY", "fake-environment")
    told = shell("list")
    rows = [" ".join(line.split()[:3]) for line in told.lines[told.lines.index("") + 2 :]]
    assert rows == [
        "MISTRAL_API_KEY environment mistral",
        "GROQ_API_KEY .env groq",
        "GROQ_API_KEY env file",
        "MISTRAL_API_KEY env file",
    ]
    assert [(a["provider"], a["source"]) for a in shell.json("list")["environment"]] == [
        ("mistral", "environment"),
        ("groq", ".env"),
        ("groq", "env file"),
        ("mistral", "env file"),
    ]
    assert "fake-" not in told.out
    monkeypatch.setenv("VAULT_SOURCES", "environment,stored")
    assert ".env" not in shell("list").out


def test_list_at_a_past_moment(shell: Shell) -> None:
    told = shell("list", "--at", format_instant_exact(START + 5 * SECOND))
    assert told.err.startswith("as of ")
    assert [line.split("  ")[0] for line in told.lines[1:]] == [
        "anthropic:default",
        "anthropic:work",
        "huggingface:old",
        "openai:default",
    ]
    assert "in 1h" in told.row("huggingface:old") or "in 60m" in told.row("huggingface:old")
    at = shell.json("list", "--at", format_instant_exact(START + SECOND))
    assert at["at"] == format_instant_exact(START + SECOND)
    assert [p["profile"] for p in at["profiles"]] == ["anthropic:default"]


def test_list_at_a_moment_tells_expiry_and_age_as_of_then(shell: Shell) -> None:
    (then,) = [
        p
        for p in shell.json("list", "--at", format_instant_exact(START + HOUR))["profiles"]
        if p["profile"] == "anthropic:work"
    ]
    assert then["age_seconds"] == HOUR // SECOND - 2


def test_list_before_everything(shell: Shell) -> None:
    for moment in ("90y", "2025-12-31T23:59:59Z", "0001-01-01T00:00+14:00"):
        assert shell.json("list", "--at", moment)["profiles"] == []
        assert shell.json("list", "--at", moment)["at"] is not None


def test_show(shell: Shell) -> None:
    told = shell("show", "anthropic:work")
    rows = dict(
        line.split(maxsplit=1) for line in told.lines if line.split("  ")[0] in ("profile", "kind", "label", "health")
    )
    assert rows == {"profile": "anthropic:work", "kind": "api_key", "label": "work", "health": "ok"}
    assert told.row("order") == "order        1 (chosen)"
    assert told.err == ""


def test_show_as_json(shell: Shell) -> None:
    told = shell.json("show", "anthropic:default")
    assert set(told) >= BODY | {"schema", "agent", "at"}
    assert (told["schema"], told["position"], told["place"]) == ("vault.show/1", 5, 2)


def test_show_at_a_past_moment(shell: Shell) -> None:
    now, then = (
        shell.json("show", "anthropic:default"),
        shell.json("show", "anthropic:default", "--at", format_instant_exact(START)),
    )
    assert (then["position"], then["at"]) == (4, format_instant_exact(START))
    assert then["fingerprint"] != now["fingerprint"]
    assert shell.json("show", "groq:spare", "--at", format_instant_exact(START + 6 * SECOND))["label"] == "spare"


def test_show_after_use_tells_when(shell: Shell) -> None:
    assert shell.json("show", "anthropic:work")["last_used"] is None
    shell("get", "anthropic")
    shell.clock.forward(2 * HOUR)
    assert shell.json("show", "anthropic:work")["last_used"] == format_instant_exact(START + DAY)
    assert shell("show", "anthropic:work").row("last used").endswith("2h ago")


def test_a_label_can_play_no_tricks_with_the_terminal(shell: Shell) -> None:
    shell.login("anthropic:sly", "fake-key", "--label", "\x1b[31mred\x07")
    told = shell("list").out + shell("show", "anthropic:sly").out + shell("history").out
    assert "\x1b" not in told
    assert "\x07" not in told
    assert "?[31mred?" in told
    assert shell.json("show", "anthropic:sly")["label"] == "\x1b[31mred\x07"


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (("show", "anthropic:nope"), 66, "agent main has no profile anthropic:nope"),
        (("show", "groq:spare"), 66, "groq:spare of agent main is logged out: vault restore groq:spare undoes it"),
        (("show", "anthropic:work", "--agent", "lone"), 66, "agent lone has no profile"),
        (("show", "anthropic"), 65, "'anthropic' is not a profile id"),
        (("list", "--agent", "nobody"), 66, "there is no agent nobody"),
        (("list", "--at", "soon"), 65, "'soon' is not a time"),
        (("show", "anthropic:default", "--at", "soon"), 65, "'soon' is not a time"),
        (("list", "--agent", "coder", "--at", "2025-12-31"), 66, "there is no agent coder"),
    ],
)
def test_what_is_not_there(shell: Shell, arguments: tuple[str, ...], status: int, what: str) -> None:
    told = shell(*arguments, status=status)
    assert (told.out, what in told.err) == ("", True)


def test_a_pipe_gets_no_colour_and_no_cut_lines(real: Real) -> None:
    real("login", "anthropic:" + "n" * 128, "--stdin", "--label", "l" * 200, stdin="fake-key")
    told = real("list", env={"COLUMNS": "20", "FORCE_COLOR": "1", "TERM": "xterm-256color"})
    assert "n" * 128 in told.out
    assert "l" * 200 in told.out
    assert "\x1b" not in told.out


def test_a_name_of_another_tool_is_shown_as_it_is_there(shell: Shell) -> None:
    shell("login", "%4c%4d%53tudio:my%20team", "--custom", "--stdin", stdin="fake-key-1")
    assert "LMStudio:my team" in shell("list").out
    assert "LMStudio:my team" in shell("show", "%4c%4d%53tudio:my%20team").out
    assert "%4c%4d%53tudio:my%20team (LMStudio:my team)" in shell("why", "%4c%4d%53tudio").out
    assert "%4c%4d%53tudio:my%20team (LMStudio:my team)" in shell("history").out
    assert shell.json("list")["profiles"][0]["original"] == "LMStudio:my team"
