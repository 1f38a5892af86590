"""Plugins are found by entry point, by name and distribution, without importing anything."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wellkept.manifest import Manifest, ManifestCache
from wellkept.plugins import find
from wellkept.testing.distributions import write_distribution

Install = Callable[..., None]


def test_name_distribution_version_and_summary_are_read_without_an_import(install: Install) -> None:
    install("alpha", version="2.5")
    item = find().plugins["alpha"]
    assert (item.name, item.distribution, item.version, item.origin) == (
        "alpha",
        "wellkept-alpha",
        "2.5",
        "wellkept-alpha 2.5",
    )
    assert item.summary == "A plugin for tests."
    assert "wellkept_alpha_2_5_module" not in sys.modules


def test_two_distributions_with_one_name_are_both_named_and_neither_used(install: Install) -> None:
    install("alpha")
    install("alpha", distribution="other-alpha", version="3.0")
    found = find()
    assert "alpha" not in found.plugins
    assert sorted(item.origin for item in found.ambiguous["alpha"]) == ["other-alpha 3.0", "wellkept-alpha 1.0"]


def test_a_second_copy_of_a_distribution_is_hidden_by_the_first(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path / "older"
    write_distribution(older, "Wellkept_Alpha", version="0.9", plugins={"alpha": "old:plugin"})
    write_distribution(site, "wellkept-alpha", version="1.0", plugins={"alpha": "new:plugin"})
    monkeypatch.setattr(sys, "path", [*sys.path, str(older)])
    found = find()
    assert found.plugins["alpha"].version == "1.0"
    assert "alpha" not in found.ambiguous


def test_broken_metadata_of_one_distribution_hide_no_other(
    install: Install, site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install("alpha")
    broken = site / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "entry_points.txt").write_bytes(b"[wellkept]\nx = \xff\xfe\n")
    empty = site / "empty-1.0.dist-info"
    empty.mkdir()
    (empty / "entry_points.txt").write_text("[wellkept]\nbeta = nowhere:plugin\n")
    with caplog.at_level(logging.WARNING):
        found = find()
    assert "alpha" in found.plugins
    assert "cannot be read" in caplog.text


# --- the cache of manifests ---


MANIFEST = Manifest(summary="s", hooks=("describe", "sources"), commands=(("do", "Does it."),))


@pytest.fixture
def cache_file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "plugins.json"


def test_the_cache_survives_the_process_and_forgets_other_versions(install: Install, cache_file: Path) -> None:
    install("alpha")
    cache = ManifestCache(cache_file)
    old = cache.installed()["alpha"]
    cache.put(old, MANIFEST)
    cache.save()
    again = ManifestCache(cache_file)
    assert again.installed()["alpha"] == old
    assert again.get(old) == MANIFEST
    newer = type(old)(**{**{name: getattr(old, name) for name in old.__slots__}, "version": "1.1"})
    assert again.get(newer) is None
    again.put(newer, MANIFEST)
    assert again.get(old) is None
    moved = type(old)(**{**{name: getattr(old, name) for name in old.__slots__}, "target": "other:plugin"})
    assert again.get(moved) is None


def test_the_list_of_plugins_is_looked_up_again_when_something_was_installed(install: Install, cache_file: Path) -> None:
    install("alpha")
    cache = ManifestCache(cache_file)
    cache.installed()
    cache.save()
    install("beta")
    assert {"alpha", "beta"} <= set(ManifestCache(cache_file).installed())


def test_the_list_is_not_looked_up_while_nothing_changed(
    install: Install, cache_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("alpha")
    cache = ManifestCache(cache_file)
    first = cache.installed()
    cache.save()
    monkeypatch.setitem(sys.modules, "wellkept.plugins.discover", None)  # importing it would fail
    assert ManifestCache(cache_file).installed() == first


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 0}', '{"format": 1, "plugins": 3, "installed": 4}', "\x00"])
def test_a_broken_cache_is_no_cache(install: Install, cache_file: Path, content: str) -> None:
    install("alpha")
    cache_file.parent.mkdir()
    cache_file.write_text(content)
    cache = ManifestCache(cache_file)
    item = cache.installed()["alpha"]
    assert cache.get(item) is None
    cache.put(item, MANIFEST)
    cache.save()
    assert ManifestCache(cache_file).get(item) == MANIFEST


def test_a_cache_that_cannot_be_written_costs_nothing(install: Install, tmp_path: Path) -> None:
    install("alpha")
    (tmp_path / "file").touch()
    cache = ManifestCache(tmp_path / "file" / "plugins.json")
    cache.put(cache.installed()["alpha"], MANIFEST)
    cache.save()
    assert cache.get(cache.installed()["alpha"]) == MANIFEST
