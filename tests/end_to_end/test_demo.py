"""The demo: five vendors, one market, and what is pushed, mailed and assigned is exactly what happened."""

from __future__ import annotations

import asyncio
import base64
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from wellkept.cli import main
from wellkept.cli.exits import Exit
from wellkept.demo import Check, DemoClock, DemoReport, demo
from wellkept.testing import FakeClock
from wellkept.testing.faults import Fault
from wellkept.testing.simulation import Setting
from wellkept.testing.world import Seen
from wellkept_hubspot.simulation import HubSpotSimulation
from wellkept_mixpanel.simulation import MixpanelSimulation
from wellkept_stripe.simulation import StripeSimulation
from wellkept_zendesk.simulation import ZendeskSimulation

VENDORS = {"stripe", "zendesk", "mixpanel", "hubspot"}


def run(folder: Path, *, accounts: int = 40, seed: int = 1) -> DemoReport:
    return asyncio.run(demo(folder, accounts=accounts, seed=seed))


def compared(report: DemoReport) -> dict[str, Check]:
    return {check.what: check for check in report.checks}


@pytest.mark.parametrize(("accounts", "seed"), [(40, 1), (20, 3), (60, 6)])
def test_what_is_pushed_mailed_and_assigned_is_exactly_what_happened(accounts: int, seed: int, tmp_path: Path) -> None:
    began = time.process_time()
    report = run(tmp_path, accounts=accounts, seed=seed)
    assert time.process_time() - began < 60
    assert report.differences == []
    assert report.ok
    assert [item.state for item in report.runs] == ["done", "done"]
    assert {name for name, items in report.happenings.items() if items} == VENDORS
    found = compared(report)
    assert len(found["scores"].found) > 8
    for vendor in VENDORS:
        told = found[f"pushed to {vendor}"].found
        assert told <= found["scores"].found
        assert len(told) >= len(found["scores"].found) / 2
    assert found["message.send"].found == found["task.create"].found
    assert report.links is not None
    assert report.links.precision > 0.98
    assert report.links.recall > 0.95
    assert len(report.risks) == 10


def test_a_big_account_that_turns_red_brings_one_mail_and_one_task_at_hubspot(tmp_path: Path) -> None:
    report = run(tmp_path, accounts=20, seed=3)
    fired = compared(report)["message.send"].found
    assert fired
    assert len(report.received["smtp"]) == len(fired)
    tasks = [item for item in report.received["hubspot"] if item.capability == "task.create"]
    assert len(tasks) == len(fired)


def test_all_simulators_know_the_same_market(tmp_path: Path) -> None:
    """An account that a vendor's record leads to is, by the truth, the company that the others' records are of."""
    report = run(tmp_path, accounts=30, seed=2)
    assert report.links is not None
    connection = sqlite3.connect(tmp_path / "wellkept.db")
    try:
        sql = "SELECT account, COUNT(DISTINCT instance) FROM links WHERE type = 'account' GROUP BY account"
        instances = dict(connection.execute(sql).fetchall())
    finally:
        connection.close()
    assert sum(count == 4 for count in instances.values()) > 15


def test_a_vendor_who_was_not_told_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unfold = HubSpotSimulation.unfold

    def unfold_and_break(self: Any) -> Any:
        self._simulator.faults.add(Fault(kind="status", status=500, method="POST", path="*/batch/update", times=None))
        return unfold(self)

    monkeypatch.setattr(HubSpotSimulation, "unfold", unfold_and_break)
    report = run(tmp_path, accounts=20, seed=4)
    assert not report.ok
    assert any(line.startswith("pushed to hubspot: nothing about acc_") for line in report.differences)
    assert not any(line.startswith("pushed to stripe") for line in report.differences)


def test_what_is_told_without_a_reason_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something happens at Stripe of which the demo's account of events does not know."""
    unfold = StripeSimulation.unfold
    monkeypatch.setattr(StripeSimulation, "unfold", lambda self: unfold(self)[1:])
    report = run(tmp_path, accounts=20, seed=4)
    assert not report.ok
    assert [line.partition(" acc_")[0] for line in report.differences] == ["scores: unexpectedly about"]


