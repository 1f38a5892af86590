"""Vendors of their own, for standard tests that try a plugin in several states of the world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wellkept.errors import WellkeptError
from wellkept.records import Json
from wellkept.store import cursors
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.bench import Bench, Rows
from wellkept.testing.conformance.case import Case, dispose
from wellkept.testing.conformance.written import shown
from wellkept.testing.simulator import Simulator
from wellkept.testing.switch import Switch

Step = Callable[[], object]
"""Changes something. A mapping that it returns gives keys of the plugin's table that differ from then on; None removes one."""

HOUR = 3_600_000
"""Milliseconds."""

MOST_SHOWN = 30
"""Rows, or the like, of a step that are written down one by one."""


class Apart:
    """Opens a plugin beside one vendor after the other.

    Args:
        case: Says what is tried.
        served: Serves the vendors that are simulators.
        environment: Holds the secrets.
        folder: Where the installations go.

    Attributes:
        hidden: What must not be written down: secrets, the address, and what differs from run to run.
    """

    def __init__(self, case: Case, served: tuple[Switch, str], environment: pytest.MonkeyPatch, folder: Path) -> None:
        self._case = case
        self._switch, self._url = served
        self._environment = environment
        self._folder = folder
        self.hidden: list[str] = [self._url]

    @contextmanager
    def opened(self, name: str, prepared: Callable[[Any], Step]) -> Iterator[tuple[Any, Bench, Mapping[str, Json]]]:
        """Yield a vendor, the plugin beside it, and the plugin's table.

        Args:
            name: Of the folder.
            prepared: Given the vendor, returns what happens before the plugin is opened.
        """
        case, clock = self._case, FakeClock(self._case.start)
        vendor = case.vendor(clock)
        try:
            self._switch.app = vendor if isinstance(vendor, Simulator) else None
            for variable, value in case.secrets(vendor).items():
                self._environment.setenv(variable, value)
            case.small_pages(self._environment)
            self.hidden += case.hidden(vendor)
            table = changed(case.keys(vendor, self._url), prepared(vendor)())
            with Bench(self._folder / name, case.plugin, table, clock=clock, settings=case.settings) as bench:
                yield vendor, bench, table
        finally:
            self._switch.app = None
            dispose(vendor)

    def plain(self) -> Rows:
        """Return what is stored of a vendor to whom nothing was done."""
        with self.opened("plain", lambda _: dict) as (_, bench, _):
            bench.sync()
            return bench.rows()

    def told(self, name: str, steps: Callable[[Any], Sequence[Step]], before: Rows) -> Json:
        """Go through the steps of a story, and return what came of each: all streams are read after it.

        Args:
            name: Of the story.
            steps: Given the vendor, returns the steps. The first one happens before the plugin is opened, the others an hour
                after the one before.
            before: What need not be told of the first step, as it goes without saying.
        """
        story, found = list[Step](), list[Json]()

        def begin(vendor: Any) -> Step:
            story.extend(steps(vendor))
            return story[0]

        with self.opened(name, begin) as (vendor, bench, keys):
            table, begun = keys, bench.clock.now()
            found.append(_news(vendor, bench, before))
            for step in story[1:]:
                hours = (bench.clock.now() - begun) // HOUR + 1  # to the second, however long pauses between tries were
                bench.clock.advance((begun + hours * HOUR - bench.clock.now()) / 1000)
                before, after = bench.rows(), changed(table, step())
                if after != table:
                    table = after
                    bench.write(table)
                    bench.reopen()
                begun = bench.clock.now()
                found.append(_news(vendor, bench, before))
        return found


def _news(vendor: Any, bench: Bench, before: Rows) -> Json:
    """Read all streams, and return what came of it."""
    if isinstance(vendor, Simulator):
        vendor.log.clear()
    told: dict[str, Json] = {"streams": ends(bench)}
    rows = bench.rows()
    new = [row for key, row in sorted(rows.items()) if before.get(key) != row]
    told["stored"] = _few([json.dumps(dict(sorted(row.items()))) for row in new])
    told["not stored"] = _few(["/".join(key) for key in sorted(before) if key not in rows])
    told["put aside"] = _few(sorted(f"{letter.stream}: {letter.reason}" for letter in bench.letters()))
    if isinstance(vendor, Simulator):
        told["asked"] = _few(shown(vendor.log.requests))
    told["estimates"] = estimates(bench)
    return {what: part for what, part in told.items() if part}


def _few(lines: Sequence[str]) -> Json:
    """Return lines as they are written down: of many the first ones, and what stands for the others."""
    rest = "\n".join(lines[MOST_SHOWN:])
    more = [f"and {len(lines) - MOST_SHOWN} more: {sha256(rest.encode()).hexdigest()[:16]}"] if rest else []
    return [*lines[:MOST_SHOWN], *more]


def changed(table: Mapping[str, Json], keys: object) -> Mapping[str, Json]:
    """Return a plugin's table with other values for some keys, without those that are None; what is no mapping changes none."""
    new = keys if isinstance(keys, Mapping) else {}
    return {key: value for key, value in {**table, **new}.items() if value is not None}


def estimates(bench: Bench) -> Mapping[str, Json]:
    """Return what the next read of each stream is said to cost, as it is written down; nothing where it costs nothing."""
    found: dict[str, Json] = {}
    for name, (source, stream) in bench.instance.streams.items():
        with bench.runtime.store.read() as reader:
            cursor = cursors.load(reader, cursors.Key(bench.plugin, name)).cursor
        try:
            told = bench.runtime.run(source.estimate(stream, cursor))
        except WellkeptError as error:
            found[name] = f"{type(error).__name__}: {error.message}"
        else:
            found[name] = {what: part for what, part in msgspec.to_builtins(told).items() if part}
    return {name: told for name, told in found.items() if told}


def ends(bench: Bench) -> Mapping[str, Json]:
    """Read all streams, and return how each ended, as it is written down."""
    return {item.stream: f"{item.state} {item.error or item.note or ''}".strip() for item in bench.sync().streams}
