"""`wellkept check`: every instance is tried, told line by line, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli.exits import Exit
from wellkept.store import instances, open_store

Write = Callable[[str], Path]
Install = Callable[..., None]
GOOD = '[plugins.vendor]\napi_key = "env:VENDOR_API_KEY"\n'


def test_all_well(run: Any, install: Install, configured: Write, here: Path) -> None:
    install()
    configured(GOOD)
    done = run("check")
    assert done.code == Exit.OK, done.err
    assert "acct_1 (test mode)" in done.out
    assert "客户 read" in done.out
    assert done.err == ""
    store = open_store(here / "wellkept.db")
    try:
        with store.read() as reader:
            row = instances.load(reader, "vendor")
    finally:
        store.close()
    assert row is not None
    assert (row.vendor_account, row.mode, row.state) == ("acct_1", "test", "ok")


def test_the_document_holds_everything(run: Any, install: Install, configured: Write) -> None:
    install()
    configured(GOOD)
    document = run("check", "--json").document
    assert document["ok"] is True
    [item] = document["instances"]
    assert (item["instance"], item["plugin"], item["distribution"]) == ("vendor", "vendor", "wellkept-vendor 1.0")
    assert (item["vendor_account"], item["mode"], item["state"], item["live"]) == ("acct_1", "test", "ok", False)
    assert [finding["name"] for finding in item["findings"]] == ["key", "invoices"]
    assert document["problems"] == []


def test_a_missing_permission_is_shown_with_its_mend_and_without_the_secret(
    run: Any, install: Install, configured: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_API_KEY", "bad-key-value")
    install()
    configured(GOOD)
    done = run("check")
    assert done.code == Exit.FAILED
    assert "no permission for ***" in done.out
    assert "-> allow it" in done.out
    assert "bad-key-value" not in done.out + done.err


def test_a_missing_secret_names_the_reference(
    run: Any, install: Install, configured: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VENDOR_API_KEY")
    install()
    configured(GOOD)
    done = run("check")
    assert done.code == Exit.FAILED
    assert "set the environment variable VENDOR_API_KEY" in done.out


def test_a_plugin_that_crashes_is_a_finding(
    run: Any, install: Install, configured: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VENDOR_CRASH", "1")
    install()
    configured(GOOD)
    done = run("check", "-vv")
    assert done.code == Exit.FAILED
    assert "RuntimeError: refused ***" in done.out
    assert "good-key-value" not in done.out + done.err


def test_one_bad_instance_among_good_ones_is_partial_and_told(run: Any, install: Install, configured: Write) -> None:
    install()
    configured(f'{GOOD}[plugins.eu]\nplugin = "vendor"\napi_kee = "env:X"\n[plugins.absent]\n')
    done = run("check")
    assert done.code == Exit.PARTIAL
    assert "Problem: eu (plugin vendor) [wellkept-vendor 1.0]: plugins.toml:5: plugins.eu.api_kee: unknown key" in done.err
    assert "-> did you mean 'api_key'?" in done.err
    assert "no installed plugin is called 'absent'" in done.err
    assert done.err.count("unknown key") == 1
    document = run("check", "--json").document
    assert document["ok"] is False
    assert {problem["instance"] for problem in document["problems"]} == {"eu", "absent"}


def test_nothing_but_bad_configuration_is_a_configuration_error(run: Any, install: Install, configured: Write) -> None:
    install()
    configured("[plugins.vendor]\n")
    assert run("check").code == Exit.CONFIG
    assert run("check", "--strict").code == Exit.CONFIG


def test_strict_stops_before_anything_is_tried(run: Any, install: Install, configured: Write) -> None:
    install()
    configured(f"{GOOD}[plugins.absent]\n")
    done = run("check", "--strict")
    assert (done.code, done.out) == (Exit.CONFIG, "")
    assert run("--strict", "check").code == Exit.CONFIG


def test_another_vendor_account_is_refused(
    run: Any, install: Install, configured: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    configured(GOOD)
    run("check")
    monkeypatch.setenv("VENDOR_ACCOUNT", "acct_2")
    done = run("check")
    assert done.code == Exit.FAILED
    assert "belongs to the vendor account 'acct_2'" in done.out
    assert "[plugins.vendor-2]" in done.out


def test_single_instances_can_be_named(run: Any, install: Install, configured: Write) -> None:
    install()
    configured(f'{GOOD}[plugins.eu]\nplugin = "vendor"\napi_key = "env:NOT_SET_AT_ALL"\n')
    assert run("check").code == Exit.PARTIAL
    done = run("check", "vendor")
    assert done.code == Exit.OK
    assert "eu" not in done.out.split()
    done = run("check", "vendr")
    assert done.code == Exit.CONFIG
    assert "did you mean 'vendor'?" in done.err


def test_an_empty_configuration_says_what_to_do(run: Any, configured: Write) -> None:
    configured("")
    done = run("check")
    assert done.code == Exit.OK
    assert "wellkept init" in done.out
