"""The helper protocols as the real programs speak them: git, docker, the AWS command line, google-auth, kubernetes, llm.

Each is a process of its own with a home of its own, and asks the installed ``vault``. What a request carried is read from a
server on loopback, never from what the program says of itself.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support import Files, make_files
from vault.api import open_vault
from vault.events.credentials import Token
from vault.events.types import CredentialIssued
from vault.values import HOUR, SystemClock

pytestmark = pytest.mark.interop

BIN = Path(sys.executable).parent
VAULT = BIN / "vault"
WAIT = 180


@dataclass
class Registry:
    """A server that wants ``octo`` and a password by Basic authentication, as git hosts and registries do."""

    host: str = ""
    password: str = "fake-password-1"
    seen: list[str] = field(default_factory=list)

    @property
    def basic(self) -> str:
        """The Authorization header it wants."""
        return "Basic " + base64.b64encode(f"octo:{self.password}".encode()).decode()


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            given = self.headers.get("Authorization", "")
            registry.seen.append(given)
            git = "service=git-upload-pack" in self.path
            body = b"001e# service=git-upload-pack\n0000" + b"0000" if git else b"{}"
            self.send_response(200 if given == registry.basic else 401)
            if given != registry.basic:
                self.send_header("WWW-Authenticate", 'Basic realm="loopback"')
            self.send_header(
                "Content-Type", "application/x-git-upload-pack-advertisement" if git else "application/json"
            )
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    registry.host = f"127.0.0.1:{server.server_address[1]}"
    yield registry
    server.shutdown()
    server.server_close()
    thread.join()


@dataclass
class Home:
    """A person's home with a vault."""

    folder: Path
    files: Files

    def environ(self) -> dict[str, str]:
        """Nothing of the machine but the programs, and a vault that opens by itself."""
        return {
            "HOME": str(self.folder),
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            **self.files.environ(),
        }

    def run(self, *command: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            list(command),
            input=stdin,
            env={**self.environ(), **more},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def issued(self) -> list[tuple[str, str]]:
        """(profile, program) of each hand-out."""
        with open_vault(environ=self.files.environ()) as vault:
            events = [e.event for e in vault.history(oldest_first=True)]
        return [(e.profile, e.program) for e in events if isinstance(e, CredentialIssued)]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "home"
    folder.mkdir()
    return Home(folder, make_files(tmp_path / "vault"))


def needs(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} isn't installed here")
    return found


def test_git_asks_sends_stores_and_erases(home: Home, registry: Registry) -> None:
    git = needs("git")
    address = f"protocol=http\nhost={registry.host}\n"
    assert home.run(git, "config", "--global", "credential.helper", "vault").returncode == 0
    stored = home.run(git, "credential", "approve", stdin=f"{address}username=octo\npassword=fake-password-1\n\n")
    assert stored.returncode == 0, stored.stderr
    filled = home.run(git, "credential", "fill", stdin=address + "\n")
    assert "username=octo\npassword=fake-password-1" in filled.stdout
    listed = home.run(git, "ls-remote", f"http://{registry.host}/r.git")
    assert listed.returncode == 0, listed.stderr
    assert registry.basic in registry.seen
    registry.password = "fake-password-2"
    refused = home.run(git, "ls-remote", f"http://{registry.host}/r.git")
    assert refused.returncode == 128
    assert "fake-password" not in refused.stderr
    assert "password=" not in home.run(git, "credential", "fill", stdin=address + "\n").stdout
    assert {program for _, program in home.issued()} == {"git"}


def test_git_is_given_what_it_stored_last_and_only_for_that_server(home: Home) -> None:
    git = needs("git")
    home.run(git, "config", "--global", "credential.helper", "vault")
    with open_vault(environ=home.files.environ()) as vault:
        vault.login("git.example.com:user-1", "tok-old", kind="token")
        vault.login("github.com:octo", "tok-hub", kind="token", label="octo")

    def credential(operation: str, *lines: str) -> str:
        done = home.run(git, "credential", operation, stdin="\n".join(["protocol=https", *lines, "", ""]))
        return done.stdout

    own = ("host=git.example.com", "username=user-1")
    assert "password=tok-old\n" in credential("fill", *own)
    credential("reject", *own, "password=tok-old")
    assert "password" not in credential("fill", *own)
    credential("approve", *own, "password=tok\u2028new\u0085\f.")
    assert "password=tok\u2028new\u0085\f.\n" in credential("fill", "host=git.example.com")
    credential("approve", "host=git:8443", "username=user-1", "password=fake-port")
    assert "password" not in credential("fill", "host=git-8443")
    assert "password=fake-port\n" in credential("fill", "host=git:8443")
    assert "username=octo\npassword=tok-hub\n" in credential("fill", "host=gist.github.com")
    credential("approve", "host=[::1]:3000", "username=user-1", "password=fake-six")
    assert "password=fake-six\n" in credential("fill", "host=[::1]:3000")


def test_docker_login_pull_credentials_and_logout(home: Home, registry: Registry) -> None:
    docker = needs("docker")
    settings = home.folder / ".docker" / "config.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"credsStore": "vault"}))
    logged_in = home.run(docker, "login", registry.host, "-u", "octo", "--password-stdin", stdin="fake-password-1")
    assert logged_in.returncode == 0, logged_in.stderr
    assert registry.basic in registry.seen
    assert "fake-password" not in settings.read_text()
    again = home.run(docker, "login", registry.host)  # goes on to a daemon, which isn't needed to see what it was given
    assert "Authenticating with existing credentials... [Username: octo]" in again.stdout + again.stderr
    assert (f"127.0.0.1%3a{registry.host.partition(':')[2]}:octo", "docker") in home.issued()
    assert home.run(docker, "logout", registry.host).returncode == 0
    assert home.run("docker-credential-vault", "get", stdin=registry.host).stdout == (
        "credentials not found in native keychain\n"
    )


def test_google_auth_takes_the_answer(home: Home) -> None:
    with open_vault(environ=home.files.environ()) as vault:
        ends = SystemClock().now() + HOUR
        vault.keep("issuer.example:workload", Token(token="fake-subject-token", expires_at=ends))
    source = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/v",
        "subject_token_type": "urn:ietf:params:oauth:token-type:id_token",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {
            "executable": {"command": f"{VAULT} helper google issuer.example:workload", "timeout_millis": 30000}
        },
    }
    told = home.run(
        sys.executable,
        "-c",
        "import json, sys; from google.auth import pluggable; "
        "print(pluggable.Credentials.from_info(json.load(sys.stdin)).retrieve_subject_token(None))",
        stdin=json.dumps(source),
        GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="1",
    )
    assert told.stdout == "fake-subject-token\n", told.stderr
    source["credential_source"] = {"executable": {"command": f"{VAULT} helper google nothing.example:at-all"}}
    told = home.run(
        sys.executable,
        "-c",
        "import json, sys; from google.auth import pluggable; "
        "pluggable.Credentials.from_info(json.load(sys.stdin)).retrieve_subject_token(None)",
        stdin=json.dumps(source),
        GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES="1",
    )
    assert "vault: agent main has no profile nothing.example:at-all" in told.stderr


