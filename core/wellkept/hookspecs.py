"""Every hook. A plugin is an object whose methods are marked with `hookimpl`; it implements the hooks that it needs.

Hooks hand out objects, and are cheap: no I/O, no heavy imports. They are called synchronously, one plugin at a time,
each inside a guard: those with a `ctx` once per configured instance, the others once per plugin. What they return does the
work.

How the API grows. A minor version may add keyword fields with defaults, methods that are not abstract, hook arguments, hooks,
and members of a `Literal` (ignore those that you do not know). It never adds abstract methods, positional parameters or
required fields. Structs that go from core to a plugin are built by core alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from wellkept.action import Action
    from wellkept.context import Context, PluginInfo
    from wellkept.events import Event
    from wellkept.frame import Formula, Measure
    from wellkept.job import Job
    from wellkept.policy import Decider
    from wellkept.records import Json, Record
    from wellkept.routes import Route
    from wellkept.scorer import Scorer
    from wellkept.source import Source

PROJECT = "wellkept"
"""The pluggy project name and the entry-point group."""

API = (1, 0)
"""The plugin API of this core, (major, minor); see `wellkept.context.PluginInfo.api`."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """The hook specifications. A plugin may leave out any argument that it does not use."""

    @hookspec
    def describe(self) -> PluginInfo:  # type: ignore[empty-body]
        """Say who you are: name, API version, configuration model. The one hook that every plugin implements."""

    @hookspec
    def sources(self, ctx: Context[Any]) -> Sequence[Source]:  # type: ignore[empty-body]
        """Return the sources of this instance; usually one."""

    @hookspec
    def scorers(self, ctx: Context[Any]) -> Sequence[Scorer]:  # type: ignore[empty-body]
        """Return scorers."""

    @hookspec
    def policies(self, ctx: Context[Any]) -> Sequence[Decider]:  # type: ignore[empty-body]
        """Return policies and machines."""

    @hookspec
    def actions(self, ctx: Context[Any]) -> Sequence[Action]:  # type: ignore[empty-body]
        """Return actions, one per capability."""

    @hookspec
    def measures(self, ctx: Context[Any]) -> Sequence[Measure | Formula]:  # type: ignore[empty-body]
        """Return columns of the frame. A column of the same name from two plugins is an error that names both."""

    @hookspec
    def record_types(self) -> Sequence[type[Record]]:  # type: ignore[empty-body]
        """Return the plugin's own record types; core makes their tables."""

    @hookspec
    def jobs(self, ctx: Context[Any]) -> Sequence[Job]:  # type: ignore[empty-body]
        """Return work for the end of the runs in which this instance is due, such as an export."""

    @hookspec
    def routes(self, ctx: Context[Any]) -> Sequence[Route]:  # type: ignore[empty-body]
        """Return ASGI routes, mounted under ``/<instance>/``."""

    @hookspec
    def commands(self) -> Sequence[click.Command]:  # type: ignore[empty-body]
        """Return subcommands for ``wellkept <plugin> ...``."""

    @hookspec
    def observe(self, event: Event) -> None:
        """Learn of runs, streams and effects. What is raised here is logged and goes no further."""

    @hookspec
    def upgrade_state(self, state: Mapping[str, Json], version: int) -> Mapping[str, Json]:  # type: ignore[empty-body]
        """Return what an older version of you left in `ctx.state`, in the shape of `PluginInfo.state_version`."""

    @hookspec
    def provide(self, kind: str, settings: Mapping[str, Any]) -> object | None:
        """Return a back end of the named kind (``secrets``, ``store``, ``executor``) if config asks you for it."""
