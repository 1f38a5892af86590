"""Load plugins: import them one by one, ask who they are, check their API version and hooks, and call their hooks."""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pluggy

from wellkept import deprecation
from wellkept.context import Context, PluginInfo
from wellkept.errors import ConfigError
from wellkept.hookspecs import API, PROJECT, Hooks
from wellkept.manifest import Installed, Manifest
from wellkept.plugins.discover import Found, find, import_plugin
from wellkept.plugins.guard import as_list, guard, plain, wrong_kind
from wellkept.plugins.owners import Owner, own
from wellkept.plugins.requirements import unmet
from wellkept.problems import Problem

if TYPE_CHECKING:
    from pydantic import BaseModel

    from wellkept.config import Config
    from wellkept.events import Event

_log = logging.getLogger(__name__)

HOOKS = tuple(sorted(name for name, value in vars(Hooks).items() if hasattr(value, f"{PROJECT}_spec")))
"""The names of all hooks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A plugin that works as far as can be told without calling its hooks.

    Attributes:
        name: Its name.
        info: What it says about itself.
        distribution: ``wellkept-stripe 0.1.0``; None for one that was handed in as an object.
        hooks: The hooks that it implements.
        plugin: The object.
    """

    name: str
    info: PluginInfo
    distribution: str | None
    hooks: tuple[str, ...]
    plugin: object

    def model(self) -> type[BaseModel] | None:
        """Import and return the plugin's configuration model, None if it has no keys of its own.

        Raises:
            ConfigError: `PluginInfo.config` does not name a pydantic model.
        """
        from pydantic import BaseModel

        if self.info.config is None:
            return None
        module, colon, name = self.info.config.partition(":")
        found: object = getattr(importlib.import_module(module), name, None) if colon and module and name else None
        if not (inspect.isclass(found) and issubclass(found, BaseModel)):
            raise ConfigError(
                f"its configuration {self.info.config!r} is not a pydantic model",
                guidance='its author should write `config="package.module:Class"` in PluginInfo',
            )
        return found


@dataclass(kw_only=True)
class Plugins:
    """The loaded plugins, in the order in which they were asked for.

    Attributes:
        loaded: Name to plugin.
        problems: What kept others from being loaded, and what hooks did wrong; grows as hooks are called.
        remarks: What keeps nothing from working and should be mended all the same: use of what is deprecated, and writing to
            standard output; grows as well.
    """

    loaded: dict[str, Loaded] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    remarks: list[Problem] = field(default_factory=list)
    _manager: pluggy.PluginManager = field(default_factory=lambda: _new_manager())  # noqa: PLW0108 - defined below

    def add(self, loaded: Loaded) -> None:
        """Register a plugin's hooks. Raises `pluggy.PluginValidationError` for hooks that do not fit."""
        self._manager.register(loaded.plugin, loaded.name)
        self.loaded[loaded.name] = loaded

    def call(self, name: str, hook: str, **arguments: object) -> object | None:
        """Call one plugin's hook and return what it returned, None where it does not implement it. Not guarded."""
        loaded = self.loaded[name]
        if hook not in loaded.hooks:
            return None
        others = [other.plugin for other in self.loaded.values() if other is not loaded]
        results: list[object] = self._manager.subset_hook_caller(hook, remove_plugins=others)(**arguments)
        return plain(results[0]) if results else None

    def collect(self, name: str, hook: str, *, instance: str | None = None, ctx: Context[Any] | None = None) -> list[Any]:
        """Call one plugin's hook inside the guard, and return those objects of its result that are what they should be.

        Args:
            name: The plugin.
            hook: One of the hooks that return sequences.
            instance: Whose problem it is if something is wrong.
            ctx: The instance's context, for hooks that take one.
        """
        loaded = self.loaded[name]
        who: dict[str, Any] = {"instance": instance, "plugin": name, "distribution": loaded.distribution}
        items: list[object] = []
        with guard(self.problems.append, stage="collect", what=f"the hook {hook!r} failed", remark=self.remarks.append, **who):
            if hook in loaded.hooks:
                items = as_list(self.call(name, hook, **({} if ctx is None else {"ctx": ctx})))
        kind, subclass = _result_kind(hook)
        kept = []
        for item in items:
            wrong = wrong_kind(item, kind, subclass=subclass)
            if wrong is None:
                kept.append(item)
            else:
                self.problems.append(Problem(stage="collect", reason=f"the hook {hook!r} failed: {wrong}", **who))
        return kept

    def observe(self, event: Event) -> None:
        """Tell every plugin of an event, in order. What one raises is logged and goes no further."""
        for name, loaded in self.loaded.items():
            if "observe" in loaded.hooks:
                with guard(_log_problem, stage="collect", what="the hook 'observe' failed", plugin=name):
                    self.call(name, "observe", event=event)

    def deprecated(self, name: str) -> list[Problem]:
        """Return what is deprecated of the hooks that a plugin implements, and of the arguments that it takes."""
        who: dict[str, Any] = {"plugin": name, "distribution": self.loaded[name].distribution}
        return [
            Problem(stage="deprecated", reason=str(item), mend=item.instead, **who) for item in self._deprecated_hooks(name)
        ]

    def tell_deprecated(self) -> None:
        """Log which of the hooks that plugins implement are deprecated, once per run."""
        for name, loaded in self.loaded.items():
            for found in self._deprecated_hooks(name):
                deprecation.tell(str(Owner(name, loaded.distribution)), found)

    def _deprecated_hooks(self, name: str) -> list[deprecation.Deprecated]:
        plugin = self.loaded[name].plugin
        return [
            item
            for caller in self._manager.get_hookcallers(plugin) or ()
            for found in caller.get_hookimpls()
            if found.plugin is plugin
            for item in deprecation.of_hook(caller.name, found.argnames)
        ]

    def provide(self, name: str, kind: str, settings: Mapping[str, Any]) -> object | None:
        """Ask one plugin for a back end, inside the guard; None where it has none of that kind."""
        loaded = self.loaded[name]
        with guard(
            self.problems.append,
            stage="collect",
            what=f"the hook 'provide' failed for {kind!r}",
            plugin=name,
            distribution=loaded.distribution,
            remark=self.remarks.append,
        ):
            return self.call(name, "provide", kind=kind, settings=settings)
        return None


