"""The standard tests, on Mixpanel."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from wellkept import ScorePush
from wellkept.testing import FakeClock, Fault, Spec
from wellkept.testing.conformance import ActionTests, Case, SourceTests
from wellkept_mixpanel.simulator import MixpanelSimulator
from wellkept_mixpanel.simulator.state import GROUP_KEY

Step = Callable[[], object]
Steps = Sequence[Step]

HOUR = 3600
DAY = 24 * HOUR

ENGAGE = "/api/query/engage"
EXPORT = "/api/2.0/export"


class Mixpanel(Case):
    plugin = "mixpanel"

    @pytest.fixture
    def description(self, optional_spec: Spec | None) -> Spec | None:
        return optional_spec

    def vendor(self, clock: FakeClock) -> MixpanelSimulator:
        # each test begins with a new store several times an hour, and with it with a new budget: Mixpanel itself must not count
        vendor = MixpanelSimulator(accounts=4, clock=clock, seed=5, page_size=3, limits=False)
        populate(vendor)
        return vendor

    def keys(self, vendor: MixpanelSimulator, url: str) -> Mapping[str, Any]:
        return {
            "project_id": vendor.project_id,
            "service_account": vendor.service_account,
            "secret": "env:MIXPANEL_SECRET",
            "token": "env:MIXPANEL_TOKEN",
            "group_key": GROUP_KEY,
            "data_group_id": vendor.data_group_id,
            "external_id_property": "account_id",
            "domain_property": "domain",
            "test_property": "is_test",
            "history_days": 6,
            "window_days": 2,
            "lookback_days": 2,
            "unfinished_day": True,
            "profiles_every_hours": 1,
            "api_base": url,
        }

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("wellkept_mixpanel.tally.MOST_IN_MEMORY", 5)

    def secrets(self, vendor: MixpanelSimulator) -> Mapping[str, str]:
        return {"MIXPANEL_SECRET": vendor.secret, "MIXPANEL_TOKEN": vendor.token}


def populate(vendor: MixpanelSimulator) -> None:
    """Give some profiles properties of every type, and take some away."""
    plain = {"seats": 7, "ratio": 0.5, "vip": True, "nothing": None, "nested": {"a": 1}, "tags": ["a", 1], "lists": [["a"]]}
    long = {"note": "n" * 1000, "essay": "e" * 1001, "many": [1] * 200, "more": [1] * 201}
    groups, users = vendor.project.groups, vendor.project.users
    one, two, three, _ = sorted(groups)
    groups[one] |= {**plain, **long, "$email": " billing@one.example ", "$phone": 49, "is_test": True, "account_id": 17.0}
    groups[two] |= {f"property {number:03}": number for number in range(201)}
    groups[two] |= {"is_test": "yes", "$name": "  ", "$created": "2024-05-06T07:08:09+02:00", "account_id": 1.5}
    groups[three] |= {"$created": "soon", "domain": " three.example ", "account_id": True}
    first, second, third, fourth, *_ = sorted(users)
    users[first] |= {**plain, "$first_name": "Ada ", "$last_name": "Byron", "$name": "", "$timezone": "Europe/London"}
    users[second] = {"$last_name": "Smith", "$created": "2024-05-06", GROUP_KEY: [two, one, one, " "]}
    users[third] |= {GROUP_KEY: 7, "$email": 7, "$phone": " +49 30 1 "}
    users[fourth].pop(GROUP_KEY)


def at(text: str, zone: str = "UTC") -> int:
    """Return an instant of some day in epoch seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


