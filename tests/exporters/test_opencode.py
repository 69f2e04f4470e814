"""What OpenCode's files become: auth.json in its exact types, the plugin and its placeholders, a child's variable."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.flat import COMMANDS
from tests.importers.stores import by_profile, skipped, snapshot, write_json
from vault.errors import InputError, StorageError
from vault.events.credentials import AnyCredential, ApiKey, Cloud, OAuth, Reference, Token, WellKnown
from vault.interop import opencode, opencode_plugin
from vault.interop.findings import Found
from vault.interop.opencode_plugin import connect, disconnect, plugin_file, scrub
from vault.interop.opencode_writing import CONTENT, inject, write
from vault.interop.plans import Link, Outgoing, Plan, Target
from vault.interop.writing import carry_out
from vault.values import MAIN_AGENT, AgentId, ProfileId, ProviderId

MILLISECOND = 1_000
EXPIRES_MS = 1_795_400_000_000
CHATGPT = OAuth(
    access="fake-access-openai-1",
    refresh="fake-refresh-openai-1",
    expires_at=EXPIRES_MS * MILLISECOND,
    account={"accountId": "account-1", "email": "me@example.com"},
    metadata={"client": "openai-chatgpt"},
)
CHATGPT_ENTRY = {
    "type": "oauth",
    "refresh": "fake-refresh-openai-1",
    "access": "fake-access-openai-1",
    "expires": EXPIRES_MS,
    "accountId": "account-1",
}


@pytest.fixture
def target(tmp_path: Path) -> Target:
    environ = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    return Target(environ, tmp_path / "home", commands=COMMANDS)


@pytest.fixture
def auth(tmp_path: Path) -> Path:
    return tmp_path / "data" / "opencode" / "auth.json"


def out(profile: str, credential: AnyCredential, *, whole: bool = True) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(profile), credential, whole=whole)


def key(profile: str, text: str = "") -> Outgoing:
    return out(profile, ApiKey(key=text or f"fake-key-{profile.replace(':', '-')}"))


def written(plan: Plan) -> Any:
    """The auth.json of a plan; None when it isn't written."""
    found = [w for w in plan.writes if w.path.name == "auth.json"]
    assert all(w.secret and w.mode == 0o600 for w in found)
    return json.loads(found[0].content) if found else None


def whys(plan: Plan) -> dict[str, str]:
    return {entry.name: entry.why for entry in plan.left_out}


def link(*what: str, agent: str = "main", **options: str) -> Link:
    return Link("/opt/vault", AgentId(agent), what, options)


def table(plan: Plan) -> dict[str, Any]:
    """What the plugin of a plan serves."""
    (text,) = (w.content.decode() for w in plan.writes if w.path.name == "vault.js")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text.partition("const SERVED = ")[2])[0]
    assert text.count("export const") == len(found)
    for provider in found:
        assert f'serve("{provider}")' in text
    return found


def take(path: Path) -> list[Found]:
    return opencode.read(path, {}, path.parent).found


def test_every_kind_is_written_as_opencode_wants_it(target: Target, auth: Path) -> None:
    azure = ApiKey(key="fake-key-azure-1", metadata={"resourceName": "lab"})
    copilot = OAuth(access="fake-token-github-1", metadata={"enterpriseUrl": "company.example"})
    server = WellKnown(url="https://corp.example", env="CORP_TOKEN", token="fake-token-corp-1")
    plan = write(
        [
            key("groq:work"),
            out("azure:default", azure),
            out("openai:default", CHATGPT),
            out("github-copilot:default", copilot),
            out("lab:default", Token(token="fake-token-lab-1")),
            out("corp.example:default", server),
        ],
        {},
        target,
    )
    assert written(plan) == {
        "groq": {"type": "api", "key": "fake-key-groq-work"},
        "azure": {"type": "api", "key": "fake-key-azure-1", "metadata": {"resourceName": "lab"}},
        "openai": CHATGPT_ENTRY,
        "github-copilot": {
            "type": "oauth",
            "refresh": "fake-token-github-1",
            "access": "fake-token-github-1",
            "expires": 0,
            "enterpriseUrl": "company.example",
        },
        "lab": {"type": "api", "key": "fake-token-lab-1"},
        "https://corp.example": {"type": "wellknown", "key": "CORP_TOKEN", "token": "fake-token-corp-1"},
    }
    assert type(written(plan)["openai"]["expires"]) is int
    assert plan.writes[0].path == auth
    assert {w.name: (w.profile, w.whole, w.path) for w in plan.written} == {
        "groq": ("groq:work", False, str(auth)),
        "azure": ("azure:default", False, str(auth)),
        "openai": ("openai:default", True, str(auth)),
        "github-copilot": ("github-copilot:default", False, str(auth)),
        "lab": ("lab:default", False, str(auth)),
        "https://corp.example": ("corp.example:default", False, str(auth)),
    }
    assert not plan.left_out


