"""The command line. Each verb lives in a file of its own, which is imported when that verb is used.

A new verb takes one line in `VERBS`. Its file defines a command of the class `wellkept.cli.app.Verb` (or a
`wellkept.cli.app.VerbGroup`), which gets the `App` by `pass_app` and returns its `Exit`.
"""

from __future__ import annotations

import atexit
import difflib
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.app import App, shared_options
from wellkept.cli.exits import Exit, epilog

if TYPE_CHECKING:
    from wellkept.manifest import Installed, Manifest, ManifestCache

VERBS: dict[str, tuple[str, str]] = {
    "init": ("wellkept.cli.init:init", "Write a commented plugins.toml."),
    "check": ("wellkept.cli.check:check", "Try every instance: configuration, credentials, permissions."),
    "plugins": ("wellkept.cli.plugins:plugins", "List, inspect and re-enable plugins."),
    "try": ("wellkept.cli.live:try_", "Show a few live records beside what they become."),
    "record": ("wellkept.cli.live:record", "Record a live account for tests, naming nobody."),
    "config": ("wellkept.cli.config:config", "The configuration's JSON schema."),
    "sync": ("wellkept.cli.work:sync", "Read all streams from where they stopped."),
    "score": ("wellkept.cli.work:score", "Link records to accounts, measure what changed, and score."),
    "deliver": ("wellkept.cli.work:deliver", "Send what is planned."),
    "run": ("wellkept.cli.work:run", "Sync, resolve, measure, score, decide, deliver."),
    "serve": ("wellkept.cli.serve:serve", "Run by the clock, and take in webhooks."),
    "runs": ("wellkept.cli.runs:runs", "What ran, and how it ended."),
    "accounts": ("wellkept.cli.accounts:accounts", "The accounts with their scores, worst first."),
    "account": ("wellkept.cli.accounts:account", "One account: timeline, score, and why data is absent."),
    "identity": ("wellkept.cli.identity:identity", "Which records are one customer, why, and your word about it."),
    "override": ("wellkept.cli.override:override", "Set and end a band by hand."),
    "effects": ("wellkept.cli.effects:effects", "What is planned, held and sent, and your decisions about it."),
    "dead-letters": ("wellkept.cli.dead_letters:dead_letters", "Rows that could not be understood."),
    "backfill": ("wellkept.cli.work:backfill", "Read some days of a stream's past again."),
    "erase": ("wellkept.cli.erase:erase", "Remove an account or a person everywhere, for good."),
    "backup": ("wellkept.cli.backup:backup", "A sound copy of the store, taken while it is in use."),
    "store": ("wellkept.cli.store:store", "Move a store between SQLite and PostgreSQL."),
    "restore": ("wellkept.cli.restore:restore", "Put a backup in the store's place."),
    "prune": ("wellkept.cli.prune:prune", "Remove what is older than [retention] says."),
    "doctor": ("wellkept.cli.doctor:doctor", "Examine everything, and say how to mend it."),
    "demo": ("wellkept.cli.demo:demo", "The whole path on this machine, against simulators."),
    "new-plugin": ("wellkept.cli.new_plugin:new_plugin", "The start of a plugin, with tests that pass."),
    "state": ("wellkept.cli.state:state", "Show and reset where streams go on."),
}
"""Name to where the command is and what it does, in the order of ``--help``."""

GARBAGE = 10_000
"""Objects that come into being before Python looks for cycles among them: imports and rows make many objects and hardly a
cycle, and with Python's own 700 the looking was a tenth of a command's CPU time."""

COMPLETE = "_WELLKEPT_COMPLETE"
"""Set by shells that ask for completions; ``_WELLKEPT_COMPLETE=bash_source wellkept`` prints what your shell needs."""


