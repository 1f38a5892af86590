from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import wellkept_mixpanel
from wellkept.clock import Clock
from wellkept.records import Account, Person, Usage
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing import FakeClock, Fault
from wellkept.testing.simulation import Setting
from wellkept_mixpanel.config import MixpanelConfig

Start = Callable[..., Any]
DAY = 86_400
BASE = {"project_id": 1, "service_account": "s", "secret": "env:X"}


def test_it_says_who_it_is() -> None:
    info = wellkept_mixpanel.plugin.describe()
    assert (info.name, info.config) == ("mixpanel", "wellkept_mixpanel.config:MixpanelConfig")
    assert wellkept_mixpanel.plugin.provide("store", {}) is None


def test_importing_it_is_cheap() -> None:
    heavy = ("mixpanel", "pydantic", "httpx", "starlette", "httpcore", "uvicorn", "sqlite3", "yaml")
    code = (
        f"import sys, wellkept_mixpanel; wellkept_mixpanel.plugin.describe(); print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"secret": "plain-text"}, "secret"),
        ({"project_id": 0}, "project_id"),
        ({"region": "cn"}, "region"),
        ({"project_timezone": "Berlin"}, "project_timezone"),
        ({"project_timezone": "../etc/passwd"}, "project_timezone"),
        ({"lookback_days": -1}, "lookback_days"),
        ({"window_days": 0}, "window_days"),
        ({"history_days": 4000}, "history_days"),
        ({"group_key": "distinct_id"}, "group_key"),
        ({"group_key": "g", "data_group_id": "company"}, "data_group_id"),
        ({"push_to": "event"}, "push_to"),
        ({"api_base": "http://mixpanel.com"}, "api_base"),
        ({"api_base": "https://mixpanel.com/api"}, "api_base"),
        ({"groups": ["a"]}, "groups"),
    ],
)
def test_mistakes_in_the_configuration(keys: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        MixpanelConfig.model_validate({**BASE, **keys})
    assert {error["loc"][0] for error in caught.value.errors()} == {field}


def test_a_group_id_needs_its_key() -> None:
    with pytest.raises(ValidationError, match="data_group_id needs group_key"):
        MixpanelConfig.model_validate({**BASE, "data_group_id": "5"})


@pytest.mark.parametrize(
    ("region", "hosts"),
    [
        ("us", ("https://data.mixpanel.com", "https://mixpanel.com", "https://api.mixpanel.com")),
        ("eu", ("https://data-eu.mixpanel.com", "https://eu.mixpanel.com", "https://api-eu.mixpanel.com")),
        ("in", ("https://data-in.mixpanel.com", "https://in.mixpanel.com", "https://api-in.mixpanel.com")),
    ],
)
def test_each_region_has_its_hosts(region: str, hosts: tuple[str, ...]) -> None:
    found = MixpanelConfig.model_validate({**BASE, "region": region}).hosts()
    assert (found.export, found.query, found.ingestion) == hosts


def test_the_hosts_are_those_of_the_descriptions(spec: Any) -> None:
    import yaml

    from wellkept_mixpanel.config import REGIONS
    from wellkept_mixpanel.simulator.description import FILES

    folder = Path(__file__).parents[4] / "shared" / "specs" / "mixpanel"
    for name in FILES:
        (server,) = yaml.safe_load((folder / f"{name}.openapi.yaml").read_bytes())["servers"]
        ((variable, values),) = server["variables"].items()
        described = {server["url"].replace(f"{{{variable}}}", value).split("/api/")[0] for value in values["enum"]}
        assert described == {getattr(hosts, name) for hosts in REGIONS.values()}


CONFIG = """\
[wellkept]

[plugins.mixpanel]
live = ["score.push"]
project_id = {project}
service_account = "{account}"
secret = "file:mixpanel.secret"
token = "file:mixpanel.token"
group_key = "company_id"
data_group_id = "{group}"
history_days = 20
api_base = "{url}"
"""


class Installation:
    """A real installation with this plugin alone."""

    def __init__(self, folder: Path, simulator: Any, clock: FakeClock) -> None:
        self.path = folder / "plugins.toml"
        group, project, account = simulator.data_group_id, simulator.project_id, simulator.service_account
        self.path.write_text(CONFIG.format(url=simulator.url, group=group, project=project, account=account))
        for name, value in {"secret": simulator.secret, "token": simulator.token}.items():
            key = folder / f"mixpanel.{name}"
            key.touch(mode=0o600)
            key.write_text(value)
        self.clock: Clock = clock

    def sync(self) -> dict[str, Any]:
        async def run(runtime: Runtime) -> Any:
            return (await Steps(runtime).run()).sync

        with Runtime.open(self.path, clock=self.clock, strict=True) as runtime:
            return {stream.stream: stream for stream in asyncio.run(run(runtime)).streams}

    def ids(self, type_: Any) -> set[str]:
        return set(self.rows(f'SELECT id, id FROM "r_{type_.type}" WHERE deleted = 0'))  # noqa: S608 - a type of our own

    def rows(self, sql: str) -> dict[Any, Any]:
        with Runtime.open(self.path, clock=self.clock) as runtime, runtime.store.read() as reader:
            return {row[0]: row[1] for row in reader.all(sql)}

    def counts(self) -> dict[str, int]:
        return self.rows(f'SELECT day, SUM(count) FROM "r_{Usage.type}" WHERE deleted = 0 GROUP BY day')  # noqa: S608 - likewise


def test_with_the_real_core(simulate: Start, expected: Start, clock: FakeClock, tmp_path: Path) -> None:
    """First read, faults, late events, days that are read again, profiles that are gone."""
    simulator = simulate(sightings=None, accounts=12, page_size=10)
    house = Installation(tmp_path, simulator, clock)

    def whole(first: str, last: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for (day, *_), count in expected(simulator, first, last).items():
            found[day] = found.get(day, 0) + count
        return found

    first = house.sync()
    assert {name: stream.state for name, stream in first.items()} == dict.fromkeys(("groups", "users", "events"), "done")
    assert house.ids(Account) == set(simulator.project.groups)
    assert house.ids(Person) == set(simulator.project.users)
    assert house.counts() == whole("2026-11-01", "2026-11-20")
    clock.advance(DAY)
    simulator.give_up_export(0.7)
    simulator.give_up_export(0.7)
    before = house.counts()
    assert house.sync()["events"].state == "failed"
    assert house.counts() == before
    simulator.spoilt = [b'{"event": "Odd", "properties": {"time": "x"}}']
    partial = house.sync()["events"]
    assert (partial.state, partial.counts.get("rejected", 1)) == ("partial", 1)
    assert house.counts() == whole("2026-11-01", "2026-11-21")
    simulator.spoilt = []
    clock.advance(DAY)
    gone = min(simulator.project.users)
    del simulator.project.users[gone]
    simulator.stop_using(min(simulator.project.groups), 3)
    again = house.sync()
    assert {stream.state for stream in again.values()} == {"done"}
    assert house.counts() == whole("2026-11-01", "2026-11-22")
    assert gone not in house.ids(Person)
    simulator.faults.add(Fault(kind="status", status=401, times=None))
    clock.advance(DAY)
    house.sync()
    assert house.sync()["events"].state == "skipped"
    assert simulator.refused == []


def test_another_project_is_refused(simulate: Start, clock: FakeClock, tmp_path: Path) -> None:
    """The store remembers whose data it has; a rotated secret is no other project."""
    simulator = simulate()
    house = Installation(tmp_path, simulator, clock)
    house.sync()
    other = simulate(project_id=77)
    Installation(tmp_path, other, clock)
    clock.advance(DAY)
    streams = house.sync()
    assert {stream.state for stream in streams.values()} == {"skipped"}
    assert "2345678" in streams["events"].note


def test_the_demos_project(clock: FakeClock, tmp_path: Path) -> None:
    simulation = wellkept_mixpanel.plugin.provide(
        "simulation", {"setting": Setting(accounts=25, seed=2, clock=clock, folder=tmp_path)}
    )
    assert simulation is not None
    try:
        keys = simulation.start()  # type: ignore[attr-defined]
        path = tmp_path / "plugins.toml"
        lines = [f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for name, value in keys.items()]
        path.write_text("[wellkept]\n\n[plugins.mixpanel]\n" + "\n".join(lines) + "\n")
        house = Installation.__new__(Installation)
        house.path, house.clock = path, clock
        assert {stream.state for stream in house.sync().values()} == {"done"}
        happenings = simulation.unfold()  # type: ignore[attr-defined]
        assert len(happenings) == 2
        clock.advance(3600)
        house.sync()
        last = house.rows(f'SELECT account_ref, MAX(day) FROM "r_{Usage.type}" WHERE deleted = 0 GROUP BY 1')  # noqa: S608 - a type
        assert {last[happening.id] <= "2026-11-01" for happening in happenings} == {True}
        assert simulation.received() == []  # type: ignore[attr-defined]
    finally:
        simulation.close()  # type: ignore[attr-defined]