def test_expiry_is_whole_milliseconds_and_never_becomes_never(target: Target) -> None:
    def expires(at: int | None) -> int:
        login = OAuth(access="fake-access-1", refresh="fake-refresh-1", expires_at=at)
        found: int = written(write([out("openai:default", login)], {}, target))["openai"]["expires"]
        return found

    assert expires(None) == 0
    assert expires(EXPIRES_MS * MILLISECOND + 999) == EXPIRES_MS
    assert expires(1) == 1


def test_what_cannot_be_written_says_what_to_do(target: Target) -> None:
    claude = OAuth(access="fake-access-claude", refresh="fake-refresh-claude")
    plan = write(
        [
            out("openai:default", CHATGPT, whole=False),
            out("anthropic:default", claude),
            out("anthropic:token", Token(token="sk-ant-oat-fake-token-1")),
            out("amazon-bedrock:default", Cloud(mode="keys", secrets={"a": "fake-secret-1", "b": "fake-secret-2"})),
            out("groq:default", Reference(scheme="env", target="GROQ_API_KEY")),
        ],
        {},
        target,
    )
    assert plan.empty
    assert not plan.written
    why = whys(plan)
    assert "vault connect opencode" in why["openai:default"]
    assert "API key" in why["anthropic:default"]
    assert "Claude" in why["anthropic:token"]
    assert "vault exec --tool opencode" in why["amazon-bedrock:default"]
    assert "references" in why["groq:default"]
    assert "fake" not in str(plan.left_out)


def test_one_credential_a_provider_the_first_of_the_order(target: Target) -> None:
    both = [key("groq:work"), key("groq:home")]
    order = {ProviderId("groq"): [ProfileId("groq:home"), ProfileId("groq:work")]}
    plan = write(both, order, target)
    assert written(plan) == {"groq": {"type": "api", "key": "fake-key-groq-home"}}
    assert "groq:home is it" in whys(plan)["groq:work"]
    assert written(write(both, {}, target))["groq"]["key"] == "fake-key-groq-work"


def test_what_is_there_stays(target: Target, auth: Path) -> None:
    there = {
        "newer": {"type": "passkey", "blob": [1, {"a": None}]},
        "https://corp.example/": {"type": "wellknown", "key": "CORP_TOKEN", "token": "fake-token-corp-0"},
        "groq": {"type": "api", "key": "fake-key-groq-0", "note": "mine"},
        "list": ["x"],
    }
    write_json(auth, there)
    server = WellKnown(url="https://corp.example", env="CORP_TOKEN", token="fake-token-corp-1")
    plan = write([key("groq:default", "fake-key-groq-1"), out("corp.example:default", server)], {}, target)
    new = written(plan)
    assert list(new) == list(there)
    assert new["newer"] == there["newer"]
    assert new["list"] == there["list"]
    assert new["groq"] == {"type": "api", "key": "fake-key-groq-1", "note": "mine"}
    assert new["https://corp.example/"]["token"] == "fake-token-corp-1"
    assert write([key("groq:default", "fake-key-groq-0")], {}, target).empty, "what is there already is not written"


