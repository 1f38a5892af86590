"""One configured use of a plugin: its context, and the objects that its hooks hand out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from wellkept.effects import Payload
from wellkept.errors import ConfigError
from wellkept.plugins.guard import as_list, guard
from wellkept.problems import Problem
from wellkept.secrets import secrets_in
from wellkept.source import Source, Stream

if TYPE_CHECKING:
    from wellkept.action import Action
    from wellkept.config import InstanceTable
    from wellkept.context import Context, PluginInfo
    from wellkept.frame import Formula, Measure
    from wellkept.job import Job
    from wellkept.plugins import Plugins
    from wellkept.policy import Decider
    from wellkept.records import Record
    from wellkept.routes import Route
    from wellkept.scorer import Scorer
    from wellkept.settings import InstanceHead, MappedField

_STREAM = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class BoundStream(NamedTuple):
    """A stream with the source that reads it."""

    source: Source
    stream: Stream


class Instance:
    """An enabled instance whose configuration is valid.

    Hooks are called when their result is first asked for, once, inside the guard: what is wrong with a result is added to
    the problems, and left out.

    Args:
        table: Its part of the configuration.
        ctx: What its objects get.
        plugins: The loaded plugins.
        record_types: All record types, by name.
        hash_text: The installation's keyed hash.
    """

    def __init__(
        self,
        table: InstanceTable,
        ctx: Context[Any],
        plugins: Plugins,
        *,
        record_types: Mapping[str, type[Record]],
        hash_text: Callable[[str], str],
    ) -> None:
        self.table = table
        self.ctx = ctx
        self._plugins = plugins
        self._record_types = record_types
        self._hash_text = hash_text

    def __repr__(self) -> str:
        return f"Instance({self.name!r}, plugin={self.plugin!r})"

    @property
    def name(self) -> str:
        """The table's name in `plugins.toml`."""
        return self.table.name

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return self.table.plugin

    @property
    def config(self) -> Any:
        """The validated model of its own keys; None for a plugin without any."""
        return self.ctx.config

    @property
    def head(self) -> InstanceHead:
        """The keys that core reads."""
        return self.table.head

    @property
    def info(self) -> PluginInfo:
        """What the plugin says about itself."""
        return self._plugins.loaded[self.plugin].info

    @property
    def distribution(self) -> str | None:
        """What ships the plugin: ``wellkept-stripe 0.1.0``."""
        return self._plugins.loaded[self.plugin].distribution

    @cached_property
    def sources(self) -> Sequence[Source]:
        """Its sources."""
        return self._collect("sources")

    @cached_property
    def streams(self) -> Mapping[str, BoundStream]:
        """The streams of all its sources, by name, in the order of the sources."""
        found: dict[str, BoundStream] = {}
        for source in self.sources:
            for stream in self._streams_of(source):
                wrong = self._wrong_stream(stream, found)
                if wrong is None:
                    found[stream.name] = BoundStream(source, stream)
                else:
                    self.report(wrong)
        for name, (_, stream) in list(found.items()):
            for other in stream.depends_on:
                if other not in found:
                    self.report(f"the stream {name!r} depends on {other!r}, which does not exist")
                    found.pop(name, None)
        return found

    @cached_property
    def scorers(self) -> Sequence[Scorer]:
        """Its scorers."""
        return self._collect("scorers")

    @cached_property
    def deciders(self) -> Sequence[Decider]:
        """Its policies and machines."""
        return self._collect("policies")

    @cached_property
    def actions(self) -> Mapping[str, Action]:
        """Its actions, by capability."""
        found: dict[str, Action] = {}
        for action in self._collect("actions"):
            payload = getattr(action, "payload", None)
            capability = getattr(payload, "capability", None)
            if not (isinstance(payload, type) and issubclass(payload, Payload) and isinstance(capability, str)):
                self.report(f"the action {type(action).__name__} does not name its payload type")
            elif capability in found:
                self.report(f"two actions serve {capability!r}: {type(found[capability]).__name__}, {type(action).__name__}")
            else:
                found[capability] = action
        if isinstance(self.head.live, list):
            for capability in self.head.live:
                if capability not in found:
                    from wellkept.config.explain import suggest

                    mend = suggest(capability, found, kind="it serves")
                    self.report(f"`live` names {capability!r}, which {self.name!r} does not serve", mend)
        return found

    @cached_property
    def measures(self) -> Sequence[Measure | Formula]:
        """The columns that it declares."""
        return self._collect("measures")

    @cached_property
    def jobs(self) -> Mapping[str, Job]:
        """Its work at the end of runs, by name."""
        found: dict[str, Job] = {}
        for job in self._collect("jobs"):
            name: object = getattr(job, "name", None)
            if not isinstance(name, str) or not _STREAM.fullmatch(name):
                self.report(f"{name!r} cannot name a job: use lower-case letters, digits, - and _")
            elif name in found:
                self.report(f"two jobs are called {name!r}")
            else:
                found[name] = job
        return found

    @cached_property
    def routes(self) -> Sequence[Route]:
        """Its ASGI routes."""
        return self._collect("routes")

    @cached_property
    def map(self) -> Mapping[str, MappedField]:
        """Columns made from custom fields, those that name a record type and a field which exist."""
        found = {}
        for column, mapped in self.head.map.items():
            wrong = self._wrong_field(mapped)
            if wrong is None:
                found[column] = mapped
            else:
                self.report(f"map.{column}: {wrong[0]}", wrong[1])
        return found

    def is_live(self, capability: str) -> bool:
        """Whether effects of a capability really go out through this instance."""
        live = self.head.live
        return live if isinstance(live, bool) else capability in live

    def digest(self) -> str:
        """Return a keyed digest of its own configuration with the present values of its secrets.

        It changes when a key is rotated, also behind the same reference; `live`, `schedule` and `map` do not count.

        Raises:
            RetryableError: A secret provider cannot be reached.
        """
        values: list[list[str | None]] = []
        for secret in secrets_in(self.config):
            try:
                values.append([secret.reference, secret.reveal()])
            except ConfigError:
                values.append([secret.reference, None])
        return self._hash_text(json.dumps([self.plugin, self.table.rest, values], sort_keys=True, default=str))

    def report(self, reason: str, mend: str | None = None) -> None:
        """Add a problem of this instance, once: a server finds the same ones in every run."""
        problem = Problem(
            stage="collect",
            reason=reason,
            mend=mend,
            instance=self.name,
            plugin=self.plugin,
            distribution=self.distribution,
        )
        if problem not in self._plugins.problems:
            self._plugins.problems.append(problem)

    def _collect(self, hook: str) -> list[Any]:
        return self._plugins.collect(self.plugin, hook, instance=self.name, ctx=self.ctx)

    def _streams_of(self, source: Source) -> Iterator[Stream]:
        items: Iterable[object] = ()
        with guard(
            self._plugins.problems.append,
            stage="collect",
            what=f"{type(source).__name__}.streams failed",
            instance=self.name,
            plugin=self.plugin,
            distribution=self.distribution,
        ):
            items = as_list(source.streams())
        for item in items:
            if isinstance(item, Stream):
                yield item
            else:
                self.report(f"{type(source).__name__}.streams returned a {type(item).__name__} among its streams")

    def _wrong_stream(self, stream: Stream, found: Mapping[str, BoundStream]) -> str | None:
        if not _STREAM.fullmatch(stream.name):
            return f"{stream.name!r} cannot name a stream: use lower-case letters, digits, - and _"
        if stream.name in found:
            return f"two streams are called {stream.name!r}"
        for kind in (*stream.records, *stream.includes):
            if self._record_types.get(kind.type) is not kind:
                return f"the stream {stream.name!r} yields {kind.__name__}, which the hook `record_types` does not declare"
        return None

    def _wrong_field(self, mapped: MappedField) -> tuple[str, str] | None:
        from wellkept.config.explain import suggest

        kind = self._record_types.get(mapped.record)
        if kind is None:
            return f"there is no record type {mapped.record!r}", suggest(mapped.record, self._record_types, kind="types")
        names = kind.__struct_fields__
        for name in (mapped.field, mapped.time):
            if name is not None and name not in names and not name.startswith("extra."):
                return f"{mapped.record} has no field {name!r}", suggest(name, (*names, "extra.KEY"), kind="fields")
        return None
