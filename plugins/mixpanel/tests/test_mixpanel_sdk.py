"""The official SDKs, unchanged, against the simulator. Only the way of their requests is bent: to loopback."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

mixpanel = pytest.importorskip("mixpanel")
mixpanel_utils = pytest.importorskip("mixpanel_utils")

Start = Callable[..., Any]
DAY = 86_400


@pytest.fixture
def simulator(simulate: Start) -> Any:
    """The SDKs use older forms of the same endpoints (form data, GET for profiles), which the descriptions no longer name."""
    return simulate(spec=None, page_size=5)


@pytest.fixture
def sdk(simulator: Any) -> Iterator[Any]:
    account = mixpanel.ServiceAccountCredentials(simulator.service_account, simulator.secret, str(simulator.project_id))
    urls = {
        "events_url": f"{simulator.url}/track",
        "people_url": f"{simulator.url}/engage",
        "groups_url": f"{simulator.url}/groups",
        "import_url": f"{simulator.url}/import",
    }
    consumer = mixpanel.Consumer(**urls, retry_limit=0, credentials=account)
    yield mixpanel.Mixpanel(simulator.token, consumer=consumer)
    consumer._session.close()


class ToLoopback(urllib.request.HTTPSHandler):
    """Sends requests for Mixpanel's hosts to the simulator."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.hosts: set[str] = set()

    def https_open(self, request: urllib.request.Request) -> Any:
        parts = urlsplit(request.full_url)
        self.hosts.add(parts.netloc)
        bent = urllib.request.Request(  # noqa: S310 - loopback
            parts._replace(scheme="http", netloc=urlsplit(self.url).netloc).geturl(),
            request.data,
            dict(request.header_items()),
            method=request.get_method(),
        )
        bent.timeout = request.timeout
        return urllib.request.HTTPHandler().do_open(HTTPConnection, bent)


@pytest.fixture
def wire(simulator: Any) -> Iterator[ToLoopback]:
    handler = ToLoopback(simulator.url)
    urllib.request.install_opener(urllib.request.build_opener(handler))
    yield handler
    urllib.request.install_opener(None)  # type: ignore[arg-type]


@pytest.fixture
def utils(simulator: Any, wire: ToLoopback) -> Any:
    return mixpanel_utils.MixpanelUtils(
        simulator.secret,
        token=simulator.token,
        service_account_username=simulator.service_account,
        project_id=simulator.project_id,
        pool_size=2,
        residency="eu",
    )


def test_users_and_groups_are_written(simulator: Any, sdk: Any) -> None:
    user, group = min(simulator.project.users), min(simulator.project.groups)
    profile = simulator.project.users[user]
    sdk.people_set(user, {"plan": "Team"})
    sdk.people_set_once(user, {"plan": "Other", "first": 1})
    sdk.people_increment(user, {"logins": 3})
    sdk.people_increment(user, {"logins": 2})
    sdk.people_append(user, {"tags": "a"})
    sdk.people_union(user, {"tags": ["a", "b"]})
    sdk.people_remove(user, {"tags": "a"})
    assert {name: profile[name] for name in ("plan", "first", "logins", "tags")} == {
        "plan": "Team",
        "first": 1,
        "logins": 5,
        "tags": ["b"],
    }
    sdk.people_unset(user, ["plan"])
    assert "plan" not in profile
    sdk.group_set("company_id", group, {"health": 50})
    sdk.group_set_once("company_id", group, {"health": 60})
    sdk.group_union("company_id", group, {"products": ["x"]})
    sdk.group_remove("company_id", group, {"products": "x"})
    assert simulator.project.groups[group]["health"] == 50
    assert simulator.project.groups[group]["products"] == []
    sdk.group_unset("company_id", group, ["health"])
    assert "health" not in simulator.project.groups[group]
    sdk.group_delete("company_id", group)
    sdk.people_delete(user)
    assert group not in simulator.project.groups
    assert user not in simulator.project.users


def test_what_cannot_be_written_is_said(simulator: Any, sdk: Any) -> None:
    with pytest.raises(mixpanel.MixpanelException, match="Mixpanel error: data, missing or invalid"):
        sdk.people_set("", {"plan": "Team"})
    with pytest.raises(mixpanel.MixpanelException):
        sdk.import_data("key", "u-1", "Report Viewed", "yesterday")


def test_events_are_sent_and_imported(simulator: Any, sdk: Any, utils: Any) -> None:
    now = simulator.clock.now() // 1000
    sdk._now = lambda: now
    sdk.track("u-sdk", "Report Viewed", {"company_id": "g-1"})
    sdk.import_data("key", "u-sdk", "Export Created", now - 3 * DAY, {"company_id": "g-1"})
    days = {"from_date": "2026-11-18", "to_date": "2026-11-21"}
    mine = [event for event in utils.query_export(days) if event["properties"]["distinct_id"] == "u-sdk"]
    assert sorted((event["event"], event["properties"]["time"]) for event in mine) == [
        ("Export Created", now - 3 * DAY),
        ("Report Viewed", now),
    ]
    assert all("token" not in event["properties"] or event["event"] == "Export Created" for event in mine)


async def test_both_read_the_same(simulator: Any, connector: Start, utils: Any, wire: ToLoopback, tmp_path: Path) -> None:
    """What the SDK exports, and what we count, are the same events; profiles come page by page."""
    link = connector(simulator, ignore_events=[], window_days=14)
    await link.sync("events")
    await link.sync("users")
    days = {"from_date": "2026-11-07", "to_date": "2026-11-20"}
    plain = await asyncio.to_thread(utils.query_export, dict(days))
    packed = await asyncio.to_thread(utils.query_export, dict(days), add_gzip_header=True)
    assert len(plain) == len(packed) == sum(link.usage().values())
    people = await asyncio.to_thread(utils.query_engage)
    assert {profile["$distinct_id"] for profile in people} == set(simulator.project.users)
    assert wire.hosts == {"data-eu.mixpanel.com", "eu.mixpanel.com"}


def test_profiles_are_changed_in_batches(
    simulator: Any, utils: Any, wire: ToLoopback, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)  # it writes what it could not send
    profiles = [{"$distinct_id": id_, "$properties": {}} for id_ in simulator.project.users]
    assert utils.people_set({"plan": "Team"}, profiles=profiles) == len(profiles)
    assert {profile["plan"] for profile in simulator.project.users.values()} == {"Team"}
    events = [
        {
            "event": "Report Viewed",
            "properties": {"time": simulator.clock.now() // 1000 - DAY, "distinct_id": "u-i", "$insert_id": str(n)},
        }
        for n in range(3)
    ]
    utils.import_events(events, timezone_offset=0)
    found = utils.query_export({"from_date": "2026-11-20", "to_date": "2026-11-20"})
    assert sum(event["properties"]["distinct_id"] == "u-i" for event in found) == 3
    assert wire.hosts == {"data-eu.mixpanel.com", "api-eu.mixpanel.com"}
    assert not list(tmp_path.glob("i*"))  # nothing was left over: import_backup.txt, invalid_events.txt
