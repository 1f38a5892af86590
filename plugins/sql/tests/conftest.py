from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from wellkept.testing import FakeClock
from wellkept.testing.conformance import Bench

SERVER = sa.make_url(os.environ.get("WELLKEPT_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432")).set(
    drivername="postgresql+psycopg", database="postgres"
)
START = 1_795_262_400_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL database of our own, dropped at the end."""
    admin = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    name = f"wellkept_sql_{uuid.uuid4().hex[:12]}"
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
    except (sa.exc.OperationalError, ImportError):
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432; set WELLKEPT_TEST_POSTGRES to the URL of one")
    try:
        yield SERVER.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: each test once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "vendor.db"
        path.touch()
        return f"sqlite:///{path}"
    address: str = request.getfixturevalue("postgres")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
    return address


@pytest.fixture
def database(url: str) -> Iterator[Callable[..., None]]:
    """Runs statements as the owner of the database."""
    engine = sa.create_engine(url)

    def execute(*statements: str) -> None:
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    yield execute
    engine.dispose()


@pytest.fixture
def opened(tmp_path: Path, url: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    """Opens the plugin with some queries."""
    monkeypatch.setenv("VENDOR_URL", url)
    with ExitStack() as stack:

        def open_bench(*queries: Mapping[str, Any], **keys: Any) -> Bench:
            table = {"url": "env:VENDOR_URL", "queries": [dict(query) for query in queries], **keys}
            return stack.enter_context(Bench(tmp_path / "bench", "sql", table, clock=clock))

        yield open_bench
