"""Names that are wider than the vault's: each entry is taken, under a name of its own, and goes back under the name it had."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.flat import put
from tests.support import Files, make_files
from vault.commands.former import under_known_names
from vault.commands.importing import SAME, TAKEN, take_over
from vault.context import Context
from vault.events.credentials import ApiKey, Token
from vault.interop.findings import Findings, Found, FoundOrder
from vault.interop.plans import Outgoing, Target
from vault.interop.tools import tool
from vault.values import MAIN_AGENT, ProfileId, ProviderId, foreign_profile, original_of, parse_profile

NAMES = [
    "my_provider",
    "LMStudio",
    "lmstudio",
    "a b",
    "a-b",
    "ä",
    "x" * 150,
    "50%",
    "-dash",
    "under_score.",
    "[::1]:3000",
]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path / "vault")


@pytest.fixture
def context(files: Files) -> Iterator[Context]:
    with files.open() as opened:
        yield opened


def opencode(folder: Path) -> Path:
    path = folder / "auth.json"
    path.write_text(json.dumps({n: {"type": "api", "key": f"fake-{i}"} for i, n in enumerate(NAMES)}))
    return path


def openclaw(folder: Path) -> Path:
    path = folder / "auth-profiles.json"
    profiles = {
        f"openai:{n}": {"type": "api_key", "provider": "openai", "key": f"fake-{i}"} for i, n in enumerate(NAMES)
    }
    path.write_text(json.dumps({"version": 1, "profiles": profiles}))
    return path


def aws(folder: Path) -> Path:
    path = folder / "credentials"
    usable = [n for n in NAMES if not n.startswith("[")]
    keys = "".join(
        f"[{n}]\naws_access_key_id = fake-id\naws_secret_access_key = fake-{i}\n" for i, n in enumerate(usable)
    )
    path.write_text(keys)
    return path


def huggingface(folder: Path) -> Path:
    path = folder / "stored_tokens"
    usable = [n for n in NAMES if not n.startswith("[")]
    path.write_text("".join(f"[{n}]\nhf_token = fake-{i}\n" for i, n in enumerate(usable)))
    return path


def gh(folder: Path) -> Path:
    path = folder / "hosts.yml"
    hosts = ["github.com", "ghe.example:8443", "ghe.example-8443", "my_ghe.example"]
    body = {
        h: {"users": {"me": {"oauth_token": f"fake-{i}"}, "My Name": {"oauth_token": f"fake-n{i}"}}, "user": "me"}
        for i, h in enumerate(hosts)
    }
    path.write_text(json.dumps(body))
    return path


def llm(folder: Path) -> Path:
    path = folder / "keys.json"
    path.write_text(json.dumps({n: f"fake-{i}" for i, n in enumerate(NAMES)}))
    return path


def cline(folder: Path) -> Path:
    path = folder / "providers.json"
    entries = {n: {"settings": {"provider": n, "apiKey": f"fake-{i}"}} for i, n in enumerate(NAMES) if n != "lmstudio"}
    path.write_text(json.dumps({"version": 1, "providers": entries}))
    return path


STORES: dict[str, Callable[[Path], Path]] = {
    "opencode": opencode, "openclaw": openclaw, "aws": aws, "huggingface": huggingface, "gh": gh, "llm": llm, "cline": cline,
}  # fmt: skip


def secrets(findings: Findings) -> list[Any]:
    return sorted(str(f.credential.secret() or getattr(f.credential, "secrets", "")) for f in findings.found)


@pytest.mark.parametrize("name", STORES)
def test_every_entry_is_taken_under_a_name_of_its_own(name: str, tmp_path: Path, context: Context) -> None:
    reader = tool(name).read
    assert reader is not None
    findings = reader(STORES[name](tmp_path), {}, tmp_path)
    assert findings.skipped == []
    names = [f.profile for f in findings.found]
    assert len(names) >= 7
    assert len(set(names)) == len(names) == len(set(secrets(findings)))
    assert all(parse_profile(n) == n for n in names)
    assert take_over(context, findings).count(TAKEN) >= len(names)
    assert take_over(context, findings).count(TAKEN) == 0


@pytest.mark.parametrize("name", ["opencode", "aws", "huggingface", "gh", "llm", "cline"])
def test_what_was_taken_goes_back_under_the_name_it_had(name: str, tmp_path: Path) -> None:
    found = tool(name)
    assert found.read is not None
    assert found.write is not None
    source = STORES[name](tmp_path)
    findings = found.read(source, {}, tmp_path)
    there = tmp_path / "new" / source.name
    there.parent.mkdir()
    ones = [Outgoing(f.agent, f.profile, f.credential, f.label, f.account) for f in findings.found]
    plan = found.write(ones, {}, Target({}, tmp_path / "new", there))
    left = {one.name for one in plan.left_out}
    put(plan)
    again = found.read(there, {}, tmp_path)
    assert {f.profile for f in again.found} >= {f.profile for f in findings.found} - left
    long = {f.profile for f in findings.found if original_of(f.profile)[0].endswith("…")}
    assert left <= long, "only of a shortened provider the name there isn't known"


def earlier(context: Context, tool_name: str, profile: str, secret: str) -> None:
    found = Found(MAIN_AGENT, ProfileId(profile), Token(token=secret), "/fake")
    take_over(context, Findings(tool_name, found=[found]))


def test_what_an_earlier_version_took_keeps_its_name(context: Context, tmp_path: Path) -> None:
    earlier(context, "gh", "ghe.example-8443:me", "fake-1")
    reader = tool("gh").read
    assert reader is not None
    findings = reader(gh(tmp_path), {}, tmp_path)
    done = take_over(context, findings)
    assert {line.what for line in done.lines if line.action == SAME} == set()
    kept = context.queries.profile(MAIN_AGENT, ProfileId("ghe.example-8443:me"))
    assert kept is not None
    assert kept.current is not None
    assert "ghe.example%3a8443:me" in {line.what for line in done.lines}, "that name is another host's own"


def test_a_former_name_goes_to_the_entry_whose_secret_is_there(context: Context) -> None:
    earlier(context, "opencode", "corp.example:a-b", "fake-2")
    former = ProfileId("corp.example:a-b")
    provider = ProviderId("corp.example")
    one, two = (
        Found(MAIN_AGENT, foreign_profile(provider, n), Token(token=s), "/fake", former=former)
        for n, s in (("a/b", "fake-1"), ("a b", "fake-2"))
    )
    order = FoundOrder(MAIN_AGENT, provider, (one.profile, two.profile), "/fake")
    named = under_known_names(context, Findings("opencode", found=[one, two], orders=[order]))
    assert [f.profile for f in named.found] == ["corp.example:a/b", "corp.example:a-b"]
    assert named.orders[0].profiles == ("corp.example:a/b", "corp.example:a-b")
    assert under_known_names(context, Findings("crush", found=[two])).found == [two], "another tool's is another"
    take_over(context, Findings("opencode", found=[one, two]))
    assert under_known_names(context, named).found == named.found


def test_a_section_can_t_end_early(tmp_path: Path) -> None:
    """A name from a tool that allows anything is written so that it can't be read as more than a name."""
    for name in ("a]\n[default", "a\nb", " a", "a]"):
        one = Outgoing(MAIN_AGENT, foreign_profile(ProviderId("huggingface"), name), ApiKey(key="fake-key"))
        found = tool("huggingface")
        assert found.write is not None
        assert found.read is not None
        path = tmp_path / "stored_tokens"
        path.unlink(missing_ok=True)
        put(found.write([one], {}, Target({}, tmp_path, path)))
        assert [f.credential.secret() for f in found.read(path, {}, tmp_path).found] == ["fake-key"]
