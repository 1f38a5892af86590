"""Each fault of the wire ends in the documented state: a day is replaced by a whole export, or not at all."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellkept import Batch, ReadRequest
from wellkept.errors import CredentialsError, FatalError, RetryableError, StuckCursorError
from wellkept.records import Account, Person, Usage
from wellkept.testing import FakeClock, Fault
from wellkept_mixpanel.config import MixpanelConfig
from wellkept_mixpanel.events import EventReader
from wellkept_mixpanel.tally import Row, Tally

Start = Callable[..., Any]
DAY = 86_400
EXPORT = "/api/2.0/export"
ENGAGE = "/api/query/engage"


@pytest.fixture
async def wired(simulate: Start, connector: Start) -> tuple[Any, Any]:
    simulator = simulate()
    return simulator, connector(simulator)


@pytest.mark.parametrize("at", [0.3, 0.9])
@pytest.mark.parametrize("kind", ["cut", "truncate", "early"])
async def test_an_export_that_breaks_off_once_is_read_again(
    simulate: Start, connector: Start, expected: Start, kind: Any, at: float
) -> None:
    """Nothing of the first try is counted."""
    simulator = simulate(sightings=None, accounts=40)
    link = connector(simulator, window_days=14)
    if kind == "early":
        simulator.give_up_export(at)
    else:
        simulator.faults.add(Fault(kind=kind, path=EXPORT, at=at))
    await link.sync("events")
    assert len(simulator.log.requests) == 2
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")


@pytest.mark.parametrize("skip", [0, 1, 2])
@pytest.mark.parametrize("kind", ["status", "drop", "cut", "truncate", "early"])
async def test_an_export_that_breaks_off_replaces_nothing(
    wired: tuple[Any, Any], expected: Start, clock: FakeClock, kind: Any, skip: int
) -> None:
    """Neither the day in which it broke off nor those before it in the same export: what is stored stays as it was."""
    simulator, link = wired

    def break_exports(after: int) -> None:
        if kind == "early":
            for number in range(20):
                simulator.give_up_export(0.6, after=after if not number else 0)
        else:
            simulator.faults.add(Fault(kind=kind, path=EXPORT, skip=after, times=None, at=0.9))

    break_exports(skip)
    with pytest.raises(RetryableError):
        await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", f"2026-11-{6 + 5 * skip:02}")
    simulator.faults.clear()
    simulator.give_up_export(None)
    await link.sync("events")
    whole = expected(simulator, "2026-11-07", "2026-11-20")
    assert link.usage() == whole
    clock.advance(DAY)
    break_exports(0)
    with pytest.raises(RetryableError):
        await link.sync("events")
    assert link.usage() == whole
    simulator.faults.clear()
    simulator.give_up_export(None)
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-21")


@pytest.mark.parametrize("compressed", [True, False])
async def test_the_mark_of_an_export_that_was_given_up(wired: tuple[Any, Any], compressed: bool, monkeypatch: Any) -> None:
    """It has status 200, and whatever length it pleases; the mark may even stand within a line."""
    simulator, link = wired
    if not compressed:
        monkeypatch.setattr("wellkept_mixpanel.simulator.app.SMALLEST_COMPRESSED", 10**9)
    for early in (0.0, 0.4, 1.0):
        simulator.give_up_export(early)
        simulator.give_up_export(early)
        with pytest.raises(RetryableError, match="gave up"):
            await link.sync("events")
    simulator.spoilt = [b'{"event": "Report Viewed", "properties": {"time": 1795132terminated early']
    with pytest.raises(RetryableError, match="gave up"):
        await link.sync("events")
    assert link.cursors == {}
    assert link.usage() == Counter()


@pytest.mark.parametrize(
    ("line", "reason", "day"),
    [
        (b"{", "", ""),
        (b"null", "Expected `object`, got `null`", ""),
        (b'{"event": 7, "properties": {"time": 1795046400}}', "Expected `str`, got `int` - at `$.event`", "2026-11-19"),
        (
            b'{"event": "A", "properties": {"time": "now"}}',
            "Expected `float`, got `str` - at `$.properties.time`",
            "",
        ),
        (b'{"event": "A", "properties": {}}', "Object missing required field `time` - at `$.properties`", ""),
        (b'{"event": "\xff", "properties": {"time": 1795046400}}', "bad UTF-8 - at `$.event`", "2026-11-19"),
        (b'{"event": "A", "properties": {"time": 1e300}}', "its `time` is out of range", ""),
        (b'{"event": "A", "properties": {"time": 1795046400, "distinct_id": ["u"]}}', "", "2026-11-19"),
    ],
)
async def test_one_bad_line(simulate: Start, connector: Start, expected: Start, line: bytes, reason: str, day: str) -> None:
    """It is put aside with its bytes, and belongs to its day; all others count."""
    simulator = simulate()
    link = connector(simulator, window_days=14)
    simulator.spoilt = [line]
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")
    (reject,) = link.rejects
    assert (reject.raw, reject.id) == (line, None)
    assert reason in reject.reason
    (batch,) = [batch for batch in link.batches if batch.rejects]
    assert (batch.replaces.start if batch.replaces else "") == day
    assert all((other.replaces is None) == (day == "") for other in link.batches if other.records)


async def test_a_line_that_is_too_long(simulate: Start, connector: Start, expected: Start) -> None:
    simulator = simulate()
    link = connector(simulator, window_days=14)
    simulator.spoilt = [b'{"event": "' + b"x" * 2_000_000 + b'"}']
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")
    (reject,) = link.rejects
    assert len(reject.raw) <= 1024 * 1024


async def test_so_many_bad_lines_that_the_figures_would_be_wrong(wired: tuple[Any, Any]) -> None:
    simulator, link = wired
    simulator.spoilt = [b'{"events": %d}' % number for number in range(1001)]
    with pytest.raises(FatalError, match="more than 1000 lines of the export cannot be read: Object missing required"):
        await link.sync("events")
    assert link.usage() == Counter()
    assert link.rejects == []


async def test_an_answer_that_is_no_export(wired: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of HTML with status 200 removes nothing, compressed or not."""
    simulator, link = wired
    await link.sync("events")
    before = link.usage()
    link.cursors.clear()
    simulator.faults.add(Fault(kind="content", path=EXPORT, times=None))
    with pytest.raises(RetryableError):
        await link.sync("events")
    monkeypatch.setattr("wellkept_mixpanel.simulator.app.SMALLEST_COMPRESSED", 10**9)
    with pytest.raises(RetryableError, match="something else than events"):
        await link.sync("events")
    assert link.usage() == before