def test_a_login_that_opencode_refreshes_is_never_overwritten(target: Target, auth: Path) -> None:
    newer = CHATGPT_ENTRY | {"refresh": "fake-refresh-openai-2", "access": "fake-access-openai-2"}
    write_json(auth, {"openai": newer})
    for one in (out("openai:default", CHATGPT), key("openai:work")):
        plan = write([one], {}, target)
        assert plan.empty
        assert "opencode auth logout openai" in whys(plan)[one.profile]
    write_json(auth, {"openai": CHATGPT_ENTRY | {"email": "x"}})
    same = write([out("openai:default", CHATGPT, whole=False)], {}, target)
    assert same.empty
    assert [w.profile for w in same.written] == ["openai:default"]


@pytest.mark.parametrize("content", ["", "{", '{"groq": {"type": "api", "key": "fake-secret-canary"', "[]", '"text"'])
def test_a_damaged_file_is_named_and_nothing_is_planned(content: str, target: Target, auth: Path) -> None:
    auth.parent.mkdir(parents=True)
    auth.write_text(content)
    for do in (
        lambda: write([key("groq:default")], {}, target),
        lambda: connect(link("groq"), target),
        lambda: disconnect(target),
        lambda: scrub([], link(), target),
    ):
        with pytest.raises(InputError, match=r"auth\.json") as caught:
            do()
        assert "canary" not in str(caught.value)
    assert auth.read_text() == content


@pytest.mark.parametrize("content", ["", "{", '{"groq": {"type": "api", "key": "fake-secret-canary"', "[]", None])
def test_a_damaged_file_keeps_no_child_from_its_credentials(content: str | None, target: Target, auth: Path) -> None:
    auth.parent.mkdir(parents=True)
    auth.mkdir() if content is None else auth.write_text(content)
    given = inject([key("groq:default")], target)
    assert set(json.loads(given.variables[CONTENT].reveal())) == {"groq"}
    (note,) = given.notes
    assert str(auth) in note
    assert "OpenCode is given what the vault has for it, and nothing of that file" in note
    assert "canary" not in note


def test_the_file_is_replaced_private_whole_and_through_a_link(target: Target, auth: Path, tmp_path: Path) -> None:
    real = write_json(tmp_path / "elsewhere" / "auth.json", {"groq": {"type": "api", "key": "fake-key-groq-0"}})
    real.chmod(0o644)
    auth.parent.mkdir(parents=True)
    auth.symlink_to(real)
    inode = real.stat().st_ino
    carry_out(write([key("groq:default")], {}, target))
    assert auth.is_symlink()
    assert json.loads(real.read_text())["groq"]["key"] == "fake-key-groq-default"
    assert real.stat().st_mode & 0o777 == 0o600
    assert real.stat().st_ino != inode
    auth.unlink()
    auth.mkdir()
    with pytest.raises(StorageError):
        write([key("groq:default")], {}, target)


@pytest.mark.parametrize("place", ["data/opencode/auth.json", "data/opencode", "data"])
def test_a_place_may_be_named(place: str, target: Target, auth: Path, tmp_path: Path) -> None:
    write_json(auth, {})
    plan = write([key("groq:default")], {}, Target({}, tmp_path, tmp_path / place))
    assert plan.writes[0].path == auth
    assert plan.written[0].path == str(auth)


def test_a_setting_that_wins_is_noted(target: Target, tmp_path: Path) -> None:
    config = tmp_path / "config" / "opencode" / "opencode.json"
    write_json(config, {"provider": {"groq": {"options": {"apiKey": "fake-secret-canary"}}, "xai": {}}})
    for plan in (write([key("groq:default"), key("xai:default")], {}, target), connect(link("groq", "xai"), target)):
        (note,) = (n for n in plan.notes if "opencode.json" in n)
        assert "provider.groq.options.apiKey" in note
        assert "canary" not in note
    assert any("about a minute and a half" in n for n in connect(link("xai"), target).notes)
    (config.parent / "node_modules").mkdir()
    assert connect(link("xai"), target).notes == []
    config.write_text("// a comment\n{")
    assert write([key("groq:default")], {}, target).notes == []