def test_the_aws_sdk_takes_the_key_pair(home: Home) -> None:
    (home.folder / ".aws").mkdir()
    (home.folder / ".aws" / "config").write_text(f"[profile v]\ncredential_process = {VAULT} helper aws\n")
    given = {
        "VAULT_AWS_ACCESS_KEY_ID": "fake-key-id",
        "VAULT_AWS_SECRET_ACCESS_KEY": "fake-secret-key",
        "VAULT_AWS_SESSION_TOKEN": "fake-session-token",
    }
    told = home.run(
        sys.executable,
        "-c",
        "import botocore.session; c = botocore.session.Session(profile='v').get_credentials(); "
        "print(c.access_key, c.secret_key, c.token, c.method)",
        **given,
    )
    assert told.stdout == "fake-key-id fake-secret-key fake-session-token custom-process\n", told.stderr


def test_kubernetes_takes_the_token(home: Home, registry: Registry) -> None:
    pytest.importorskip("kubernetes")
    with open_vault(environ=home.files.environ()) as vault:
        vault.login("cluster.example:admin", "fake-cluster-token", kind="token")
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(VAULT),
            "args": ["helper", "kubernetes", "cluster.example:admin"],
            "interactiveMode": "Never",
        }
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": f"http://{registry.host}"}}],
        "users": [{"name": "u", "user": user}],
    }
    (home.folder / "config.json").write_text(json.dumps(document))
    home.run(
        sys.executable,
        "-c",
        "from kubernetes import client, config; config.load_kube_config('config.json'); client.VersionApi().get_code()",
    )
    assert "Bearer fake-cluster-token" in registry.seen
