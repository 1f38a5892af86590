"""Hooks are called one plugin at a time, in the order of the configuration, inside a guard; nonsense is reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import click
import pytest

from wellkept import Event, Measure, PluginInfo, Route, Source, hookimpl
from wellkept.plugins import Plugins, load_named, manifest_of
from wellkept.records import Account, Record

EVENT = Event(kind="run.started", at=1)


def plugin(name: str = "thing", **hooks: Callable[..., Any]) -> Any:
    def describe(_self: object) -> PluginInfo:
        return PluginInfo(name=name, api="1.0", summary=f"The {name}.")

    members = {hook: hookimpl(function) for hook, function in {"describe": describe, **hooks}.items()}
    return type("Plugin", (), members)()


def loaded(*objects: Any) -> Plugins:
    plugins = load_named([item.describe().name for item in objects], {item.describe().name: item for item in objects})
    assert plugins.problems == []
    return plugins


def gives(value: object) -> Callable[..., Any]:
    """Return a hook that returns this."""

    def hook(_self: object) -> object:
        return value

    return hook


class Nothing(Source):
    def streams(self) -> Any:
        return []

    async def check(self) -> Any: ...

    def read(self, request: Any) -> Any: ...


def fails(_self: object, ctx: object) -> Any:
    raise RuntimeError("key sk_live_abcdefgh12345678")


def generates(_self: object, ctx: object) -> Iterator[Source]:
    yield Nothing()
    raise ValueError("half way")


async def coroutine(_self: object, ctx: object) -> list[Source]:
    return []


def leaves(_self: object, ctx: object) -> Any:
    raise SystemExit


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (fails, "RuntimeError: key ***"),
        (generates, "ValueError: half way"),
        (coroutine, "it returned a coroutine"),
        (leaves, "it tried to end the program"),
        (gives(7), "it returned an int"),
        (gives("sources"), "it returned a str"),
        (gives({"a": Nothing()}), "it returned a dict"),
        (gives(Nothing), "it returned the class Nothing"),
        (gives([Nothing]), "it returned the class Nothing among its Source objects"),
        (gives([None]), "it returned None among its Source objects"),
    ],
)
def test_a_hook_that_fails_or_returns_nonsense_is_a_problem_and_yields_nothing(hook: Any, reason: str) -> None:
    plugins = loaded(plugin(sources=hook))
    assert plugins.collect("thing", "sources", instance="thing-eu", ctx=object()) == []  # type: ignore[arg-type]
    [problem] = plugins.problems
    assert (problem.instance, problem.plugin, problem.stage) == ("thing-eu", "thing", "collect")
    assert "the hook 'sources' failed: " in problem.reason
    assert reason in problem.reason


def test_one_wrong_object_does_not_take_its_neighbours_with_it() -> None:
    good = Nothing()
    plugins = loaded(plugin(sources=gives(item for item in (good, 3))))
    assert plugins.collect("thing", "sources", ctx=object()) == [good]  # type: ignore[arg-type]
    assert len(plugins.problems) == 1


def test_an_interrupt_goes_through() -> None:
    def interrupted(_self: object, ctx: object) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loaded(plugin(sources=interrupted)).collect("thing", "sources", ctx=object())  # type: ignore[arg-type]


def test_each_hook_has_its_kind_of_object() -> None:
    class Own(Record, frozen=True, kw_only=True):
        type = "thing.own"

    async def app(*_: Any) -> None: ...

    good: dict[str, Any] = {
        "commands": click.Command("do"),
        "measures": Measure(name="m", record=Account, aggregate="count", doc="d"),
        "record_types": Own,
        "routes": Route(path="x", app=app),
    }
    for hook, item in good.items():
        no_ctx = hook in {"commands", "record_types"}
        for value, kept in ((item, [item]), (object(), []), (type(item), [])):
            hooks: Any = {hook: gives([value])}
            plugins = loaded(plugin(**hooks))
            ctx: Any = None if no_ctx else object()
            assert plugins.collect("thing", hook, ctx=ctx) == kept, hook
            assert len(plugins.problems) == 1 - len(kept)


def test_a_hook_that_is_missing_yields_nothing_and_one_that_forgets_to_return_is_told() -> None:
    plugins = loaded(plugin(sources=gives(None)))
    assert plugins.collect("thing", "actions", ctx=object()) == []  # type: ignore[arg-type]
    assert plugins.problems == []
    assert plugins.collect("thing", "sources", ctx=object()) == []  # type: ignore[arg-type]
    assert "it returned None" in plugins.problems[0].reason


def test_a_call_reaches_one_plugin_alone() -> None:
    called: list[str] = []

    def notes(name: str) -> Callable[..., Any]:
        def hook(_self: object) -> list[Source]:
            called.append(name)
            return []

        return hook

    plugins = loaded(*(plugin(name, sources=notes(name)) for name in ("one", "two", "three")))
    plugins.collect("two", "sources", ctx=object())  # type: ignore[arg-type]
    assert called == ["two"]


def test_events_reach_plugins_in_the_order_of_the_configuration_whatever_one_of_them_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[tuple[str, Event]] = []

    def notes(name: str) -> Callable[..., Any]:
        def hook(_self: object, event: Event) -> None:
            seen.append((name, event))

        return hook

    def crash(_self: object, event: Event) -> None:
        raise SystemExit("no")

    plugins = loaded(
        plugin("zeta", observe=notes("zeta")),
        plugin("bad", observe=crash),
        plugin("silent"),
        plugin("alpha", observe=notes("alpha")),
    )
    with caplog.at_level(logging.ERROR):
        plugins.observe(EVENT)
    assert seen == [("zeta", EVENT), ("alpha", EVENT)]
    assert "bad: the hook 'observe' failed" in caplog.text
    assert plugins.problems == []


def test_an_async_observer_is_told_not_left_waiting(caplog: pytest.LogCaptureFixture) -> None:
    async def observe(_self: object, event: Event) -> None: ...

    plugins = loaded(plugin(observe=observe))
    with caplog.at_level(logging.ERROR):
        plugins.observe(EVENT)
    assert "coroutine" in caplog.text


def test_back_ends_are_asked_for_by_kind_and_guarded() -> None:
    def provide(_self: object, kind: str, settings: Any) -> object | None:
        if kind == "broken":
            raise RuntimeError("x")
        return dict(settings) if kind == "secrets" else None

    plugins = loaded(plugin(provide=provide), plugin("none"))
    assert plugins.provide("thing", "secrets", {"a": 1}) == {"a": 1}
    assert plugins.provide("thing", "store", {}) is None
    assert plugins.provide("none", "secrets", {}) is None
    assert plugins.problems == []
    assert plugins.provide("thing", "broken", {}) is None
    assert "'provide' failed for 'broken'" in plugins.problems[0].reason


def test_a_manifest_holds_what_help_needs() -> None:
    @click.command("backfill", help="Reads the past. In full.")
    def command() -> None: ...

    manifest = manifest_of(loaded(plugin(commands=gives([command]))), "thing")
    assert manifest.summary == "The thing."
    assert manifest.hooks == ("commands", "describe")
    assert manifest.commands == (("backfill", "Reads the past."),)