def test_connect_writes_the_plugin_and_placeholders(target: Target, auth: Path) -> None:
    plan = connect(link("anthropic", "groq:work", "github-copilot", agent="bot"), target)
    assert [w.path for w in plan.writes] == [plugin_file(target), auth], "the plugin first: no placeholder without it"
    assert (plan.writes[0].secret, plan.writes[1].secret) == (False, True)
    asks = {provider: row["ask"] for provider, row in table(plan).items()}
    assert asks == {
        "anthropic": ["/opt/vault", "helper", "token", "anthropic", "--tool", "opencode", "--agent", "bot"],
        "groq": ["/opt/vault", "helper", "token", "groq:work", "--tool", "opencode", "--agent", "bot"],
        "github-copilot": ["/opt/vault", "helper", "token", "github-copilot", "--tool", "opencode", "--agent", "bot"],
    }
    document = written(plan)
    assert document["anthropic"] == {"type": "api", "key": "vault:anthropic"}
    assert document["groq"] == {"type": "api", "key": "vault:groq"}
    copilot = document["github-copilot"]
    assert (copilot["type"], copilot["access"], copilot["refresh"]) == ("oauth", *["vault:github-copilot"] * 2)
    assert copilot["expires"] > EXPIRES_MS
    carry_out(plan)
    assert not opencode.read(auth, {}, auth.parent).found, "an import takes no placeholder"
    assert set(skipped(opencode.read(auth, {}, auth.parent))) == set(document)
    again = connect(link("anthropic", "groq:work", "github-copilot", agent="bot"), target)
    assert [w.content for w in again.writes] == [plan.writes[0].content]


def test_connect_takes_any_name_of_a_provider(target: Target) -> None:
    assert set(table(connect(link("gemini", "Groq"), target))) == {"google", "groq"}
    with pytest.raises(InputError):
        connect(link("Gruq Ltd"), target)


def test_a_chatgpt_login_gets_a_login_as_placeholder(target: Target) -> None:
    plan = connect(link("openai", openai="oauth"), target)
    assert table(plan)["openai"]["login"] is True
    assert table(plan)["openai"]["ask"][2] == "token"
    assert written(plan)["openai"]["type"] == "oauth"
    carry_out(plan)
    assert table(connect(link("openai"), target))["openai"]["login"] is True, "nothing said: as it is"
    changed = connect(link("openai", openai="api_key"), target)
    assert written(changed)["openai"] == {"type": "api", "key": "vault:openai"}
    assert table(changed)["openai"]["ask"][2] == "api-key", "a sign-in that stands before the key is passed over"


def test_connecting_again_adds_and_asks_with_the_agent_of_now(target: Target) -> None:
    carry_out(connect(link("groq:work"), target))
    more = table(connect(link("xai", agent="bot"), target))
    assert {p: row["what"] for p, row in more.items()} == {"groq": "groq:work", "xai": "xai"}
    assert all(row["ask"][-2:] == ["--agent", "bot"] for row in more.values())


def test_connect_leaves_what_it_must_not_touch(target: Target, auth: Path) -> None:
    there = {
        "openai": CHATGPT_ENTRY,
        "github-copilot": {"type": "oauth", "access": "fake-token-1", "refresh": "fake-token-1", "expires": 0},
        "groq": {"type": "api", "key": "fake-key-groq-0"},
        "newer": {"type": "passkey"},
    }
    write_json(auth, there)
    what = ("openai", "github-copilot", "groq", "newer", "amazon-bedrock", "corp.example", "xai:a", "xai:b")
    plan = connect(link(*what), target)
    assert written(plan) == there | {"xai": {"type": "api", "key": "vault:xai"}}
    assert set(table(plan)) == {"groq", "xai"}
    assert set(whys(plan)) == {"openai", "github-copilot", "newer", "amazon-bedrock", "corp.example", "xai:b"}
    assert "refreshes it" in whys(plan)["openai"]
    assert "xai:a is served" in whys(plan)["xai:b"]
    assert any("groq" in note and "--scrub" in note for note in plan.notes)
    assert connect(link("openai"), target).empty


