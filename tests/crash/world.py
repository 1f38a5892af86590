"""An installation that can be killed at a boundary, its vendor that lives on, and what is left of both.

The vendor runs in this process and the installation in another one, so that the vendor's log is a witness.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from wellkept.testing.clock import FakeClock
from wellkept.testing.switch import Switch

HERE = Path(__file__).parent
KILLED = 137
START = 1_795_262_400_000
"""2026-11-21T12:00:00Z."""


class Driver:
    def __init__(self, errors: Path) -> None:
        self._errors = errors.open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-B", str(HERE / "driver.py")],  # -B: a first import's cache is no act of the code under test
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "XDG_CONFIG_HOME": str(errors.parent)},  # a user for whom no library has kept anything yet
        )
        self._path = errors

    def run(self, **command: Any) -> int:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        assert code in {0, KILLED}, self._path.read_text()[-4000:]
        return code

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._errors.close()


class Place(NamedTuple):
    """Where the outside of an installation is; always the same, so that configurations are too.

    Attributes:
        switch: Shows the vendor, at the first of the ports.
        ports: Where servers listen; nobody does at the second one.
    """

    switch: Switch
    ports: tuple[int, int]


class World(ABC):
    """A vendor and an installation, through one of two runs.

    The first run reads everything. Before the second one, something happens at the vendor.

    Args:
        folder: A new folder for the installation.
        driver: Runs it.
        place: Where its outside is.
        after: What the first run left, for a world that begins with the second one.
    """

    vendor: Any

    def __init__(self, folder: Path, driver: Driver, place: Place, after: World | None = None) -> None:
        self.folder = folder
        self.driver = driver
        self.place = place
        self.ports = place.ports
        self.after = after
        self.boundaries: list[str] = []
        self.clock = FakeClock(START)

    # --- what differs ---

    @property
    @abstractmethod
    def peers(self) -> dict[int, str]:
        """The servers' names, by port."""

    @abstractmethod
    def make(self) -> None:
        """Make the vendor."""

    def serve(self) -> list[AbstractContextManager[Any]]:
        """Return the servers beside the vendor's."""
        return []

    @abstractmethod
    def configure(self) -> dict[str, str]:
        """Return the installation's files: names and contents."""

    @abstractmethod
    def change(self) -> None:
        """Let something happen at the vendor."""

    # --- what is the same ---

    def play(self, kill_at: int = 0) -> World:
        """Run to the end: at once, or after a kill at a boundary."""
        self.make()
        if self.after is None:
            self.folder.mkdir(parents=True)
            for name, content in self.configure().items():
                (self.folder / name).write_text(content)
                (self.folder / name).chmod(0o600)
        else:
            shutil.copytree(self.after.folder, self.folder)
            (self.folder / "trace").unlink()
            self.clock.advance(3600)
            self.change()
            self.clock.advance(60)
        with ExitStack() as stack:
            for server in self.serve():
                stack.enter_context(server)
            self.place.switch.app = self.vendor
            self._run(kill_at)
            self.place.switch.app = None
        return self

    def _run(self, kill_at: int) -> None:
        trace = self.folder / "trace"
        command = {"config": str(self.folder / "plugins.toml"), "trace": str(trace), "peers": self.peers}
        for attempt in range(3):
            code = self.driver.run(**command, now=self.clock.now(), kill_at=kill_at if attempt == 0 else 0)
            self.clock.advance(60)
            if code == 0:
                break
        else:
            pytest.fail("it did not end")
        self.boundaries = trace.read_text().splitlines()
        if any(self.rows()["open"][0]):
            # what was re-read just before a message went out is the next run's work
            assert self.driver.run(**command, now=self.clock.now(), kill_at=0) == 0

    @property
    def passed(self) -> list[str]:
        """The boundaries that the first attempt passed, and those after it, in order."""
        return [line for line in self.boundaries if not line.startswith("audit:")]

    @property
    def acts(self) -> set[str]:
        """What our own code did to the world beside the store and the network."""
        return {line.removeprefix("audit:") for line in self.boundaries if line.startswith("audit:")}

    def kills(self, asking: int) -> list[int]:
        """Return where to kill: at every boundary, except that of those around questions every `asking`-th will do.

        A question (GET) changes nothing on either side, so a kill there leaves what a kill at the next commit leaves.
        """
        found, questions = [], 0
        for number, name in enumerate(self.passed, 1):
            if name.endswith(" asking"):
                questions += 1
                if questions % asking:
                    continue
            found.append(number)
        return found

    # --- what is left ---

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in the store that does not depend on when it was read."""
        timed = {"version", "observed_at", "digest", "updated_at", "valid_from"}
        with sqlite3.connect(self.folder / "wellkept.db") as connection:
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            found = {}
            for table in tables:
                if table.startswith("r_"):
                    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[1] not in timed]
                    found[table] = sorted(map(repr, connection.execute(f"SELECT {', '.join(names)} FROM {table}")))
            found["links"] = sorted(connection.execute("SELECT type, instance, record_id, account FROM links"))
            found["scores"] = sorted(
                connection.execute(
                    "SELECT account, scorer, as_of, value_milli, band FROM scores AS s WHERE seq ="
                    " (SELECT MAX(seq) FROM scores AS t WHERE t.account = s.account AND t.scorer = s.scorer)"
                )
            )
            found["pushed"] = sorted(connection.execute("SELECT instance, target_id, field, value FROM pushed"))
            found["open"] = connection.execute(
                "SELECT (SELECT COUNT(*) FROM changes), (SELECT COUNT(*) FROM staged), (SELECT COUNT(*) FROM dirty_accounts)"
            ).fetchall()
        connection.close()
        return found


@pytest.fixture(scope="module")
def place(simulator_server: tuple[Switch, str]) -> Place:
    switch, url = simulator_server
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        return Place(switch, (int(url.rpartition(":")[2]), other.getsockname()[1]))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("driver") / "errors")
    yield driver
    driver.close()
