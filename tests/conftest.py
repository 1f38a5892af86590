"""Which database the tests' stores are in.

``tests/store`` runs on SQLite and on PostgreSQL. Everything else runs on SQLite, and on PostgreSQL with ``--store
postgresql``: then whatever opens a file gets a database of its own instead, of which the file only holds the name, so that a
copy of the file is a copy of the store.

The server is the one at ``WELLKEPT_TEST_POSTGRES`` (by default ``postgresql://postgres@127.0.0.1:5432``), else one that the
package ``pgserver`` starts; without either the tests that need it are skipped.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from wellkept.records import CANONICAL
from wellkept.store import engine, open_store
from wellkept.store.database import Database
from wellkept.store.records import RecordTables

SERVER = os.environ.get("WELLKEPT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")


class Cluster:
    """A server on which each test may have databases of its own, made from one that is a store already.

    Args:
        url: How to reach it, without a database's name.
    """

    def __init__(self, url: str) -> None:
        import psycopg

        self.admin = psycopg.connect(f"{url}/postgres", autocommit=True, connect_timeout=3)
        self._url = url.partition("?")
        self._stem = f"wellkept_test_{os.getpid()}"
        self._count = 0
        self._files: dict[str, Path] = {}
        self._drop_leftovers()
        self.template = self.create("template1")
        with_tables = open_store(self.url(self.template))
        with_tables.write_now(RecordTables(CANONICAL).ensure)
        with_tables.write_now(lambda tx: tx.execute("DELETE FROM meta WHERE key = 'origin'"))
        with_tables.close()

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        base, mark, options = self._url
        return f"{base}/{name}{mark}{options}"

    def create(self, template: str | None = None) -> str:
        """Make a database and return its name: an empty store, or a copy of another database."""
        self._count += 1
        name = f"{self._stem}_{self._count}"
        self.admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or self.template}"')
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever uses it."""
        self._files.pop(name, None)
        self.admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def behind(self, file: Path) -> str:
        """Return the URL of the database that a file stands for."""
        for name in [name for name, owner in self._files.items() if not owner.exists()]:
            self.drop(name)
        found = file.read_text(errors="replace") if file.exists() else ""
        if found not in self._files or self._files[found] != file:
            file.parent.mkdir(parents=True, exist_ok=True)
            found = self.create(found if found in self._files else None)
            file.write_text(found)
            self._files[found] = file
        return self.url(found)

    def close(self) -> None:
        """Remove all databases."""
        self._drop_all(f"{self._stem}_%")
        self.admin.close()

    def _drop_leftovers(self) -> None:
        """Remove what runs left that were killed."""
        rows = self.admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'wellkept\\_test\\_%'").fetchall()
        for (name,) in rows:
            try:
                os.kill(int(name.split("_")[2]), 0)
            except (ProcessLookupError, ValueError):
                self.drop(name)
            except PermissionError:
                continue

    def _drop_all(self, pattern: str) -> None:
        for (name,) in self.admin.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (pattern,)).fetchall():
            self.drop(name)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=("sqlite", "postgresql"), default="sqlite", help="where the tests' stores are")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "file: needs a store that is a file, so is left out with --store postgresql")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--store") == "postgresql":
        for item in items:
            if item.get_closest_marker("file"):
                item.add_marker(pytest.mark.skip(reason="looks into the store's file"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server."""
    psycopg = pytest.importorskip("psycopg", reason="needs the extra wellkept[postgresql]")
    url, stop = SERVER, None
    try:
        psycopg.connect(f"{url}/postgres", connect_timeout=3).close()
    except psycopg.Error:
        url, stop = _started()
    made = Cluster(url)
    yield made
    made.close()
    if stop is not None:
        stop()


def _started() -> tuple[str, Callable[[], None]]:
    pgserver = pytest.importorskip("pgserver", reason=f"there is neither a PostgreSQL at {SERVER} nor the package pgserver")
    folder = tempfile.TemporaryDirectory(prefix="wellkept-postgres-")
    server = pgserver.get_server(folder.name, cleanup_mode="stop")

    def stop() -> None:
        server.cleanup()
        folder.cleanup()

    uri: str = server.get_uri()
    address, _, options = uri.partition("?")
    return address.rpartition("/")[0] + (f"?{options}" if options else ""), stop


@pytest.fixture
def postgres(cluster: Cluster) -> Iterator[str]:
    """The URL of an empty store in PostgreSQL."""
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.fixture(scope="session", autouse=True)
def _everything_in_postgres(request: pytest.FixtureRequest) -> Iterator[None]:
    """With ``--store postgresql``: a file stands for a database."""
    if request.config.getoption("--store") != "postgresql":
        yield
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    prepared = engine._prepared

    def instead(address: Any, busy_seconds: float) -> Database:
        return prepared(address if engine.is_url(address) else cluster.behind(Path(address)), busy_seconds)

    engine._prepared = instead
    yield
    engine._prepared = prepared


@pytest.fixture(autouse=True)
def _drop_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove a test's databases together with its folder."""
    yield
    if request.config.getoption("--store") == "postgresql" and "tmp_path" in request.fixturenames:
        cluster: Cluster = request.getfixturevalue("cluster")
        folder: Path = request.getfixturevalue("tmp_path")
        for name in [name for name, file in cluster._files.items() if folder in file.parents]:
            with suppress(Exception):
                cluster.drop(name)
