"""The plugin as core sees it: what it says of itself, its configuration, and whole runs with the real core."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import wellkept_hubspot
from wellkept.pipeline.report import RunReport
from wellkept.records import Account, Person, SurveyResponse, Task
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.store import overrides
from wellkept.testing import FakeClock
from wellkept.testing.simulation import Setting
from wellkept_hubspot.config import HubSpotConfig
from wellkept_hubspot.records import HubSpotDeal, HubSpotObject
from wellkept_hubspot.tasks import KEY

Start = Callable[..., Any]
TOKEN = {"access_token": "env:X"}
OAUTH = {"client_id": "a", "client_secret": "env:X", "refresh_token": "env:Y"}


def test_it_says_who_it_is() -> None:
    info = wellkept_hubspot.plugin.describe()
    assert (info.name, info.config) == ("hubspot", "wellkept_hubspot.config:HubSpotConfig")
    assert wellkept_hubspot.plugin.record_types() == [HubSpotDeal, HubSpotObject]
    assert wellkept_hubspot.plugin.provide("store", {}) is None


def test_importing_it_is_cheap() -> None:
    heavy = ("hubspot", "urllib3", "pydantic", "httpx", "starlette", "httpcore", "uvicorn")
    code = f"import sys, wellkept_hubspot as w; w.plugin.describe(); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"


def test_reading_does_not_import_the_sdk() -> None:
    code = (
        "import sys, wellkept_hubspot.source, wellkept_hubspot.actions, wellkept_hubspot.tasks;"
        " print('hubspot' in sys.modules, 'requests' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "False False"


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"access_token": "pat-na1-123"}, "access_token"),
        ({}, ""),
        ({**TOKEN, "oauth": OAUTH}, ""),
        ({"oauth": {"client_id": "a"}}, "oauth"),
        ({**TOKEN, "api_base": "http://api.hubapi.com"}, "api_base"),
        ({**TOKEN, "api_version": "2025-09"}, "api_version"),
        ({**TOKEN, "streams": ["company"]}, "streams"),
        ({**TOKEN, "extra": {"company": ["a"]}}, "extra"),
        ({**TOKEN, "extra": {"companies": ["Not A Name"]}}, "extra"),
        ({**TOKEN, "fields": {"companies": {"nothing": "a"}}}, "fields"),
        ({**TOKEN, "fields": {"companies": {"version": "a"}}}, "fields"),
        ({**TOKEN, "fields": {"owners": {"name": "a"}}}, "fields"),
        ({**TOKEN, "objects": {"a": {"object_type": "2-1", "record": "nothing"}}}, "objects"),
        ({**TOKEN, "objects": {"a": {"object_type": "2-1", "record": "subscription"}}}, "objects"),
        ({**TOKEN, "objects": {"a": {"object_type": "2-1", "fields": {"amount": "a"}}}}, "objects"),
        ({**TOKEN, "objects": {"companies": {"object_type": "2-1"}}}, ""),
        ({**TOKEN, "feedback_scales": {"nps": [10, 0]}}, "feedback_scales"),
        ({**TOKEN, "reconcile_days": 0}, "reconcile_days"),
        ({**TOKEN, "requests_per_ten_seconds": 1000}, "requests_per_ten_seconds"),
        ({**TOKEN, "requests_per_ten_seconds": 40, "searches_per_second": 4}, ""),
        ({**TOKEN, "task_outcomes": []}, "task_outcomes"),
        ({**TOKEN, "webhook_secret": "s"}, "webhook_secret"),
        ({**TOKEN, "no_such_key": 1}, "no_such_key"),
    ],
)
def test_mistakes_in_the_configuration(keys: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HubSpotConfig.model_validate(keys)
    assert {str(error["loc"][0]) if error["loc"] else "" for error in caught.value.errors()} == {field}


CONFIG = """\
[wellkept]

[plugins.hubspot]
live = {live}
access_token = "file:hubspot.token"
webhook_secret = "file:webhook.secret"
api_base = "{url}"
[plugins.hubspot.extra]
companies = ["health_override"]

[plugins.hubspot.map]
latest_answer = {{ record = "survey_response", field = "score", time = "answered_at", aggregate = "latest", unit = "points" }}

[plugins.health]

[plugins.playbooks]
[[plugins.playbooks.rules]]
name = "detractor"
when = "latest_answer < 3"
do = ["task: owner"]

[[push]]
to = "hubspot"
properties = {{ wellkept_nps = "latest_answer" }}

[[override]]
source = "hubspot"
field = "extra.health_override"

