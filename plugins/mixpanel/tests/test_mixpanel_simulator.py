from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import httpx
import pytest

from wellkept.testing import FakeClock, SpecMismatch
from wellkept_mixpanel.simulator import MixpanelSimulator

Start = Callable[..., Any]
YESTERDAY = {"from_date": "2026-11-20", "to_date": "2026-11-20"}


@pytest.fixture
def simulator(simulate: Start) -> Any:
    return simulate(spec=None)


@pytest.fixture
def http(simulator: Any) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=simulator.url, auth=(simulator.service_account, simulator.secret)) as client:
        client.params = {"project_id": simulator.project_id}
        yield client


def test_the_same_seed_gives_the_same_project(clock: FakeClock) -> None:
    one, two, other = (MixpanelSimulator(accounts=30, clock=clock, seed=seed) for seed in (3, 3, 4))
    days = date(2026, 11, 1), date(2026, 11, 20)
    assert list(one.project.exported(*days)) == list(two.project.exported(*days))
    assert (one.token, one.project.users) == (two.token, two.project.users)
    assert one.project.users.keys().isdisjoint(other.project.users)


def test_use_has_the_rhythm_of_work_and_of_fate(clock: FakeClock) -> None:
    simulator = MixpanelSimulator(accounts=400, clock=clock, seed=1)
    fates = {simulator.project.group_id(sighting.ref): sighting.company.fate for sighting in simulator.sightings}
    recent, before = (Counter[str](), Counter[str]())
    weekdays: Counter[int] = Counter()
    core: Counter[tuple[str, bool]] = Counter()
    for event in simulator.project.exported(date(2026, 9, 12), date(2026, 11, 20)):
        at = datetime.fromtimestamp(event["properties"]["time"], UTC)
        fate = fates[event["properties"]["company_id"]]
        (recent if at.date() > date(2026, 10, 31) else before)[fate] += 1
        weekdays[at.weekday()] += 1
        core[fate, event["event"] in {"Dashboard Shared", "Export Created", "Automation Run"}] += 1
    assert max(weekdays[5], weekdays[6]) * 4 < min(weekdays[day] for day in range(5))
    assert recent["silent"] == 0 < before["silent"]
    change = {fate: (recent[fate] / 20) / (before[fate] / 50) for fate in ("thriving", "steady", "fading", "leaving")}
    assert change["thriving"] > 1.1 > change["steady"] > 0.85 > change["leaving"] > change["fading"]
    assert core["fading", True] == 0 < core["steady", True]


@pytest.mark.parametrize(
    ("path", "params", "status", "said"),
    [
        ("/api/2.0/export", {"from_date": "2026-11-20"}, 400, "to_date must be a date"),
        ("/api/2.0/export", {"from_date": "2026-11-20", "to_date": "2026-11-19"}, 400, "before from_date"),
        ("/api/2.0/export", {"from_date": "2026-11-20", "to_date": "2026-11-22"}, 400, "in the future"),
        ("/api/2.0/export", {**YESTERDAY, "limit": 100_001}, 400, "limit must be"),
        ("/api/2.0/export", {**YESTERDAY, "where": "true"}, 400, "where"),
        ("/api/2.0/export", {**YESTERDAY, "project_id": "7"}, 400, "not a member"),
        ("/api/2.0/engage", {"page": 1}, 400, "session_id is needed"),
        ("/api/2.0/engage", {"page": 1, "session_id": "x"}, 400, "uncached"),
    ],
)
def test_requests_that_mixpanel_refuses(http: httpx.Client, path: str, params: Any, status: int, said: str) -> None:
    answer = http.get(path, params=params)
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_who_may(simulator: Any, http: httpx.Client, clock: FakeClock) -> None:
    path = "/api/2.0/export"
    assert httpx.get(f"{simulator.url}{path}", params=YESTERDAY).status_code == 401
    assert http.get(path, params=YESTERDAY, auth=(simulator.service_account, "no")).status_code == 401
    without = httpx.get(f"{simulator.url}{path}", params=YESTERDAY, auth=(simulator.service_account, simulator.secret))
    assert (without.status_code, without.json()["error"]) == (400, "project_id is required with service account credentials")
    clock.advance(1)
    old = httpx.get(f"{simulator.url}{path}", params=YESTERDAY, auth=(simulator.api_secret, ""))
    assert old.status_code == 200


def test_limits(simulator: Any, http: httpx.Client, clock: FakeClock) -> None:
    def export() -> int:
        return http.get("/api/2.0/export", params=YESTERDAY).status_code

    assert [export() for _ in range(4)] == [200, 200, 200, 429]
    statuses = []
    for _ in range(58):
        clock.advance(1)
        statuses.append(export())
    assert statuses == [200] * 57 + [429]
    clock.advance(3600)
    assert export() == 200
    assert [http.get("/api/2.0/engage").status_code for _ in range(61)] == [200] * 60 + [429]


