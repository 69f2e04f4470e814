"""Codex's auth.json and config.toml as the vault writes them."""

from __future__ import annotations

import fcntl
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exporters.round_trip import SECRETS, at, done, kept, target, unknown
from tests.importers.stores import write_json
from tests.importers.test_codex import ACCESS, IDENTITY, LOGIN, jwt
from vault.errors import InputError, TryAgain
from vault.events.credentials import ApiKey, OAuth, Token
from vault.interop import codex
from vault.interop.codex_store import locked, place_of
from vault.interop.plans import Link, Outgoing, Plan
from vault.values import MAIN_AGENT, ProfileId, Secret

TOOL = codex.TOOL
LINK = Link("/opt/my tools/vault", MAIN_AGENT)

TOKENS = st.builds(
    lambda access, optional, more: {"id_token": IDENTITY, "access_token": access, **optional, **more},
    st.integers(1, 9_000_000_000).map(lambda ends: jwt(exp=ends)) | SECRETS,
    st.fixed_dictionaries({"refresh_token": SECRETS}, optional={"account_id": st.none() | st.just("account-1")}),
    unknown(),
)
DOCUMENTS = st.builds(
    lambda what, more: what | more,
    st.one_of(
        st.fixed_dictionaries(
            {"tokens": TOKENS},
            optional={
                "auth_mode": st.just("chatgpt"),
                "OPENAI_API_KEY": st.none(),
                "last_refresh": st.just("2026-11-20T00:00:00Z"),
            },
        ),
        st.fixed_dictionaries({"OPENAI_API_KEY": SECRETS}, optional={"auth_mode": st.just("apikey")}),
        st.fixed_dictionaries({"personal_access_token": SECRETS, "auth_mode": st.just("personalAccessToken")}),
        st.fixed_dictionaries(
            {
                "auth_mode": st.just("bedrockApiKey"),
                "bedrock_api_key": st.fixed_dictionaries({"api_key": SECRETS, "region": st.just("eu-west-1")}),
            }
        ),
        st.fixed_dictionaries(
            {
                "auth_mode": st.just("bedrockAccessKeys"),
                "bedrock_access_keys": st.fixed_dictionaries(
                    {"access_key_id": SECRETS, "secret_access_key": SECRETS},
                    optional={"session_token": SECRETS | st.none()},
                ),
            }
        ),
    ),
    unknown(),
)


def outgoing(profile: str, credential: Any, whole: bool = True) -> Outgoing:
    return Outgoing(MAIN_AGENT, ProfileId(profile), credential, whole=whole)


def write(home: Path, *wanted: Outgoing) -> Plan:
    assert TOOL.write is not None
    return TOOL.write(wanted, {}, target(home))


def connect(home: Path, *what: str, **options: str) -> Plan:
    assert TOOL.connect is not None
    return TOOL.connect(Link(LINK.command, LINK.agent, what, options), target(home))


def disconnect(home: Path) -> Plan:
    assert TOOL.disconnect is not None
    return TOOL.disconnect(target(home))


def config_of(home: Path, text: str | None = None) -> Path:
    path = home / ".codex" / "config.toml"
    if text is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return path


@given(document=DOCUMENTS)
def test_what_was_read_is_put_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, document: Any) -> None:
    home, empty = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("empty")
    write_json(home / ".codex" / "auth.json", document)
    findings = codex.read(None, {}, home)
    assert findings.skipped == []
    found = kept(findings.found)
    for place in (home, empty):
        plan = done(write(place, *found))
        assert plan.left_out == []
        path = place / ".codex" / "auth.json"
        assert at(path) == document
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_as_codex_writes_it(tmp_path: Path) -> None:
    done(write(tmp_path, outgoing("openai:default", ApiKey(key="fake-key-1"))))
    text = '{\n  "auth_mode": "apikey",\n  "OPENAI_API_KEY": "fake-key-1"\n}'
    assert (tmp_path / ".codex" / "auth.json").read_text() == text


def test_a_new_key_keeps_what_is_unknown(tmp_path: Path) -> None:
    path = write_json(tmp_path / ".codex" / "auth.json", {"OPENAI_API_KEY": "fake-key-1", "newer": [1]})
    done(write(tmp_path, outgoing("openai:default", ApiKey(key="fake-key-2"))))
    assert at(path) == {"auth_mode": "apikey", "OPENAI_API_KEY": "fake-key-2", "newer": [1]}


def test_a_login_of_the_vaults_own_goes_whole_or_not_at_all(tmp_path: Path) -> None:
    login = OAuth(access=ACCESS, refresh="fake-refresh-1", id_token=IDENTITY, account={"accountId": "account-1"})
    plan = write(tmp_path, outgoing("openai:me", login, whole=False))
    assert plan.empty
    assert "codex login" in plan.left_out[0].why
    plan = done(write(tmp_path, outgoing("openai:me", login)))
    assert plan.written[0].whole
    assert at(tmp_path / ".codex" / "auth.json") == {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": IDENTITY,
            "access_token": ACCESS,
            "refresh_token": "fake-refresh-1",
            "account_id": "account-1",
        },
        "last_refresh": "2026-01-01T00:00:00.000000Z",
    }