def test_a_wrong_merge_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The truth is held against the links, not the other way round: another truth makes the same links wrong."""
    records = StripeSimulation.records

    def turned(self: Any) -> dict[str, Seen]:
        known = dict(records(self))
        first, second, *_ = sorted(known)
        known[first], known[second] = known[second], known[first]
        return known

    monkeypatch.setattr(StripeSimulation, "records", turned)
    report = run(tmp_path, accounts=20, seed=4)
    assert report.links is not None
    assert report.links.wrong_merges == 2
    assert report.links.precision < 1


def test_the_command_shows_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--accounts", "20", "--seed", "2", "--keep", str(tmp_path / "kept")]) == Exit.OK
    text = capsys.readouterr().out
    for part in ("Runs", "Happened at zendesk", "hubspot then received", "Most at risk", "precision", "recall", "wrong merges"):
        assert part in text
    assert "exactly what happened" in text
    assert main(["-c", str(tmp_path / "kept" / "plugins.toml"), "accounts"]) == Exit.OK
    assert "acc_" in capsys.readouterr().out
    assert main(["--json", "demo", "--accounts", "20", "--seed", "2"]) == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["ok"]
    assert document["links"]["precision"] > 0.98
    assert {item["capability"] for item in document["received"]["stripe"]} == {"score.push"}


@pytest.mark.parametrize(
    ("simulation", "path", "requests", "seconds"),
    [
        (ZendeskSimulation, "/api/v2/incremental/tickets/cursor.json?start_time=0", 10, 60),
        (ZendeskSimulation, "/api/v2/groups.json", 200, 60),
        (MixpanelSimulation, "/api/2.0/export?project_id=2345678&from_date=2026-01-01&to_date=2026-01-01", 3, 1),
        (HubSpotSimulation, "/crm/objects/2026-03/companies/search", 5, 1),
        (HubSpotSimulation, "/crm/owners/2026-03", 190, 10),
        (StripeSimulation, "/v1/customers?limit=1", 25, 1),
    ],
)
def test_the_demo_s_vendors_insist_on_their_limits(
    simulation: Any, path: str, requests: int, seconds: float, tmp_path: Path
) -> None:
    """No limit is switched off: one request too many, and the vendor says so."""
    clock = FakeClock()
    made = simulation(Setting(accounts=3, seed=1, clock=clock, folder=tmp_path))
    made.start()
    try:
        answered = asyncio.run(_ask(made._server.url, path, _headers(made), requests + 1))
        assert answered[-1] == 429
        assert set(answered[:-1]) == {200}
        clock.advance(seconds + 1)
        assert asyncio.run(_ask(made._server.url, path, _headers(made), 1)) == [200]
    finally:
        made.close()


def _headers(made: Any) -> dict[str, str]:
    simulator = made._simulator
    if isinstance(made, StripeSimulation):
        return {"authorization": f"Bearer {simulator.key}"}
    if isinstance(made, HubSpotSimulation):
        return {"authorization": f"Bearer {simulator.token}"}
    if isinstance(made, ZendeskSimulation):
        return {"authorization": f"Bearer {simulator.grant.access}"}
    basic = base64.b64encode(f"{simulator.service_account}:{simulator.secret}".encode()).decode()
    return {"authorization": f"Basic {basic}"}


async def _ask(url: str, path: str, headers: dict[str, str], times: int) -> list[int]:
    """Ask so many times for something, and return the answers' statuses."""
    search = {"filterGroups": [], "properties": [], "sorts": [], "limit": 1, "after": "0"} if path.endswith("/search") else None
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        method = "GET" if search is None else "POST"
        return [(await client.request(method, path, json=search)).status_code for _ in range(times)]


async def test_waits_pass_at_once_in_the_demo_s_time_and_together() -> None:
    clock = DemoClock()
    began, real = clock.now(), clock.monotonic()
    await asyncio.gather(*(clock.sleep(seconds) for seconds in (30.0, 60.0, 60.0)))
    assert clock.now() - began >= 60_000
    assert clock.now() - began < 75_000
    assert clock.monotonic() - real < 5
    assert 55 < clock.waited < 61


async def test_a_short_wait_is_a_real_one() -> None:
    clock = DemoClock()
    real = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - real >= 0.009
    assert clock.waited < 0.01


def test_the_demo_begins_when_nobody_works_and_ends_before_quiet_hours() -> None:
    minutes = DemoClock().now() // 60_000 % 1440
    assert 20 * 60 <= minutes < 20 * 60 + 10
