from __future__ import annotations

import asyncio
import json
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from wellkept.testing import FakeClock, Fault, Server, Simulator, Spec

Served = tuple[Any, str]
LIST = "/api/parcels"
HEADERS = {"token": "t-1"}


def get(url: str, query: str = "") -> httpx.Response:
    return httpx.get(f"{url}{LIST}{query}", headers=HEADERS, timeout=5)


def post(url: str, weight: str, key: str | None = None) -> httpx.Response:
    headers = {"idempotency-key": key} if key else {}
    return httpx.post(f"{url}{LIST}", data={"weight": weight}, headers=headers, timeout=5)


def test_it_shows_its_own_time(parcels: Served) -> None:
    simulator, url = parcels
    before = get(url).headers.get_list("date")
    simulator.clock.advance(3600)
    after = get(url).headers.get_list("date")
    assert len(before) == len(after) == 1
    assert (parsedate_to_datetime(after[0]) - parsedate_to_datetime(before[0])).total_seconds() == 3600


def test_the_log_keeps_what_came_but_no_credential(parcels: Served) -> None:
    simulator, url = parcels
    httpx.get(f"{url}{LIST}?page[size]=3", headers={**HEADERS, "authorization": "Bearer hidden"})
    post(url, "2", key="k-1")
    httpx.post(f"{url}{LIST}", json={"weight": 3})
    log = httpx.get(f"{url}/_control/log")
    entries = log.json()["requests"]
    assert [(entry["number"], entry["method"], entry["path"], entry["params"], entry["status"]) for entry in entries] == [
        (1, "GET", LIST, {"page": {"size": "3"}}, 200),
        (2, "POST", LIST, {"weight": "2"}, 201),
        (3, "POST", LIST, {"weight": 3}, 201),
    ]
    assert entries[1]["idempotency_key"] == "k-1"
    assert "hidden" not in log.text
    assert len(simulator.log.matching("/api/*", "POST")) == 2
    httpx.delete(f"{url}/_control/log")
    assert not simulator.log.requests


def test_faults_are_armed_listed_and_disarmed_over_http(parcels: Served) -> None:
    _, url = parcels
    control = f"{url}/_control/faults"
    assert httpx.post(control, json={"kind": "status", "stauts": 500}).status_code == 422
    armed = httpx.post(control, json=[{"kind": "status", "status": 503, "times": 2, "code": "busy"}, {"kind": "drop"}])
    assert [fault["kind"] for fault in armed.json()] == ["status", "drop"]
    first = get(url)
    assert (first.status_code, first.json()) == (503, {"oops": "busy"})
    httpx.delete(control)
    assert httpx.get(control).json() == []
    assert get(url).status_code == 200


def test_counts_paths_and_skips(parcels: Served) -> None:
    simulator, url = parcels
    simulator.faults.add(
        Fault(kind="status", method="POST", status=500),
        Fault(kind="status", path="/api/p*", method="GET", status=502, skip=1, times=2),
    )
    assert [get(url).status_code for _ in range(4)] == [200, 502, 502, 200]
    assert post(url, "1").status_code == 500


def test_a_share_of_the_requests_is_drawn_with_the_seed(make_parcels: type[Simulator]) -> None:
    def hits(seed: int) -> list[bool]:
        faults = make_parcels(clock=FakeClock(), seed=seed).faults
        faults.add(Fault(kind="drop", share=0.3, times=None))
        return [faults.take("GET", LIST) is not None for _ in range(200)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)
    assert 30 < sum(hits(1)) < 90


def test_retry_after_in_seconds_and_as_a_date(parcels: Served) -> None:
    simulator, url = parcels
    simulator.faults.add(
        Fault(kind="status", status=429, retry_after=2.5), Fault(kind="status", status=429, retry_after=90, as_date=True)
    )
    assert get(url).headers["retry-after"] == "2.5"
    answer = get(url)
    ahead = parsedate_to_datetime(answer.headers["retry-after"]) - parsedate_to_datetime(answer.headers["date"])
    assert ahead.total_seconds() == 90


def test_before_inside_and_after_the_vendor_acts(parcels: Served) -> None:
    simulator, url = parcels
    simulator.parcels.clear()
    simulator.faults.add(
        Fault(kind="status", method="POST", when="before"),
        Fault(kind="status", method="POST", when="inside"),
        Fault(kind="status", method="POST", when="after"),
    )
    for made in (0, 0, 1):
        assert post(url, "1").status_code == 500
        assert len(simulator.parcels) == made


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_dropped_connection(parcels: Served, when: Any, made: int) -> None:
    simulator, url = parcels
    simulator.parcels.clear()
    simulator.faults.add(Fault(kind="drop", when=when))
    with pytest.raises(httpx.RemoteProtocolError):
        post(url, "1")
    assert len(simulator.parcels) == made
    assert simulator.log.requests[-1].status is None
    assert get(url).status_code == 200


