"""Where the store is: a file, PostgreSQL, or a reference; a password never stands in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from wellkept.config import Config
from wellkept.errors import ConfigError
from wellkept.place import address
from wellkept.problems import ProblemsError
from wellkept.redact import Redactor

Load = Callable[[str], Config]


def test_a_file_is_relative_to_the_configuration(loaded: Load) -> None:
    config = loaded('[wellkept]\nstore = "data/x.db"\n')
    assert config.store == config.base / "data/x.db"
    assert loaded("").store == config.base / "wellkept.db"


def test_a_database_may_stand_there_without_a_password(loaded: Load) -> None:
    assert loaded('[wellkept]\nstore = "postgresql://me@db/wellkept"\n').store == "postgresql://me@db/wellkept"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2-is-long@db/wellkept",
        "postgres://db/wellkept?user=me&password=hunter2-is-long",
        "postgresql://me:hunter2-is-long@[::1/wellkept",
    ],
)
def test_a_password_is_refused_and_never_shown(loaded: Load, redactor: Redactor, url: str) -> None:
    with pytest.raises(ProblemsError, match="a password stands in it") as told:
        loaded(f'[wellkept]\nstore = "{url}"\n')
    assert "hunter2" not in str(told.value)
    assert "env:NAME" in str(told.value)


def test_a_reference_is_followed_when_the_store_is_opened(
    loaded: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = loaded('[wellkept]\nstore = "env:WELLKEPT_STORE"\n')
    with pytest.raises(ConfigError, match="there is no secret behind 'env:WELLKEPT_STORE'"):
        assert config.store
    monkeypatch.setenv("WELLKEPT_STORE", "postgresql://me:hunter2-is-long@db/wellkept")
    assert config.store == "postgresql://me:hunter2-is-long@db/wellkept"
    monkeypatch.setenv("WELLKEPT_STORE", "mysql://me:hunter2-is-long@db/wellkept")
    with pytest.raises(ConfigError, match="no address of a PostgreSQL database") as told:
        assert config.store
    assert "hunter2" not in str(told.value)
    (tmp_path / "dsn").write_text("postgresql://db/x\n")
    (tmp_path / "dsn").chmod(0o600)
    assert address("file:dsn", tmp_path) == "postgresql://db/x"


def test_an_empty_place_is_none(loaded: Load) -> None:
    with pytest.raises(ProblemsError, match="store"):
        loaded('[wellkept]\nstore = ""\n')
