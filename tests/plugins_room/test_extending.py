"""A plugin adds its own record type, measure, command, route and state with migrations, without an edit to core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import click
import httpx
import pytest
from click.testing import CliRunner

from wellkept import Batch, CheckResult, Context, Measure, PluginInfo, Route, Source, Stream, hookimpl
from wellkept.records import Account, Record
from wellkept.runtime import Runtime
from wellkept.steps import Steps
from wellkept.testing import FakeClock, Server
from wellkept.webhooks import make_app


class Seat(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What version 1 of the plugin stores."""

    type: ClassVar[str] = "acme.seat"
    history: ClassVar[bool] = True

    account_ref: str
    colour: str


class SeatToday(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What version 2 stores: one field more, one less."""

    type: ClassVar[str] = "acme.seat"
    history: ClassVar[bool] = True

    account_ref: str
    floor: int | None = None
    tags: list[str] = []  # noqa: RUF012 - a field


class SeatChanged(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A field that means something else under its old name."""

    type: ClassVar[str] = "acme.seat"
    history: ClassVar[bool] = True

    account_ref: str
    colour: int = 0


class Office(Source):
    def __init__(self, kind: type[Record], rows: list[Record]) -> None:
        self.kind, self.rows = kind, rows

    def streams(self) -> list[Stream]:
        return [
            Stream(name="accounts", records=(Account,), doc="Accounts."),
            Stream(name="seats", records=(self.kind,), doc="Seats."),
        ]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[])

    async def read(self, request: Any) -> Any:
        accounts = [Account(id="a1", version=1, name="Acme")]
        yield Batch(records=self.rows if request.stream.name == "seats" else accounts)


class Plugin:
    """The plugin at some version."""

    version = 1

    def __init__(self, kind: type[Record] = Seat, rows: list[Record] | None = None) -> None:
        self.kind, self.rows = kind, rows or []

    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="acme", api="1.0", summary="Knows seats.", state_version=self.version)

    @hookimpl
    def record_types(self) -> list[type[Record]]:
        return [self.kind]

    @hookimpl
    def sources(self) -> list[Source]:
        return [Office(self.kind, self.rows)]

    @hookimpl
    def measures(self) -> list[Measure]:
        return [Measure(name="seats", record=self.kind, aggregate="count", unit="count", doc="Seats.")]

    @hookimpl
    def commands(self) -> list[click.Command]:
        return [click.Command("count", callback=lambda: click.echo("two seats"))]

    @hookimpl
    def routes(self, ctx: Context[Any]) -> list[Route]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": ctx.instance.encode()})

        return [Route(path="floor", app=app)]


class Upgrading(Plugin):
    """Version 3, which knows what versions 1 and 2 kept."""

    version = 3
    answer: ClassVar[Callable[[Mapping[str, Any], int], Any]]

    @hookimpl
    def upgrade_state(self, state: Mapping[str, Any], version: int) -> Any:
        return type(self).answer(state, version)


Open = Callable[..., Runtime]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    path = tmp_path / "plugins.toml"
    path.write_text('[plugins.acme]\n[plugins.north]\nplugin = "acme"\n', encoding="utf-8")
    runtimes: list[Runtime] = []

    def go(plugin: object) -> Runtime:
        for runtime in runtimes:
            runtime.close()
        runtimes[:] = [Runtime.open(path, clock=FakeClock(), extra_plugins={"acme": plugin})]
        return runtimes[0]

    yield go
    for runtime in runtimes:
        runtime.close()


SEATS: list[Record] = [
    Seat(id="1", version=1, account_ref="a1", colour="red"),
    Seat(id="2", version=1, account_ref="a1", colour="blue"),
]


def test_record_type_measure_command_and_route_work_together(opened: Open) -> None:
    plugin = Plugin(rows=SEATS)
    runtime = opened(plugin)
    asyncio.run(Steps(runtime).run())
    assert runtime.problems == []
    frame = Steps(runtime).frame()
    assert sorted(frame.column("seats")) == [2.0, 2.0]
    [command] = runtime.plugins.collect("acme", "commands")
    assert CliRunner().invoke(command).output == "two seats\n"
    app = make_app(
        runtime.store,
        {},
        clock=runtime.clock,
        signer=runtime.signer,
        routes={name: item.routes for name, item in runtime.instances.items()},
    )
    with Server(app) as server:
        assert httpx.get(f"{server.url}/north/floor").text == "north"


# --- records ---


