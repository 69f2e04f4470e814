"""The pages agree with the code and with each other: links, commands, options, variables, pages that are made from the code."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support import ROOT
from vault.cli.main import run

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"<!--.*?-->", re.DOTALL)
SHELL = ("console", "sh", "ini")


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATE = _generator()
TREE = {path.removeprefix("vault "): command for path, command, _ in GENERATE.command_tree()}
OPTIONS = {
    path: {name for p in command.params if p.param_type_name == "option" for name in (*p.opts, *p.secondary_opts)}
    | {"-h", "--help"}
    for path, command in TREE.items()
}


def _shown(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("name", GENERATE.PAGES)
def test_a_page_made_from_the_code_is_what_the_code_says(name: str) -> None:
    stored = (GENERATE.FOLDER / name).read_text("utf-8")
    assert stored == GENERATE.PAGES[name](), "run: python docs/generate.py"


def test_the_generator_names_a_page_that_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GENERATE, "FOLDER", tmp_path)
    assert GENERATE.main(["--check"]) == 1
    assert GENERATE.main([]) == 0
    assert GENERATE.main(["--check"]) == 0
    (tmp_path / "errors.md").write_text("old")
    assert GENERATE.stale() == ["errors.md"]


@pytest.mark.parametrize("path", TREE)
def test_the_commands_page_has_what_help_prints(
    path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    assert run([*path.split(), "--help"]) == 0
    printed = capsys.readouterr().out
    page = (GENERATE.FOLDER / "commands.md").read_text("utf-8")
    section = page.partition(f"\n## vault {path}\n")[2].partition("\n## ")[0]
    columns = re.findall(r"^[^\w-]*((?:--?[a-z][a-z-]*(?:,|\s+))+)", printed, re.MULTILINE)
    found = {name for column in columns for name in re.findall(r"--?[a-z][a-z-]*", column)}
    found -= {"-h", "--help", "--install-completion", "--show-completion"}
    assert found == set(re.findall(r"`(--?[a-z][a-z-]*)(?= [A-Z]+`|`)", section))


@pytest.mark.parametrize("page", PAGES, ids=_shown)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    broken = []
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        place = (page.parent / name).resolve() if name else page
        if not place.exists() or (anchor and anchor not in _anchors(place)):
            broken.append(target)
    assert not broken


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_shown)
def test_no_page_names_a_command_or_an_option_that_does_not_exist(page: Path) -> None:
    unknown = []
    for words in _commands(page.read_text("utf-8")):
        path = words[0]
        if path not in TREE:
            unknown.append(f"vault {path}")
            continue
        if len(words) > 1 and f"{path} {words[1]}" in TREE:
            path = f"{path} {words[1]}"
        elif hasattr(TREE[path], "list_commands") and len(words) > 1 and words[1].islower():
            unknown.append(f"vault {path} {words[1]}")
            continue
        own = words[: words.index("--")] if "--" in words else words
        options = [word.partition("=")[0] for word in own if re.fullmatch(r"--?[a-z][a-z-]*(=.*)?", word)]
        unknown += [f"vault {path} {option}" for option in options if option not in OPTIONS[path]]
    assert not unknown


def _commands(text: str) -> Iterator[list[str]]:
    """The words of each use of ``vault`` in a page's code, without the word itself."""
    lines = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for language, body in FENCE.findall(text):
        if language in SHELL:
            lines += [line for line in body.splitlines() if language != "console" or line.startswith(("$ ", "> "))]
    for piece in re.split(r"[\n|;&()]| #", "\n".join(lines)):
        words = piece.split()
        while words and re.fullmatch(r"[$>]|do|\w+=\S*", words[0]) and not words[0].endswith("/vault"):
            words.pop(0)
        if len(words) > 1 and re.fullmatch(r"(\S*/)?vault", words[0]) and re.fullmatch(r"[a-z-]+", words[1]):
            yield [word if word == "--" else word.strip("\"'`,.:…") for word in words[1:]]


def test_no_page_names_a_variable_that_the_code_does_not_read() -> None:
    folders = (ROOT / "vault", ROOT / "tests" / "interop")
    source = "\n".join(path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py"))
    for page in PAGES:
        names = set(re.findall(r"\bVAULT_[A-Z_]+[A-Z]\b", page.read_text("utf-8")))
        assert {name for name in names if name not in source} == set(), _shown(page)


def test_no_page_names_the_machine_it_was_written_on() -> None:
    for page in PAGES:
        text = page.read_text("utf-8")
        assert not re.findall(r"/(?:work|root|tmp)/|root@", text), _shown(page)


def test_the_tools_page_has_every_tool_with_what_it_can_do() -> None:
    from vault.interop.helpers import MODULES
    from vault.interop.tools import tools

    page = (ROOT / "docs" / "tools.md").read_text("utf-8")
    rows = {
        row[0]: row[1:] for row in re.findall(r"^\| `([\w-]+)` \|(.*?)\|(.*?)\|(.*?)\|(.*?)\|.*\|$", page, re.MULTILINE)
    }
    for tool in tools():
        _, reads, writes, served = (cell.strip() for cell in rows[tool.name])
        ways = [way for way, can in (("connect", tool.connect), ("exec", tool.inject), ("helper", tool.helper)) if can]
        assert (reads, writes, served) == (
            "yes" if tool.read else "",
            "yes" if tool.write else "",
            ", ".join(ways),
        ), tool.name
    assert set(rows) - {tool.name for tool in tools()} == set()
    protocols = page.partition("| protocol |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", protocols, re.MULTILINE)) == set(MODULES)


def test_the_settings_that_pages_show_are_settings() -> None:
    from vault.settings import ProviderSettings, parse_settings

    shown = [body for page in PAGES for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == "toml"]
    assert shown
    for body in shown:
        parse_settings(body, Path("config.toml"))
    page = (ROOT / "docs" / "reference" / "environment.md").read_text("utf-8")
    table = page.partition("| key of `[providers.ID]` |")[2].partition("\n\n")[0]
    keys = {key for row in re.findall(r"^\| (`[^|]*`) \|", table, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert keys == set(ProviderSettings.__dataclass_fields__)


def test_the_environment_page_has_every_variable_that_the_code_reads() -> None:
    page = (ROOT / "docs" / "reference" / "environment.md").read_text("utf-8")
    listed = {
        name
        for row in re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
        for name in re.findall(r"\b(?:VAULT|BMO)_\w+", row)
    }
    assert _variables() == listed


def _variables() -> set[str]:
    """The VAULT_* and BMO_* variables that the code names: whole, as a setting's name, or as a cloud's prefix and a name."""
    from vault.providers.cloud.issuing import OVERRIDES

    source = "\n".join(path.read_text("utf-8") for path in (ROOT / "vault").rglob("*.py"))
    return set(re.findall(r"\bVAULT_[A-Z_]*[A-Z]\b", source)) - {"VAULT_AWS"} | set(OVERRIDES)


def test_the_providers_page_counts_the_catalogue() -> None:
    from vault.providers.catalogue import providers

    page = (ROOT / "docs" / "providers.md").read_text("utf-8")
    assert f"knows {len(providers())} providers" in page
