"""The standard tests of sources. Each says in its first line which promise it guards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, count, pairwise
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from wellkept.errors import CursorExpiredError, RejectedError
from wellkept.pipeline.report import NOT_PERMITTED
from wellkept.records import Json
from wellkept.source import Cursor, FetchingSource, Source, Stream, Window
from wellkept.store import cursors
from wellkept.testing.conformance.apart import Apart, Step
from wellkept.testing.conformance.bench import Bench, everything_logged
from wellkept.testing.conformance.case import streams_of, told_by
from wellkept.testing.conformance.plugins import PluginTests
from wellkept.testing.conformance.written import Written, shown, without
from wellkept.testing.faults import Fault
from wellkept.testing.simulator import Simulator
from wellkept.testing.switch import Switch

PASSING: Mapping[str, Fault] = {
    "429 with seconds": Fault(kind="status", status=429, retry_after=3),
    "429 with a date": Fault(kind="status", status=429, retry_after=3, as_date=True),
    "429 without a word": Fault(kind="status", status=429),
    "three times 500": Fault(kind="status", status=500, times=3),
    "503": Fault(kind="status", status=503, retry_after=2),
    "dropped without an answer": Fault(kind="drop"),
    "dropped in the middle": Fault(kind="cut", at=0.6),
    "a body without its end": Fault(kind="truncate", at=0.6),
    "a slow body": Fault(kind="slow", seconds=1),
    "a slow vendor": Fault(kind="latency", seconds=20),
}
"""What a connector must bear without anybody noticing."""

LASTING: Mapping[str, Fault] = {
    "an outage": Fault(kind="status", status=503, times=None),
    "no connection": Fault(kind="drop", times=None),
    "a maintenance page": Fault(kind="content", times=None),
}
"""What ends a read; the rows before it are kept, and the next run goes on."""

BATCH_LIMIT = 1_000
"""Rows in a batch, see `wellkept.source.Batch.records`."""

YEAR = 366 * 86_400_000
"""Milliseconds."""

FEW = 4
"""Requests: a stream that makes no more in a test may hand on all rows at once."""

READS = ("GET", "HEAD", "OPTIONS")


ONLY: Mapping[str, Callable[[Source, Stream], bool]] = {
    "test_single_rows_are_read_again": lambda source, _: isinstance(source, FetchingSource),
    "test_a_window_has_what_lies_in_it": lambda _, stream: stream.backfill,
}
"""Tests that mean nothing for some streams: for which ones they are."""


class SourceTests(PluginTests):
    """The standard tests of a source. Subclass it as ``class TestAcme(SourceTests)``.

    Attributes:
        reads: Shell patterns of paths that are POSTed to and only read, such as a search.
        bad_rows: For a stream: a fault of kind ``row`` that makes one row unreadable.
        cursor_names: The parameters that carry the vendor's page cursor, by stream; ``"*"`` for all.
        nobody: An id that no row has, in the vendor's form.
    """

    reads: ClassVar[Sequence[str]] = ()
    bad_rows: ClassVar[Mapping[str, Fault]] = {}
    cursor_names: ClassVar[Mapping[str, Sequence[str]]] = {}
    nobody: ClassVar[str] = "404404404"

    # --- to be overridden, where the vendor can do it ---

    def change(self, vendor: Any, stream: str) -> bool:
        """Change one row of a stream at the vendor; return False where the stream has rows that never change."""
        del vendor, stream
        return False

    def spoil_row(self, vendor: Any, stream: str) -> Callable[[], object] | None:
        """Make one row of a stream unreadable, and return what mends it. By default a fault from `bad_rows` does so."""
        fault = self.bad_rows.get(stream)
        if fault is None:
            return None
        vendor.faults.add(fault)
        mend: Callable[[], object] = vendor.faults.clear
        return mend

    def stories(self, vendor: Any) -> Mapping[str, Sequence[Callable[[], object]]]:
        """Return what may happen at the vendor over time, and how else it may be configured, by name, each in steps.

        Each story is told to a vendor of its own, at an hour a step, or more where a step moves the vendor's clock. A step
        changes what it likes; a mapping that it returns gives keys of the plugin's table that differ from then on. Then all
        streams are read. How they end, what is stored then and was not before, what is put aside, and what the next read is
        said to cost stands in a file beside the test.
        """
        del vendor
        return {}

    def shapes(self) -> Mapping[str, Callable[[Any], Any]]:
        """Return other shapes in which the vendor may say the same, by name: each takes an answer's JSON and returns another.

        Such as numbers where there are texts, what is left out where there is null, or parts that stand elsewhere.
        """
        return {}

    def contents(self, vendor: Any) -> object:
        """Return all that a vendor holds which is not spoken to over HTTP, to see that nothing changes it; else None."""
        del vendor
        return None

    # --- the check ---

    def test_check_tells_the_account(self, bench: Bench) -> None:
        """Credentials: the vendor account behind a good one is known, so that another one can be refused."""
        assert bench.check().vendor_account, "check() must return the vendor's id of the account"

    def test_check_tells_a_refused_credential(self, bench: Bench, simulator: Any) -> None:
        """Credentials: a refused one is a finding with its mend, not an exception; and no stream is read with it."""
        super().test_check_tells_a_refused_credential(bench, simulator)
        for stream in bench.sync().streams:
            assert stream.state in {"failed", "skipped"}, f"{stream.stream} ended as {stream.state}"
        assert bench.rows() == {}

    def test_a_credential_that_is_refused_later_pauses(self, bench: Bench, simulator: Any) -> None:
        """Credentials: one that is revoked between two runs is told as such, so that the breaker pauses the instance."""
        bench.sync()
        before = bench.rows()
        self.refuse(simulator)
        report = bench.sync()
        assert any((item.error or "").startswith(NOT_PERMITTED) or item.state == "skipped" for item in report.streams)
        assert bench.rows() == before

    def test_what_is_offered_stays_the_same(self, bench: Bench, request: pytest.FixtureRequest) -> None:
        """Compatibility: the streams with their records, scopes and dependencies stand in a file; none goes by accident."""
        Written(self, request).holds("streams.offer", {name: _offer(stream) for name, stream in bench.streams.items()})

    # --- reading ---

    def test_everything_is_read_once(self, bench: Bench, stream: str) -> None:
        """No record is lost: a stream is read to its end; no batch is too large, and every row is of a declared type."""
        bench.read(stream)
        rows = bench.rows(stream)
        assert rows, f"the simulator has no rows for {stream}: give it some in vendor()"
        declared = {type_.type for type_ in (*bench.streams[stream].records, *bench.streams[stream].includes)}
        for batch in bench.batches(stream):
            assert len(batch.records) <= BATCH_LIMIT
            assert {record.type for record in batch.records} <= declared
        assert bench.letters() == []

    def test_rows_become_the_same_records(self, bench: Bench, stream: str, request: pytest.FixtureRequest) -> None:
        """Mapping: what a vendor's rows become stands in a file beside the test, so that no field changes by accident.

        The file is written by ``pytest --accept-records``; read it before you commit it.
        """
        bench.read(stream)
        rows = {f"{type_}/{id_}": dict(sorted(row.items())) for (type_, id_), row in sorted(bench.rows(stream).items())}
        Written(self, request).holds(stream, rows)

    @told_by("stories")
    def test_stories_end_the_same(
        self,
        simulator: Any,
        simulator_server: tuple[Switch, str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        request: pytest.FixtureRequest,
    ) -> None:
        """Reading goes on: what happens over time, and rows of every kind in each configuration, end as a file says."""
        apart = Apart(self, simulator_server, monkeypatch, tmp_path)
        plain, told = apart.plain(), dict[str, Json]()
        for name in self.stories(simulator):
            told[name] = apart.told(name, partial(_steps, self, name), plain)
        Written(self, request).holds("stories", without(told, apart.hidden))

    @told_by("shapes")
    def test_other_shapes_are_the_same_rows(self, bench: Bench, wire: Simulator) -> None:
        """Mapping: what the vendor says in another shape becomes the same records."""
        bench.sync()
        expected = bench.rows()
        for name, shape in self.shapes().items():
            bench.begin_anew()
            wire.shape = shape
            ends = {item.stream: item.error or item.note for item in bench.sync().streams if item.state != "done"}
            assert ends == {}, name
            assert bench.rows() == expected, name

    def test_rows_come_while_reading(self, bench: Bench, wire: Simulator, stream: str) -> None:
        """Memory is flat: rows are handed on as they come, and are not gathered until the end."""
        wire.log.clear()
        asked = [0, *(len(wire.log.requests) for _ in bench.batches(stream))]
        if asked[-1] > FEW:
            assert len(asked) > 2, f"{asked[-1]} requests for a single batch: everything was gathered first"

    def test_reading_again_changes_nothing(self, bench: Bench, stream: str) -> None:
        """Idempotence: the same rows read again, in full and from the cursor, are the same rows."""
        bench.read(stream)
        before = bench.rows()
        again = bench.read(stream, full=True)
        assert (again.inserted, again.updated, again.deleted) == (0, 0, 0), again.counts
        bench.read(stream)
        assert bench.rows() == before

    def test_reading_goes_on_from_every_cursor(self, bench: Bench, simulator: Any, stream: str) -> None:
        """No record is lost: a read that is broken off after any request, in a new process, ends with the same rows.

        Where there are no requests it is broken off after any batch.
        """
        bench.begin_anew()
        bench.read(stream)
        expected = bench.rows()
        for passing in count():
            bench.begin_anew()
            if not _broken_off(bench, simulator, stream, passing):
                break
            bench.reopen()
            bench.clock.advance(60)
            result = bench.result(stream)
            assert result.state == "done", f"broken off after {passing}: {result.error or result.note}"
            assert bench.rows() == expected, f"broken off after {passing}"

    def test_changes_are_found(self, bench: Bench, simulator: Any, stream: str) -> None:
        """Older never overwrites newer: what changed at the vendor arrives with a greater version, and nothing else changes."""
        bench.read(stream)
        before, versions = bench.rows(stream), bench.versions(stream)
        bench.clock.advance(3600)
        if not self.change(simulator, stream):
            pytest.skip(f"{type(self).__name__}.change() has no change for {stream}")
        bench.clock.advance(60)
        bench.read(stream)
        after = bench.rows(stream)
        changed = {key for key in before.keys() & after.keys() if before[key] != after[key]}
        assert changed or before.keys() != after.keys(), "the change was not found"
        newer = bench.versions(stream)
        assert all(newer[key] > versions[key] for key in changed), "a changed row has no greater version"

    def test_requests_stay_the_same(
        self, bench: Bench, wire: Simulator, stream: str, simulator_server: tuple[Switch, str], request: pytest.FixtureRequest
    ) -> None:
        """Requests: what is asked for, with pages, filters and cursors, stands in a file, so that no row is missed by accident.

        It is for everything, for changes, for a window, for single rows and for an estimate. So does what becomes of a cursor
        that another version of the plugin has written: one that is not understood begins anew, and is never guessed at.
        """
        source, declared = bench.instance.streams[stream]
        hidden, asked = [simulator_server[1], *self.hidden(wire)], dict[str, Json]()

        def note(what: str) -> None:
            asked[what] = shown(wire.log.requests)
            wire.log.clear()

        bench.check()
        wire.log.clear()
        bench.read(stream)
        note("everything")
        bench.clock.advance(3600)
        self.change(wire, stream)
        bench.clock.advance(60)
        bench.read(stream)
        note("changes")
        with bench.runtime.store.read() as reader:
            cursor = cursors.load(reader, cursors.Key(self.plugin, stream)).cursor
        for what, strange in (("more", {**(cursor or {}), "no_such_field": 1}), ("other", {"no_such_field": 1})):
            asked[f"a cursor that says {what}"] = _taken(bench, stream, strange)
        wire.log.clear()
        if declared.backfill:
            list(bench.batches(stream, Window(start=self.start - YEAR, end=self.start)))
            note("a window")
        if isinstance(source, FetchingSource):
            with suppress(RejectedError):  # there may be none
                bench.runtime.run(source.fetch(declared, sorted({id_ for _, id_ in bench.rows(stream)})))
            note("single rows")
        estimates = [bench.runtime.run(source.estimate(declared, place)) for place in (None, cursor)]
        note("an estimate")
        asked["estimates"] = msgspec.to_builtins(estimates)
        Written(self, request).holds(f"{stream}.requests", without(asked, hidden))

    def test_single_rows_are_read_again(self, bench: Bench, stream: str) -> None:
        """Single rows: read by id, they are the same records; one that the vendor does not have is gone."""
        source, declared = bench.instance.streams[stream]
        assert isinstance(source, FetchingSource)
        bench.read(stream)
        stored = bench.rows(stream)
        ids = sorted(id_ for _, id_ in stored)
        try:
            found = bench.runtime.run(source.fetch(declared, [*ids, ids[0]]))
        except RejectedError as error:
            pytest.skip(f"{stream} has no single rows: {error}")
        assert len(found.records) == len(stored), "a row is missing, or came twice"
        for record in found.records:
            before = msgspec.convert(stored[record.type, record.id], type(record))
            assert msgspec.structs.replace(record, version=0, updated_at=None) == before
        assert not found.rejects
        bench.clock.advance(60)
        missing = bench.runtime.run(source.fetch(declared, [self.nobody, ids[0]]))
        assert {record.id for record in missing.records} == {ids[0]}
        assert {deletion.id for deletion in missing.deletions} == {self.nobody}
        newest = max(bench.versions(stream).values())
        assert all(deletion.version > newest for deletion in missing.deletions), "what is gone now is older than what was there"

    def test_a_window_has_what_lies_in_it(self, bench: Bench, stream: str) -> None:
        """Backfill: windows that follow one another have each row once, and none that another window has."""
        bench.read(stream)
        rows = bench.rows(stream)
        times = sorted({row["created_at"] for row in rows.values() if isinstance(row.get("created_at"), int)})
        known = [at for row in rows.values() for name, at in row.items() if name.endswith("_at") and isinstance(at, int)]
        edges = [min([*known, self.start - YEAR]), *times[len(times) // 2 :][:1], bench.clock.now() + 1]
        found: list[str] = []
        for start, end in pairwise(edges):
            window = Window(start=start, end=end)
            batches = list(bench.batches(stream, window))
            ids = [[record.id for record in batch.records if (record.type, record.id) in rows] for batch in batches]
            found += chain.from_iterable(ids)
            for at in sorted({0, len(batches) - 1}):
                following = bench.batches(stream, window, batches[at].cursor)
                rest = [record.id for batch in following for record in batch.records if (record.type, record.id) in rows]
                assert rest == [*chain.from_iterable(ids[at + 1 :])], "a window that was broken off goes on elsewhere"
        assert sorted(found) == sorted(id_ for _, id_ in rows)

    # --- faults ---

    @pytest.mark.parametrize("fault", PASSING)
    def test_a_passing_fault_is_borne(self, bench: Bench, wire: Simulator, stream: str, fault: str) -> None:
        """Faults: what passes costs time, no row and no attention; Retry-After is honoured."""
        bench.read(stream)
        expected = bench.rows()
        bench.begin_anew()
        wire.log.clear()
        hit = PASSING[fault]
        wire.faults.add(hit)
        bench.read(stream)
        assert bench.rows() == expected
        hurt = [entry for entry in wire.log.requests if entry.fault]
        assert hurt, "the fault hit nothing: the stream makes too few requests"
        if hit.retry_after is not None:
            waited = min((entry.at for entry in wire.log.requests if entry.number > hurt[-1].number), default=0)
            assert waited - hurt[-1].at >= hit.retry_after * 1000, "Retry-After was not honoured"

    @pytest.mark.parametrize("fault", LASTING)
    def test_a_lasting_fault_loses_nothing(self, bench: Bench, wire: Simulator, stream: str, fault: str) -> None:
        """Faults: what lasts fails the stream with a reason; the next run makes it good, and success hides nothing."""
        bench.read(stream)
        expected = bench.rows()
        bench.begin_anew()
        wire.faults.add(LASTING[fault])
        result = bench.result(stream)
        assert result.state in {"failed", "skipped"}
        assert result.error or result.note
        wire.faults.clear()
        bench.clock.advance(3600)
        bench.read(stream)
        assert bench.rows() == expected

    def test_a_bad_row_is_put_aside(self, bench: Bench, simulator: Any, stream: str) -> None:
        """One bad row never stops the others: it goes to the dead letters with its reason, and the stream says partial."""
        bench.read(stream)
        expected = bench.rows(stream)
        bench.begin_anew()
        mend = self.spoil_row(simulator, stream)
        if mend is None:
            pytest.skip(f"{type(self).__name__}.bad_rows has no fault for {stream}")
        result = bench.result(stream)
        assert result.state == "partial", result.error or result.note
        letters = [letter for letter in bench.letters() if letter.stream == stream]
        assert letters, "the bad row is nowhere"
        assert all(letter.reason for letter in letters)
        assert len(expected) > len(bench.rows(stream)) > 0
        mend()
        bench.clock.advance(3600)
        bench.read(stream, full=True)
        assert bench.rows(stream) == expected
        assert [letter for letter in bench.letters() if letter.stream == stream] == [], "a row that came at last is still aside"

    def test_a_cursor_that_does_not_move_is_an_error(self, bench: Bench, wire: Simulator, stream: str) -> None:
        """Faults: a page that comes again and again ends the stream with a reason, instead of going on for ever."""
        names = self.cursor_names.get(stream, self.cursor_names.get("*"))
        if not names:
            pytest.skip(f"{type(self).__name__}.cursor_names has no parameter for {stream}")
        bench.check()
        wire.faults.add(Fault(kind="ignore", names=tuple(names), times=None))
        result = bench.result(stream)
        assert result.state == "failed"
        assert result.error, "the stream does not say why"

    # --- what must not happen ---

    def test_only_reads(self, bench: Bench, simulator: Any) -> None:
        """Dry run: neither a check nor a sync changes anything at the vendor."""
        before = self.contents(simulator)
        bench.check()
        bench.sync()
        if not isinstance(simulator, Simulator):
            assert before is not None, "contents() must return what the vendor holds"
            assert self.contents(simulator) == before
            return
        assert list(simulator.log.effects) == []
        allowed = [entry for pattern in self.reads for entry in simulator.log.matching(pattern)]
        writes = [entry for entry in simulator.log.requests if entry.method not in READS and entry not in allowed]
        assert writes == [], "a source only reads; paths that are POSTed to for reading belong into `reads`"

    def test_no_secret_is_seen(
        self, bench: Bench, simulator: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        """Secrets: none is in a log, an error, a dead letter or any table; nothing is printed."""
        del caplog
        values = [value for value in self.secrets(simulator).values() if value]
        with everything_logged() as log:
            bench.check()
            bench.sync()
            if isinstance(simulator, Simulator):
                simulator.faults.add(Fault(kind="status", status=400, times=None))
            report = bench.sync()
            if isinstance(simulator, Simulator):
                simulator.faults.clear()
            self.refuse(simulator)
            check = bench.check()
            logging.getLogger("wellkept.conformance").debug("the end")
        printed = capfd.readouterr()
        assert (printed.out, printed.err) == ("", ""), "a plugin logs, and prints nothing"
        told = [log.getvalue(), *(f"{item.error} {item.note}" for item in report.streams), repr(check)]
        told += [letter.reason for letter in bench.letters()]
        for value in values:
            assert not any(value in text for text in told), "a secret was told"
        bench.close()
        stored = b"".join(path.read_bytes() for path in bench.folder.glob("*.db*"))
        assert not any(value.encode() in stored for value in values), "a secret is in the store"


def _broken_off(bench: Bench, vendor: Any, stream: str, passing: int) -> bool:
    """Read a stream that is broken off after some requests or batches; return whether there were so many."""
    if not isinstance(vendor, Simulator):
        return bench.break_off(stream, passing + 1)
    vendor.log.clear()
    vendor.faults.add(Fault(kind="drop", skip=passing, times=None))
    bench.result(stream)
    vendor.faults.clear()
    return any(entry.fault for entry in vendor.log.requests)


def _steps(case: SourceTests, name: str, vendor: Any) -> Sequence[Step]:
    return case.stories(vendor)[name]


def _taken(bench: Bench, stream: str, cursor: Cursor) -> str:
    """Return what becomes of a cursor, as it is written down."""
    try:
        list(bench.batches(stream, cursor=cursor))
    except CursorExpiredError as error:
        return f"expired: {error.message}"
    return "taken"


def _offer(stream: Stream) -> Mapping[str, Json]:
    """Return what is said of a stream, apart from words."""
    types = {"records": [type_.type for type_ in stream.records], "includes": [type_.type for type_ in stream.includes]}
    plain = msgspec.to_builtins(msgspec.structs.replace(stream, records=(), includes=(), doc=""))
    return {name: value for name, value in {**plain, **types}.items() if value}


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a standard test one run for each stream; called by the pytest plugin."""
    if metafunc.cls is not None and issubclass(metafunc.cls, SourceTests) and "stream" in metafunc.fixturenames:
        means = ONLY.get(metafunc.function.__name__)
        found = streams_of(metafunc.cls)
        names = [name for name, (source, stream) in found.items() if means is None or means(source, stream)]
        metafunc.parametrize("stream", names)