class TestMixpanelSource(Mixpanel, SourceTests):
    reads: ClassVar[Sequence[str]] = ("/api/query/engage",)
    bad_rows: ClassVar[Mapping[str, Fault]] = {
        stream: Fault(kind="row", path="/api/query/engage", rows=("results",), row=1, field="$properties", raw="7")
        for stream in ("groups", "users")
    }

    def change(self, vendor: MixpanelSimulator, stream: str) -> bool:
        if stream == "events":
            for group in vendor.project.groups:
                vendor.stop_using(group, 1)
        else:
            table = vendor.project.groups if stream == "groups" else vendor.project.users
            table[min(table)]["$name"] = "Renamed"
        return True

    def troubles(self, vendor: MixpanelSimulator) -> Mapping[str, Callable[[], object]]:
        def fault(status: int, path: str, **more: Any) -> Callable[[], None]:
            return lambda: vendor.faults.add(Fault(kind="status", status=status, path=path, times=None, **more))

        def silent() -> None:
            for group in vendor.project.groups:
                vendor.stop_using(group, 30)

        return {
            "the secret is wrong": lambda: {"service_account": "somebody.else"},
            "the project is another one": lambda: {"project_id": 7},
            "the role is too low": lambda: vendor.add_service_account(vendor.service_account, vendor.secret, "consumer"),
            "only profiles may be read": fault(403, EXPORT),
            "only events may be read": fault(403, ENGAGE),
            "users may be read, and groups may not": fault(403, ENGAGE, skip=1),
            "the export is refused": fault(400, EXPORT),
            "an export of the project is refused": fault(400, EXPORT, code="unknown project"),
            "profiles are refused": fault(400, ENGAGE, code="Unable to authenticate"),
            "no event came": silent,
            "the group key has another id": lambda: {"data_group_id": "5"},
            "there is no group": vendor.project.groups.clear,
            "no token is set": lambda: {"token": None},
            "there are no groups to write to": lambda: {"data_group_id": None},
            "users are written to": lambda: {"data_group_id": None, "push_to": "user"},
            "nothing names accounts": lambda: {"data_group_id": None, "group_key": None},
            "users name accounts": lambda: {"data_group_id": None, "company_property": "company"},
        }

    def stories(self, vendor: MixpanelSimulator) -> Mapping[str, Steps]:
        teller = Teller(vendor)
        return {**teller.days(), **teller.configurations(), **teller.exports(), **teller.profiles(), **teller.waits()}


