"""Target 6: an export of a million events, one JSON object a line, rolled up by subject, event and day.

    python benchmarks/rollup.py [--events 1000000]

The reader of the plugin Mixpanel counts lines that were rendered before, in a process of its own; batches of rows come out of
it, and are dropped. The start of the process is not counted for the rate; its memory is.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any, cast

from meter import PYTHON, Figure, finish, here

from wellkept.testing import FakeClock
from wellkept_mixpanel.config import MixpanelConfig
from wellkept_mixpanel.events import EventReader

NOW = 1_795_219_200_000
DAY = 86_400_000
DAYS = 7
SUBJECTS = 20_000
RENDERED = 40_000
"""Lines that differ; they come again and again, as people do."""


def line(number: int) -> bytes:
    """Return an event."""
    properties = {
        "time": (NOW - (1 + number % DAYS) * DAY) // 1000 + 3600,
        "distinct_id": f"user-{number % SUBJECTS:05}",
        "company_id": f"account-{number % 2_000:04}",
        "$browser": "Firefox",
        "$city": "Lyon",
        "$insert_id": f"i{number:012}",
        "page": "/reports/monthly/overview",
    }
    return json.dumps({"event": f"event {number % 5}", "properties": properties}).encode()


class Export:
    """Stands in for the vendor: so many lines."""

    def __init__(self, events: int) -> None:
        self._lines = [line(number) for number in range(RENDERED)]
        self._events = events

    async def export(self, *_: Any, **__: Any) -> AsyncGenerator[bytes, None]:
        """Yield lines."""
        for number in range(self._events):
            yield self._lines[number % RENDERED]


async def read(events: int) -> int:
    """Read an export and return how many rows came out."""
    config = MixpanelConfig.model_construct(
        project_id=1,
        project_timezone="UTC",
        group_key="company_id",
        history_days=DAYS,
        window_days=DAYS,
        lookback_days=1,
        unfinished_day=False,
        ignore_events=[],
        events=None,
    )
    reader = EventReader(cast("Any", Export(events)), config, FakeClock(NOW))
    return sum([len(batch.records) async for batch in reader.read(None)])


def child(events: int) -> None:
    """Read, and tell what it took."""
    rows: list[int] = []
    cost = here(lambda: rows.append(asyncio.run(read(events))))
    print(json.dumps({"rate": events / cost.cpu, "mib": cost.mib, "rows": rows[0]}))


def targets(events: int) -> list[Figure]:
    """Measure."""
    command = [PYTHON, Path(__file__), "--child", "--events", str(events)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["rows"] > 0
    return [
        Figure(
            target=6,
            what=f"{events:,} events rolled up",
            value=found["rate"],
            unit="/ CPU s",
            gate=60_000,
            stretch=100_000,
            more_is_better=True,
        ),
        Figure(target=6, what="- memory", value=found["mib"], unit="MiB", gate=100, stretch=90),
    ]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--remember", action="store_true", help="add the figures to the history")
    options = parser.parse_args()
    if options.child:
        child(options.events)
        return 0
    return finish("rollup", targets(options.events), remember=options.remember)


if __name__ == "__main__":
    raise SystemExit(main())