def test_disconnect_takes_back_only_what_connect_put(target: Target, auth: Path) -> None:
    before = {"groq": {"type": "api", "key": "fake-key-groq-0"}, "newer": {"type": "passkey"}}
    write_json(auth, before)
    carry_out(connect(link("groq", "xai"), target))
    edited = json.loads(auth.read_text()) | {"mistral": {"type": "api", "key": "fake-key-mistral-1"}}
    write_json(auth, edited)
    plan = disconnect(target)
    assert plan.removes == [plugin_file(target)]
    assert written(plan) == before | {"mistral": {"type": "api", "key": "fake-key-mistral-1"}}
    carry_out(plan)
    assert disconnect(target).empty


def test_somebody_elses_file_is_left_alone(target: Target) -> None:
    place = plugin_file(target)
    place.parent.mkdir(parents=True)
    place.write_text("export const Mine = async () => ({})\n")
    with pytest.raises(InputError, match=r"vault\.js"):
        connect(link("groq"), target)
    plan = disconnect(target)
    assert plan.empty
    assert [s.path for s in plan.left_out] == [str(place)]


def test_a_plugin_whose_table_was_broken_is_written_anew(target: Target) -> None:
    carry_out(connect(link("groq"), target))
    place = plugin_file(target)
    place.write_text(place.read_text().replace('"what"', '"whom"'))
    assert set(table(connect(link("xai"), target))) == {"xai"}


def test_scrub_puts_placeholders_in_place_of_secrets(target: Target, auth: Path) -> None:
    there = {
        "newer": {"type": "passkey"},
        "groq/": {"type": "api", "key": "fake-key-groq-0"},
        "azure": {"type": "api", "key": "fake-key-azure-1", "metadata": {"resourceName": "lab"}},
        "github-copilot": {
            "type": "oauth",
            "access": "fake-token-1",
            "refresh": "fake-token-1",
            "expires": 0,
            "enterpriseUrl": "company.example",
        },
        "openai": CHATGPT_ENTRY,
        "poe": {"type": "oauth", "access": "fake-key-poe-1", "refresh": "fake-key-poe-1", "expires": 0},
        "https://corp.example": {"type": "wellknown", "key": "CORP_TOKEN", "token": "fake-token-corp-1"},
        "xai": {"type": "api", "key": "fake-key-xai-1"},
    }
    write_json(auth, there)
    found = take(auth)
    write_json(auth, there | {"xai": {"type": "api", "key": "fake-key-xai-2"}})
    plan = scrub(found, link(), target)
    new = written(plan)
    assert new["azure"] == {"type": "api", "key": "vault:azure", "metadata": {"resourceName": "lab"}}
    assert new["groq"] == {"type": "api", "key": "vault:groq"}
    assert new["github-copilot"]["access"] == "vault:github-copilot"
    assert new["github-copilot"]["enterpriseUrl"] == "company.example"
    for name in ("newer", "openai", "poe", "https://corp.example"):
        assert new[name] == there[name]
    assert new["xai"]["key"] == "fake-key-xai-2", "what changed since is not what the vault holds"
    assert "groq/" not in new
    assert set(table(plan)) == {"azure", "groq", "github-copilot"}
    assert set(whys(plan)) == {"openai:default", "poe:default", "corp.example:default", "xai:default"}
    carry_out(plan)
    left = auth.read_text() + plugin_file(target).read_text()
    for secret in ("fake-key-groq-0", "fake-key-azure-1", "fake-token-1"):
        assert secret not in left
    assert scrub([], link(), target).left_out == []


def test_a_child_gets_everything_in_one_variable(target: Target, auth: Path) -> None:
    write_json(auth, {"mistral": {"type": "api", "key": "fake-key-mistral-1"}, "groq/": {"type": "api", "key": "old"}})
    before = snapshot(auth.parent)
    given = inject(
        [
            key("groq:work"),
            out("openai:default", CHATGPT, whole=False),
            out("anthropic:default", OAuth(access="fake-access-claude")),
        ],
        target,
    )
    assert snapshot(auth.parent) == before
    assert set(given.variables) == {CONTENT}
    assert json.loads(given.variables[CONTENT].reveal()) == {
        "mistral": {"type": "api", "key": "fake-key-mistral-1"},
        "groq": {"type": "api", "key": "fake-key-groq-work"},
        "openai": CHATGPT_ENTRY | {"refresh": ""},
    }
    assert list(given.used) == ["groq:work", "openai:default"]
    assert {"GROQ_API_KEY", "OPENAI_API_KEY"} <= given.remove
    assert "ANTHROPIC_API_KEY" not in given.remove
    assert "fake-key" not in repr(given)
    outer = Target({CONTENT: '{"xai": {"type": "api", "key": "fake-key-xai-1"}}'}, target.home)
    assert set(json.loads(inject([key("groq:work")], outer).variables[CONTENT].reveal())) == {"xai", "groq"}
    assert inject([], target).variables == {}