def test_a_login_in_the_store_is_not_lost(tmp_path: Path) -> None:
    path = write_json(tmp_path / ".codex" / "auth.json", LOGIN)
    before = path.read_bytes()
    plan = write(tmp_path, outgoing("openai:default", ApiKey(key="fake-key-1")))
    assert plan.empty
    assert "codex logout first" in plan.left_out[0].why
    older = OAuth(access=jwt(exp=1), refresh="fake-refresh-old", expires_at=1_000_000, id_token=IDENTITY)
    plan = write(tmp_path, outgoing("openai:codex", older))
    assert plan.empty
    assert "newer login" in plan.left_out[0].why
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("profile", "credential", "why"),
    [
        ("groq:default", ApiKey(key="fake-key-1"), "no place for groq"),
        ("openai:x", Token(token="fake-token-1"), "no place for a token"),
        ("openai:x", OAuth(access="fake-access", refresh="fake-refresh"), "no identity token"),
        ("amazon-bedrock:x", ApiKey(key="fake-key-1"), "wants a region"),
        ("amazon-bedrock:x", Token(token="fake-token-1"), "AWS's own files"),
    ],
)
def test_what_has_no_place_is_left_out(tmp_path: Path, profile: str, credential: Any, why: str) -> None:
    plan = write(tmp_path, outgoing(profile, credential))
    assert plan.empty
    assert why in plan.left_out[0].why


def test_one_credential_and_no_more(tmp_path: Path) -> None:
    key = ApiKey(key="fake-key-1", metadata={"region": "eu-west-1"})
    plan = write(tmp_path, outgoing("amazon-bedrock:x", key), outgoing("openai:default", ApiKey(key="fake-key-2")))
    assert [w.profile for w in plan.written] == ["openai:default"]
    assert [(s.name, s.why) for s in plan.left_out] == [("amazon-bedrock:x", "Codex keeps one")]


def test_a_store_in_the_keyring_is_not_written_to_a_file(tmp_path: Path) -> None:
    config_of(tmp_path, 'cli_auth_credentials_store = "keyring"\n')
    plan = write(tmp_path, outgoing("openai:default", ApiKey(key="fake-key-1")))
    assert plan.empty
    assert "keyring" in plan.left_out[0].why


def test_damage_is_not_written_over(tmp_path: Path) -> None:
    path = write_json(tmp_path / ".codex" / "auth.json", {})
    path.write_text("{")
    with pytest.raises(InputError, match=r"auth\.json is not valid JSON"):
        write(tmp_path, outgoing("openai:default", ApiKey(key="fake-key-1")))
    path.unlink()
    config_of(tmp_path, "a = \n")
    for act in (connect, disconnect):
        with pytest.raises(InputError, match=r"config\.toml is not valid TOML"):
            act(tmp_path)


CONFIGS = [
    "",
    'model = "o"  # mine\nmodel_provider = "azure" # keep\n\n[model_providers.azure]\nname = "Azure"\n\n[tui]\na = 1 # x\n',
    "# first\n[tui]\na=1\n\n[[hooks]]\nb = 2\n",
    '[model_providers]\n[model_providers.a]\nname = "a"\n',
    '[profiles.x]\nmodel_provider = "azure"\n',
]


@pytest.mark.parametrize("text", CONFIGS)
def test_codex_asks_and_stops_asking(tmp_path: Path, text: str) -> None:
    path = config_of(tmp_path, text)
    path.chmod(0o644)
    plan = done(connect(tmp_path))
    assert [w.secret for w in plan.writes] == [False]
    assert path.stat().st_mode & 0o777 == 0o644
    document = tomllib.loads(path.read_text())
    assert document["model_provider"] == "vault"
    assert document["model_providers"]["vault"] == {
        "name": "openai, from the vault",
        "base_url": "https://api.openai.com/v1",
        "wire_api": "responses",
        "auth": {
            "command": "/opt/my tools/vault",
            "args": ["helper", "api-key", "openai", "--agent", "main", "--tool", "codex"],
            "timeout_ms": 15_000,
            "refresh_interval_ms": 300_000,
        },
    }
    for line in text.splitlines():
        assert line.startswith("model_provider =") or line in path.read_text().splitlines()
    assert connect(tmp_path).writes[0].content == path.read_bytes()
    done(disconnect(tmp_path))
    assert [line for line in path.read_text().splitlines() if line] == [line for line in text.splitlines() if line]
    assert disconnect(tmp_path).empty


