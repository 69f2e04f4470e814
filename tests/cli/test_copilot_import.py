"""A GitHub token that Copilot kept in a file is a sign-in like the vault's own: exchanged at use, refreshed, written back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.running import Real
from tests.cli.signing_in import Place

NAME = "github-copilot:octo"


def keep(place: Place, folder: Path, host: str = "github.com") -> str:
    """An editor's ``apps.json`` with a GitHub token that the server knows; the token."""
    token = str(place.authority.tokens("")["access_token"])
    folder.mkdir()
    (folder / "apps.json").write_text(json.dumps({f"{host}:Iv1.x": {"user": "octo", "oauth_token": token}}))
    return token


def test_it_is_exchanged_and_refreshed(place: Place, real: Real, tmp_path: Path) -> None:
    keep(place, tmp_path / "editor")
    real("import", "copilot", "--from", str(tmp_path / "editor"))
    assert place.authority.count("copilot", "ok") == 0
    assert real("status", "--check").status == 0
    first = place.stored(NAME, "oauth")
    assert first.startswith("fake-copilot-")
    assert place.stored(NAME, "oauth") == first
    assert place.authority.count("copilot", "ok") == 1
    real("refresh", NAME)
    assert place.authority.count("copilot", "ok") == 2
    again = place.stored(NAME, "oauth")
    assert again.startswith("fake-copilot-")
    assert again != first
    assert real("show", NAME, "--json").json["ownership"] == "copy"
    told = real("import", "copilot", "--from", str(tmp_path / "editor"))
    assert "vault has" in told.out
    assert place.stored(NAME, "oauth") == again


def test_an_enterprises_is_exchanged_there(place: Place, real: Real, tmp_path: Path) -> None:
    keep(place, tmp_path / "editor", host="company.ghe.com")
    real("import", "copilot", "--from", str(tmp_path / "editor"))
    assert place.stored(f"{NAME}@company.ghe.com", "oauth").startswith("fake-copilot-")
    assert place.authority.requests[-1][1] == "/api.company.ghe.com/copilot_internal/v2/token"


def test_the_github_token_goes_back(place: Place, real: Real, tmp_path: Path) -> None:
    token = keep(place, tmp_path / "editor")
    real("import", "copilot", "--from", str(tmp_path / "editor"))
    real("refresh", NAME)
    (tmp_path / "fresh").mkdir()
    real("export", "copilot", "--to", str(tmp_path / "fresh" / "apps.json"))
    for folder in ("fresh", "editor"):
        document = json.loads((tmp_path / folder / "apps.json").read_text())
        assert document == {"github.com:Iv1.x": {"user": "octo", "oauth_token": token}}
    child = real("exec", "--tool", "copilot", "--", "printenv", "COPILOT_GITHUB_TOKEN")
    assert child.out == f"{token}\n"


@pytest.mark.parametrize(("answer", "words"), [(401, "bad_credentials"), (403, "no_copilot_access")])
def test_a_github_token_that_can_not_be_exchanged_is_never_handed_out(
    place: Place, real: Real, tmp_path: Path, answer: int, words: str
) -> None:
    keep(place, tmp_path / "editor")
    real("import", "copilot", "--from", str(tmp_path / "editor"))
    place.authority.settings.copilot = answer
    told = real("get", "github-copilot", status=None)
    assert told.status != 0
    assert told.out == ""
    assert words in told.err
