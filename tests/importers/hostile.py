"""Stores of all tools as somebody may have damaged them, and everything that is done with one: nothing may end in a defect."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.exporters.test_gemini import sealed
from tests.importers.stores import write_agent_database, write_shared_database
from vault.errors import Defect, VaultError
from vault.events.credentials import (
    AnyCredential,
    ApiKey,
    Cloud,
    OAuth,
    Reference,
    Token,
    WellKnown,
    decode_credential,
    encode_credential,
)
from vault.interop.findings import Findings
from vault.interop.plans import Link, Outgoing, Target
from vault.interop.tools import Tool
from vault.values import MAIN_AGENT, ProfileId

CANARY = "fake-secret-canary"
ENDS_MS = 1_795_400_000_000
_LOGIN = {"access_token": f"{CANARY}-1", "refresh_token": f"{CANARY}-2", "expires_at": ENDS_MS // 1000, "scope": "a b"}
_JWT = "e30.eyJleHAiOjE3OTU0MDAwMDAsImVtYWlsIjoibWVAZXhhbXBsZS5jb20ifQ.ZmFrZQ"
_CLAW = {
    "version": 1,
    "profiles": {
        "lab:work": {"type": "api_key", "provider": "lab", "key": f"{CANARY}-1"},
        "lab:ref": {"type": "api_key", "provider": "lab", "keyRef": {"source": "env", "provider": "d", "id": "FAKE"}},
        "openai:me": {"type": "oauth", "provider": "openai", "access": CANARY, "refresh": CANARY, "expires": ENDS_MS},
    },
}
_CLAW_STATE = {
    "version": 1,
    "order": {"lab": ["lab:work"]},
    "usageStats": {"lab:work": {"lastUsed": 1000, "cooldownUntil": 5000, "cooldownReason": "auth"}},
}
_HOSTS = {"github.com:Iv1.a": {"user": "octo", "oauth_token": CANARY, "githubAppId": "Iv1.a"}}

# What a tool keeps, below the home folder.
SAMPLES: dict[str, dict[str, Any]] = {
    "opencode": {
        ".local/share/opencode/auth.json": {
            "anthropic": {"type": "api", "key": CANARY, "metadata": {"accountId": "a"}},
            "openai": {"type": "oauth", "refresh": CANARY, "access": CANARY, "expires": ENDS_MS, "email": "a@b.c"},
            "https://corp.example": {"type": "wellknown", "key": "CORP_TOKEN", "token": CANARY},
        },
        ".config/opencode/opencode.json": '{\n  // a comment\n  "provider": {"x": {"options": {"apiKey": "{env:X}"}}},\n}\n',
    },
    "openclaw": {
        ".openclaw/agents/main/agent/auth-profiles.json": _CLAW,
        ".openclaw/agents/main/agent/auth-state.json": _CLAW_STATE,
        ".openclaw/openclaw.json": {
            "auth": {"order": {"lab": ["lab:work"]}},
            "models": {"providers": {"x": {"apiKey": CANARY}}},
        },
        ".openclaw/.env": f"OPENAI_API_KEY={CANARY}\n",
    },
    "claude-code": {
        ".claude/.credentials.json": {
            "claudeAiOauth": {
                "accessToken": CANARY,
                "refreshToken": CANARY,
                "expiresAt": ENDS_MS,
                "scopes": ["user:inference"],
                "subscriptionType": "max",
            }
        },
        ".claude.json": {"primaryApiKey": CANARY, "oauthAccount": {"emailAddress": "a@b.c", "accountUuid": "u"}},
        ".claude/settings.json": {"apiKeyHelper": "/bin/true", "env": {"ANTHROPIC_API_KEY": CANARY}},
    },
    "anthropic-sdk": {
        ".config/anthropic/credentials/default.json": {"version": "1.0", "type": "oauth_token", **_LOGIN},
        ".config/anthropic/configs/default.json": {
            "version": "1.0",
            "organization_id": "o",
            "authentication": {"type": "user_oauth", "client_id": "c"},
        },
        ".config/anthropic/active_config": "default\n",
    },
    "codex": {
        ".codex/auth.json": {
            "OPENAI_API_KEY": CANARY,
            "tokens": {"id_token": _JWT, "access_token": _JWT, "refresh_token": CANARY, "account_id": "a"},
            "last_refresh": "2026-01-01T00:00:00Z",
        },
        ".codex/config.toml": 'model = "x"\n[model_providers.a]\nname = "a"\nenv_key = "A"\n'
        '[model_providers.a.auth]\ncommand = "c"\n',
    },
    "gemini": {
        ".gemini/oauth_creds.json": {**_LOGIN, "expiry_date": ENDS_MS, "id_token": _JWT},
        ".gemini/.env": f"GEMINI_API_KEY={CANARY}\n",
        ".gemini/gemini-credentials.json": "aa:bb:cc",
        ".gemini/settings.json": {"security": {"auth": {"selectedType": "oauth-personal"}}},
    },
    "qwen": {
        ".qwen/oauth_creds.json": {**_LOGIN, "expiry_date": ENDS_MS, "resource_url": "portal.qwen.ai"},
        ".qwen/settings.json": {
            "env": {"OPENAI_API_KEY": CANARY},
            "modelProviders": {"openai": [{"id": "x", "envKey": "X"}]},
        },
        ".qwen/.env": f"OPENAI_API_KEY={CANARY}\n",
    },
    "copilot": {
        ".config/github-copilot/apps.json": _HOSTS,
        ".config/github-copilot/hosts.json": {"github.com": {"user": "octo", "oauth_token": CANARY}},
        ".copilot/config.json": "// a comment\n" + json.dumps({"copilotTokens": {"https://github.com:octo": CANARY}}),
    },
    "crush": {
        ".local/share/crush/crush.json": {
            "providers": {
                "anthropic": {"api_key": CANARY},
                "hyper": {"oauth": {**_LOGIN, "expires_in": 3600}, "api_key": CANARY},
                "own": {"api_key": "$FAKE", "base_url": "http://127.0.0.1:1/v1", "type": "openai"},
            }
        },
        ".config/crush/crush.json": {"providers": {"openai": {"api_key": "$(echo fake)"}}},
    },
    "goose": {
        ".config/goose/secrets.yaml": f"OPENAI_API_KEY: {CANARY}\n# a comment\nother: &a [1, 2]\nmore: *a\n",
        ".config/goose/config.yaml": "GOOSE_PROVIDER: openai\n",
        ".config/goose/custom_providers/own.json": {
            "name": "own",
            "api_key_env": "OWN_KEY",
            "base_url": "http://127.0.0.1:1",
        },
    },
    "llm": {".config/io.datasette.llm/keys.json": {"openai": CANARY, "// Note": "x"}},
    "cline": {
        ".cline/data/settings/providers.json": {
            "version": 1,
            "providers": {
                "anthropic": {"settings": {"provider": "anthropic", "apiKey": CANARY}, "tokenSource": "manual"},
                "bedrock": {"settings": {"provider": "bedrock", "aws": {"accessKey": CANARY, "secretKey": CANARY}}},
                "cline": {"settings": {"auth": {"accessToken": CANARY, "refreshToken": CANARY, "expiresAt": ENDS_MS}}},
            },
        },
        ".cline/data/secrets.json": {"openRouterApiKey": CANARY},
    },
    "kimi": {".kimi-code/credentials/kimi-code.json": _LOGIN},
    "litellm": {
        "litellm_config.yaml": f"model_list:\n  - model_name: a\n    litellm_params: {{model: openai/x, api_key: {CANARY}}}\n",
        ".config/litellm/github_copilot/access-token": CANARY,
        ".config/litellm/chatgpt/auth.json": {**_LOGIN, "id_token": _JWT, "account_id": "a"},
    },
    "bmo": {
        "bmo.toml": f'[providers.anthropic]\napi_key = "{CANARY}"\n\n[providers.bedrock.provider_options]\nregion = "x"\n',
        ".config/bmo/bmo.toml": '[providers.openai]\napi_key = "${OPENAI_API_KEY}"\nbase_url = "https://x.example"\n',
    },
    "aws": {
        ".aws/credentials": f"[default]\naws_access_key_id = {CANARY}\naws_secret_access_key = {CANARY}\n# a comment\n",
        ".aws/config": "[profile work]\nregion = eu-west-1\ncredential_process = /opt/helper aws\n[sso-session s]\na = b\n",
    },
    "gcloud": {
        ".config/gcloud/application_default_credentials.json": {
            "type": "authorized_user",
            "client_id": "c",
            "client_secret": CANARY,
            "refresh_token": CANARY,
            "quota_project_id": "p",
        }
    },
    "gh": {
        ".config/gh/hosts.yml": f"github.com:\n    users:\n        octo:\n            oauth_token: {CANARY}\n"
        f"    user: octo\n    oauth_token: {CANARY}\n"
    },
    "huggingface": {
        ".cache/huggingface/stored_tokens": f"[one]\nhf_token = {CANARY}\n\n[two]\nhf_token = {CANARY}2\n"
        f"refresh_token = {CANARY}\nexpires_at = 1795400000\n",
        ".cache/huggingface/token": f"{CANARY}",
    },
    "dotenv": {
        ".env": f"OPENAI_API_KEY={CANARY}\nexport GROQ_API_KEY='{CANARY}'\n# a comment\nX=${{OPENAI_API_KEY}}\n",
        ".continue/.env": f'ANTHROPIC_API_KEY="{CANARY}"\n',
    },
}
DATABASES: dict[str, Callable[[Path], Path]] = {
    "opencode": lambda home: _opencode(home / ".local/share/opencode/opencode.db"),
    "openclaw": lambda home: write_agent_database(
        home / ".openclaw/agents/main/agent/openclaw-agent.sqlite", _CLAW, _CLAW_STATE
    ),
    "openclaw-shared": lambda home: write_shared_database(home / ".openclaw/state/openclaw.sqlite", _CLAW, _CLAW_STATE),
}

_DEEP = 20_000
BOMBS: dict[str, bytes] = {
    "nothing": b"",
    "a deep list": b"[" * _DEEP,
    "a deep list that ends": b"[" * 5000 + b"]" * 5000,
    "a deep map": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "a list below the limit": b'{"a":' + b"[" * 300 + b"]" * 300 + b"}",
    "deep YAML": b"a: " + b"[" * 3000 + b"]" * 3000,
    "deep YAML in blocks": b"".join(b" " * n + b"a:\n" for n in range(600)),
    "deep TOML": b"a = " + b"[" * 3000 + b"]" * 3000,
    "deep TOML tables": b"[" + b"a." * 3000 + b"a]\nb = 1\n",
    "5,000 digits": b'{"expires_at": ' + b"9" * 5000 + b"}",
    "5,000 digits in YAML": b"github.com:\n  oauth_token: " + b"9" * 5000 + b"\n",
    "5,000 digits in TOML": b"a = " + b"9" * 5000 + b"\n",
    "5,000 digits in INI": b"[a]\nexpires_at = " + b"9" * 5000 + b"\n",
    "digits that are none": "[a]\nhf_token = x\nexpires_at = ²\n".encode(),
    "half a character": b'{"a": "\\ud800", "\\udfff": 1}',
    "half a character in YAML": b'a: "\\ud800"\n',
    "NUL bytes": b'{"a\\u0000b": "x\\u0000y"}',
    "raw NUL bytes": b"\0" * 64,
    "not UTF-8": b'{"a": "\xff\xfe"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a mark in front": b"\xef\xbb\xbf" + b"{}",
    "a circle": b"a: &a\n  b: *a\n",
    "laughter": b"".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n".encode() for n in range(40)),
    "an odd date": b"a: 2001-99-99\nb: 2001-12-14t21:59:43.10-99:00\n",
    "a date of no year": b"a = 0000-00-00T00:00:00Z\n",
    "keys that are no texts": b"1: {oauth_token: x}\nnull: {users: {2: {oauth_token: y}}}\n? [a, b]\n: {c: d}\n",
    "tags": b"a: !!python/object/apply:os.system [x]\nb: !!binary '&&&'\nc: !!timestamp x\nd: !!omap [1]\n",
    "a section twice": b"[a]\nx = 1\n[a]\ny = 2\n",
    "an option twice": b"[a]\nx = 1\nx = 2\n",
    "no section": b"x = 1\n",
    "a number too large": b'{"a": 1e999, "expires_at": 1e308, "b": -1e999}',
    "no number": b'{"a": NaN, "b": Infinity}',
    "a text": b'"x"',
    "null": b"null",
    "a list": b"[1, null, [], {}]",
    "a TOML table twice": b"[a]\n[a]\n",
    "TOML out of order": b"[a.b]\nx = 1\n[c]\n[a]\ny = 2\n[a.b.d]\n",
    "brackets": b"{{{{[[[[((((",
    "quotes": b"'\"'\"\\\n\\",
    "carriage returns": b"[a]\r\nx = 1\r\r\n\r",
    "a very long line": b'{"a": "' + b"x" * 20_000 + b'"}',
}

_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**63, -(2**70), 10**400, 1.5, 1e308, -1e-308, "", " ", "\x00", "a\nb", "²", "9" * 5000, "x" * 70_000,
    "é", "\u202e", "\u2028", "${X}", "$(x)", "a:b", "a/b", "../x", "https://[", "http://a:99999999", "[::1]", "xn--", [], {},
    [[]], {"": ""}, [None], {"a": {"b": {"c": []}}}, "e30.e30.e30", "a.####.b", "NaN", "2026-13-40T99:99:99Z",
    "0001-01-01T00:00:00+23:59", {"key": 1}, ["x", 2],
)  # fmt: skip


def lay(home: Path, tool: str) -> list[Path]:
    """A tool's whole store below a home folder; its files."""
    made = []
    for name, content in SAMPLES[tool].items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = content if isinstance(content, str) else json.dumps(content, indent=2)
        path.write_text(text)
        path.chmod(0o600)
        made.append(path)
    return made