def test_later_edits_stay(tmp_path: Path) -> None:
    path = config_of(tmp_path, 'model_provider = "azure"\n')
    done(connect(tmp_path))
    path.write_text(
        "# added\n" + path.read_text().replace('"vault"\n', '"mine"\n', 1) + "\n[model_providers.mine]\nname = 'm'\n"
    )
    done(disconnect(tmp_path))
    assert tomllib.loads(path.read_text()) == {"model_provider": "mine", "model_providers": {"mine": {"name": "m"}}}
    assert path.read_text().startswith("# added\n")


def test_several_providers_and_their_addresses(tmp_path: Path) -> None:
    plan = done(connect(tmp_path, "openai:work", "openrouter"))
    tables = tomllib.loads(config_of(tmp_path).read_text())["model_providers"]
    assert set(tables) == {"vault", "vault-openrouter"}
    assert tables["vault"]["auth"]["args"][2] == "openai:work"
    assert tables["vault-openrouter"]["base_url"] == "https://openrouter.ai/api/v1"
    assert plan.notes == ["codex -c model_provider=vault-openrouter uses openrouter"]
    done(disconnect(tmp_path))
    assert config_of(tmp_path).read_text() == ""


def test_an_address_can_be_given_and_must_be_private(tmp_path: Path) -> None:
    done(connect(tmp_path, "corp", base_url="https://llm.example/v1"))
    assert (
        tomllib.loads(config_of(tmp_path).read_text())["model_providers"]["vault"]["base_url"]
        == "https://llm.example/v1"
    )
    with pytest.raises(InputError, match="not https"):
        connect(tmp_path, "corp", base_url="http://llm.example/v1")
    with pytest.raises(InputError, match="no address of corp"):
        connect(tmp_path, "corp")
    with pytest.raises(InputError, match="of one provider"):
        connect(tmp_path, "openai:a", "openai:b")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('model_providers = { x = { name = "x" } }\n', "on one line"),
        ('[model_providers.vault]\nname = "mine"\n', "of its own"),
    ],
)
def test_what_is_somebodys_own_is_not_taken(tmp_path: Path, text: str, why: str) -> None:
    config_of(tmp_path, text)
    with pytest.raises(InputError, match=why):
        connect(tmp_path)


def test_a_file_with_a_plain_token_is_not_shown(tmp_path: Path) -> None:
    config_of(tmp_path, '[model_providers.x]\nname = "x"\nexperimental_bearer_token = "fake-token-1"\n')
    assert [w.secret for w in connect(tmp_path).writes] == [True]


def test_a_profile_of_its_own_is_told(tmp_path: Path) -> None:
    config_of(tmp_path, '[profiles.x]\nmodel_provider = "azure"\n')
    assert any("goes on using that" in note for note in connect(tmp_path).notes)


def test_a_child_gets_a_key(tmp_path: Path) -> None:
    assert TOOL.inject is not None
    login = outgoing("openai:codex", OAuth(access=ACCESS))
    assert TOOL.inject([login], target(tmp_path)).used == ()
    injected = TOOL.inject([login, outgoing("openai:default", ApiKey(key="fake-key-1"))], target(tmp_path))
    assert injected.variables == {"CODEX_API_KEY": Secret("fake-key-1")}
    assert injected.remove == {"CODEX_ACCESS_TOKEN"}


def test_a_key_in_plain_text_gives_way_to_a_command(tmp_path: Path) -> None:
    assert TOOL.scrub is not None
    path = write_json(tmp_path / ".codex" / "auth.json", {"auth_mode": "apikey", "OPENAI_API_KEY": "fake-key-1"})
    plan = done(TOOL.scrub(codex.read(None, {}, tmp_path).found, LINK, target(tmp_path)))
    assert not path.exists()
    assert plan.left_out == []
    table = tomllib.loads(config_of(tmp_path).read_text())["model_providers"]["vault"]
    assert table["auth"]["args"] == ["helper", "api-key", "openai:default", "--agent", "main", "--tool", "codex"]


@pytest.mark.parametrize("document", [LOGIN, {"OPENAI_API_KEY": "fake-key-1", "newer": 1}])
def test_what_is_more_than_a_key_is_not_removed(tmp_path: Path, document: Any) -> None:
    assert TOOL.scrub is not None
    write_json(tmp_path / ".codex" / "auth.json", document)
    plan = TOOL.scrub(codex.read(None, {}, tmp_path).found, LINK, target(tmp_path))
    assert plan.empty
    assert len(plan.left_out) == 1


@pytest.mark.parametrize("name", ["auth.lock", "auth.json.lock"])
def test_its_locks_are_honoured(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ".codex"
    folder.mkdir()
    place = place_of({}, tmp_path)
    with TOOL.lock(target(tmp_path)), pytest.raises(TryAgain), locked(place, 0.0):
        pass
    handle = os.open(folder / name, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(TryAgain, match=name), locked(place, 0.0):
            pass
    finally:
        os.close(handle)
    with locked(place, 0.0):
        assert (folder / name).exists()
