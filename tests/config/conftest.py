from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wellkept import redact
from wellkept.config import Config, load


@pytest.fixture
def redactor(monkeypatch: pytest.MonkeyPatch) -> redact.Redactor:
    """Give the process a redactor that forgets after the test."""
    fresh = redact.Redactor()
    for name in ("_forms", "_values"):
        monkeypatch.setattr(redact.REDACTOR, name, getattr(fresh, name))
    return redact.REDACTOR


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a plugins.toml and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "plugins.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def loaded(written: Callable[[str], Path]) -> Callable[[str], Config]:
    """Write a plugins.toml and load it."""
    return lambda text: load(written(text))