[safety]
max_effects = 1000
max_share = 1.0
"""


class Installation:
    """A real installation with this plugin, health and playbooks."""

    def __init__(self, folder: Path, simulator: Any, clock: FakeClock, *, live: str = "true") -> None:
        self.path = folder / "plugins.toml"
        for name, secret in (("hubspot.token", simulator.token), ("webhook.secret", simulator.webhook_secret)):
            path = folder / name
            path.touch(mode=0o600)
            path.write_text(secret)
        self.path.write_text(CONFIG.format(url=simulator.url, live=live))
        self.clock = clock

    def run(self) -> RunReport:
        async def run(runtime: Runtime) -> RunReport:
            return await Steps(runtime).run()

        with Runtime.open(self.path, clock=self.clock, strict=True) as runtime:
            report = asyncio.run(run(runtime))
        self.clock.advance(60)
        return report

    def ids(self, type_: Any) -> set[str]:
        with Runtime.open(self.path, clock=self.clock) as runtime, runtime.store.read() as reader:
            return {record.id for _, record in runtime.tables.rows(reader, type_)}

    def bands(self) -> dict[str, str]:
        with Runtime.open(self.path, clock=self.clock) as runtime, runtime.store.read() as reader:
            return {item.account: item.band for item in overrides.active(reader, "health", self.clock.now()).values()}


def standing(simulator: Any, type_: str) -> set[str]:
    return {thing.id for thing in simulator.state.standing(type_)}


def test_whole_runs_with_the_real_core(simulate: Start, clock: FakeClock, tmp_path: Path) -> None:
    """In: every stream. Out: a score, and a task for a detractor's owner. Back: its outcome, and an override."""
    simulator = simulate(accounts=15, seed=3)
    simulator.state.define("companies", "health_override")
    house = Installation(tmp_path, simulator, clock)
    first = house.run()
    assert first.sync is not None
    assert {stream.state for stream in first.sync.streams} == {"done"}, first.summary
    kinds = {
        "companies": Account,
        "contacts": Person,
        "deals": HubSpotDeal,
        "tasks": Task,
        "feedback_submissions": SurveyResponse,
    }
    for type_, kind in kinds.items():
        assert {id_ for id_ in house.ids(kind) if not id_.startswith("owner:")} == standing(simulator, type_), type_
    assert list(simulator.log.effects) == []  # the first run takes note of how things are
    contact, ends = next(
        (contact, ends)
        for contact, ends in sorted(simulator.state.links["contacts", "companies"].items())
        if len(ends) == 1 and not simulator.state.links["contacts", "feedback_submissions"].get(contact)
    )
    (company,) = ends
    clock.advance(3600)
    simulator.answer_survey(contact, "NPS", 1)
    simulator.edit("companies", company, health_override="Red")
    clock.advance(60)
    second = house.run()
    assert second.state == "done", second.summary
    assert simulator.state.things["companies"][company].properties["wellkept_nps"] == "1"
    (task,) = [thing for thing in simulator.state.standing("tasks") if KEY in thing.properties]
    assert company in simulator.state.links["tasks", "companies"][task.id]
    owner = simulator.state.things["companies"][company].properties["hubspot_owner_id"]
    assert task.properties["hubspot_owner_id"] == owner
    assert list(house.bands().values()) == ["red"]
    simulator.finish_task(task.id, "solved")
    simulator.edit("companies", company, health_override="")
    clock.advance(60)
    third = house.run()
    assert third.state == "done", third.summary
    with Runtime.open(house.path, clock=clock) as runtime, runtime.store.read() as reader:
        stored = runtime.tables.get(reader, Task, "hubspot", task.id)
    assert stored is not None
    assert (stored.status, stored.outcome) == ("COMPLETED", "solved")
    assert house.bands() == {}
    assert len([thing for thing in simulator.state.standing("tasks") if KEY in thing.properties]) == 1
    assert simulator.refused == []


def test_dry_run_writes_nothing(simulate: Start, clock: FakeClock, tmp_path: Path) -> None:
    simulator = simulate(accounts=6, seed=3)
    house = Installation(tmp_path, simulator, clock, live="false")
    house.run()
    for contact in sorted(simulator.state.links["contacts", "companies"])[:4]:
        simulator.answer_survey(contact, "NPS", 0)
    simulator.log.clear()
    clock.advance(60)
    report = house.run()
    assert report.deliver is not None
    assert report.decide is not None
    assert report.decide.planned
    assert list(simulator.log.effects) == []
    writes = [
        entry for entry in simulator.log.requests if entry.method != "GET" and not entry.path.endswith(("search", "read"))
    ]
    assert writes == []


def test_the_demos_account(clock: FakeClock, tmp_path: Path) -> None:
    setting = Setting(accounts=60, seed=1, clock=clock, folder=tmp_path)
    simulation: Any = wellkept_hubspot.plugin.provide("simulation", {"setting": setting})
    keys = simulation.start()
    try:
        assert HubSpotConfig.model_validate(keys).api_base.startswith("http://127.0.0.1:")
        assert (tmp_path / "hubspot.token").stat().st_mode & 0o077 == 0
        behind = simulation.records()
        happened = simulation.unfold()
        assert happened
        assert {event.id for event in happened} <= behind.keys()
        assert simulation.received() == []
    finally:
        simulation.close()
