"""A fetched catalogue: what is refused, what is kept, what changes, and when it counts."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.providers.documents import document, encoded, entry
from tests.providers.server import Asked, Reply, Server, serving
from tests.support import START, Canary
from vault.errors import InputError, NotFound, StorageError, TryAgain
from vault.providers import catalogue, stored, update
from vault.values import ProviderId

Document = dict[str, Any]


@pytest.fixture
def path() -> Path:
    place = stored.place()
    assert place.is_relative_to(os.environ["XDG_CACHE_HOME"])
    return place


@pytest.fixture(autouse=True)
def _used() -> None:
    catalogue.use_fetched(lambda: True)


def fetch(server: Server, found: Document | bytes, path: Path, etag: str = "", url: str = "") -> update.Updated:
    body = found if isinstance(found, bytes) else encoded(found)
    server.reply = lambda _: Reply(body=body, headers={"ETag": etag} if etag else {})
    return update.update(url or server.url + "/api.json", path, START)


def changed(done: update.Updated) -> list[tuple[str, str, str, str]]:
    return [(c.what, c.provider, c.before, c.after) for c in done.changes]


def test_the_same_catalogue_changes_nothing_that_is_read(server: Server, path: Path) -> None:
    before = catalogue.providers()
    done = fetch(server, document(), path)
    assert done == update.Updated(server.url + "/api.json", True, 227, ())
    assert catalogue.source() == catalogue.Source("fetched", done.url, START)
    assert catalogue.providers() == before


def test_what_is_new_gone_or_other_is_told_and_counts(server: Server, path: Path) -> None:
    found = document()
    found["brand-new"] = entry("brand-new", env=["BRAND_NEW_API_KEY", "BRAND_NEW_REGION"])
    del found["abacus"]
    found["groq"]["env"] = ["GROQCLOUD_API_KEY"]
    found["deepseek"]["api"] = "https://api.deepseek.example"
    found["nosy"] = entry("nosy", env=["ANTHROPIC_API_KEY"])
    done = fetch(server, found, path)
    assert changed(done) == [
        ("removed", "abacus", "ABACUS_API_KEY", "no longer listed; it stays known"),
        ("added", "brand-new", "", "BRAND_NEW_API_KEY, BRAND_NEW_REGION"),
        ("moved", "deepseek", "https://api.deepseek.com", "https://api.deepseek.example"),
        ("variables", "groq", "GROQ_API_KEY", "GROQCLOUD_API_KEY"),
        ("added", "nosy", "", "ANTHROPIC_API_KEY"),
        ("shares", "nosy", "anthropic", "ANTHROPIC_API_KEY"),
    ]
    new, gone, groq = (catalogue.provider(p) for p in ("brand-new", "abacus", "groq"))
    assert new is not None
    assert (new.key_env, new.fact_env) == (("BRAND_NEW_API_KEY",), ("BRAND_NEW_REGION",))
    assert gone is not None
    assert (gone.listed, gone.key_env) == (False, ("ABACUS_API_KEY",))
    assert groq is not None
    assert (groq.key_env, groq.also_env) == (("GROQCLOUD_API_KEY",), ("GROQ_API_KEY",))
    assert catalogue.read_names(ProviderId("groq")) == ("GROQCLOUD_API_KEY", "GROQ_API_KEY")
    anthropic, ollama = catalogue.provider("anthropic"), catalogue.provider("ollama")
    assert anthropic is not None
    assert anthropic.shared_with == ("nosy",)
    assert ollama is not None
    assert ollama.listed


def test_a_fetched_catalogue_never_leads_a_stored_key_to_another_server(server: Server, path: Path) -> None:
    found = document()
    found["brand-new"] = entry("brand-new", env=["BRAND_NEW_API_KEY"]) | {"api": "https://api.new.example/v1"}
    fetch(server, found, path)
    evil = {"deepseek": "https://evil.example", "v0": "https://evil.example/v1", "openai": "http://127.0.0.1:9/v1"}
    for name, api in {
        **evil,
        "brand-new": "https://evil.example/v1",
        "openrouter": "https://openrouter.ai/api/v2",
    }.items():
        found[name]["api"] = api
    done = fetch(server, found, path)
    assert {("moved", "deepseek"), ("moved", "brand-new"), ("address", "openrouter")} <= {
        (c.what, c.provider) for c in done.changes
    }
    addresses = {name: known.api for name in (*evil, "brand-new", "openrouter") if (known := catalogue.provider(name))}
    assert addresses == {
        "deepseek": "https://api.deepseek.com",
        "v0": None,
        "openai": None,
        "brand-new": "https://api.new.example/v1",
        "openrouter": "https://openrouter.ai/api/v2",
    }
    assert not catalogue.is_local("openai")


def test_what_was_decided_here_holds_for_a_fetched_catalogue(server: Server, path: Path) -> None:
    found = document()
    found["infomaniak"]["env"] = ["INFOMANIAK_TOKEN", "INFOMANIAK_PRODUCT_ID"]
    found["vercel"]["env"] = ["VERCEL_GATEWAY_KEY"]
    fetch(server, found, path)
    vercel = catalogue.provider("vercel")
    assert vercel is not None
    assert (vercel.key_env, vercel.also_env) == (("VERCEL_GATEWAY_KEY",), ("VERCEL_API_KEY", "AI_GATEWAY_API_KEY"))
    infomaniak, bedrock = catalogue.provider("infomaniak"), catalogue.provider("amazon-bedrock")
    assert infomaniak is not None
    assert (infomaniak.key_env, infomaniak.also_env) == (("INFOMANIAK_TOKEN",), ("INFOMANIAK_API_KEY",))
    assert bedrock is not None
    assert bedrock.key_env == ("AWS_BEARER_TOKEN_BEDROCK",)
    assert catalogue.resolve("gemini") == "google"


def test_an_unchanged_catalogue_costs_one_short_answer(server: Server, path: Path) -> None:
    fetch(server, document(), path, etag='"one"')
    before = path.read_bytes()

    def unchanged(asked: Asked) -> Reply:
        return Reply(304, b"") if asked.headers.get("if-none-match") == '"one"' else Reply(500)

    server.reply = unchanged
    done = update.update(server.url + "/api.json", path, START + 5)
    assert (done.changed, done.count, done.changes) == (False, 227, ())
    assert path.read_bytes() == before
    with pytest.raises(TryAgain):
        update.update(server.url + "/elsewhere.json", path, START)
    assert "if-none-match" not in server.asked[-1].headers


def test_an_unasked_304_is_refused(server: Server, path: Path) -> None:
    server.reply = lambda _: Reply(304, b"")
    with pytest.raises(InputError, match="answered 304"):
        update.update(server.url, path, START)
    assert not path.exists()


def damaged(change: Callable[[Document], object]) -> Document:
    found = document()
    change(found)
    return found


REFUSED: dict[str, tuple[Callable[[], Document | bytes], str]] = {
    "no JSON": (lambda: b"<html>", "not JSON"),
    "cut off": (lambda: encoded(document())[:-5], "not JSON"),
    "not UTF-8": (lambda: b'{"\xff": 1}', "not JSON"),
    "deep": (lambda: b"[" * 200_000, "not JSON"),
    "a list": (lambda: b"[]", "not a catalogue"),
    "empty": (lambda: b"{}", "not a catalogue"),
    "an entry of text": (lambda: damaged(lambda d: d.update(groq="x")), "not a provider"),
    "another id": (lambda: damaged(lambda d: d["groq"].update(id="groq2")), "doesn't match its key"),
    "no id": (lambda: damaged(lambda d: d["groq"].pop("id")), "doesn't match its key"),
    "an impossible id": (lambda: {"Bad Id": entry("Bad Id")}, "not a provider id"),
    "an id with control characters": (lambda: {"a\x1b[2J": entry("a\x1b[2J", models=1)}, "with an impossible id"),
    "no name": (lambda: damaged(lambda d: d["groq"].pop("name")), "groq: its name"),
    "a name with control characters": (lambda: damaged(lambda d: d["groq"].update(name="\x1b[2J")), "groq: its name"),
    "an endless name": (lambda: damaged(lambda d: d["groq"].update(name="x" * 500)), "groq: its name"),
    "a name twice": (lambda: damaged(lambda d: d["groq"].update(name="MISTRAL")), "the same name"),
    "no variables": (lambda: damaged(lambda d: d["groq"].update(env=[])), "groq: its variables"),
    "variables of numbers": (lambda: damaged(lambda d: d["groq"].update(env=[1])), "groq: its variables"),
    "too many variables": (
        lambda: damaged(lambda d: d["groq"].update(env=[f"A{n}" for n in range(40)])),
        "its variables",
    ),
    "a shell's variable": (lambda: damaged(lambda d: d["groq"].update(env=["PATH"])), "no provider may have"),
    "a loader's variable": (lambda: damaged(lambda d: d["groq"].update(env=["LD_AUDIT_KEY"])), "no provider may have"),
    "vault's variable": (lambda: damaged(lambda d: d["groq"].update(env=["VAULT_KEY"])), "no provider may have"),
    "a variable that is none": (lambda: damaged(lambda d: d["groq"].update(env=["A B"])), "no provider may have"),
    "plain http": (lambda: damaged(lambda d: d["abacus"].update(api="http://abacus.example")), "not https"),
    "a password in the address": (
        lambda: damaged(lambda d: d["abacus"].update(api="https://a:b@c.example")),
        "not https",
    ),
    "another scheme": (lambda: damaged(lambda d: d["abacus"].update(api="file:///etc/passwd")), "not https"),
    "an address of a number": (lambda: damaged(lambda d: d["abacus"].update(api=7)), "not https"),
    "a needed address missing": (lambda: damaged(lambda d: d["abacus"].pop("api")), "no address"),
    "no library": (lambda: damaged(lambda d: d["groq"].pop("npm")), "no library"),
    "no documentation": (lambda: damaged(lambda d: d["groq"].pop("doc")), "documentation"),
    "documentation that runs": (lambda: damaged(lambda d: d["groq"].update(doc="javascript:1")), "documentation"),
    "no models": (lambda: damaged(lambda d: d["groq"].pop("models")), "models"),
}


@pytest.mark.parametrize(("make", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_catalogue_is_refused_and_the_one_in_use_stays(
    make: Callable[[], Document | bytes], why: str, server: Server, path: Path
) -> None:
    fetch(server, document() | {"kept": entry("kept")}, path)
    before = path.read_bytes()
    with pytest.raises(InputError, match=why) as caught:
        fetch(server, make(), path)
    assert caught.value.exit_status == 65
    assert "\x1b" not in str(caught.value)
    assert path.read_bytes() == before
    catalogue.reload()
    assert catalogue.provider("kept") is not None


@pytest.mark.parametrize(("status", "error"), [(404, InputError), (401, InputError), (429, TryAgain), (500, TryAgain)])
def test_another_answer_is_refused(status: int, error: type[Exception], server: Server, path: Path) -> None:
    server.reply = lambda _: Reply(status, encoded(document()))
    with pytest.raises(error, match=str(status)):
        update.update(server.url, path, START)
    assert not path.exists()


def test_a_huge_answer_is_refused(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "LARGEST", 1024 * 1024)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        fetch(server, b" " * (1024 * 1024) + encoded(document()), path)
    assert not path.exists()


def test_redirects_are_followed_where_no_credential_travels(server: Server, path: Path) -> None:
    body = encoded(document())
    server.reply = lambda asked: (
        Reply(body=body) if asked.path == "/real" else Reply(302, headers={"Location": "/real"})
    )
    assert update.update(server.url + "/api.json", path, START).count == 227
    server.reply = lambda _: Reply(302, headers={"Location": "/again"})
    asked = len(server.asked)
    with pytest.raises(InputError, match="answered 302"):
        update.update(server.url, path, START)
    assert len(server.asked) == asked + 1 + update.REDIRECTS
    server.reply = lambda _: Reply(302, headers={"Location": "http://models.example/api.json"})
    with pytest.raises(InputError, match="not https"):
        update.update(server.url, path, START)
    with serving() as mirror:
        mirror.reply = lambda _: Reply(body=body)
        server.reply = lambda _: Reply(302, headers={"Location": mirror.url + "/api.json"})
        assert update.update(server.url, path, START).count == 227


def test_an_answer_that_breaks_off_changes_nothing(server: Server, path: Path) -> None:
    server.reply = lambda _: Reply(
        raw=lambda wire: wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n" + encoded(document())[:100])
    )
    with pytest.raises(TryAgain, match="broke off"):
        update.update(server.url, path, START)
    assert not path.exists()


def test_an_address_with_a_token_in_it_is_not_told(server: Server, path: Path, canary: Canary) -> None:
    for status in (404, 500):
        server.reply = lambda _, status=status: Reply(status)  # type: ignore[misc]
        with pytest.raises((InputError, TryAgain)) as caught:
            update.update(f"{server.url}/{canary}?token={canary}", path, START)
        canary.assert_absent(str(caught.value))


@pytest.mark.parametrize(
    "url", ["http://models.example/x", "https://a:b@models.example", "models.dev", "file:///x", "https://"]
)
def test_an_address_that_is_not_safe_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        update.source_url(url, {})
    with pytest.raises(InputError):
        update.source_url("", {"VAULT_MODELS_URL": url})


def test_where_it_is_fetched_from() -> None:
    assert update.source_url("", {}) == "https://models.dev/api.json"
    assert update.source_url("", {"VAULT_MODELS_URL": "https://mirror.example"}) == "https://mirror.example"
    assert update.source_url("https://x.example", {"VAULT_MODELS_URL": "https://mirror.example"}) == "https://x.example"


def test_it_is_stored_for_its_owner_alone_and_the_previous_one_is_kept(server: Server, path: Path) -> None:
    fetch(server, document() | {"one": entry("one")}, path)
    fetch(server, document() | {"two": entry("two")}, path)
    previous = stored.previous_of(path)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, previous, path.parent)] == [0o600, 0o600, 0o700]
    assert sorted(p.name for p in path.parent.iterdir()) == [path.name, previous.name]
    fetch(server, document() | {"two": entry("two")}, path)
    for listed, other in (("one", "two"), ("two", "one")):
        stored.go_back(path)
        catalogue.reload()
        assert catalogue.provider(listed) is not None
        assert catalogue.provider(other) is None
    assert stored.drop(path)
    assert not stored.drop(path)
    catalogue.reload()
    assert catalogue.source() == catalogue.Source("embedded")
    stored.go_back(path)
    catalogue.reload()
    assert catalogue.provider("two") is not None
    assert not previous.exists()


def test_there_is_no_previous_one(path: Path) -> None:
    with pytest.raises(NotFound):
        stored.go_back(path)


def in_the_way(path: Path) -> None:
    path.unlink()
    path.mkdir()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut off": (lambda p: p.write_bytes(p.read_bytes()[:-9]), "not JSON"),
    "emptied": (lambda p: p.write_bytes(b""), "not JSON"),
    "of another version": (lambda p: p.write_bytes(p.read_bytes().replace(b"catalogue/1", b"catalogue/2")), "version"),
    "a dangerous name": (lambda p: p.write_bytes(p.read_bytes().replace(b'"GROQ_API_KEY"', b'"LD_PRELOAD"')), "groq"),
    "another fact": (lambda p: p.write_bytes(p.read_bytes().replace(b'"doc"', b'"dog"', 1)), "unknown kind"),
    "no rows": (lambda p: p.write_text(json.dumps(json.loads(p.read_text()) | {"providers": []})), "no providers"),
    "rows of text": (lambda p: p.write_text(json.dumps(json.loads(p.read_text()) | {"providers": ["x"]})), "objects"),
    "no origin": (lambda p: p.write_text(json.dumps(json.loads(p.read_text()) | {"url": None})), "where it is from"),
    "writable by all": (lambda p: p.chmod(0o666), "others may write"),
    "far too large": (lambda p: p.write_bytes(b" " * (stored.LARGEST + 1)), "too large"),
    "a folder": (in_the_way, "can't be read"),
}


@pytest.mark.parametrize(("harm", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_one_is_not_used_and_is_named(
    harm: Callable[[Path], object], why: str, server: Server, path: Path
) -> None:
    fetch(server, document() | {"kept": entry("kept")}, path)
    harm(path)
    catalogue.reload()
    assert catalogue.provider("kept") is None
    assert catalogue.provider("groq") is not None
    found = catalogue.source()
    assert (found.kind, found.broken) == ("embedded", True)
    assert why in found.note
    assert str(path) in found.note


def test_a_broken_one_does_not_become_the_previous(server: Server, path: Path) -> None:
    fetch(server, document() | {"one": entry("one")}, path)
    fetch(server, document() | {"two": entry("two")}, path)
    path.write_bytes(b"damage")
    fetch(server, document() | {"three": entry("three")}, path)
    stored.go_back(path)
    catalogue.reload()
    assert catalogue.provider("one") is not None


def test_it_counts_only_where_it_may(server: Server, path: Path) -> None:
    fetch(server, document() | {"kept": entry("kept")}, path)
    asked: list[str] = []

    def never() -> bool:
        asked.append("asked")
        return False

    catalogue.use_fetched(never)
    assert catalogue.provider("kept") is None
    assert "as the settings say" in catalogue.source().note
    assert not catalogue.source().broken
    catalogue.providers()
    assert asked == ["asked"]


def test_a_folder_that_can_not_be_written_is_told(server: Server, path: Path) -> None:
    path.parent.parent.mkdir(parents=True, exist_ok=True)
    path.parent.write_text("in the way")
    with pytest.raises(StorageError):
        fetch(server, document(), path)


def test_a_server_that_never_ends_is_left(server: Server, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(wire: Any) -> None:
        wire.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not server.over.is_set():
            wire.write(b" ")
            wire.flush()
            time.sleep(0.02)

    monkeypatch.setattr(update, "SECONDS", 0.5)
    server.reply = lambda _: Reply(raw=drip)
    with pytest.raises(TryAgain, match="within"):
        update.update(server.url, path, START)
    assert not path.exists()
