"""`wellkept init` with the plugins of this repository: what it writes is complete, valid, and holds no secret."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.config import load, validate
from wellkept.plugins import find, load_named

PASTED = "pat-na1-4eC39HqLyjWDarjtT1zdp7dc"

ANSWERS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "zendesk by OAuth": (
        ["1", "acme", "wellkept", PASTED, "", "file:secrets/refresh"],
        {
            "subdomain": "acme",
            "client_id": "wellkept",
            "client_secret": "env:ZENDESK_CLIENT_SECRET",
            "refresh_token": "file:secrets/refresh",
        },
    ),
    "zendesk by token": (
        ["2", "acme.zendesk.com", "acme", "ops@acme.example", ""],
        {"subdomain": "acme", "email": "ops@acme.example", "api_token": "env:ZENDESK_API_TOKEN"},
    ),
    "hubspot by token": (["", PASTED, ""], {"access_token": "env:HUBSPOT_ACCESS_TOKEN"}),
    "hubspot by OAuth": (
        ["2", "client-1", PASTED, "", ""],
        {
            "oauth": {
                "client_id": "client-1",
                "client_secret": "env:HUBSPOT_OAUTH_CLIENT_SECRET",
                "refresh_token": "env:HUBSPOT_OAUTH_REFRESH_TOKEN",
            }
        },
    ),
    "mixpanel": (
        ["twelve", "0", "12", "wellkept.a1b2c3.mp-service-account", ""],
        {"project_id": 12, "service_account": "wellkept.a1b2c3.mp-service-account", "secret": "env:MIXPANEL_SECRET"},
    ),
    "stripe": ([""], {"api_key": "env:STRIPE_API_KEY"}),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_what_is_asked_for_makes_a_valid_instance(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin = case.split(maxsplit=1)[0]
    typed, expected = ANSWERS[case]
    path = tmp_path / "plugins.toml"
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in typed)))
    assert main(["-c", str(path), "init", "--plugin", plugin]) == 0
    config = load(path, strict=True)
    table = config.tables[plugin]
    assert table.rest == expected
    model, errors = validate(config, table, load_named([plugin]).loaded[plugin].model())
    assert (model is not None, errors) == (True, [])
    printed = capsys.readouterr()
    assert "To be filled in" not in printed.out
    assert PASTED not in path.read_text(encoding="utf-8") + printed.out + printed.err


def test_without_questions_it_says_what_is_still_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plugins.toml"
    assert main(["-c", str(path), "init", "--yes"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("To be filled in")]
    written = tomllib.loads(path.read_text(encoding="utf-8"))["plugins"]
    assert set(written) == set(find().plugins)
    assert any("plugins.zendesk" in line for line in told)
    assert any("plugins.mixpanel.project_id" in line for line in told)
    assert not any("plugins.stripe" in line or "plugins.hubspot" in line for line in told)


def test_every_key_of_a_plugin_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plugins.toml"
    assert main(["-c", str(path), "init", "--yes", "--plugin", "hubspot"]) == 0
    text = path.read_text(encoding="utf-8")
    model = load_named(["hubspot"]).loaded["hubspot"].model()
    assert model is not None
    for key in model.model_fields:
        assert f"\n{key} = " in text or f"\n# {key} = " in text, key
    assert '# oauth = { client_id = "...", client_secret = "env:HUBSPOT_OAUTH_CLIENT_SECRET"' in text