def test_a_type_may_gain_and_lose_fields_and_keeps_its_rows_and_history(opened: Open) -> None:
    asyncio.run(Steps(opened(Plugin(rows=SEATS))).sync())
    runtime = opened(Plugin(SeatToday, [SeatToday(id="2", version=2, account_ref="a1", floor=3, tags=["quiet"])]))
    with runtime.store.read() as reader:
        assert runtime.tables.get(reader, SeatToday, "acme", "1") == SeatToday(id="1", version=1, account_ref="a1")
    asyncio.run(Steps(runtime).sync())
    assert runtime.problems == []
    with runtime.store.read() as reader:
        row = runtime.tables.get(reader, SeatToday, "acme", "2")
        assert row is not None
        assert (row.floor, row.tags) == (3, ["quiet"])
        assert reader.value("SELECT COUNT(*) FROM h_acme_seat WHERE instance = 'acme' AND id = '2'") == 1
    runtime = opened(Plugin())  # back to the older version: nothing is lost
    with runtime.store.read() as reader:
        old = runtime.tables.get(reader, Seat, "acme", "1")
        assert old is not None
        assert old.colour == "red"


def test_a_field_that_changes_its_kind_leaves_its_type_out_and_is_told(opened: Open) -> None:
    opened(Plugin())
    runtime = opened(Plugin(SeatChanged))
    [problem] = runtime.problems
    assert (problem.plugin, problem.reason) == ("acme", "record type acme.seat: field colour was text and is now int")
    assert problem.mend == "give the field a new name, or the record type"
    assert "acme.seat" not in runtime.record_types
    assert list(runtime.instances) == ["acme", "north"]
    assert list(runtime.instances["acme"].streams) == ["accounts"]


# --- state ---


def keep(runtime: Runtime, **state: Any) -> None:
    async def work() -> None:
        for key, value in state.items():
            await runtime.instances["acme"].ctx.state.set(key, value)

    asyncio.run(work())


def kept(runtime: Runtime) -> dict[str, Any]:
    with runtime.store.read() as reader:
        rows = reader.all("SELECT key, value FROM plugin_state WHERE instance = 'acme' ORDER BY key")
    return dict(rows)


def answering(answer: Callable[[Mapping[str, Any], int], Any]) -> Upgrading:
    return type("Answering", (Upgrading,), {"answer": staticmethod(answer)})()


def test_state_is_brought_into_the_new_shape_once_and_before_anything_else(opened: Open) -> None:
    keep(opened(Plugin()), seen=[1, 2], old="x")
    calls: list[tuple[Mapping[str, Any], int]] = []

    def upgrade(state: Mapping[str, Any], version: int) -> Any:
        calls.append((state, version))
        return {"seen": {"ids": state["seen"]}, "gone": None}

    for _ in range(2):
        runtime = opened(answering(upgrade))
        assert runtime.problems == []
        assert kept(runtime) == {"seen": '{"ids":[1,2]}'}
    assert calls == [({"seen": [1, 2], "old": "x"}, 1)]


def test_without_state_there_is_nothing_to_ask(opened: Open) -> None:
    runtime = opened(answering(lambda *_: pytest.fail("it was asked")))
    assert list(runtime.instances) == ["acme", "north"]
    keep(runtime, seen=1)
    assert kept(opened(answering(lambda *_: pytest.fail("it was asked")))) == {"seen": "1"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda *_: 1 / 0, "ZeroDivisionError"),
        (lambda *_: [("seen", 1)], "the hook 'upgrade_state' returned a list"),
        (lambda *_: {1: 2}, "the hook 'upgrade_state' returned a dict"),
        (lambda *_: {"seen": object()}, "the state 'seen' is not plain JSON"),
    ],
)
def test_a_failed_upgrade_changes_nothing_and_leaves_only_that_instance_out(
    opened: Open, answer: Callable[..., Any], reason: str
) -> None:
    keep(opened(Plugin()), seen=[1], other=2)
    runtime = opened(answering(answer))
    assert list(runtime.instances) == ["north"]
    [problem] = runtime.problems
    assert (problem.instance, problem.plugin, problem.stage) == ("acme", "acme", "state")
    assert problem.reason.startswith("its state cannot be used: ")
    assert reason in problem.reason
    runtime = opened(Plugin())
    assert kept(runtime) == {"seen": "[1]", "other": "2"}
    assert "acme" in runtime.instances


def test_state_of_a_newer_version_is_never_read_by_an_older_one(opened: Open) -> None:
    runtime = opened(answering(lambda state, _: state))
    keep(runtime, seen=1)
    runtime = opened(Plugin())
    assert runtime.instances == {}
    assert {problem.reason for problem in runtime.problems} == {
        "its state cannot be used: it is of version 3, and this plugin knows 1"
    }
    assert kept(runtime) == {"seen": "1"}


def test_a_version_without_the_hook_is_told(opened: Open) -> None:
    keep(opened(Plugin()), seen=1)
    newer = type("Newer", (Plugin,), {"version": 2})()
    runtime = opened(newer)
    assert list(runtime.instances) == ["north"]
    assert runtime.problems[0].mend == "its author should implement the hook `upgrade_state`"
