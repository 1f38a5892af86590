"""Wellkept's standard tests, on folders with files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, ClassVar
from weakref import finalize

import pytest

from wellkept.testing import FakeClock
from wellkept.testing.conformance import JobTests, SourceTests

MINUTES = 60_000_000_000


class Folder:
    """A folder into which a warehouse drops its exports: a CSV snapshot, a log that grows, invoices as Parquet."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.root = Path(mkdtemp(prefix="wellkept-files-"))
        finalize(self, rmtree, self.root, ignore_errors=True)
        self.path = self.root / "drop"
        (self.path / "log").mkdir(parents=True)
        self.customers = [f'c{number},"Company {number}",2024-03-{number:02}' for number in range(1, 9)]
        self.events = [f'{{"id":"e{number}","of":"c{number}","at":{1_795_000_000 + number}}}' for number in range(1, 9)]
        self.amounts = [Decimal(number * 100 + 5) / 100 for number in range(1, 9)]
        self.write()

    def write(self) -> None:
        """Write everything as it is now."""
        self._put("customers.csv", "\r\n".join(["no,name,since", *self.customers]).encode())
        self._put("log/events.jsonl", "".join(f"{line}\n" for line in self.events).encode())
        self._parquet()

    def _put(self, name: str, content: bytes) -> None:
        path = self.path / name
        if not path.exists() or path.read_bytes() != content:
            path.write_bytes(content)
            self._touch(path)

    def _touch(self, path: Path) -> None:
        at = self.clock.now() * 1_000_000 - 5 * MINUTES
        os.utime(path, ns=(at, at))

    def _parquet(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        made = [datetime(2026, 3, number, tzinfo=UTC) for number in range(1, 9)]
        amounts = pa.array(self.amounts, pa.decimal128(12, 3))
        ids = [f"in_{number}" for number in range(1, 9)]
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.table({"id": ids, "of": ["c1"] * 8, "amount": amounts, "made": made}), buffer, row_group_size=3)
        self._put("invoices.parquet", buffer.getvalue().to_pybytes())


class TestFilesSource(SourceTests):
    plugin = "files"
    over_http = False
    STREAMS: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "customers",
            "path": "customers.csv",
            "mode": "snapshot",
            "record": "account",
            "id": "no",
            "fields": {"name": "name", "created_at": "since"},
        },
        {
            "name": "events",
            "path": "log/*.jsonl",
            "mode": "append",
            "record": "timeline_event",
            "id": "id",
            "fields": {
                "account_ref": "of",
                "kind": {"value": "login"},
                "text": {"value": "logged in"},
                "at": {"column": "at", "format": "epoch_s"},
            },
        },
        {
            "name": "invoices",
            "path": "*.parquet",
            "mode": "latest",
            "record": "invoice",
            "id": "id",
            "currency": "EUR",
            "fields": {
                "account_ref": "of",
                "status": {"value": "paid"},
                "amount_due": {"column": "amount", "unit": "major"},
                "created_at": "made",
            },
        },
    ]

    def varying(self, vendor: Folder) -> Iterable[str]:
        return [str(vendor.root)]

    def vendor(self, clock: FakeClock) -> Folder:
        pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'wellkept-files[parquet]'")
        return Folder(clock)

    def keys(self, vendor: Folder, url: str) -> Mapping[str, Any]:
        return {"folder": str(vendor.path), "batch_rows": 3, "streams": self.STREAMS}

    def refuse(self, vendor: Folder) -> None:
        if os.geteuid() == 0:  # whom nothing is refused: the folder is gone instead
            vendor.path.rename(vendor.root / "elsewhere")
        else:
            vendor.root.chmod(0)

    def change(self, vendor: Folder, stream: str) -> bool:
        if stream == "customers":
            vendor.customers[3] = vendor.customers[3].replace("Company", "Société")
        elif stream == "events":
            vendor.events.append('{"id":"e99","of":"c1","at":1795000099}')
        else:
            vendor.amounts[2] += 1
        vendor.write()
        return True

    def spoil_row(self, vendor: Folder, stream: str) -> Callable[[], object]:
        before = list(vendor.customers), list(vendor.events), list(vendor.amounts)
        vendor.customers[1] = vendor.customers[1].replace("2024", "soon")
        vendor.events[1] = vendor.events[1][:-4]
        vendor.amounts[1] = Decimal("1.005")
        vendor.write()

        def mend() -> None:
            vendor.customers, vendor.events, vendor.amounts = before
            vendor.write()

        return mend

    def contents(self, vendor: Folder) -> object:
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in vendor.path.rglob("*") if path.is_file()}

    @pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root is refused nothing")
    def test_a_credential_that_is_refused_later_pauses(self, bench: Any, simulator: Folder) -> None:
        super().test_a_credential_that_is_refused_later_pauses(bench, simulator)


class TestFilesExports(JobTests):
    plugin = "files"

    def vendor(self, clock: FakeClock) -> Folder:
        return Folder(clock)

    def keys(self, vendor: Folder, url: str) -> Mapping[str, Any]:
        streams = [TestFilesSource.STREAMS[0]]
        exports = [
            {"what": "records", "record": "account", "path": str(vendor.root / "out.csv")},
            {"what": "frame", "path": str(vendor.root / "out.parquet")},
        ]
        return {"folder": str(vendor.path), "streams": streams, "exports": exports}

    def left(self, vendor: Folder) -> object:
        found = {path.name: path.read_bytes() for path in sorted(vendor.root.glob("out.*"))}
        return found or None

    def prevent(self, vendor: Folder) -> None:
        for name in ("out.csv", "out.parquet"):
            (vendor.root / name).mkdir()
