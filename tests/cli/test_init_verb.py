"""`wellkept init`: a first configuration, with references in the places of secrets."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli.exits import Exit
from wellkept.config import load

Install = Callable[..., None]


def answer(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_yes_takes_all_that_is_installed_and_the_result_passes_check(run: Any, install: Install, here: Path) -> None:
    install()
    done = run("init", "--yes")
    assert done.code == Exit.OK, done.err
    assert "set VENDOR_API_KEY, then run `wellkept check`" in done.out
    config = load(here / "plugins.toml", strict=True)
    assert config.tables["vendor"].rest == {"api_key": "env:VENDOR_API_KEY"}
    assert run("check").code == Exit.OK


def test_an_existing_file_is_not_overwritten(run: Any, install: Install, here: Path) -> None:
    install()
    (here / "plugins.toml").write_text("# mine\n")
    done = run("init", "--yes")
    assert done.code == Exit.CONFIG
    assert "exists already" in done.err
    assert (here / "plugins.toml").read_text() == "# mine\n"


def test_a_file_that_somebody_makes_meanwhile_is_kept(
    run: Any, install: Install, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    path = here / "plugins.toml"
    from wellkept.config import template

    original = template.render

    def slow(choices: Any) -> str:
        path.write_text("# theirs\n")
        return original(choices)

    monkeypatch.setattr(template, "render", slow)
    done = run("init", "--yes")
    assert done.code == Exit.CONFIG
    assert path.read_text() == "# theirs\n"


def test_it_asks_what_to_connect_and_for_what_has_no_default(
    run: Any, install: Install, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    install("other")
    answer(monkeypatch, "n", "y", "file:secrets/key")
    done = run("init")
    assert done.code == Exit.OK, done.err
    assert load(here / "plugins.toml").tables["vendor"].rest == {"api_key": "file:secrets/key"}
    assert "other" not in (here / "plugins.toml").read_text()


def test_a_pasted_secret_is_refused_and_never_written(
    run: Any, install: Install, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    answer(monkeypatch, "y", "sk_live_4eC39HqLyjWDarjtT1zdp7dc", "")
    done = run("init")
    assert done.code == Exit.OK, done.err
    assert "never the secret itself" in done.err
    text = (here / "plugins.toml").read_text()
    assert "sk_live" not in text + done.out + done.err
    assert 'api_key = "env:VENDOR_API_KEY"' in text


def test_plugins_can_be_named(run: Any, install: Install, here: Path) -> None:
    install()
    install("other")
    document = run("init", "--yes", "--plugin", "other", "--json").document
    assert document == {
        "ok": True,
        "path": "plugins.toml",
        "plugins": ["other"],
        "references": ["OTHER_API_KEY"],
        "missing": [],
    }
    assert list(load(here / "plugins.toml").tables) == ["other"]


def test_a_named_plugin_that_is_missing_writes_nothing(run: Any, here: Path) -> None:
    done = run("init", "--yes", "--plugin", "absent")
    assert done.code == Exit.CONFIG
    assert "no installed plugin is called 'absent'" in done.err
    assert not (here / "plugins.toml").exists()


def test_a_broken_plugin_is_left_out_and_told(run: Any, install: Install, here: Path) -> None:
    install()
    install("bad", "1 / 0")
    done = run("init", "--yes")
    assert done.code == Exit.PARTIAL
    assert "ZeroDivisionError" in done.err
    assert list(load(here / "plugins.toml").tables) == ["vendor"]


def test_interrupting_it_writes_nothing(run: Any, install: Install, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install()
    answer(monkeypatch)  # end of input
    done = run("init")
    assert done.code == Exit.INTERRUPTED
    assert not (here / "plugins.toml").exists()


def test_without_any_plugin_it_is_a_configuration_all_the_same(run: Any, here: Path) -> None:
    done = run("init")
    assert done.code == Exit.OK
    assert "No plugin is installed" in done.err
    assert load(here / "plugins.toml").tables == {}


def test_a_place_that_cannot_be_written_is_told(run: Any, here: Path) -> None:
    (here / "file").touch()
    done = run("init", "--yes", "-c", "file/plugins.toml")
    assert done.code == Exit.CONFIG
    assert "cannot be written" in done.err
