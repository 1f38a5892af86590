"""A test bench: one plugin in an installation of its own, opened as core opens it, in virtual time."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import msgspec

from wellkept.admission import Checked, check
from wellkept.errors import RetryableError
from wellkept.instance import Instance
from wellkept.pipeline.plan import Selection
from wellkept.pipeline.report import StreamResult, SyncReport
from wellkept.records import Json, Record
from wellkept.redact import RedactingFormatter
from wellkept.runtime import Runtime
from wellkept.source import Batch, Cursor, ReadRequest, Stream, Window
from wellkept.steps import Steps
from wellkept.store import dead_letters
from wellkept.testing.clock import FakeClock

Rows = Mapping[tuple[str, str], Mapping[str, Json]]
"""What is stored: (record type, id) to its fields; without version and `updated_at`, which depend on when it was read."""


class Bench:
    """One instance of one plugin, alone in an installation.

    Args:
        folder: Where configuration and store go.
        plugin: The name of its entry point.
        keys: Its table in ``plugins.toml``; plain TOML values.
        clock: The time; shared with the simulator.
        objects: Further plugins, by name, as the objects that they are.
        beside: Tables of further instances, by name, whose columns it reads.
        settings: Further tables of ``plugins.toml``, such as ``[wellkept]``.
    """

    def __init__(
        self,
        folder: Path,
        plugin: str,
        keys: Mapping[str, Json],
        *,
        clock: FakeClock,
        objects: Mapping[str, object] | None = None,
        beside: Mapping[str, Mapping[str, Json]] | None = None,
        settings: Mapping[str, Json] | None = None,
    ) -> None:
        self.folder = folder
        self.plugin = plugin
        self.clock = clock
        self.path = folder / "plugins.toml"
        self.store = folder / "wellkept.db"
        self._objects = objects
        self._beside = beside or {}
        self._settings = settings or {}
        self._runtime: Runtime | None = None
        self.write(keys)

    def write(self, keys: Mapping[str, Json]) -> None:
        """Write the configuration; open the bench afterwards, or `reopen` it."""
        import tomlkit

        self.folder.mkdir(parents=True, exist_ok=True)
        tables: dict[str, Any] = {**{name: {} for name in self._objects or ()}, **self._beside, self.plugin: dict(keys)}
        self.path.write_text(tomlkit.dumps({**self._settings, "plugins": tables}), encoding="utf-8")

    def __enter__(self) -> Self:
        self.reopen()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def reopen(self, *, dry_run: bool = False) -> None:
        """Open the installation anew, as after a restart. Problems are kept for the test to look at."""
        self.close()
        self._runtime = Runtime.open(self.path, clock=self.clock, extra_plugins=self._objects, dry_run=dry_run)

    def close(self) -> None:
        """Close it; may be called again."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    @property
    def runtime(self) -> Runtime:
        """The open installation."""
        assert self._runtime is not None, "the bench is not open"
        return self._runtime

    @property
    def instance(self) -> Instance:
        """The plugin's instance; fails with the problems where there is none."""
        found = self.runtime.instances.get(self.plugin)
        problems = "; ".join(map(str, self.runtime.problems))
        assert found is not None, f"the plugin {self.plugin!r} does not come up: {problems}"
        return found

    @property
    def streams(self) -> Mapping[str, Stream]:
        """The streams of its sources by name."""
        return {name: stream for name, (_, stream) in self.instance.streams.items()}

    # --- work ---

    def check(self) -> Checked:
        """Try the credentials, as ``wellkept check`` does."""
        return self.runtime.run(check(self.runtime, self.instance))

    def sync(self, *streams: str, full: bool = False) -> SyncReport:
        """Read streams (all of them when none is named) and return what came of each."""
        select: Selection | None = {(self.plugin, name) for name in streams} if streams else None
        report = self.runtime.run(Steps(self.runtime).sync(select, full=full)).sync
        assert report is not None
        return report

    def result(self, stream: str, *, full: bool = False) -> StreamResult:
        """Read one stream, after those that it depends on, and return what came of it."""
        return next(result for result in self.sync(stream, full=full).streams if result.stream == stream)

    def read(self, stream: str, *, full: bool = False) -> StreamResult:
        """Read one stream, which must end well."""
        result = self.result(stream, full=full)
        assert result.state == "done", f"{stream}: {result.error or result.note}"
        return result

    def break_off(self, stream: str, after: int) -> bool:
        """Read a stream until it is broken off behind some batches; return whether there were as many."""
        source, _ = self.instance.streams[stream]
        whole, broken = source.read, []

        async def read(request: ReadRequest) -> AsyncIterator[Batch]:
            number = 0
            async for batch in whole(request):
                yield batch
                number += request.stream.name == stream
                if number == after:
                    broken.append(stream)
                    raise RetryableError("broken off by a test")

        with patch.object(source, "read", read):
            self.result(stream)
        return bool(broken)

    def batches(self, stream: str, window: Window | None = None, cursor: Cursor | None = None) -> Iterator[Batch]:
        """Read a stream, or a window of it, from its beginning or a cursor on, past core; yield its batches as they come."""
        source, found = self.instance.streams[stream]
        reading = source.read(ReadRequest(stream=found, window=window, cursor=cursor))

        async def following() -> Batch | None:
            return await anext(reading, None)

        with asyncio.Runner() as runner:
            while (batch := runner.run(following())) is not None:
                yield batch
            runner.run(self.runtime.disconnect())

    def begin_anew(self) -> None:
        """Go on with an empty store, and make acquaintance with the vendor, so that the next requests are for rows."""
        self.close()
        for path in self.folder.glob(f"{self.store.name}*"):
            path.unlink()
        self.reopen()
        self.check()

    # --- what is stored ---

    def rows(self, *streams: str) -> Rows:
        """Everything that is stored of the streams' own record types, or of all types."""
        return {key: _content(record) for key, record in self._stored(*streams)}

    def versions(self, stream: str) -> Mapping[tuple[str, str], int]:
        """The version of each row of a stream's own types."""
        return {key: record.version for key, record in self._stored(stream)}

    def letters(self) -> Sequence[dead_letters.Letter]:
        """The rows that are put aside."""
        with self.runtime.store.read() as reader:
            return dead_letters.listing(reader)

    def _stored(self, *streams: str) -> Sequence[tuple[tuple[str, str], Record]]:
        wanted = {type_ for name in streams for type_ in self.streams[name].records} or set(self.runtime.tables.types)
        with self.runtime.store.read() as reader:
            return [
                ((type_.type, record.id), record)
                for type_ in sorted(wanted, key=lambda type_: type_.type)
                for _, record in self.runtime.tables.rows(reader, type_)
            ]


def _content(record: Record) -> Mapping[str, Json]:
    fields: dict[str, Json] = msgspec.to_builtins(msgspec.structs.replace(record, version=0, updated_at=None))
    return fields


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """Collect all that is logged at any level, redacted as core would show it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s")))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
