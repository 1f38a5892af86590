"""`wellkept plugins`, `wellkept config` and `wellkept state`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from wellkept.cli.exits import Exit
from wellkept.errors import CredentialsError, FatalError
from wellkept.store import Store, cursors, instances, open_store

Install = Callable[..., None]
Write = Callable[[str], Path]
GOOD = '[plugins.vendor]\napi_key = "env:VENDOR_API_KEY"\n'


@contextmanager
def opened(here: Path) -> Iterator[Store]:
    store = open_store(here / "wellkept.db")
    try:
        yield store
    finally:
        store.close()


# --- plugins ---


def test_the_list_shows_distributions_and_states_without_importing_or_making_a_store(
    run: Any, install: Install, configured: Write, here: Path
) -> None:
    install()
    configured(f'{GOOD}[plugins.eu]\nplugin = "vendor"\nenabled = false\n')
    for arguments in (("plugins",), ("plugins", "list")):
        done = run(*arguments)
        assert done.code == Exit.OK
        [line] = [line for line in done.out.splitlines() if line.startswith("vendor")]
        assert line.split()[1:3] == ["wellkept-vendor", "1.0"]
        assert "vendor; eu (not enabled)" in line
    assert "wellkept_vendor" not in sys.modules
    assert not (here / "wellkept.db").exists()


def test_the_list_works_without_a_configuration(run: Any, install: Install) -> None:
    install()
    document = run("plugins", "--json").document
    entry = next(item for item in document["plugins"] if item["plugin"] == "vendor")
    assert entry["instances"] == []
    assert entry["hooks"] is None


def test_what_is_missing_or_ambiguous_is_told(run: Any, install: Install, configured: Write) -> None:
    install()
    install("vendor", distribution="other-vendor")
    configured("[plugins.vendor]\n[plugins.absent]\n")
    done = run("plugins")
    assert done.code == Exit.CONFIG
    assert "names the plugin 'absent', which is not installed" in done.err
    assert "several distributions call a plugin 'vendor': other-vendor 1.0, wellkept-vendor 1.0" in done.err.replace(
        "wellkept-vendor 1.0, other-vendor 1.0", "other-vendor 1.0, wellkept-vendor 1.0"
    )
    assert run("plugins", "--json").document["missing"] == ["absent"]


def test_a_disabled_instance_shows_its_reason_and_can_be_enabled(
    run: Any, install: Install, configured: Write, here: Path
) -> None:
    install()
    configured(GOOD)
    with opened(here) as store:
        for _ in range(instances.LIMIT):
            store.write_now(
                lambda tx: instances.record_failure(tx, "vendor", "vendor", FatalError("the vendor changed"), digest="d", now=1)
            )
    assert "vendor (disabled): 5 runs in a row failed: the vendor changed" in run("plugins").out
    done = run("plugins", "enable", "vendor")
    assert (done.code, done.out) == (Exit.OK, "vendor runs again.\n")
    assert "disabled" not in run("plugins").out
    assert run("plugins", "enable", "vendor").out == "There was nothing against vendor.\n"
    with opened(here) as store:
        store.write_now(lambda tx: instances.record_failure(tx, "vendor", "vendor", CredentialsError("401"), digest="d", now=1))
    document = run("plugins", "enable", "vendor", "--json").document
    assert document == {"ok": True, "instance": "vendor", "was": "paused", "state": "ok"}
    assert "did you mean 'vendor'?" in run("plugins", "enable", "vendr").err


def test_inspect_shows_keys_hooks_and_commands(run: Any, install: Install) -> None:
    install()
    done = run("plugins", "inspect", "vendor")
    assert done.code == Exit.OK, done.err
    for words in (
        "from wellkept-vendor 1.0, plugin API 1.0",
        "hooks: commands, describe, sources",
        "A restricted key.",
        "greet",
    ):
        assert words in done.out
    document = run("plugins", "inspect", "vendor", "--json").document
    assert document["keys"] == [
        {"key": "api_key", "type": "secret", "required": True, "default": None, "doc": "A restricted key."},
        {"key": "host", "type": "string", "required": False, "default": "h", "doc": "The server."},
    ]
    assert document["commands"] == [{"name": "greet", "help": "Say hello."}]


def test_inspecting_a_broken_plugin_says_why(run: Any, install: Install) -> None:
    install("bad", "raise SystemExit")
    done = run("plugins", "inspect", "bad")
    assert done.code == Exit.CONFIG
    assert "plugin bad [wellkept-bad 1.0]: cannot be imported: it tried to end the program" in done.err


# --- config ---


def test_the_schema_covers_installed_plugins(run: Any, install: Install, configured: Write, here: Path) -> None:
    install()
    done = run("config", "schema")
    assert done.code == Exit.OK, done.err
    schema = json.loads(done.out)
    jsonschema_rs.meta.validate(schema)
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid({"plugins": {"vendor": {"api_key": "env:A"}}})
    assert not validator.is_valid({"plugins": {"vendor": {"api_kee": "env:A"}}})
    assert schema["$defs"]["plugin.vendor"]["properties"]["api_key"]["description"] == "A restricted key."
    done = run("config", "schema", "-o", "plugins.schema.json")
    assert json.loads((here / "plugins.schema.json").read_text()) == schema
    assert done.out == "Wrote plugins.schema.json.\n"


def test_a_broken_plugin_leaves_the_schema_of_the_others(run: Any, install: Install) -> None:
    install()
    install("bad", "1 / 0")
    install(
        "odd",
        """
        from wellkept import PluginInfo, hookimpl
        class Plugin:
            @hookimpl
            def describe(self):
                return PluginInfo(name="odd", api="1.0", summary="s", config="nothing:Here")
        plugin = Plugin()
        """,
    )
    done = run("config", "schema")
    assert done.code == Exit.PARTIAL
    assert "plugin.vendor" in json.loads(done.out)["$defs"]
    assert "ZeroDivisionError" in done.err
    assert "plugin odd [wellkept-odd 1.0]: its configuration model fails" in done.err


# --- state ---


@pytest.fixture
def read_before(here: Path, configured: Write) -> None:
    configured('[wellkept]\ntimezone = "Asia/Shanghai"\n[plugins.vendor]\n')
    key = cursors.Key("vendor", "invoices")
    with opened(here) as store:

        def job(tx: Any) -> None:
            cursors.begin_full(tx, key, 1_795_219_200_000, 1_795_219_200_000)
            cursors.advance(tx, key, json.dumps({"after": "in_9", "who": "a@b.example"}), 1_795_219_200_000)
            cursors.end_read(tx, key, 1_795_219_200_000, 1_795_219_200_000)

        store.write_now(job)


@pytest.mark.usefixtures("read_before")
def test_state_shows_where_streams_go_on(run: Any) -> None:
    done = run("state")
    assert done.code == Exit.OK
    [line] = [line for line in done.out.splitlines() if line.startswith("vendor")]
    assert line.split()[:3] == ["vendor", "invoices", "live"]
    assert "2026-11-21 08:00:00+08:00" in line
    assert '{"after": "in_9", "who": "***"}' in line
    assert run("state", "show", "other").out.splitlines()[1:] == []
    [stream] = run("state", "show", "--json").document["streams"]
    assert stream["cursor"] == {"after": "in_9", "who": "***"}
    assert stream["fresh_at"] == 1_795_219_200_000


@pytest.mark.usefixtures("read_before")
def test_a_reset_asks_for_a_full_read_and_keeps_everything_until_then(run: Any, here: Path) -> None:
    done = run("state", "reset", "vendor", "invoices", "--yes")
    assert (done.code, done.err) == (Exit.OK, "")
    with opened(here) as store, store.read() as reader:
        state = cursors.load(reader, cursors.Key("vendor", "invoices"))
    assert state.full_wanted == "reset by hand"
    assert state.generation == 1
    assert state.fresh_at == 1_795_219_200_000
    assert "full read next: reset by hand" in run("state").out


@pytest.mark.usefixtures("read_before")
def test_a_reset_is_confirmed_and_names_what_is_known(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("state", "reset", "vendor", "invoices").code == Exit.INTERRUPTED
    with opened(here) as store, store.read() as reader:
        assert cursors.load(reader, cursors.Key("vendor", "invoices")).full_wanted is None
    done = run("state", "reset", "vendor", "invoice", "--yes")
    assert done.code == Exit.CONFIG
    assert "did you mean 'vendor invoices'?" in done.err
