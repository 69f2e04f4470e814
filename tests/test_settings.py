"""The settings file: every key, every mistake with its line, what the environment overrides, which providers are let through."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.errors import NotReady
from vault.providers.aliases import allowed, canonical
from vault.settings import (
    AUTH_SOURCES,
    DEFAULT_LEASE,
    DEFAULT_LEEWAY,
    SOURCES,
    ProviderSettings,
    Settings,
    parse_settings,
    read_settings,
    settings_path,
)
from vault.values import HOUR, MINUTE, SECOND

FILE = Path("/fake/config.toml")
EVERYTHING = """\
enabled_providers = ["anthropic", "google"]
disabled_providers = ["openrouter"]
sources = ["stored", "environment"]

[provider]
auto_update = false

[refresh]
leeway = "15m"
lease = "90s"

[providers.amazon-bedrock]
auth_source = "profile"
region = "eu-west-1"
profile = "work"
leeway = "1h"

[providers.google-vertex]
project = "fake-project"
location = "europe-west1"

[providers."azure"]
endpoint = "https://fake.example"
resource = "fake-resource"
scope = "fake-scope"
api_version = "2025-01-01"
family = "azure"
"""


def refused(text: str) -> str:
    """What is wrong with a file: the sentence after its name. The hint says how to get there."""
    with pytest.raises(NotReady) as caught:
        parse_settings(text, FILE)
    assert caught.value.exit_status == 78
    assert caught.value.hint == "vault config edit"
    assert caught.value.message.startswith(f"{FILE}, line ")
    return caught.value.message.removeprefix(f"{FILE}, ")


def test_every_key() -> None:
    found = parse_settings(EVERYTHING, FILE)
    assert found == Settings(
        path=FILE,
        exists=True,
        enabled_providers=("anthropic", "google"),
        disabled_providers=("openrouter",),
        sources=("stored", "environment"),
        auto_update=False,
        leeway=15 * MINUTE,
        lease=90 * SECOND,
        providers={
            "amazon-bedrock": ProviderSettings("profile", region="eu-west-1", profile="work", leeway=HOUR),
            "google-vertex": ProviderSettings(project="fake-project", location="europe-west1"),
            "azure": ProviderSettings(
                endpoint="https://fake.example",
                resource="fake-resource",
                scope="fake-scope",
                api_version="2025-01-01",
                family="azure",
            ),
        },
    )
    assert found.provider("google-vertex").project == "fake-project"
    assert found.provider("nobody") == ProviderSettings()


def test_the_example_sets_every_key_there_is() -> None:
    for one in (*fields(Settings), *fields(ProviderSettings)):
        assert one.name in ("path", "exists", "providers") or one.name in EVERYTHING, one.name


def test_nothing_set_is_the_defaults() -> None:
    for text in ("", "# only a comment\n", "[providers]\n", "[refresh]\n[provider]\n"):
        found = parse_settings(text, FILE)
        assert found == Settings(FILE, exists=True)
    assert (found.sources, found.leeway, found.lease, found.auto_update) == (
        SOURCES,
        DEFAULT_LEEWAY,
        DEFAULT_LEASE,
        True,
    )


@pytest.mark.parametrize("source", AUTH_SOURCES)
def test_every_source_that_can_be_pinned(source: str) -> None:
    found = parse_settings(f'[providers.fake]\nauth_source = "{source}"\n', FILE)
    assert found.provider("fake").auth_source == source


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\n\nunknown = 1\n", "line 3: unknown: there is no such setting"),
        ("[unknown]\nx = 1\n", "line 1: unknown: there is no such setting"),
        (
            "# enabled_providers\nenabled_providers = true\n",
            "line 2: enabled_providers: it must be a list of provider ids",
        ),
        ('enabled_providers = "anthropic"\n', "line 1: enabled_providers: it must be a list"),
        ('\ndisabled_providers = [\n  "a",\n  1,\n]\n', "line 2: disabled_providers: it must be a list"),
        ('disabled_providers = ["a", " "]\n', "line 1: disabled_providers: it must be a list"),
        (
            'sources = ["stored", "file"]\n',
            "line 1: sources: it is a list of environment, dotenv, envfile, stored, each at most",
        ),
        ('sources = ["stored", "stored"]\n', "line 1: sources: it is a list of"),
        ('sources = [["stored"]]\n', "line 1: sources: it is a list of"),
        ('sources = "stored"\n', "line 1: sources: it is a list of"),
        ("provider = 3\n", "line 1: provider: it must be a table"),
        (
            '[provider]\n\nauto_update = "no"\n',
            "line 3: provider.auto_update: the only key here is auto_update, true or",
        ),
        ("[provider]\nauto_update = 1\n", "line 2: provider.auto_update: the only key"),
        ("[provider]\nauto_update = true\nupdate = true\n", "line 3: provider.update: the only key here is"),
        ('refresh = "10m"\n', "line 1: refresh: it must be a table"),
        ("[refresh]\nleeway = 600\n", "line 2: refresh.leeway: '600' is not a length of time: write it like 365d"),
        ('[refresh]\nlease = "soon"\n', "line 2: refresh.lease: 'soon' is not a length of time"),
        ('[refresh]\nlease = "0s"\n', "line 2: refresh.lease: '0s' is not a length of time"),
        ("[refresh]\nleeway = true\n", "line 2: refresh.leeway: 'True' is not a length of time"),
        ("[refresh]\nleeway = [1]\n", "line 2: refresh.leeway: '[1]' is not a length of time"),
        ('[refresh]\nleeway = "10m"\nlater = "1m"\n', "line 3: refresh.later: the keys here are leeway and lease"),
        ("providers = 1\n", "line 1: providers: it must be a table"),
        ("[providers]\n\nfake = 1\n", "line 3: providers.fake: it must be a table"),
        ("[[providers.fake]]\nregion = 'x'\n", "line 1: providers.fake: it must be a table"),
        ("[providers.Fake]\n", "line 1: providers.Fake: 'Fake' is not a provider id"),
        ('\n[providers."a b"]\nregion = "x"\n', "line 2: providers.a b: 'a b' is not a provider id"),
        ("[providers.fake]\nregion = 1\n", "line 2: providers.fake.region: it must be a text"),
        ("[providers.fake]\nleeway = '1x'\n", "line 2: providers.fake.leeway: '1x' is not a length of time"),
        (
            "[providers.fake]\nauth_source = 'any'\n",
            "line 2: providers.fake.auth_source: it is one of environment, dotenv",
        ),
        ("[providers.fake]\nauth_source = 1\n", "line 2: providers.fake.auth_source: it must be a text"),
        (
            "[providers.fake]\nkey = 'fake-secret'\n",
            "line 2: providers.fake.key: the keys here are auth_source, region",
        ),
        ("[providers.ai.fake]\nregion = 'x'\n", "line 1: providers.ai.fake: the keys here are auth_source"),
        # the key is found however it is written
        ("x.y = 1\n", "line 1: x: there is no such setting"),
        ("\nrefresh.leeway = 1\n", "line 2: refresh.leeway: '1' is not"),
        ('provider = { auto_update = "x" }\n', "line 1: provider.auto_update: the only key"),
        ('\n[providers]\nfake = { region = 1, profile = "x" }\n', "line 3: providers.fake.region: it must be a text"),
        ("[providers]\nfake.region = 1\n", "line 2: providers.fake.region: it must be a text"),
        ('[ providers . "fake" ] # a note\n\n"region" = 1\n', "line 3: providers.fake.region: it must be a text"),
        ("[providers.'a.b']\nregion = 1\n", "line 2: providers.a.b.region: it must be a text"),
        ("[providers.a]\nregion = 'x'\n[providers.b]\nregion = 1\n", "line 4: providers.b.region: it must be a text"),
        ("[providers.a]\nregion = 'x'\n[refresh]\nregion = 1\n", "line 4: refresh.region: the keys here are"),
        (
            '[providers.a]\nregion = """\n[refresh]\nlease = 1\n"""\n[refresh]\nlease = 1\n',
            "line 7: refresh.lease: '1'",
        ),
        ("[refresh]\r\n\r\nlease = 1\r\n", "line 3: refresh.lease: '1' is not"),
        ("# a\u2028b\x85c\n[refresh]\nlease = 1\n", "line 3: refresh.lease: '1' is not"),
        ("\ufeff[refresh]\nlease = 1\n", "line 2: refresh.lease: '1' is not"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, told: str) -> None:
    assert refused(text).startswith(told)


def test_the_first_mistake_is_the_one_told() -> None:
    assert refused("sources = 1\nunknown = 1\n[refresh]\nlease = 1\n").startswith("line 1: sources")
    assert refused("[refresh]\nlease = 1\nleeway = 1\n").startswith("line 2: refresh.lease")


@pytest.mark.parametrize("text", ["sources = [", "= 1", "a = 1\na = 2", "[x]\n[x]\n", "sources = ['x'\n\n"])
def test_what_is_no_toml_is_told_with_its_line_too(text: str) -> None:
    with pytest.raises(NotReady, match=r"is not valid TOML \(.*(line \d|end of the document)") as caught:
        parse_settings(text, FILE)
    assert (caught.value.exit_status, caught.value.hint) == (78, "vault config edit")


@given(blanks=st.integers(0, 5), before=st.sampled_from(["", "[provider]\nauto_update = true\n"]))
def test_the_line_is_counted(blanks: int, before: str) -> None:
    text = f"{before}{'#' * blanks}\n" + "\n" * blanks + "[refresh]\n" + "\n" * blanks + "lease = 7\n"
    expected = text.split("\n").index("lease = 7") + 1
    assert refused(text).startswith(f"line {expected}: refresh.lease")


# -- other tools' ids


@pytest.mark.parametrize(
    ("alias", "meant"),
    [("bedrock", "amazon-bedrock"), ("gemini", "google"), ("bedrockconverse", "amazon-bedrock"), ("mine", "mine")],
)
def test_another_tools_id_means_that_provider(tmp_path: Path, alias: str, meant: str) -> None:
    text = f'[providers.{alias}]\nauth_source = "env"\nregion = "eu-west-1"\n'
    found = parse_settings(text, FILE, canonical)
    assert found.providers == {meant: ProviderSettings("env", region="eu-west-1")}
    assert found.own == frozenset()
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert read_settings({"VAULT_CONFIG": str(path)}, canonical).providers == found.providers
    assert set(parse_settings(text, FILE).providers) == {alias}, "nobody says what it stands for"


def test_an_id_with_a_family_stands_for_itself() -> None:
    text = '[providers.bedrock]\nfamily = "bedrock"\n[providers.amazon-bedrock]\nregion = "eu-west-1"\n'
    found = parse_settings(text, FILE, canonical)
    assert found.providers == {
        "bedrock": ProviderSettings(family="bedrock"),
        "amazon-bedrock": ProviderSettings(region="eu-west-1"),
    }
    assert found.own == {"bedrock"}


@pytest.mark.parametrize(
    ("first", "second", "meant"),
    [
        ("amazon-bedrock", "bedrock", "amazon-bedrock"),
        ("bedrock", "amazon-bedrock", "amazon-bedrock"),
        ("bedrock", "bedrockconverse", "amazon-bedrock"),
        ("google", "gemini", "google"),
    ],
)
def test_two_names_of_one_provider_are_a_mistake(first: str, second: str, meant: str) -> None:
    text = f'[providers.{first}]\nregion = "a"\n\n[providers.{second}]\nregion = "b"\n'
    with pytest.raises(NotReady) as caught:
        parse_settings(text, FILE, canonical)
    assert caught.value.message == (
        f"{FILE}, line 4: providers.{second}: providers.{first} is the same provider, {meant}: keep one"
    )
    assert caught.value.exit_status == 78


# -- the file


def test_where_the_file_is(isolated: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings_path({"VAULT_CONFIG": str(tmp_path / "x.toml")}) == tmp_path / "x.toml"
    assert settings_path({"VAULT_CONFIG": "~/x.toml"}) == isolated / "home" / "x.toml"
    monkeypatch.chdir(tmp_path)
    assert settings_path({"VAULT_CONFIG": "x.toml"}) == tmp_path / "x.toml"
    for unset in ({}, {"VAULT_CONFIG": ""}):
        path = settings_path(unset)
        assert path.is_relative_to(isolated)
        assert path.name == "config.toml"


def test_no_such_home() -> None:
    with pytest.raises(NotReady, match="VAULT_CONFIG names the home of a user who isn't there") as caught:
        settings_path({"VAULT_CONFIG": "~nobody-of-this-name/x.toml"})
    assert caught.value.exit_status == 78


def test_without_a_file_everything_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "none.toml"
    assert read_settings({"VAULT_CONFIG": str(path)}) == Settings(path, exists=False)


@pytest.mark.parametrize("content", [b"[refresh]\nlease = '2m'\n", b"\xef\xbb\xbf[refresh]\r\nlease = '2m'\r\n"])
def test_a_file_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    assert read_settings({"VAULT_CONFIG": str(path)}) == Settings(path, exists=True, lease=2 * MINUTE)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# caf\xe9\n")
    below = latin / "below.toml"
    for path, reason in [
        (latin, "it is not UTF-8"),
        (tmp_path, "it is not a regular file"),
        (below, "Not a directory"),
    ]:
        with pytest.raises(NotReady) as caught:
            read_settings({"VAULT_CONFIG": str(path)})
        assert caught.value.message == f"the settings file {path} can't be read: {reason}"
        assert caught.value.exit_status == 78


# -- the environment overrides


@pytest.mark.parametrize(
    ("name", "value", "key", "expected"),
    [
        ("VAULT_ENABLED_PROVIDERS", "openai", "enabled_providers", ("openai",)),
        ("VAULT_ENABLED_PROVIDERS", " openai , groq,", "enabled_providers", ("openai", "groq")),
        ("VAULT_ENABLED_PROVIDERS", "", "enabled_providers", ()),
        ("VAULT_DISABLED_PROVIDERS", "openai,groq", "disabled_providers", ("openai", "groq")),
        ("VAULT_DISABLED_PROVIDERS", " ", "disabled_providers", ()),
        ("VAULT_SOURCES", "dotenv, stored", "sources", ("dotenv", "stored")),
        ("VAULT_SOURCES", "", "sources", ("stored", "environment")),
        ("VAULT_SOURCES", " , ", "sources", ("stored", "environment")),
        ("VAULT_LEEWAY", "2h", "leeway", 2 * HOUR),
        ("VAULT_LEEWAY", "", "leeway", 15 * MINUTE),
        ("VAULT_LEASE", "5s", "lease", 5 * SECOND),
        ("VAULT_LEASE", "", "lease", 90 * SECOND),
    ],
)
def test_the_environment_overrides_the_file(tmp_path: Path, name: str, value: str, key: str, expected: object) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EVERYTHING)
    plain = read_settings({"VAULT_CONFIG": str(path)})
    found = read_settings({"VAULT_CONFIG": str(path), name: value})
    assert getattr(found, key) == expected
    for other in fields(Settings):
        assert other.name == key or getattr(found, other.name) == getattr(plain, other.name)


def test_the_environment_overrides_the_defaults(tmp_path: Path) -> None:
    found = read_settings({"VAULT_CONFIG": str(tmp_path / "none"), "VAULT_SOURCES": "stored", "VAULT_LEASE": "1m"})
    assert (found.exists, found.sources, found.lease) == (False, ("stored",), MINUTE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VAULT_SOURCES", "stored,nowhere"),
        ("VAULT_SOURCES", "stored,stored"),
        ("VAULT_SOURCES", "Stored"),
        ("VAULT_LEEWAY", "10"),
        ("VAULT_LEASE", "soon"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(NotReady, match=name) as caught:
        read_settings({"VAULT_CONFIG": str(tmp_path / "none"), name: value})
    assert caught.value.exit_status == 78
    assert caught.value.hint


# -- which providers are let through


@pytest.mark.parametrize(
    ("provider", "enabled", "disabled", "expected"),
    [
        ("google", (), (), True),
        ("google", ("google",), (), True),
        ("google", ("gemini",), (), True),
        ("google", ("Google Gemini",), (), True),
        ("google", (" GEMINI ",), (), True),
        ("google", ("anthropic",), (), False),
        ("google", (), ("google",), False),
        ("google", (), ("gemini",), False),
        ("google", (), ("Gemini",), False),
        ("google", ("google",), ("gemini",), False),
        ("amazon-bedrock", ("bedrock",), (), True),
        ("amazon-bedrock", (), ("bedrockconverse",), False),
        ("mistral", (), ("Mistral",), False),
        ("mistral", ("MISTRAL ",), (), True),
        ("my-own", ("my-own",), (), True),
        ("my-own", (), ("My-Own",), False),
        ("my-own", (), ("my-other",), True),
    ],
)
def test_a_provider_is_meant_by_any_of_its_names(
    provider: str, enabled: tuple[str, ...], disabled: tuple[str, ...], expected: bool
) -> None:
    assert allowed(provider, enabled, disabled) is expected


def test_an_id_that_the_settings_define_is_meant_by_itself_alone() -> None:
    own = ("bedrock-europe",)
    assert allowed("bedrock-europe", ("bedrock-europe",), (), own)
    assert not allowed("amazon-bedrock", ("bedrock-europe",), (), own)
    assert allowed("amazon-bedrock", (), ("bedrock-europe",), own)
    assert not allowed("bedrock-europe", (), ("bedrock-europe",), own)
