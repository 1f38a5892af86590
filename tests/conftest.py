"""Which database the tests' stores are in.

``tests/store`` runs on SQLite and on PostgreSQL, and so does what is marked ``both``: what works the store in ways
of its own. Everything else runs on SQLite, and on PostgreSQL with ``--store postgresql``. There whatever opens a file gets a
database of its own instead, of which the file only holds the name, so that a copy of the file is a copy of the store.

The server is the one at ``WELLKEPT_TEST_POSTGRES`` (by default ``postgresql://postgres@127.0.0.1:5432``), else one that the
package ``pgserver`` starts; without either the tests that need it are skipped.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from wellkept.records import CANONICAL
from wellkept.store import copy, engine, open_store
from wellkept.store.database import Database
from wellkept.store.records import RecordTables

SERVER = os.environ.get("WELLKEPT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")


class Cluster:
    """A server on which each test may have databases of its own; they are emptied and used again, as to drop one is slow.

    Args:
        url: How to reach it, without a database's name.
    """

    def __init__(self, url: str) -> None:
        import psycopg

        self._url = url.partition("?")
        self._stem = f"wellkept_test_{os.getpid()}"
        self._made: list[str] = []
        self._free: list[str] = []
        self._files: dict[str, Path] = {}
        self.admin = psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=3)
        self._drop_leftovers()
        self._tables: set[str] = set()
        self._meta: list[Any] = []
        first = self.take()
        with psycopg.connect(self.url(first)) as connection:
            self._tables = {name for (name,) in connection.execute(TABLES)}
            self._meta = connection.execute("SELECT key, value FROM meta").fetchall()
        self.give_back(first)

    def url(self, name: str) -> str:
        """Return the URL of a database."""
        base, mark, options = self._url
        return f"{base}/{name}{mark}{options}"

    def take(self) -> str:
        """Return the name of a database with an empty store, which has the tables of the records already."""
        if self._free:
            return self._free.pop()
        name = f"{self._stem}_{len(self._made)}"
        self.admin.execute(f'CREATE DATABASE "{name}"')
        self._made.append(name)
        with closing(open_store(self.url(name))) as store:
            store.write_now(RecordTables(CANONICAL).ensure)
            store.write_now(lambda tx: tx.execute("DELETE FROM meta WHERE key = 'origin'"))
        return name

    def give_back(self, name: str) -> None:
        """Empty a database, whoever uses it, so that another test may have it."""
        import psycopg

        self._files.pop(name, None)
        self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", (name,)
        )
        with psycopg.connect(self.url(name), autocommit=True, options="-c synchronous_commit=off") as connection:
            tables = {table for (table,) in connection.execute(TABLES)}
            if not self._tables <= tables:  # a test has removed one
                self._drop(name)
                return
            meta = connection.execute("SELECT key, value FROM meta WHERE key LIKE 'columns:%'").fetchall()
            changed = set(self._meta) - set(meta)
            drop = [*(tables - self._tables), *({table for table in tables if table[:2] in {"r_", "h_"}} if changed else ())]
            script = [f'DROP TABLE IF EXISTS "{table}" CASCADE' for table in drop]
            script += [f'DROP SCHEMA "{schema}" CASCADE' for (schema,) in connection.execute(SCHEMAS)]
            script += [f"DROP INDEX IF EXISTS {index}" for (index,) in connection.execute(INDEXES)]
            kept = sorted((self._tables & tables).difference(drop, {"alembic_version"}), reverse=True)
            script += [f"DELETE FROM {table}" for table in kept]
            script += [f"ALTER SEQUENCE {sequence} RESTART" for (sequence,) in connection.execute(SEQUENCES)]
            connection.execute("; ".join(script))
            if changed:
                with closing(open_store(self.url(name))) as store:
                    store.write_now(RecordTables(CANONICAL).ensure)
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM meta")
                cursor.executemany("INSERT INTO meta (key, value) VALUES (%s, %s)", self._meta)
        self._free.append(name)

    def behind(self, file: Path) -> str:
        """Return the URL of the database that a file stands for."""
        for name in [name for name, owner in self._files.items() if not owner.exists()]:
            self.give_back(name)
        found = file.read_text(errors="replace") if file.exists() else ""
        if found not in self._files or self._files[found] != file:
            file.parent.mkdir(parents=True, exist_ok=True)
            name = self.take()
            if found in self._files:
                self._copy(found, name)
            file.write_text(name)
            self._files[name] = file
            found = name
        return self.url(found)

    def _copy(self, source: str, target: str) -> None:
        with closing(open_store(self.url(source))) as old, closing(open_store(self.url(target))) as new, old.read() as reader:
            new.write_now(lambda tx: copy.copy_content(reader, tx))
            new.write_now(lambda tx: tx.execute("DELETE FROM meta WHERE key = 'origin'"))

    def forget(self, folder: Path) -> None:
        """Take back the databases of all files in a folder."""
        for name in [name for name, file in self._files.items() if folder in file.parents]:
            self.give_back(name)

    def close(self) -> None:
        """Remove all databases."""
        for name in self._made:
            self._drop(name)
        self.admin.close()

    def _drop(self, name: str) -> None:
        self.admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _drop_leftovers(self) -> None:
        """Remove what runs left that were killed."""
        rows = self.admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'wellkept\\_test\\_%'").fetchall()
        for (name,) in rows:
            try:
                os.kill(int(name.split("_")[2]), 0)
            except (ProcessLookupError, ValueError):
                self._drop(name)
            except PermissionError:
                continue


TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
INDEXES = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname SIMILAR TO '(measure%|%\\_external)'"
SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')"
SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--store", choices=("sqlite", "postgresql"), default="sqlite", help="where the tests' stores are")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "file: needs a store that is a file, so is left out with --store postgresql")
    config.addinivalue_line("markers", "both(yes=True): runs twice, the second time with its store in PostgreSQL")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    both, file = (metafunc.definition.get_closest_marker(name) for name in ("both", "file"))
    if both is not None and both.args != (False,) and file is None and metafunc.config.getoption("--store") == "sqlite":
        metafunc.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--store") == "postgresql":
        for item in items:
            if item.get_closest_marker("file"):
                item.add_marker(pytest.mark.skip(reason="looks into the store's file"))


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what lives as long as the session: it would look at all tests again and again."""
    gc.collect()
    gc.freeze()


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
    name = cluster.take()
    yield cluster.url(name)
    cluster.give_back(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store may be: once in SQLite and once in PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "store" / "wellkept.db"
    url: str = request.getfixturevalue("postgres")
    return url


@contextmanager
def in_postgres(cluster: Cluster) -> Iterator[None]:
    """Have a file stand for a database."""
    originals = {name: getattr(engine, name) for name in ("_prepared", "_at")}

    def instead(original: Callable[..., Database]) -> Callable[..., Database]:
        return lambda address, busy: original(address if engine.is_url(address) else cluster.behind(Path(address)), busy)

    for name, original in originals.items():
        setattr(engine, name, instead(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(engine, name, original)


@pytest.fixture(scope="session", autouse=True)
def _everything_in_postgres(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.config.getoption("--store") != "postgresql":
        yield
        return
    with in_postgres(request.getfixturevalue("cluster")):
        yield


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a test's stores are; its databases go together with its folder."""
    chosen: str = request.config.getoption("--store")
    found: str = getattr(request, "param", chosen)
    if found == "sqlite":
        yield found
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    with nullcontext() if found == chosen else in_postgres(cluster):
        yield found
    if folder is not None:
        cluster.forget(folder)


@pytest.fixture(scope="session")
def _made() -> dict[tuple[str, str], Path]:
    return {}


@pytest.fixture
def made_once(
    database: str, _made: dict[tuple[str, str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a store of each kind once, by a name, to be copied from then on: migrating takes far longer."""

    def made(name: str, make: Callable[[Path], object]) -> Path:
        if (database, name) not in _made:
            path = _made[database, name] = tmp_path_factory.mktemp(name) / "wellkept.db"
            make(path)
        return _made[database, name]

    return made