class Teller:
    """Tells stories about one project; nobody there does anything but what they say."""

    def __init__(self, vendor: MixpanelSimulator) -> None:
        self.vendor = vendor
        self.groups, self.users = sorted(vendor.project.groups), sorted(vendor.project.users)

    def quiet(self, **keys: Any) -> Mapping[str, Any]:
        for group in self.groups:
            self.vendor.stop_using(group, 400)
        return keys

    def users_alone(self) -> Mapping[str, Any]:
        """Leave out groups: which of two streams is read first, nobody knows."""
        return self.quiet(data_group_id=None)

    def told(self, *events: tuple[str, str, str], zone: str = "UTC", **keys: Any) -> Mapping[str, Any]:
        for who, event, when in events:
            self.vendor.track(who, event, at(when, zone), self.groups[0])
        return self.quiet(**keys)

    def moved(self, zone: str, *, wall_clock: bool, **keys: Any) -> Mapping[str, Any]:
        """Move the project to another zone; there somebody acts in the first and in the last second of two days."""
        self.vendor.project.zone, self.vendor.project.wall_clock = ZoneInfo(zone), wall_clock
        moments = [f"{day}T{edge}" for day in ("2026-11-19", "2026-11-20") for edge in ("00:00:00", "23:59:59")]
        named = {"project_timezone": zone, "created_before_2023": wall_clock, "unfinished_day": False, "history_days": 2}
        return self.told(*((f"at {moment}", "Seen", moment) for moment in moments), zone=zone, **{**named, **keys})

    def faults(self, **fault: Any) -> Step:
        return partial(self.vendor.faults.add, Fault(**fault))

    def spoilt(self, *lines: bytes) -> Step:
        return lambda: self.vendor.spoilt.__setitem__(slice(None), lines)

    def wait(self, seconds: float) -> Step:
        return lambda: self.vendor.clock.advance(seconds)  # type: ignore[attr-defined]

    def answers(self, **fields: Any) -> Step:
        return lambda: setattr(self.vendor, "page", fields)

    def days(self) -> Mapping[str, Steps]:
        def crowd() -> Mapping[str, Any]:
            for number in range(1_100):
                self.vendor.track(f"u-{number}", "Seen", at("2026-11-20T12:00:00"), f"g-{number % 300}")
            return self.quiet(history_days=1, unfinished_day=False)

        def late(event: str, *days: int, **keys: Any) -> Step:
            return lambda: self.told(*(("u-1", event, f"2026-11-{day}T12:00:00") for day in days), **keys)

        return {
            "an old project in Berlin": [lambda: self.moved("Europe/Berlin", wall_clock=True)],
            "a project in Kathmandu": [lambda: self.moved("Asia/Kathmandu", wall_clock=False), self.wait(8 * HOUR)],
            "a project in Los Angeles": [lambda: self.moved("America/Los_Angeles", wall_clock=False, unfinished_day=True)],
            "a busy day": [crowd],
            "days go by": [
                late("Seen", 20, unfinished_day=False, profiles_every_hours=24),
                lambda: None,
                self.wait(11 * HOUR),
                late("Late", 18, 19, 20, 21),
                self.wait(DAY),
                late("Later", 21, 22, lookback_days=0),
                self.wait(9 * HOUR),
                self.wait(3 * DAY),
            ],
            "a day that is not over": [
                lambda: self.told(("u-1", "Seen", "2026-11-21T11:00:00"), lookback_days=1),
                lambda: self.told(("u-1", "Seen", "2026-11-21T12:30:00")),
                self.wait(12 * HOUR),
            ],
        }

    def configurations(self) -> Mapping[str, Steps]:
        def named() -> Mapping[str, Any]:
            companies = ["Acme", "Beta 2", 7, ["Acme", "Zeta"], " ", "Acme"]
            for user, company in zip(self.users, companies, strict=False):
                self.vendor.project.users[user]["company"] = company
            return self.quiet(data_group_id=None, company_property="company")

        return {
            "our own ids": [
                lambda: self.quiet(distinct_id_is_user_id=True, group_id_is_account_id=True, external_id_property=None),
                lambda: {"data_group_id": None},
            ],
            "users name accounts": [named, lambda: {"group_id_is_account_id": True}],
            "nobody names accounts": [lambda: self.quiet(data_group_id=None, group_key=None)],
            "few properties": [lambda: self.quiet(domain_property=None, test_property=None)],
            "few events": [
                lambda: self.told(
                    *(("u-1", event, "2026-11-20T12:00:00") for event in ("Seen", "Clicked", "$identify")),
                    events=["Seen", "$identify"],
                )
            ],
        }

    def exports(self) -> Mapping[str, Steps]:
        one, two, three, *_ = self.groups
        elsewhere = b'{"event": 7, "properties": {"time": 1, "distinct_id": "u"}}'
        odd = (
            elsewhere,
            b'{"event": 7, "properties": {"time": 1795262400, "distinct_id": "u"}}',
            b'{"event": 7, "properties": {"distinct_id": "u", "time" : 1795176000 }}',
            b'{"event": 7, "properties": {"time": 1795262400.5, "distinct_id": "u"}}',
            line("u-1", time=10**12),
            line("u-1", time=1e300),
            line(None),
            line(""),
            line("$device:1"),
            line("u-2", company_id=one),
            line(None, company_id=[two, three, two, ""]),
            line(7, company_id=7.0),
            line(7.5, company_id=True),
            line("u-3", time=1795176000.75),
        )
        return {
            "lines that cannot be read": [
                lambda: (self.spoilt(*odd)(), self.quiet(history_days=1))[1],
                self.spoilt(*odd[:3]),
                self.spoilt(b"nothing"),
                self.spoilt(b"{nothing"),
                self.spoilt(),
            ],
            "a thousand lines that cannot be read": [
                lambda: self.told(("u-1", "Seen", "2026-11-20T12:00:00"), history_days=1, window_days=5),
                self.spoilt(*[elsewhere] * 1000),
                self.spoilt(*[elsewhere] * 1001),
                self.spoilt(),
            ],
            "exports are given up": [
                self.vendor.give_up_export,
                lambda: (self.vendor.give_up_export(), self.vendor.give_up_export()),
                lambda: self.vendor.give_up_export(0.0),
                lambda: self.vendor.give_up_export(None),
            ],
            "a page instead of events": [
                self.quiet,
                self.faults(kind="content", path=EXPORT, times=None),
                self.vendor.faults.clear,
            ],
        }

    def profiles(self) -> Mapping[str, Steps]:
        def first(field: str, raw: str) -> Step:
            fault = self.faults(kind="row", path=ENGAGE, rows=("results",), row=0, field=field, raw=raw, times=None)
            return lambda: (self.vendor.faults.clear(), fault())

        return {
            "a snapshot is gone": [
                self.users_alone,
                self.faults(kind="drop", path=ENGAGE, skip=1, times=None),
                lambda: (self.vendor.faults.clear(), self.vendor.forget_snapshots()),
                self.wait(HOUR),
            ],
            "a page is refused": [
                self.users_alone,
                self.faults(kind="status", status=400, path=ENGAGE),
                self.faults(kind="status", status=404, path=ENGAGE, skip=2),
                lambda: None,
            ],
            "profiles without an id": [
                self.quiet,
                first("$distinct_id", '""'),
                first("$distinct_id", "7.0"),
                first("$properties", "null"),
            ],
            "pages that say too little": [
                self.quiet,
                self.answers(page_size=None),
                self.answers(page_size=0),
                self.answers(page_size=1),
                self.answers(session_id=None),
                self.answers(page=1),
                self.answers(total="many"),
            ],
        }

    def waits(self) -> Mapping[str, Steps]:
        def asked(seconds: int, path: str) -> Step:
            return self.faults(kind="status", status=429, retry_after=seconds, path=path)

        return {
            "asked to wait for two hours": [
                self.users_alone,
                asked(7000, ENGAGE),
                asked(7400, ENGAGE),
                asked(7000, EXPORT),
                asked(7400, EXPORT),
            ],
        }


