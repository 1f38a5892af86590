"""Installations whose only vendor is a folder, and real servers on them."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.serve import probe

from wellkept.runtime import Runtime
from wellkept.testing import FakeClock
from wellkept.testing.distributions import write_distribution

PATIENCE = 60.0

CONFIG = """\
[plugins.probe]
folder = "{folder}"
{more}

[serve]
port = 0
lease_seconds = {lease}
hints_seconds = 0.2
{serve}
"""


MAIN = """
import sys
from wellkept import runtime
from wellkept.cli import main
from wellkept.serve import http, server
from wellkept.store import open_store
patience = {patience!r}
server.GRACE_SECONDS = patience.get("grace", server.GRACE_SECONDS)
server.CUT_OFF_SECONDS = patience.get("cut_off", server.CUT_OFF_SECONDS)
server.TRACES_SECONDS = patience.get("traces", server.TRACES_SECONDS)
http.CONNECTIONS = patience.get("connections", http.CONNECTIONS)
http.REQUESTS = patience.get("requests", http.REQUESTS)
http.HEAD_SECONDS = patience.get("head", http.HEAD_SECONDS)
if {store!r}:
    runtime.open_store = lambda path, clock: open_store({store!r}, clock)
sys.exit(main())
"""
"""The command line; what is too patient for a test may be less so, and the store may be a database elsewhere."""


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something that another process does."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"it did not happen: {what}")


class Process:
    """A server in a process of its own."""

    def __init__(self, home: Home, number: int, patience: dict[str, float], *, before: Sequence[str] = ()) -> None:
        self._errors = home.folder / f"errors-{number}"
        self._out = home.folder / f"out-{number}"
        command = [*before, sys.executable, "-c", MAIN.format(patience=patience, store=home.url)]
        path = os.pathsep.join([str(home.site), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self._out.open("w") as out, self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, "serve", "--config", str(home.config)],
                stdout=out,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            )
        self.pid = self.process.pid

    @property
    def url(self) -> str:
        """Where it serves; waits until it does."""
        return str(wait_for(self._address, f"serving; {self.errors}"))

    def _address(self) -> str | None:
        assert self.process.poll() is None, self.errors
        text = self._out.read_text()
        return text.split("Serving on ")[1].split()[0] if "Serving on " in text else None

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False)

    @property
    def role(self) -> str:
        return str(self.get("/health/ready").json()["role"])

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.send(number)
        return self.process.wait(PATIENCE)


class Home:
    """An installation of the probe."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self.url = url
        self.site = folder / "site"
        self.config = folder / "plugins.toml"
        self.site.mkdir()
        source = Path(probe.__file__).read_text()
        write_distribution(
            self.site, "wellkept-probe", plugins={"probe": "probe_module:plugin"}, modules={"probe_module": source}
        )
        self.configure()
        self.mode("plain")
        self._processes: list[Process] = []

    def configure(self, more: str = "", serve: str = "", lease: float = 60) -> None:
        text = CONFIG.format(folder=self.folder, more=more, lease=lease, serve=serve)
        self.config.write_text(text)

    def mode(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def log(self, pid: int | None = None) -> list[str]:
        """What the plugin did, in one process or in all."""
        path = self.folder / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines if pid is None or line.startswith(f"{pid} ")]

    def start(self, *, before: Sequence[str] = (), **patience: float) -> Process:
        process = Process(self, len(self._processes), patience, before=before)
        self._processes.append(process)
        return process

    def serve(self, *, before: Sequence[str] = (), **patience: float) -> Process:
        process = self.start(before=before, **patience)
        process.url  # noqa: B018 - waits until it serves
        return process

    def connect(self) -> Any:
        if self.url is None:
            return sqlite3.connect(self.folder / "wellkept.db")
        import psycopg

        return psycopg.connect(self.url)

    def all(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.connect()) as connection:
            found: list[tuple[Any, ...]] = connection.execute(sql).fetchall()
            return found

    def execute(self, sql: str) -> None:
        with closing(self.connect()) as connection, connection:
            connection.execute(sql)

    def runs(self) -> list[tuple[Any, ...]]:
        return self.all("SELECT kind, state FROM runs ORDER BY started_at, id")

    def open(self, clock: FakeClock | None = None, **options: Any) -> Runtime:
        return Runtime.open(self.config, clock=clock, extra_plugins={"probe": probe.plugin}, **options)

    def close(self) -> None:
        for process in self._processes:
            if process.process.poll() is None:
                process.process.send_signal(signal.SIGCONT)
                process.process.kill()
                process.process.wait()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An installation whose store several servers share, in either database."""
    home = Home(tmp_path, None if request.param == "sqlite" else request.getfixturevalue("postgres"))
    yield home
    home.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