def damage(path: Path, chance: random.Random) -> None:
    """Change a file as an accident, or an enemy, may have."""
    content = path.read_bytes()
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if document is not None and chance.random() < 0.7:
        for _ in range(chance.randint(1, 3)):
            document = _altered(document, chance)
        try:
            text = json.dumps(document)
        except ValueError:
            return
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    elif content.startswith(b"SQLite") or document is not None or chance.random() < 0.3:
        path.write_bytes(_flipped(content, chance))
    else:
        path.write_bytes(_rewritten(content, chance))


def _altered(value: Any, chance: random.Random) -> Any:
    """A document with one of its values, or names, in place of which there is something odd."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        if chance.random() < 0.15:
            odd = chance.choice(
                ["", "\ud800", "a b", "x" * 300, "\x00", "é", "a/../b", "A_B", ":", "a:b:c", "[::1]", "1"]
            )
            return {**{k: v for k, v in value.items() if k != name}, odd: value[name]}
        return {**value, name: _altered(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        return [*value[:at], _altered(value[at], chance), *value[at + 1 :]]
    if isinstance(value, str) and chance.random() < 0.2:
        return value + chance.choice(["\n", "\x00", " ", "\ud800", ".", "=", "é"])
    return chance.choice(_VALUES)


def _flipped(content: bytes, chance: random.Random) -> bytes:
    raw = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        if not raw:
            break
        at = chance.randrange(len(raw))
        match chance.randrange(4):
            case 0:
                raw[at] = chance.randrange(256)
            case 1:
                del raw[at : at + chance.randint(1, 64)]
            case 2:
                raw[at:at] = raw[chance.randrange(len(raw)) :][: chance.randint(1, 64)]
            case _:
                raw[at:at] = chance.choice(list(BOMBS.values()))[:2000]
    return bytes(raw)


def _rewritten(content: bytes, chance: random.Random) -> bytes:
    """A text of lines with one of them doubled, cut, shifted, or with an odd value."""
    lines = content.split(b"\n")
    at = chance.randrange(len(lines))
    odd = chance.choice(_VALUES)
    word = (odd if isinstance(odd, str) else json.dumps(odd)).encode("utf-8", "surrogatepass")
    match chance.randrange(6):
        case 0:
            lines.insert(at, lines[at])
        case 1:
            lines[at] = b" " * chance.randint(1, 9) + lines[at]
        case 2:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        case 3:
            lines.insert(at, chance.choice(string.punctuation).encode() * chance.randint(1, 3))
        case 4:
            head, mark, _ = lines[at].partition(b"=" if b"=" in lines[at] else b":")
            lines[at] = head + mark + b" " + word
        case _:
            _, mark, tail = lines[at].partition(b"=" if b"=" in lines[at] else b":")
            lines[at] = word + mark + tail
    return b"\n".join(lines)


_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_GIVEN: list[tuple[str, AnyCredential]] = [
    ("anthropic:default", ApiKey(key=f"{CANARY}-a")),
    ("openai:codex", OAuth(access=f"{CANARY}-b", refresh=f"{CANARY}-c", expires_at=ENDS_MS * 1000, account={"accountId": "a"})),
    ("google:default", ApiKey(key=f"{CANARY}-d")),
    ("anthropic:login", OAuth(access=f"{CANARY}-e", refresh=f"{CANARY}-f", scopes=["user:inference"])),
    ("github.com:octo", Token(token=f"{CANARY}-g", metadata={"host": "github.com", "username": "octo"})),
    ("github-copilot:octo", OAuth(access=f"{CANARY}-h", refresh=f"{CANARY}-i")),
    ("huggingface:one", Token(token=f"{CANARY}-j", expires_at=ENDS_MS * 1000)),
    ("amazon-bedrock:work", Cloud(mode="env", facts={"region": "r"}, secrets=dict.fromkeys(_KEYS, CANARY))),
    ("corp.example:default", WellKnown(url="https://corp.example", env="CORP_TOKEN", token=CANARY)),
    ("groq:ref", Reference(scheme="env", target="FAKE_GROQ")),
]  # fmt: skip


def exercise(tool: Tool, home: Path) -> Iterator[tuple[str, VaultError]]:
    """Do everything with a store that anything does with one; the errors that tell of damage. What else is raised is a defect."""
    environ: dict[str, str] = {}
    found: list[Any] = []
    with contextlib.chdir(home):
        files = [p for p in home.rglob("*") if p.is_file()]
        sources: list[Path | None] = [None, *files, home]
        for source in sources:
            with _told() as error:
                findings = tool.read(source, environ, home) if tool.read else Findings(tool.name)
                repr(findings)
                for one in findings.found:
                    decode_credential(encode_credential(one.credential))
                found += findings.found if source is None else []
            yield from _checked("read", error)
        target = Target(environ, home, now=ENDS_MS * 1000)
        outgoing = [
            Outgoing(MAIN_AGENT, ProfileId(p), c)
            for p, c in _GIVEN
            if not tool.takes or p.partition(":")[0] in tool.takes
        ]
        outgoing += [Outgoing(f.agent, f.profile, f.credential, f.label, f.account) for f in found]
        link = Link("/fake/bin/vault", MAIN_AGENT, ["anthropic", "openai:codex"])
        steps: list[tuple[str, Any]] = [
            ("write", lambda: tool.write and tool.write(outgoing, {}, target)),
            ("connect", lambda: tool.connect and tool.connect(link, target)),
            ("disconnect", lambda: tool.disconnect and tool.disconnect(target)),
            ("scrub", lambda: tool.scrub and tool.scrub(found, link, target)),
            ("inject", lambda: tool.inject and tool.inject(outgoing, target)),
            ("lock", lambda: _locked(tool, target)),
        ]
        for name, step in steps:
            with _told() as error:
                step()
            yield from _checked(name, error)


def _locked(tool: Tool, target: Target) -> None:
    with tool.lock(target):
        pass


@contextlib.contextmanager
def _told() -> Iterator[list[VaultError]]:
    errors: list[VaultError] = []
    try:
        yield errors
    except VaultError as error:
        errors.append(error)


def _checked(step: str, errors: list[VaultError]) -> Iterator[tuple[str, VaultError]]:
    for error in errors:
        assert not isinstance(error, Defect)
        assert CANARY not in str(error), "a secret is never in a message"
        held = getattr(error.__context__, "doc", "") or getattr(error.__context__, "object", "")
        assert CANARY not in str(held), "nor in the error that a traceback would show before it"
        yield step, error


def _opencode(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE credential (id TEXT PRIMARY KEY, integration_id TEXT, label TEXT NOT NULL, value TEXT NOT NULL,"
            " connector_id TEXT, method_id TEXT, active INTEGER, time_created INTEGER NOT NULL, time_updated INTEGER NOT NULL);"
        )
        value = json.dumps({"type": "key", "key": CANARY})
        row = ("c1", "anthropic", "work", value, None, "key", 1, 1, 1)
        connection.execute("INSERT INTO credential VALUES (?,?,?,?,?,?,?,?,?)", row)
        connection.commit()
    return path


def sealed_file(home: Path, chance: random.Random) -> None:
    """Gemini CLI's sealed store, whole, with something odd inside."""
    inner: Any = {"gemini-cli-api-key": {"default-api-key": json.dumps({"token": {"accessToken": CANARY}})}}
    path = home / ".gemini/gemini-credentials.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sealed(_altered(inner, chance)))