async def test_a_line_that_does_not_tell_its_day_lets_nothing_be_removed(wired: tuple[Any, Any], clock: FakeClock) -> None:
    simulator, link = wired
    await link.sync("events")
    before = link.usage()
    clock.advance(DAY)
    simulator.stop_using(min(simulator.project.groups), 3)
    simulator.spoilt = [b'{"event": "Repo']
    await link.sync("events")
    assert before.items() <= link.usage().items()
    simulator.spoilt = []
    link.cursors.clear()
    await link.sync("events")
    assert not before.items() <= link.usage().items()


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([Fault(kind="status", status=500, path=ENGAGE, times=None, skip=1)], RetryableError),
        ([Fault(kind="drop", path=ENGAGE, times=None, skip=1)], RetryableError),
        ([Fault(kind="cut", path=ENGAGE, times=None, skip=1)], RetryableError),
        ([Fault(kind="truncate", path=ENGAGE, times=None, skip=1)], RetryableError),
        ([Fault(kind="status", status=401, path=ENGAGE, skip=1)], CredentialsError),
        ([Fault(kind="content", path=ENGAGE, skip=1)], FatalError),
    ],
)
async def test_profiles_go_on_where_they_broke_off(simulate: Start, connector: Start, faults: list[Fault], error: Any) -> None:
    simulator = simulate(page_size=5)
    link = connector(simulator)
    simulator.faults.add(*faults)
    with pytest.raises(error):
        await link.sync("users")
    assert len(link.all(Person)) == 5
    simulator.faults.clear()
    simulator.log.clear()
    await link.sync("users")
    assert set(link.all(Person)) == set(simulator.project.users)
    assert [entry.params["page"] for entry in simulator.log.matching(ENGAGE)] == ["1", "2"]


async def test_a_snapshot_that_is_gone(simulate: Start, connector: Start) -> None:
    simulator = simulate(page_size=5)
    link = connector(simulator)
    await link.sync("users", batches=1)
    simulator.forget_snapshots()
    await link.sync("users")
    assert link.expired == 1
    assert set(link.all(Person)) == set(simulator.project.users)


@pytest.mark.parametrize(("field", "raw"), [("$properties", "7"), ("$distinct_id", "null"), ("$properties.$name", '"\xff"')])
async def test_one_bad_profile(wired: tuple[Any, Any], field: str, raw: str) -> None:
    simulator, link = wired
    simulator.faults.add(Fault(kind="row", path=ENGAGE, rows=("results",), row=3, field=field, raw=raw))
    await link.sync("users")
    ids = sorted(simulator.project.users)
    assert set(link.all(Person)) == set(ids) - {ids[3]}
    (reject,) = link.rejects
    assert reject.id == (None if field == "$distinct_id" else ids[3])
    if reject.id:
        link.apply(await link.source.fetch(link.stream("users"), [reject.id]))
        assert set(link.all(Person)) == set(ids)


async def test_a_page_that_does_not_move_on(simulate: Start, connector: Start) -> None:
    simulator = simulate(page_size=5)
    link = connector(simulator)
    simulator.project.users = {f"u-{number}": {} for number in range(20)}
    real = simulator._serve_profiles

    async def stuck(request: Any, body: bytes) -> Any:
        answer = await real(request, body)
        return answer._replace(body=msgspec.json.encode({**msgspec.json.decode(answer.body), "page": 0}))

    simulator._serve_profiles = stuck
    with pytest.raises(StuckCursorError):
        await link.sync("users")