def line(who: Any, event: Any = "Odd", **more: Any) -> bytes:
    """Return a line of an export."""
    return json.dumps({"event": event, "properties": {"time": 1795176000, "distinct_id": who, **more}}).encode()


class TestMixpanelPush(Mixpanel, ActionTests):
    writes = "/groups"
    write_method = "POST"

    def payload(self, number: int) -> ScorePush:
        return ScorePush(properties={"wellkept_health": 50 + number, "wellkept_band": "yellow"})

    def done(self, vendor: MixpanelSimulator, payload: ScorePush) -> Mapping[str, int]:
        wanted = payload.properties.items()
        return {group: 1 for group, properties in vendor.project.groups.items() if wanted <= properties.items()}

    def spoil(self, vendor: MixpanelSimulator) -> bool:
        vendor.refused_ids[max(vendor.project.groups)] = "'$set' is invalid"
        return True

    def others(self) -> Sequence[ScorePush]:
        return [
            ScorePush(properties={"whole": 72.0, "part": 71.5, "flag": True, "text": "x" * 255, "umlauts": "ü" * 127}),
            ScorePush(properties={"whole": 72, "part": None, "flag": False, "text": "", "umlauts": "ü" * 128}),
            ScorePush(properties={"long": "x" * 256, "n" * 256: 1, "n" * 255: 1, "": 1}),
            ScorePush(properties={"": 1}),
        ]

    def circumstances(self, vendor: MixpanelSimulator) -> Mapping[str, Callable[[], object]]:
        def fault(times: int | None = None, **more: Any) -> Callable[[], object]:
            return partial(
                vendor.faults.add, Fault(method="POST", times=times, **{"kind": "status", "path": "/groups", **more})
            )

        def answered(verdict: bytes | None) -> Callable[[], object]:
            def answer() -> None:
                vendor.verdict, vendor.spec = verdict, None

            return answer

        def bare() -> None:
            vendor.project.groups.pop(sorted(vendor.project.groups)[1])

        return {
            "a group without a profile": bare,
            "a value is refused": lambda: self.spoil(vendor),
            "no more": vendor.refused_ids.clear,
            "a batch is refused": fault(1, status=400),
            "one of a batch is refused": fault(3, status=400),
            "too much at once": fault(3, status=413),
            "too many requests": fault(status=429, retry_after=7),
            "a fault of Mixpanel's": fault(status=500),
            "the answer is a page": fault(kind="content"),
            "the token is refused": fault(1, status=401),
            "accepted, verbosely": answered(b'{"status": 1, "error": null}'),
            "accepted, strictly": answered(b'{"code": 200, "status": "OK"}'),
            "accepted, in a word": answered(b'{"status": "ok"}'),
            "refused without a word": answered(b'{"status": 0}'),
            "refused with a code": answered(b'{"code": 400, "failed_records": []}'),
            "odd records are named": answered(
                b'{"code": 400, "failed_records": [{"index": -1}, {"index": 4}, {"index": 0}, '
                b'{"index": 1.0, "field": "$set", "message": "is bad"}]}'
            ),
            "in users' profiles": lambda: (answered(None)(), {"push_to": "user"})[1],
            "a user's is refused": lambda: vendor.refused_ids.update({min(vendor.project.users): "'$set' is invalid"}),
        }