def test_a_connection_cannot_be_dropped_without_a_server(make_parcels: type[Simulator]) -> None:
    simulator = make_parcels(clock=FakeClock())
    simulator.faults.add(Fault(kind="drop"))

    async def call() -> None:
        transport = httpx.ASGITransport(app=simulator)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            await client.get(LIST, headers=HEADERS)

    with pytest.raises(RuntimeError, match=r"under wellkept\.testing\.Server"):
        asyncio.run(call())


def test_a_body_that_ends_too_early(parcels: Served) -> None:
    simulator, url = parcels
    simulator.faults.add(Fault(kind="cut"), Fault(kind="truncate"))
    with pytest.raises(httpx.RemoteProtocolError):
        get(url)
    whole = get(url)
    assert whole.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        whole.json()


def test_a_body_that_stops(parcels: Served) -> None:
    simulator, url = parcels
    simulator.faults.add(Fault(kind="stall"))
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{url}{LIST}", headers=HEADERS, timeout=0.1)
    assert get(url).status_code == 200


def test_slow_answers_take_virtual_time(parcels: Served) -> None:
    simulator, url = parcels
    start = simulator.clock.now()
    simulator.faults.add(Fault(kind="slow", seconds=2), Fault(kind="latency", seconds=7))
    assert len(get(url).json()["data"]) == 3
    assert simulator.clock.now() - start == 20_000
    assert get(url).status_code == 200
    assert simulator.clock.now() - start == 27_000


def test_damaged_rows(parcels: Served) -> None:
    simulator, url = parcels
    simulator.faults.add(
        Fault(kind="row", row=1, field="id", raw='"two"'),
        Fault(kind="row", row=2, field="note", raw='"\xff\xfe"'),
        Fault(kind="row", row=0, raw="null"),
        Fault(kind="row", row=9, raw="null"),
    )
    assert get(url).json()["data"][1]["id"] == "two"
    assert b'"\xff\xfe"' in get(url).content
    assert get(url).json()["data"][0] is None
    assert [row["id"] for row in get(url).json()["data"]] == [1, 2, 3]


def test_something_else_than_json_and_parameters_not_seen(parcels: Served) -> None:
    simulator, url = parcels
    simulator.faults.add(Fault(kind="content"), Fault(kind="ignore", names=("after",)))
    assert get(url).headers["content-type"].startswith("text/html")
    assert len(get(url, "?after=2&limit=1").json()["data"]) == 3
    assert len(get(url, "?after=2&limit=1").json()["data"]) == 1


async def test_a_gate_holds_requests_in_the_middle_of_the_work(parcels: Served) -> None:
    simulator, url = parcels
    simulator.parcels.clear()
    with simulator.gate("POST", "/api/*") as gate:
        request = asyncio.create_task(asyncio.to_thread(post, url, "1"))
        assert await asyncio.to_thread(gate.arrived.wait, 5)
        assert simulator.parcels == []
        gate.open()
        assert (await request).status_code == 201
    assert len(simulator.parcels) == 1


def test_scenarios_over_http(parcels: Served) -> None:
    simulator, url = parcels
    assert httpx.post(f"{url}/_control/scenarios/lose", json={"parcel": 2}).json() == {"result": 2}
    assert len(simulator.parcels) == 2
    assert "there are lose" in httpx.post(f"{url}/_control/scenarios/find").json()["error"]
    assert httpx.post(f"{url}/_control/scenarios/lose", json={"parcel": 20}).status_code == 422


def test_both_sides_are_held_against_the_description(make_parcels: Any, spec: Spec) -> None:
    simulator = make_parcels(clock=FakeClock(), spec=spec)
    with Server(simulator) as server:
        assert get(server.url).status_code == 200
        assert get(server.url, "?colour=red").status_code == 400
        assert [mismatch.pointer for mismatch in simulator.refused] == ["/query/colour"]
        assert simulator.broken == []
        simulator.mistake = True
        wrong = get(server.url)
        assert (wrong.status_code, simulator.broken[-1].pointer) == (500, "/answer/data/0/id")
        accepted = get(server.url, "?colour=red")
        assert accepted.status_code == 500
        assert "/query/colour" in accepted.text
        assert [mismatch.pointer for mismatch in simulator.broken] == ["/answer/data/0/id", "/query/colour"]