def test_queries_at_the_same_time(simulator: Any, http: httpx.Client) -> None:
    with simulator.gate("GET", "/api/2.0/engage") as gate, ThreadPoolExecutor(5) as pool:
        waiting = []
        for number in range(5):
            waiting.append(pool.submit(http.get, "/api/2.0/engage"))
            while len(simulator.log.requests) <= number:
                gate.arrived.wait(5)
        assert http.get("/api/2.0/engage").status_code == 429
        gate.open()
        assert [answer.result().status_code for answer in waiting] == [200] * 5


def test_answers_are_compressed_above_a_size(http: httpx.Client) -> None:
    long = http.get("/api/2.0/export", params=YESTERDAY, headers={"accept-encoding": "gzip"})
    assert long.headers["content-encoding"] == "gzip"
    assert long.headers["content-type"].startswith("text/plain")
    short = http.get("/api/2.0/export", params={**YESTERDAY, "limit": 2}, headers={"accept-encoding": "gzip"})
    assert "content-encoding" not in short.headers
    assert [json.loads(line)["event"] for line in short.text.splitlines()]
    assert len(short.text.splitlines()) == 2


def test_an_import_names_what_it_refuses(simulator: Any, http: httpx.Client, clock: FakeClock) -> None:
    at = clock.now() // 1000 - 86_400
    good = {"event": "Report Viewed", "properties": {"time": at, "distinct_id": "u-1", "$insert_id": "1"}}
    late = {"event": "Report Viewed", "properties": {"time": "soon", "distinct_id": "u-1", "$insert_id": "2"}}
    bare = {"event": "Report Viewed", "properties": {"time": at, "distinct_id": "u-1"}}
    answer = http.post("/import", params={"strict": 1}, json=[good, late, bare, "no"])
    assert answer.status_code == 400
    assert answer.json()["num_records_imported"] == 1
    assert [(row["index"], row["field"]) for row in answer.json()["failed_records"]] == [
        (1, "properties.time"),
        (2, "properties.$insert_id"),
        (3, "event"),
    ]
    lines = "\n".join(json.dumps(event) for event in (good, good)).encode()
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    again = http.post("/import", params={"strict": 1}, content=gzip.compress(lines), headers=headers)
    assert again.json() == {"code": 200, "num_records_imported": 2, "status": "OK"}
    assert sum(len(day) for day in simulator.project.sent.values()) == 1  # the same event twice is one
    assert http.post("/import", params={"strict": 1}, json=[good] * 2001).status_code == 413
    assert http.post("/import", params={"strict": 1}, json=[good], auth=("x", "y")).status_code == 401


def test_track_takes_what_it_gets(simulator: Any, http: httpx.Client) -> None:
    future = {"event": "A", "properties": {"token": simulator.token, "distinct_id": "u", "time": 4_000_000_000}}
    foreign = {"event": "B", "properties": {"token": "0" * 32, "distinct_id": "u"}}
    assert http.post("/track", json=[future, foreign]).text == "1"
    (day,) = simulator.project.sent.values()
    ((event, at, *_),) = day
    assert (event, at) == ("A", simulator.clock.now() // 1000)
    assert http.post("/track", json=[{}]).text == "0"
    assert http.post("/track", params={"verbose": 1}, json=[{}]).json() == {"status": 0, "error": "data, missing or invalid"}
    assert http.post("/track", content=b"?").status_code == 400


def test_updates_are_judged_one_by_one(simulator: Any, http: httpx.Client) -> None:
    group, token = min(simulator.project.groups), simulator.token
    where = {"$token": token, "$group_key": "company_id", "$group_id": group}
    sent = [
        {**where, "$set": {"health": 1}},
        {**where, "$token": "x", "$set": {"health": 2}},
        {**where, "$group_id": "", "$set": {"health": 3}},
        {**where, "$set": ["health"]},
        where,
        7,
    ]
    answer = http.post("/groups", params={"strict": 1}, json=sent)
    assert answer.status_code == 400
    assert [row["index"] for row in answer.json()["failed_records"]] == [1, 2, 3, 4, 5]
    assert simulator.project.groups[group]["health"] == 1
    http.post("/groups", json=[{**where, "$set": {"long": "é" * 200}}])
    assert simulator.project.groups[group]["long"] == "é" * 127


def test_what_does_not_fit_the_description_is_noticed(simulate: Start, spec: Any) -> None:
    simulator = simulate(spec=spec)
    where = {"auth": (simulator.service_account, simulator.secret), "params": {"project_id": simulator.project_id}}
    httpx.post(f"{simulator.url}/api/query/engage", data={"pages": 1}, **where)
    (mistake,) = simulator.broken
    assert isinstance(mistake, SpecMismatch)
    assert "'pages' was unexpected" in mistake.reason
    simulator.broken.clear()


def test_scenarios_over_http(simulator: Any) -> None:
    url = f"{simulator.url}/_control/scenarios"
    group = min(simulator.project.groups)
    assert httpx.post(f"{url}/stop_using", json={"group": group, "days_ago": 2}).json() == {"result": None}
    assert simulator.project.habits.stopped == {group: simulator.clock.now() // 1000 - 2 * 86_400}
    assert httpx.post(f"{url}/nothing").status_code == 404