def load_plugins(config: Config, extra: Mapping[str, object] | None = None) -> Plugins:
    """Load the plugins that enabled instances name, and no others.

    Args:
        config: The configuration.
        extra: Plugin objects by name, used instead of installed ones: for tests and the demo.

    Returns:
        What could be loaded, and a problem for each instance of what could not.
    """
    tables = config.enabled
    plugins = load_named([table.plugin for table in tables], extra)
    plugins.problems = [
        replace(problem, instance=table.name)
        for problem in plugins.problems
        for table in tables
        if table.plugin == problem.plugin
    ]
    return plugins


def load_named(names: Iterable[str], extra: Mapping[str, object] | None = None, found: Found | None = None) -> Plugins:
    """Load plugins by name, each on its own: one that fails is reported and keeps nobody else from loading.

    Args:
        names: Which; duplicates are loaded once.
        extra: See `load_plugins`.
        found: What is installed; None looks.
    """
    extra = extra or {}
    plugins = Plugins()
    wanted = list(dict.fromkeys(names))
    if found is None:
        found = Found() if all(name in extra for name in wanted) else find()
    ready = []
    for name in wanted:
        origin = None
        if name not in extra:
            problem = _not_found(name, found, extra)
            if problem is not None:
                plugins.problems.append(problem)
                continue
            origin = found.plugins[name].origin
            plugins.problems += _unmet(found.plugins[name])
        loaded = _load(name, extra, found, origin, plugins)
        if loaded is not None:
            ready.append(loaded)
    for loaded in reversed(ready):  # pluggy calls what was registered last first
        who: dict[str, Any] = {"plugin": loaded.name, "distribution": loaded.distribution}
        with guard(plugins.problems.append, stage="hooks", what="its hooks do not fit", **who):
            plugins.add(loaded)
    plugins.loaded = {loaded.name: loaded for loaded in ready if loaded.name in plugins.loaded}
    plugins.remarks += [problem for name in plugins.loaded for problem in plugins.deprecated(name)]
    plugins.tell_deprecated()
    return plugins


def manifest_of(plugins: Plugins, name: str) -> Manifest:
    """Return what a loaded plugin offers, for the cache that ``--help`` reads."""
    loaded = plugins.loaded[name]
    commands = plugins.collect(name, "commands") if "commands" in loaded.hooks else []
    return Manifest(
        summary=loaded.info.summary,
        hooks=loaded.hooks,
        commands=tuple((command.name or "", command.get_short_help_str(80)) for command in commands),
    )


def _not_found(name: str, found: Found, extra: Mapping[str, object]) -> Problem | None:
    if name in found.ambiguous:
        claims = found.ambiguous[name]
        return Problem(
            stage="find",
            reason=f"several installed plugins are called {name!r}: {', '.join(claim.origin for claim in claims)}",
            mend=f"uninstall all but one: `pip uninstall {claims[-1].distribution}`",
            plugin=name,
        )
    if name not in found.plugins:
        from wellkept.config.explain import suggest

        return Problem(
            stage="find",
            reason=f"no installed plugin is called {name!r}",
            mend=f"{suggest(name, {*found.plugins, *extra}, kind='installed')}; or `pip install wellkept-{name}`",
            plugin=name,
        )
    return None


