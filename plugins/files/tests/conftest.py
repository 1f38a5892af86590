from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from wellkept.testing import FakeClock
from wellkept.testing.conformance import Bench

START = 1_795_262_400_000
HOUR = 3_600_000


class Drop:
    """A folder into which somebody drops files, at times that the tests choose."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock
        folder.mkdir()

    def put(self, name: str, content: str | bytes, *, hours: float = 1, encoding: str = "utf-8") -> Path:
        """Write a file that was changed some hours ago."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        self.touch(path, hours=hours)
        return path

    def touch(self, path: Path, *, hours: float = 1) -> None:
        """Say that a file was changed some hours ago."""
        at = (self.clock.now() - int(hours * HOUR)) * 1_000_000
        os.utime(path, ns=(at, at))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def drop(tmp_path: Path, clock: FakeClock) -> Drop:
    return Drop(tmp_path / "drop", clock)


OpenBench = Callable[..., Bench]


@pytest.fixture
def opened(tmp_path: Path, drop: Drop, clock: FakeClock) -> Iterator[OpenBench]:
    """Opens the plugin with some streams."""
    with ExitStack() as stack:

        def open_bench(*streams: Mapping[str, Any], objects: Mapping[str, object] | None = None, **keys: Any) -> Bench:
            table = {"folder": str(drop.folder), "streams": [dict(stream) for stream in streams], **keys}
            return stack.enter_context(Bench(tmp_path / "bench", "files", table, clock=clock, objects=objects))

        yield open_bench