secrets = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789-_."), min_size=1, max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
unknown = st.dictionaries(st.sampled_from(["note", "email", "newer", "methodID"]), values, max_size=3)
api = st.fixed_dictionaries(
    {"type": st.just("api"), "key": secrets},
    optional={"metadata": st.dictionaries(st.sampled_from(["accountId", "routers", "x"]), values, max_size=3) | values},
)
login = st.fixed_dictionaries(
    {
        "type": st.just("oauth"),
        "access": secrets,
        "refresh": secrets | st.just(""),
        "expires": st.just(0) | st.integers(1, 2**53),
    },
    optional={
        "accountId": st.text(max_size=8) | st.none(),
        "enterpriseUrl": st.text(max_size=8),
        "metadata": st.dictionaries(st.sampled_from(["a", "enterpriseUrl", "client"]), values, max_size=3),
    },
)
server = st.fixed_dictionaries({"type": st.just("wellknown"), "key": st.just("CORP_TOKEN"), "token": secrets})
known = st.builds(lambda entry, more: {**more, **entry}, api | login, unknown)
provider_names = st.sampled_from(["groq", "openai", "xai", "my-lab", "azure", "gitlab", "302ai", "wafer.ai"])
urls = st.sampled_from(["https://a.example", "https://a.example:1/b", "http://[::1]", "https://b.example/x/y"])
documents = st.builds(
    lambda one, two: {**one, **two},
    st.dictionaries(provider_names, known, max_size=4),
    st.dictionaries(urls, st.builds(lambda entry, more: {**more, **entry}, server, unknown), max_size=2),
)


def outgoing_of(found: Sequence[Found]) -> list[Outgoing]:
    return [out(f.profile, f.credential) for f in found]


@given(document=documents)
def test_a_document_read_and_written_is_the_same_document(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("round")
    auth = write_json(folder / "auth.json", document)
    findings = opencode.read(auth, {}, folder)
    by_profile(findings)
    went = {f.profile for f in findings.found}
    plan = write(outgoing_of(findings.found), {}, Target({}, folder, folder / "empty" / "auth.json"))
    missing = len(document) - len(went)
    assert len(findings.skipped) == missing, "only the same credential twice is left out"
    assert not plan.left_out
    again = written(plan) or {}
    assert again == {name: entry for name, entry in document.items() if name in again}
    assert len(again) == len(went)
    over = write(outgoing_of(findings.found), {}, Target({}, folder, auth))
    assert over.empty, "written over itself, nothing changes"
    assert {w.profile for w in over.written} == went


@given(document=st.dictionaries(provider_names | urls | st.text(max_size=6), known | values, max_size=5))
def test_writing_connecting_and_disconnecting_lose_nothing(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lose")
    auth = write_json(folder / "auth.json", document)
    target = Target({"XDG_CONFIG_HOME": str(folder / "config")}, folder, auth, commands=COMMANDS)
    carry_out(connect(link("groq", "mistral", "openai"), target))
    kept = json.loads(auth.read_text())
    assert {name: kept[name] for name in document} == document
    carry_out(disconnect(target))
    assert json.loads(auth.read_text()) == document
    new = written(write([key("mistral:default")], {}, target))
    assert {name: new[name] for name in document} == document
    assert set(new) - set(document) == {"mistral"}


def test_the_plugin_is_there_in_the_package() -> None:
    text = opencode_plugin.plugin_text({})
    assert text.startswith("// Made by agent-vault:")
    assert "const SERVED = {}" in text