def _unmet(installed: Installed) -> list[Problem]:
    """Return what a plugin's distribution requires and does not find: it may work all the same, or fail in odd ways."""
    return [
        Problem(
            stage="requirements",
            reason=str(missing),
            mend=f'run `pip install "{missing.requirement}"`, or another version of {installed.distribution}',
            plugin=installed.name,
            distribution=installed.origin,
        )
        for missing in unmet(installed.distribution)
    ]


def _load(name: str, extra: Mapping[str, object], found: Found, origin: str | None, plugins: Plugins) -> Loaded | None:
    """Import a plugin and ask it who it is."""
    problems = plugins.problems
    who: dict[str, Any] = {"plugin": name, "distribution": origin, "remark": plugins.remarks.append}
    failed = len(problems)
    own(type(extra[name]).__module__ if name in extra else found.plugins[name].package, Owner(name, origin))
    plugin: object = extra.get(name)
    if name not in extra:
        distribution = found.plugins[name].distribution
        with guard(
            problems.append, stage="load", what="cannot be imported", mend=f"try `pip install --upgrade {distribution}`", **who
        ):
            plugin = import_plugin(found.plugins[name])
    info: PluginInfo | None = None
    hooks: tuple[str, ...] = ()
    if len(problems) == failed:
        with guard(problems.append, stage="describe", what="does not say who it is", **who):
            description, hooks = _describe(plugin)
            info = _accept(name, description)
    if info is not None:
        with guard(problems.append, stage="api", **who):
            _check_api(info.api, origin)
    if len(problems) == failed:
        with guard(problems.append, stage="hooks", **who):
            _check_hooks(hooks)
    if len(problems) > failed or info is None:
        return None
    return Loaded(name=name, info=info, distribution=origin, hooks=tuple(sorted(hooks)), plugin=plugin)


class _Describe:
    """The one hook that is called before anything else is known of a plugin, its API version included."""

    describe = Hooks.describe


def _describe(plugin: object) -> tuple[object, tuple[str, ...]]:
    """Return a plugin's description and the names of the hooks that it implements."""
    if inspect.isclass(plugin):
        raise ConfigError(
            f"its entry point names the class {plugin.__name__}", guidance="its author should name an instance of it"
        )
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(_Describe)
    manager.register(plugin)
    callers = manager.get_hookcallers(plugin) or []
    hooks = tuple(
        caller.name
        for caller in callers
        if not all(found.optionalhook for found in caller.get_hookimpls()) or caller.has_spec()
    )
    results: Sequence[object] = manager.hook.describe()
    if not results:
        raise ConfigError("it has no `describe` hook", guidance="its author should mark one with `hookimpl`")
    return plain(results[0]), hooks


def _accept(name: str, info: object) -> PluginInfo:
    if not isinstance(info, PluginInfo):
        raise ConfigError(f"`describe` returned a {type(info).__name__}", guidance="its author should return a PluginInfo")
    if info.name != name:
        raise ConfigError(f"it calls itself {info.name!r}, its entry point {name!r}", guidance="its author should use one name")
    return info


def _check_api(text: object, origin: str | None) -> None:
    """Refuse a plugin that was written for another major API version, or a newer minor one."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(f"its API version {text!r} is not like '1.0'", guidance='its author should write `api="1.0"`')
    major, minor = int(parts[0]), int(parts[1])
    ours = ".".join(map(str, API))
    if (major, minor) > API:
        raise ConfigError(
            f"it was written for the plugin API {text}, and this Wellkept speaks {ours}",
            guidance="run `pip install --upgrade wellkept`",
        )
    if major < API[0]:
        package = origin.split()[0] if origin else "the plugin"
        raise ConfigError(
            f"it was written for the plugin API {text}, and this Wellkept speaks {ours}",
            guidance=f"run `pip install --upgrade {package}`",
        )


def _check_hooks(hooks: Sequence[str]) -> None:
    """Refuse a plugin that implements a hook which does not exist: it would never be called, and nobody would know."""
    for hook in hooks:
        if hook not in HOOKS:
            from wellkept.config.explain import suggest

            raise ConfigError(
                f"it implements the hook {hook!r}, which does not exist", guidance=suggest(hook, HOOKS, kind="hooks")
            )


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


def _result_kind(hook: str) -> tuple[type, bool]:
    """Return what the objects of a hook's result must be instances of, or (with True) subclasses of."""
    if hook == "commands":
        import click

        return click.Command, False
    from wellkept import action, frame, job, policy, records, routes, scorer, source

    kinds: dict[str, tuple[type, bool]] = {
        "sources": (source.Source, False),
        "scorers": (scorer.Scorer, False),
        "policies": (policy.Decider, False),
        "actions": (action.Action, False),
        "measures": (frame.Declared, False),
        "record_types": (records.Record, True),
        "routes": (routes.Route, False),
        "jobs": (job.Job, False),
    }
    return kinds[hook]


def _log_problem(problem: Problem) -> None:
    _log.error("%s", problem)