class Root(click.Group):
    """The verbs of the core, and of each enabled plugin with commands a group of its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all verbs and plugin groups, without importing them."""
        return [*VERBS, *_plugins_with_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb, or build a plugin's group from its manifest."""
        if cmd_name in VERBS:
            module, _, name = VERBS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        found = _plugins_with_commands(ctx).get(cmd_name)
        return None if found is None else PluginGroup(cmd_name, *found)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        name = args[0] if args else ""
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else "`wellkept --help` lists the commands."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of all commands from `VERBS` and the manifests."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])
        plugins = _plugins_with_commands(ctx)
        if plugins:
            with formatter.section("Commands of plugins"):
                formatter.write_dl([(name, manifest.summary) for name, (_, manifest) in plugins.items()])


class PluginGroup(click.Group):
    """``wellkept PLUGIN ...``: the commands that a plugin returns from its `commands` hook.

    Args:
        name: The plugin.
        installed: Its entry point.
        manifest: What it offers, as far as is known without importing it.
    """

    def __init__(self, name: str, installed: Installed, manifest: Manifest) -> None:
        super().__init__(name, help=manifest.summary)
        self._installed = installed
        self._manifest = manifest

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names from the manifest."""
        return [name for name, _ in self._manifest.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the plugin and return its command."""
        from wellkept.plugins import load_named

        name = self._installed.name
        plugins = load_named([name])
        commands = plugins.collect(name, "commands") if name in plugins.loaded else []
        ctx.ensure_object(App).tell(plugins.problems)
        return next((command for command in commands if command.name == cmd_name), None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the help of the commands from the manifest."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._manifest.commands))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with logging set up."""
        ctx.ensure_object(App).begin()
        return super().invoke(ctx)


def _plugins_with_commands(ctx: click.Context) -> dict[str, tuple[Installed, Manifest]]:
    """Return the plugins that the configuration names and that have commands; imports one only if nothing is known of it."""
    found: dict[str, tuple[Installed, Manifest]] | None = ctx.meta.get("wellkept.plugins")
    if found is None:
        found = ctx.meta["wellkept.plugins"] = _look(ctx.ensure_object(App))
    return found


def _look(app: App) -> dict[str, tuple[Installed, Manifest]]:
    names = _configured(app)
    if not names:
        return {}
    from wellkept.manifest import ManifestCache

    cache = ManifestCache()
    installed = cache.installed()
    found = {}
    for name in names:
        if name in installed and name not in VERBS:
            manifest = cache.get(installed[name]) or _learn(app, cache, installed[name])
            if manifest is not None and manifest.commands:
                found[name] = (installed[name], manifest)
    cache.save()
    return found


def _configured(app: App) -> list[str]:
    """Return the plugins that the configuration enables; whatever is wrong with the file is told by those who need it."""
    from wellkept.config.document import read
    from wellkept.errors import ConfigError

    try:
        content = read(app.config_path, app.env).data
    except ConfigError:
        return []
    tables = content.get("plugins")
    if not isinstance(tables, dict):
        return []
    names = [
        str(table.get("plugin", name))
        for name, table in tables.items()
        if isinstance(table, dict) and table.get("enabled", True) is not False
    ]
    return list(dict.fromkeys(names))


def _learn(app: App, cache: ManifestCache, installed: Installed) -> Manifest | None:
    """Import a plugin to see what it offers; None where it cannot be loaded."""
    from wellkept.plugins import load_named, manifest_of

    app.begin()
    plugins = load_named([installed.name])
    if installed.name not in plugins.loaded:
        return None
    manifest = manifest_of(plugins, installed.name)
    cache.put(installed, manifest)
    return manifest


@click.command(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=epilog(),
    no_args_is_help=True,
)
@click.version_option(package_name="wellkept", message="%(prog)s %(version)s")
def root() -> None:
    """Keep customers: sync what vendors know, explain health, act safely."""


root.params += shared_options()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (see `wellkept.cli.exits`)."""
    gc.set_threshold(GARBAGE)
    atexit.register(gc.freeze)  # Python would look through everything once more on leaving, for nothing
    app = App()
    try:
        with _terminable():
            code = _run(app, sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.OK
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort tells the error, redacted
        code = app.fail(error)
    finally:
        app.end()
    return code


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a command as the keyboard does, in good order. In a container it would not be heard at all otherwise."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _run(app: App, arguments: list[str]) -> int:
    instruction = os.environ.get(COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(root, {"obj": app}, "wellkept", COMPLETE, instruction)
    try:
        with root.make_context("wellkept", arguments, obj=app) as ctx:
            result: object = root.invoke(ctx)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except SystemExit as leaving:  # a plugin's command
        result = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return int(result) if isinstance(result, int) else Exit.OK
