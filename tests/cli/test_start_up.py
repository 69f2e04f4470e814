"""What the quick commands may load: an explicit list of packages, and none of the heavy ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.running import WAIT, Shell
from tests.support import Files

WATCH = """
import json, os, sys
from vault.cli.main import run
status = run(sys.argv[1:])
packages = {name.partition(".")[0] for name in sys.modules}
modules = sorted(name for name in sys.modules if name.startswith("vault."))
os.write(2, json.dumps({"status": status, "packages": sorted(packages), "vault": modules}).encode())
"""

OUR_OWN = {"vault", "__main__", "__mp_main__", "sitecustomize", "usercustomize"}
TYPER = {"typer", "click", "shellingham", "annotated_doc", "typing_extensions"}
INSTALLERS = {"_distutils_hack", "_virtualenv", "setuptools", "pkg_resources"}
"""What an environment's own start-up files bring along."""
COVERAGE = {"coverage", "pytest_cov"}
CRYPTO = {"cryptography", "_cffi_backend", "_openssl", "_rust"}
ALLOWED = OUR_OWN | TYPER | INSTALLERS | COVERAGE
TO_OPEN = ALLOWED | CRYPTO | {"msgspec", "platformdirs"}
HEAVY = {
    "sqlalchemy",
    "alembic",
    "mako",
    "httpx",
    "httpcore",
    "anyio",
    "keyring",
    "secretstorage",
    "jeepney",
    "pydantic",
    "oauthlib",
    "dotenv",
    "hypothesis",
    "pytest",
    "asyncio",
    "multiprocessing",
    "concurrent",
    "email",
    "http",
    "ssl",
    "socket",
    "xml",
    "unittest",
    "pdb",
    "logging",
    "prompt_toolkit",
    "wcwidth",
}


def loaded(*words: str) -> tuple[set[str], list[str]]:
    """Packages and modules of vault that one command loads in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words], capture_output=True, check=True, timeout=WAIT, stdin=subprocess.DEVNULL
    )
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["status"] == 0, done
    return set(told["packages"]), told["vault"]


def strangers(packages: set[str], allowed: set[str]) -> set[str]:
    """Third-party packages that are not on the list."""
    return {name for name in packages - set(sys.stdlib_module_names) - allowed if not name.startswith("__editable__")}


def test_version_loads_next_to_nothing() -> None:
    packages, ours = loaded("--version")
    assert strangers(packages, ALLOWED) == set()
    assert packages & (HEAVY | CRYPTO | {"rich", "msgspec", "sqlite3"}) == set()
    assert set(ours) <= {
        "vault.cli",
        "vault.cli.groups",
        "vault.cli.main",
        "vault.cli.output",
        "vault.cli.streams",
        "vault.errors",
        "vault.showing",
        "vault.spelling",
        "vault.values",
        "vault.version",
    }


@pytest.mark.parametrize(
    "words", [("get", "anthropic"), ("get", "anthropic:default"), ("env",), ("exec", "--", "true")]
)
def test_handing_out_loads_no_heavy_package(shell: Shell, files: Files, words: tuple[str, ...]) -> None:
    shell.login("anthropic", "fake-key")
    if words[0] == "exec":
        words = ("exec", "--", sys.executable, "-c", "print()")
        packages, _ = loaded_before_exec(*words)
    else:
        packages, _ = loaded(*words)
    assert strangers(packages, TO_OPEN) == set()
    assert packages & (HEAVY | {"rich", "pygments", "markdown_it"}) == set()


def loaded_before_exec(*words: str) -> tuple[set[str], list[str]]:
    """The same for ``exec``, which doesn't come back: its last step is left out."""
    script = WATCH.replace(
        "status = run", "import vault.cli.issue; vault.cli.issue._become = lambda *_: None\nstatus = run"
    )
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, check=True, timeout=WAIT)
    told = json.loads(done.stderr.splitlines()[-1])
    assert told["status"] == 0, done
    return set(told["packages"]), told["vault"]


@pytest.mark.parametrize(
    "words",
    [
        ("list",),
        ("list", "--json"),
        ("history", "--json"),
        ("why", "anthropic"),
        ("login", "anthropic", "--from-file", "key", "--json"),
        ("verify",),
    ],
    ids=" ".join,
)
def test_no_everyday_command_loads_the_database_toolkit_or_the_network(
    shell: Shell, files: Files, words: tuple[str, ...]
) -> None:
    shell.login("anthropic", "fake-key")
    with open("key", "w") as file:
        file.write("fake-key-2")
    packages, _ = loaded(*words)
    assert packages & {"sqlalchemy", "alembic", "mako", "httpx", "keyring", "asyncio", "ssl", "pydantic"} == set()
    if "--json" in words:
        assert "rich" not in packages


def test_a_command_loads_no_other_command(shell: Shell, files: Files) -> None:
    shell.login("anthropic", "fake-key")
    _, ours = loaded("get", "anthropic")
    commands = {name for name in ours if name.startswith("vault.cli.")}
    commands -= {"vault.cli.groups", "vault.cli.main", "vault.cli.output", "vault.cli.session", "vault.cli.streams"}
    assert commands == {"vault.cli.issue"}
    assert not any(name.startswith(("vault.interop", "vault.log.migrate", "vault.commands.doctor")) for name in ours)


def test_the_watch_sees_a_heavy_package() -> None:
    """The list would be worth nothing if the watch were blind."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH.replace("status = run", "import alembic\nstatus = run"), "--version"],
        capture_output=True,
        check=True,
        timeout=WAIT,
    )
    packages = set(json.loads(done.stderr.splitlines()[-1])["packages"])
    assert strangers(packages, ALLOWED) >= {"alembic", "sqlalchemy"}
    assert packages & HEAVY >= {"alembic", "sqlalchemy"}