async def test_a_secret_that_was_rotated(wired: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    simulator, link = wired
    simulator.add_service_account(simulator.service_account, "a-new-secret")
    for stream in ("events", "users", "groups"):
        with pytest.raises(CredentialsError) as caught:
            await link.sync(stream)
        assert simulator.secret not in str(caught.value)
    monkeypatch.setenv("MIXPANEL_SECRET", "a-new-secret")
    await link.sync("groups")
    assert set(link.all(Account)) == set(simulator.project.groups)


async def test_mixpanels_limits_are_kept(simulate: Start, connector: Start, clock: FakeClock, expected: Start) -> None:
    """A first read that needs more than the exports of an hour waits for the next ones, and never hears 429."""
    simulator = simulate(sightings=[])
    for day in range(1, 151):
        simulator.track("u-1", "Report Viewed", clock.now() // 1000 - day * DAY)
    link = connector(simulator, history_days=150, window_days=1, group_key=None, data_group_id=None)
    begun = clock.now()
    await link.sync("events")
    assert {entry.status for entry in simulator.log.requests} == {200}
    assert len(simulator.log.requests) == 150
    assert clock.now() - begun > 2 * 3600 * 1000
    assert len(link.all(Usage)) == 150


async def test_limits_that_another_program_uses_up(simulate: Start, connector: Start) -> None:
    """Mixpanel's own 429 ends the read for now; what was read stays."""
    simulator = simulate()
    link = connector(simulator)
    simulator.faults.add(Fault(kind="status", status=429, retry_after=1800, path=EXPORT, skip=1))
    with pytest.raises(RetryableError):
        await link.sync("events")
    assert link.cursors["events"]["at"] == "2026-11-11"


async def test_a_long_export_gives_signs_of_life(wired: tuple[Any, Any], expected: Start, monkeypatch: Any) -> None:
    """Core ends a stream that says nothing for a quarter of an hour; an export and its turn may take longer."""
    simulator, link = wired
    monkeypatch.setattr("wellkept_mixpanel.patience.BEAT_SECONDS", 0.001)
    with simulator.gate("GET", EXPORT) as gate:
        reading = link.source.read(ReadRequest(stream=link.stream("events")))
        for _ in range(3):
            assert await anext(reading) == Batch()
        await reading.aclose()
        gate.open()
    await link.sync("events")
    assert link.usage() == expected(simulator, "2026-11-07", "2026-11-20")


# --- the roll-up itself ---

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5 * DAY - 1), st.sampled_from(["A", "B", "|", "a|b"]), st.sampled_from(["u", "v", "u|1", "1:u"]) | NAMES,
        st.none() | st.sampled_from(["g", "h", "1:g"]),
    ),
    max_size=60,
)  # fmt: skip


class Lines:
    """Answers every export with the same lines."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    async def export(self, from_date: str, to_date: str, **params: Any) -> AsyncIterator[bytes]:
        for line in self.lines:
            yield line


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS, seed=st.integers(), window=st.integers(1, 6))
async def test_the_roll_up_of_any_order_is_the_naive_count(
    events: list[tuple[int, str, str, str | None]], seed: int, window: int
) -> None:
    keys = {"project_id": 1, "service_account": "s", "secret": "env:S", "group_key": "g", "history_days": 5}
    config = MixpanelConfig.model_validate({**keys, "window_days": window})
    clock = FakeClock(1_795_219_200_000)
    begin = clock.now() // 1000 - 5 * DAY
    naive: Counter[tuple[str, str, str, str | None]] = Counter()
    lines = []
    for second, event, who, group in events:
        day = datetime.fromtimestamp(begin + second, UTC).date().isoformat()
        said = {"time": begin + second, "distinct_id": who, "g": group}
        lines.append(msgspec.json.encode({"event": event, "properties": said}))
        subject = who.strip()
        if subject or group:
            naive[day, subject or group or "", event, group] += 1
    random.Random(seed).shuffle(lines)  # noqa: S311 - a shuffle
    reader = EventReader(Lines(lines), config, clock)  # type: ignore[arg-type]
    records = [record async for batch in reader.read(None) for record in batch.records if isinstance(record, Usage)]
    assert {(r.day, r.subject, r.event, r.account_ref): r.count for r in records} == naive
    assert len({record.id for record in records}) == len(records) == len(naive)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.builds(Row, *[st.sampled_from("ab")] * 4), max_size=60), most=st.integers(1, 10))
def test_counting_on_disk_is_counting_in_memory(rows: list[Row], most: int) -> None:
    tally, plain = Tally(most), Tally()
    for row in rows:
        tally.add(row)
        plain.add(row)
        if tally.full:
            tally.spill()
    for day in "abc":
        assert list(tally.of_day(day)) == list(plain.of_day(day)) == sorted(Counter(r for r in rows if r.day == day).items())
    tally.close()
    plain.close()
