"""The Python API as its documentation shows it, typed, and used by several threads."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import vault as package
from tests.cli.running import SECRETS, WAIT
from tests.support import START, Files, FixedClock
from vault import Vault, VaultError, api, open_vault
from vault.errors import Conflict, InputError, Locked, NotFound, NotReady, SignInAgain, TryAgain, UsageError, WrongKey
from vault.events.types import CredentialIssued, ProfileLoggedIn
from vault.providers import stored
from vault.values import DAY, HOUR, SECOND, Secret


@pytest.fixture
def opened(files: Files, clock: FixedClock) -> Vault:
    with open_vault(clock=clock) as vault:
        yield vault  # type: ignore[misc]


def test_the_example_of_the_documentation_runs(files: Files) -> None:
    example = textwrap.dedent(api.__doc__.partition("\n\n")[2].rpartition("\n\nEvery method")[0])  # type: ignore[union-attr]
    assert example.startswith("with open_vault() as vault:\n")
    again = '    vault.login("anthropic", "fake-key-2")\n    vault.restore('
    script = "from vault import open_vault\nfrom vault.values import Secret\n" + example.replace(
        "    vault.restore(", again
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=WAIT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    types = [line.split()[1] for line in done.stdout.splitlines()]
    assert types == ["credential_issued", "profile_logged_in"]
    with open_vault() as vault:
        assert vault.credential("anthropic").secret.reveal() == "fake-key"


def test_what_the_package_exports() -> None:
    assert set(package.__all__) == {"Vault", "VaultError", "__version__", "auth", "open_vault"}
    assert (package.Vault, package.open_vault, package.VaultError) == (Vault, open_vault, VaultError)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = package.nonsense
    assert (Path(package.__file__).parent / "py.typed").exists()


def test_a_user_of_the_types_is_checked(tmp_path: Path) -> None:
    good = tmp_path / "good.py"
    good.write_text(
        "from vault import Vault, VaultError, open_vault\n"
        "def use(vault: Vault) -> str:\n"
        "    position: int = vault.login('anthropic', 'fake-key', reason='x').position\n"
        "    for entry in vault.history(limit=position):\n"
        "        print(entry.at + 1, entry.actor.user.upper())\n"
        "    try:\n"
        "        return vault.credential('anthropic').secret.reveal()\n"
        "    except VaultError as error:\n"
        "        return error.message + error.hint\n"
        "with open_vault('x', agent='coder', ask=input) as v:\n"
        "    use(v)\n"
    )
    bad = tmp_path / "bad.py"
    bad.write_text("from vault import open_vault\nopen_vault().login('anthropic', 5).position.upper()\n")
    line = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "--follow-imports=silent"]
    root = Path(package.__file__).parent.parent
    done = subprocess.run(
        [*line, str(good), str(bad)], capture_output=True, text=True, cwd=root, timeout=120, check=False
    )
    errors = [found for found in done.stdout.splitlines() if ": error: " in found]
    assert len(errors) == 2, done.stdout
    assert all("bad.py:2: error: " in found for found in errors)
    assert any('incompatible type "int"' in found for found in errors)


def test_login_and_credential(opened: Vault) -> None:
    done = opened.login("anthropic", Secret("fake-key-1"), label="mine", reason="new")
    assert (done.agent, done.profile, done.position, done.replaced, done.unchanged) == (
        "main",
        "anthropic:default",
        2,
        None,
        False,
    )
    issued = opened.credential("anthropic", reason="a test", program="my-tool")
    assert issued.secret.reveal() == "fake-key-1"
    assert (issued.profile, issued.kind, issued.source, issued.names, issued.expires_at) == (
        "anthropic:default",
        "api_key",
        "stored",
        ("ANTHROPIC_API_KEY",),
        None,
    )
    assert "fake-key" not in repr(issued) + repr(done) + str(issued.secret)
    (entry,) = opened.history(limit=1)
    assert isinstance(entry.event, CredentialIssued)
    assert (entry.position, entry.at, entry.reason, entry.event.program, entry.event.way, entry.actor.way) == (
        3,
        START + DAY,
        "a test",
        "my-tool",
        "api",
        "api",
    )


def test_a_token_with_an_expiry(opened: Vault, clock: FixedClock) -> None:
    done = opened.login("openai:ci", "fake-token", kind="token", expires_at=clock.now() + HOUR)
    assert (done.facts.kind, done.facts.expires_at) == ("token", START + DAY + HOUR)
    assert opened.credential("openai:ci").expires_at == START + DAY + HOUR
    clock.forward(HOUR)
    with pytest.raises(SignInAgain):
        opened.credential("openai:ci")


def test_overwrite_logout_and_restore(opened: Vault, clock: FixedClock) -> None:
    first = opened.login("anthropic", "fake-key-1")
    clock.forward(HOUR)
    second = opened.login("anthropic", "fake-key-2")
    assert second.replaced is not None
    assert second.replaced.position == first.position
    clock.forward(HOUR)
    out = opened.logout("anthropic:default", reason="left")
    assert out.was is not None
    assert out.was.position == second.position
    assert opened.profiles().profiles == []
    assert [p.profile for p in opened.profiles(at=START + DAY).profiles] == ["anthropic:default"]
    for wanted, key in (
        ({}, "fake-key-2"),
        ({}, "fake-key-1"),
        ({"to": second.position}, "fake-key-2"),
        ({"at": START + DAY + SECOND}, "fake-key-1"),
    ):
        done = opened.restore("anthropic:default", **wanted)  # type: ignore[arg-type]
        assert done.position is not None
        assert opened.credential("anthropic").secret.reveal() == key
    assert opened.restore("anthropic:default", to=first.position).position is None, "it is current already"


def test_a_command_id_returns_the_first_result(opened: Vault) -> None:
    opened.login("anthropic", "fake-key-0")
    once = opened.login("anthropic", "fake-key-1", command_id="a")
    opened.login("anthropic", "fake-key-2")
    assert opened.login("anthropic", "fake-key-1", command_id="a") == once
    out = opened.logout("anthropic:default", command_id="b")
    opened.login("anthropic", "fake-key-3")
    assert opened.logout("anthropic:default", command_id="b") == out
    back = opened.restore("anthropic:default", command_id="c")
    assert opened.restore("anthropic:default", command_id="c") == back
    with pytest.raises(Conflict):
        opened.logout("anthropic:default", command_id="a")


def test_history_filters(furnished: Files, clock: FixedClock) -> None:
    with open_vault(clock=clock) as vault:
        everything = [e.position for e in vault.history()]
        assert everything == list(range(14, 0, -1))
        assert [e.position for e in vault.history(oldest_first=True, limit=2)] == [1, 2]
        assert [e.position for e in vault.history(profile="anthropic:default")] == [5, 4]
        assert [e.position for e in vault.history(agent="coder")] == [8, 2]
        assert [e.position for e in vault.history(provider="groq", types=("profile_logged_out",))] == [12]
        assert [e.position for e in vault.history(actor="fake-user", since=START + 7 * SECOND, limit=1)] == [14]
        assert [e.position for e in vault.history(until=START, oldest_first=True)] == [1, 2, 3, 4]
        assert all(isinstance(e.event, ProfileLoggedIn) for e in vault.history(types=("profile_logged_in",)))


def test_the_history_may_be_left_and_added_to_while_it_is_read(opened: Vault) -> None:
    opened.login("anthropic", "fake-key-1")
    seen = []
    for entry in opened.history():
        seen.append(entry.position)
        opened.credential("anthropic")
    assert seen == [2, 1]
    for _ in opened.history():
        break
    assert opened.login("anthropic", "fake-key-2").position == 5


def test_as_another_agent(furnished: Files, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_vault(agent="coder", clock=clock) as vault:
        assert vault.agent == "coder"
        assert vault.credential("openai:own").secret.reveal() == SECRETS["openai:own"]
        assert {p.inherited_from for p in vault.profiles().profiles} == {"main", ""}
    monkeypatch.setenv("VAULT_AGENT", "coder")
    with open_vault() as vault:
        assert vault.agent == "coder"
    with open_vault(environ=furnished.environ()) as vault:
        assert vault.agent == "main"


def test_it_opens_by_path_and_asks_for_a_passphrase(tmp_path: Path, clock: FixedClock) -> None:
    from vault.commands.keys import Choice, initialise
    from vault.context import Places
    from vault.unlock import Ways

    place = Places(tmp_path / "vault.db", tmp_path / "state")
    ways = Ways({"VAULT_PASSPHRASE": "fake passphrase"})
    initialise(place, Choice("passphrase"), ways, kdf={"m": 19 * 1024, "t": 1, "p": 1})
    environ = {"VAULT_STATE": str(place.state)}
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return "wrong" if len(prompts) == 1 else "fake passphrase"

    with open_vault(place.database, ask=ask, environ=environ, clock=clock) as vault:
        assert list(vault.history())
    assert len(prompts) == 2
    with pytest.raises(Locked):
        open_vault(str(place.database), environ=environ)
    with pytest.raises(WrongKey):
        open_vault(place.database, environ=environ, ask=lambda _: "always wrong")
    with pytest.raises(NotReady):
        open_vault(tmp_path / "nowhere.db", environ=environ)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda v: v.login("Bad Provider!", "fake-key"), InputError),
        (lambda v: v.login("anthropic", ""), InputError),
        (lambda v: v.login("anthropic", Secret("two\nlines")), InputError),
        (lambda v: v.login("anthropic", "fake-key", kind="oauth"), UsageError),
        (lambda v: v.login("anthropic", "fake-key", kind="api_key", expires_at=5), UsageError),
        (lambda v: v.login("anthropic", "fake-key", kind="token", expires_at=10**20), InputError),
        (lambda v: v.login("anthropic", "fake-key", kind="token", expires_at=-1), InputError),
        (lambda v: v.credential("deepseek"), NotFound),
        (lambda v: v.credential("anthropic:nope"), NotFound),
        (lambda v: v.credential("mistral"), TryAgain),
        (lambda v: v.logout("anthropic:nope"), NotFound),
        (lambda v: v.logout("anthropic"), InputError),
        (lambda v: v.restore("anthropic:nope"), NotFound),
        (lambda v: v.restore("anthropic:default", to=999), NotFound),
        (lambda v: v.restore("anthropic:default", to=-1), NotFound),
        (lambda v: v.restore("anthropic:default", at=5), NotFound),
        (lambda v: list(v.history(types=("nonsense",))), InputError),
        (lambda v: list(v.history(profile="nonsense")), InputError),
    ],
)
def test_errors_are_vaults_own_and_nothing_is_written(
    furnished: Files, clock: FixedClock, call: object, error: type[VaultError]
) -> None:
    with open_vault(clock=clock) as vault:
        with pytest.raises(error) as told:
            call(vault)  # type: ignore[operator]
        assert told.value.exit_status >= 64
        assert "fake-key" not in str(told.value)
        assert next(vault.history()).position == 14


def test_several_threads_take_turns(files: Files) -> None:
    failures: list[Exception] = []
    with open_vault() as vault:
        vault.login("anthropic", "fake-key")

        def work(number: int) -> None:
            try:
                for turn in range(15):
                    if number % 2:
                        assert vault.credential("anthropic").secret.reveal() == "fake-key"
                        assert len(list(vault.history(limit=3))) == 3 or turn == 0
                    else:
                        vault.login(f"openai:p{number}", f"fake-key-{number}-{turn}")
                        assert vault.profiles().profiles
            except Exception as error:  # noqa: BLE001 - told below, in the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert [e.position for e in vault.history()] == list(range(62, 0, -1))
    with files.open() as context:
        from vault.commands.checking import verify_vault

        assert verify_vault(context).credentials == 31


def test_it_may_be_closed_twice_and_not_used_afterwards(files: Files) -> None:
    vault = open_vault()
    vault.close()
    vault.close()
    with pytest.raises(VaultError):
        vault.login("anthropic", "fake-key")
    assert os.path.exists(files.database)


def test_history_refuses_a_bad_filter_when_it_is_called(opened: Vault) -> None:
    for bad in ({"types": ("nonsense",)}, {"agent": "no agent"}, {"profile": "no profile:"}):
        with pytest.raises(VaultError):
            opened.history(**bad)  # type: ignore[arg-type]


def test_two_vaults_in_one_process_keep_their_own_catalogue_policy(files: Files, tmp_path: Path) -> None:
    rows = tuple(
        {
            "id": name,
            "name": name,
            "env": [f"{name.upper()}_API_KEY"],
            "secret_env": [f"{name.upper()}_API_KEY"],
            "api": f"https://{name}.example/v1",
            "doc": f"https://{name}.example",
        }
        for name in ("fetched", "another")
    )
    stored.write(stored.place(), stored.Stored("https://catalogue.example", "", START, rows))
    (tmp_path / "no.toml").write_text("[provider]\nauto_update = false\n")
    (tmp_path / "yes.toml").write_text("[provider]\nauto_update = true\n")

    def opened_with(settings: str) -> Vault:
        return open_vault(environ={**os.environ, **files.environ(), "VAULT_CONFIG": str(tmp_path / settings)})

    with opened_with("yes.toml") as yes, opened_with("no.toml") as no:
        yes.login("fetched", "fake-key-1")
        with pytest.raises(NotFound):
            no.login("another", "fake-key-2")
    with opened_with("no.toml") as no, opened_with("yes.toml") as yes:
        with pytest.raises(NotFound):
            no.login("another", "fake-key-2")
        yes.login("another", "fake-key-2")
