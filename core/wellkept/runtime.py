"""The running installation: configuration, store, plugins and one `Context` for each instance, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast

import msgspec

from wellkept import config as configuration
from wellkept import redact
from wellkept.clock import Clock, SystemClock
from wellkept.context import Context
from wellkept.errors import ConfigError, StoreError
from wellkept.frame import Declared, Measure
from wellkept.instance import Instance
from wellkept.plugins import Plugins, load_plugins
from wellkept.plugins.guard import guard
from wellkept.plugins.upgrade import upgrade_state
from wellkept.plugins.watchdog import watching
from wellkept.policy import Machine
from wellkept.problems import Problem, ProblemsError
from wellkept.records import CANONICAL, Record
from wellkept.secrets import Resolver, SecretProvider, bind
from wellkept.store import Store, open_store
from wellkept.store.messages import StoredSuppressions
from wellkept.store.records import RecordTables
from wellkept.store.tokens import StoredTokens
from wellkept.store.view import InstanceView, StoredState
from wellkept.trust import InstallationKey, KeySigner, key_is_known, open_key, remember_key

if TYPE_CHECKING:
    from wellkept.config import Config, InstanceTable
    from wellkept.events import Event
    from wellkept.frame import Formula
    from wellkept.http import Http
    from wellkept.policy import Decider
    from wellkept.scorer import Scorer
    from wellkept.settings import Settings


_log = logging.getLogger(__name__)
T = TypeVar("T")


class _Named(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_Named)


class Runtime:
    """An open installation. Make it with `Runtime.open`, and close it: it is a context manager.

    Attributes:
        config: The configuration.
        clock: The only clock.
        dry_run: Nothing outside may be touched, whatever `live` says.
        plugins: The loaded plugins.
        problems: What does not work, and why; grows when hooks are called.
        record_types: All record types by name, core's and the plugins'.
        store: The open store.
        key: The installation's key.
        signer: Signs core's own links.
        tables: The tables of records.
        suppressions: Who must not get mail.
        instances: The enabled instances that work, by name, in the order of the file.
        observers: Told of every event, before the plugins are; what they raise is logged.
    """

    def __init__(
        self,
        config: Config,
        plugins: Plugins,
        clock: Clock,
        *,
        dry_run: bool,
        cleanup: ExitStack,
        store: Store | None = None,
    ) -> None:
        self.config = config
        self.clock = clock
        self.dry_run = dry_run
        self.plugins = plugins
        self.observers: list[Callable[[Event], None]] = []
        self.problems: list[Problem] = [*config.problems, *plugins.problems]
        plugins.problems = self.problems
        self._http: dict[str, Http] = {}
        self._providers: dict[str, SecretProvider | None] = {}
        self._resolver = Resolver(config.base, redact.REDACTOR.register, self._provider)
        self._models = self._validate()
        self.record_types = self._collect_types()
        self.store = store or self._open_store(cleanup)
        self.key = self._open_key()
        self.signer = KeySigner(self.key, "")
        self._over_records: set[type[Record]] = set()
        self.tables = self._make_tables()
        self.suppressions = StoredSuppressions(self.store, self.key, clock)
        self.instances: Mapping[str, Instance] = {
            table.name: self._instance(table)
            for table in config.enabled
            if table.name in self._models and upgrade_state(self.plugins, self.store, table.name, table.plugin)
        }
        for _, decider in self.deciders.values():  # the tables must know whose changes to queue before the first is written
            if isinstance(decider, Machine) and decider.over != "account":
                self._over_records.add(decider.over)
        self._cleanup = cleanup

    @classmethod
    def open(
        cls,
        config_path: Path | str,
        *,
        env: str | None = None,
        clock: Clock | None = None,
        strict: bool = False,
        extra_plugins: Mapping[str, object] | None = None,
        dry_run: bool = False,
        store: Store | None = None,
    ) -> Runtime:
        """Open the installation that a configuration file describes.

        Args:
            config_path: The file.
            env: The environment whose overlay is laid over it, see `wellkept.config.load`.
            clock: Where the time comes from.
            strict: Any problem is fatal; to find them, all hooks are called now.
            extra_plugins: Plugin objects by name, used instead of installed ones.
            dry_run: Nothing outside may be touched.
            store: The installation's store, where it is open already; it is not closed with the runtime.

        Raises:
            ConfigError: The core's own configuration is wrong, or the installation's key is missing.
            ProblemsError: With `strict`: an instance or plugin does not work.
            StoreError: The store cannot be opened.
        """
        with ExitStack() as stack:
            stack.enter_context(redact.install())
            config = configuration.load(Path(config_path), env=env, strict=strict)
            plugins = load_plugins(config, extra_plugins)
            runtime = cls(config, plugins, clock or SystemClock(), dry_run=dry_run, cleanup=stack, store=store)
            if strict:
                runtime.collect()
                if runtime.problems:
                    raise ProblemsError(runtime.problems)
            runtime._cleanup = stack.pop_all()
        return runtime

    def close(self) -> None:
        """Finish what was sent to the store, close everything, and stop redacting the process's logs."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in an event loop of its own, and close all connections before that loop ends."""

        async def main() -> T:
            try:
                with watching():
                    return await work
            finally:
                await self.disconnect()

        return asyncio.run(main())

    async def disconnect(self) -> None:
        """Close all connections to vendors; call it in the loop that opened them. They are opened again when needed."""
        for http in self._http.values():
            await http.aclose()

    def clock_skews(self) -> dict[str, float]:
        """Return by how many seconds our clock is ahead of the vendors', by instance, as far as they have answered."""
        skews = {name: http.clock_skew() for name, http in self._http.items()}
        return {name: skew for name, skew in skews.items() if skew is not None}

    @property
    def settings(self) -> Settings:
        """The core's tables of the configuration."""
        return self.config.settings

    @cached_property
    def scorers(self) -> Mapping[str, tuple[Instance, Scorer]]:
        """All scorers by name; of two with one name, the first listed instance's."""
        return self._unique(
            "scorer", ((instance, scorer) for instance in self.instances.values() for scorer in instance.scorers)
        )

    @cached_property
    def deciders(self) -> Mapping[str, tuple[Instance, Decider]]:
        """All policies and machines by name; of two with one name, the first listed instance's."""
        return self._unique("policy", ((instance, item) for instance in self.instances.values() for item in instance.deciders))

    @cached_property
    def measures(self) -> Mapping[str, Measure | Formula]:
        """All declared columns by name.

        Instances of one plugin declare the same columns: those that differ in their streams alone are one. A column of two
        plugins is a problem that names both; the first listed counts.
        """
        found: dict[str, tuple[Instance, Measure | Formula]] = {}
        for instance in self.instances.values():
            for measure in instance.measures:
                owner, known = found.setdefault(measure.name, (instance, measure))
                if known is measure or measure == known:
                    continue
                one = _combined(known, measure) if owner.plugin == instance.plugin else None
                if one is not None:
                    found[measure.name] = owner, one
                else:
                    instance.report(f"the column {measure.name!r} is declared by {_who(owner)} and by {_who(instance)}")
        return {name: measure for name, (_, measure) in found.items()}

    def collect(self) -> None:
        """Call all hooks of all instances now, so that `problems` is complete."""
        for instance in self.instances.values():
            _ = instance.streams, instance.actions, instance.routes, instance.jobs, instance.map
        _ = self.scorers, self.deciders, self.measures

    def observe(self, event: Event) -> None:
        """Tell all observers and plugins of an event; never raises."""
        for observer in self.observers:
            try:
                observer(event)
            except Exception as error:  # noqa: BLE001 - an observer only looks on
                _log.warning("an observer failed: %s", redact.redact_exception(error))
        self.plugins.observe(event)

    # --- putting it together ---

    def _validate(self) -> dict[str, Any]:
        """Phase two of the configuration: each instance's own keys. Instances with mistakes are left out."""
        schemes = [table.name for table in self.config.enabled if self._provides(table)]
        models: dict[str, Any] = {}
        for table in self.config.enabled:
            loaded = self.plugins.loaded.get(table.plugin)
            if loaded is None:
                continue
            who: dict[str, Any] = {"instance": table.name, "plugin": table.plugin, "distribution": loaded.distribution}
            with guard(self.problems.append, stage="config", what="its configuration model fails", **who):
                model, errors = configuration.validate(self.config, table, loaded.model(), schemes=schemes)
                self.problems += [Problem.of(error, stage="config", **who) for error in errors]
                if not errors:
                    models[table.name] = bind(model, self._resolver)
        return models

    def _collect_types(self) -> dict[str, type[Record]]:
        """Return all record types. A plugin's own carry its name, so that two plugins cannot mean one table."""
        types = {kind.type: kind for kind in CANONICAL}
        for name, loaded in self.plugins.loaded.items():
            for kind in self.plugins.collect(name, "record_types"):
                with guard(self.problems.append, stage="collect", plugin=name, distribution=loaded.distribution):
                    _accept_type(kind, name, types)
                    types[kind.type] = kind
        return types

    def _make_tables(self) -> RecordTables:
        """Make the tables of all types. A plugin's type that does not fit the table that it had is left out."""
        try:
            return self._tables()
        except StoreError:
            for name in self.record_types.keys() - {kind.type for kind in CANONICAL}:
                self._try_table(name)
            return self._tables()

    def _tables(self) -> RecordTables:
        kinds = self.record_types.values()
        tables = RecordTables(kinds, fact_types=self._over_records, keyed_hash=self.key.keyed_hash)
        self.store.write_now(tables.ensure)
        return tables

    def _try_table(self, name: str) -> None:
        """Make one plugin's table, or forget the type and tell why."""
        loaded = self.plugins.loaded[name.partition(".")[0]]
        kind = self.record_types.pop(name)
        with guard(self.problems.append, stage="collect", plugin=loaded.name, distribution=loaded.distribution):
            self.store.write_now(RecordTables([kind]).ensure)
            self.record_types[name] = kind

    def _open_store(self, cleanup: ExitStack) -> Store:
        store = open_store(self.config.store, self.clock)
        cleanup.callback(store.close)
        return store

    def _open_key(self) -> InstallationKey:
        with self.store.read() as reader:
            known = key_is_known(reader)
        key = open_key(self.settings.wellkept.key, self._resolver, create=not known)
        self.store.write_now(lambda tx: remember_key(tx, key), durable=True)
        return key

    def _instance(self, table: InstanceTable) -> Instance:
        from wellkept.http import make_http

        name, settings = table.name, self.settings.wellkept
        http = self._http[name] = make_http(self.store, self.clock, name)
        ctx: Context[Any] = Context(
            instance=name,
            config=self._models[name],
            http=http,
            clock=self.clock,
            log=logging.getLogger(f"wellkept.instance.{name}"),
            store=InstanceView(self.store, self.tables, name),
            state=StoredState(self.store, name),
            tokens=StoredTokens(self.store, self.clock, name, lambda: self.key.derive("tokens")),
            suppressions=self.suppressions,
            sign=KeySigner(self.key, name),
            public_url=settings.public_url,
            record_types=self.record_types,
        )
        return Instance(table, ctx, self.plugins, record_types=self.record_types, hash_text=self.key.keyed_hash)

    def _unique(self, what: str, items: Iterable[tuple[Instance, N]]) -> dict[str, tuple[Instance, N]]:
        found: dict[str, tuple[Instance, N]] = {}
        for instance, item in items:
            name = getattr(item, "name", None)
            if not isinstance(name, str) or not name:
                instance.report(f"the {what} {type(item).__name__} has no name")
            elif name in found:
                instance.report(f"the {what} {name!r} is declared by {_who(found[name][0])} and by {_who(instance)}")
            else:
                found[name] = instance, item
        return found

    def _provides(self, table: InstanceTable) -> bool:
        loaded = self.plugins.loaded.get(table.plugin)
        return loaded is not None and "provide" in loaded.hooks

    def _provider(self, scheme: str) -> SecretProvider | None:
        """Return the back end of the instance that a secret's scheme names, asked for once."""
        if scheme not in self._providers:
            table = self.config.tables.get(scheme)
            backend: object | None = None
            if table is not None and scheme in self._models and self._provides(table):
                model = self._models[scheme]
                settings = {} if model is None else {name: getattr(model, name) for name in type(model).model_fields}
                backend = self.plugins.provide(table.plugin, "secrets", settings)
            self._providers[scheme] = cast("SecretProvider", backend) if callable(getattr(backend, "get", None)) else None
        return self._providers[scheme]


def _accept_type(kind: type[Record], plugin: str, types: Mapping[str, type[Record]]) -> None:
    """Refuse a plugin's record type that cannot have a table. Raises `ConfigError` and `StoreError`."""
    name: object = kind.type
    if not isinstance(name, str) or name in types:
        raise ConfigError(f"the record type {name!r} exists already, or is no text")
    if not name.startswith(f"{plugin}."):
        raise ConfigError(f"the record type {name!r} should be called '{plugin}.something'")
    RecordTables([kind])


def _combined(known: Declared, other: Declared) -> Measure | None:
    """Return two measures as one that is fed by the streams of both; None when they differ in more than that."""
    if not (isinstance(known, Measure) and isinstance(other, Measure)):
        return None
    if msgspec.structs.replace(other, streams=known.streams) != known:
        return None
    streams = tuple(dict.fromkeys((*known.streams, *other.streams))) if known.streams and other.streams else ()
    return msgspec.structs.replace(known, streams=streams)


def _who(instance: Instance) -> str:
    return f"{instance.name} ({instance.distribution or instance.plugin})"
