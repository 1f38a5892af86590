"""What all commands share: global options, the open installation, logging, and how errors are told."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from wellkept.cli.output import Output
    from wellkept.config import Config
    from wellkept.logs import LogFormat
    from wellkept.problems import Problem
    from wellkept.runtime import Runtime
    from wellkept.store import Store

DEFAULT_CONFIG = Path("plugins.toml")


class App:
    """The command line's state: the global options, and what is made from them.

    Attributes:
        config_path: ``--config``.
        env: ``--env``, else ``WELLKEPT_ENV``: the environment whose overlay is laid over the configuration.
        as_json: ``--json``.
        strict: ``--strict``.
        verbose: How many ``-v``.
        color: False after ``--no-color``.
        log_format: ``--log-format``; None leaves it to ``[logging]``.
    """

    def __init__(self) -> None:
        self.config_path = DEFAULT_CONFIG
        self.env = os.environ.get("WELLKEPT_ENV") or None
        self.as_json = False
        self.strict = False
        self.verbose = 0
        self.color = True
        self.log_format: LogFormat | None = None
        self._output: Output | None = None
        self._told: set[Problem] = set()
        self._begun = False
        self._cleanup = ExitStack()

    @property
    def out(self) -> Output:
        """Where to print."""
        if self._output is None:
            from wellkept.cli.output import Output

            self._output = Output(as_json=self.as_json, color=self.color)
        return self._output

    def begin(self) -> None:
        """Set up logging: redacted, to stderr; warnings, with ``-v`` more, with ``-vv`` all. May be called again."""
        if not self._begun:
            self._begun = True
            self._log_to_stderr()
        logging.getLogger().setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(self.verbose, 2)])

    def _log_to_stderr(self) -> None:
        from wellkept import redact
        from wellkept.logs import FORMATTERS

        self._cleanup.enter_context(redact.install())
        handler = logging.StreamHandler()
        handler.setFormatter(FORMATTERS[self._log_format()]())
        root = logging.getLogger()
        root.addHandler(handler)
        logging.captureWarnings(True)
        self._cleanup.callback(logging.captureWarnings, False)
        self._cleanup.callback(setattr, threading, "excepthook", threading.excepthook)
        self._cleanup.callback(setattr, sys, "unraisablehook", sys.unraisablehook)
        threading.excepthook = _log_unseen
        sys.unraisablehook = _log_unseen
        self._cleanup.callback(root.setLevel, root.level)
        self._cleanup.callback(root.removeHandler, handler)

    def _log_format(self) -> LogFormat:
        """Return the form of log lines: as the command line says, else the file, whatever else is wrong with that."""
        if self.log_format is not None:
            return self.log_format
        from wellkept.config.document import read
        from wellkept.errors import ConfigError

        try:
            table = read(self.config_path, self.env).data.get("logging")
        except ConfigError:
            return "console"
        return "json" if isinstance(table, dict) and table.get("format") == "json" else "console"

    def end(self) -> None:
        """Undo `begin`."""
        self._cleanup.close()

    def config(self) -> Config:
        """Read the configuration, phase one, and tell its problems. Raises `ConfigError`."""
        from wellkept import config

        loaded = config.load(self.config_path, env=self.env, strict=self.strict)
        self.tell(loaded.problems)
        return loaded

    @contextmanager
    def store(self) -> Iterator[tuple[Config, Store]]:
        """Open the store alone, for what needs no plugin."""
        from wellkept.store import open_store

        config = self.config()
        store = open_store(config.store)
        try:
            yield config, store
        finally:
            store.close()

    @contextmanager
    def runtime(self, **options: Any) -> Iterator[Runtime]:
        """Open the installation and tell its problems, those that come up on the way included.

        Args:
            options: For `Runtime.open`, beside what the global options say.
        """
        from wellkept.runtime import Runtime

        with Runtime.open(self.config_path, env=self.env, strict=self.strict, **options) as runtime:
            self.tell(runtime.problems)
            yield runtime
            self.tell(runtime.problems)

    def tell(self, problems: Iterable[Problem]) -> None:
        """Print problems to stderr, each of them once."""
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                self.out.note(f"Problem: {problem}", "warn")
                if problem.mend:
                    self.out.note(f"  -> {problem.mend}", "dim")

    def fail(self, error: BaseException) -> Exit:
        """Tell an error, redacted, and return the exit code that goes with it."""
        code = exit_code(error)
        document = describe(error, code)
        if isinstance(error, click.UsageError) and not self.as_json:
            error.show()
        else:
            for problem in document.get("problems") or [document["error"]]:
                self.out.note(f"Error: {problem.get('text') or problem.get('message')}", "bad")
                if problem.get("guidance"):
                    self.out.note(f"  -> {problem['guidance']}", "dim")
        if self.verbose > 1:
            from wellkept.redact import REDACTOR

            self.out.note(REDACTOR.traceback(error), "dim")
        elif code is Exit.INTERNAL:
            self.out.note("  -> this is a fault of Wellkept: run again with -vv, and report what it prints", "dim")
        if self.as_json and not self.out.has_document:
            self.out.document(document)
        return code


def _log_unseen(hook: Any) -> None:
    """Log what nobody caught: in a thread, or while an object was cleared away. Python itself would print it raw."""
    error = hook.exc_value
    logging.getLogger(__name__).error("an error that nobody caught", exc_info=(hook.exc_type, error, hook.exc_traceback))


def exit_code(error: BaseException) -> Exit:
    """Return the exit code of an error that ended a command."""
    if isinstance(error, click.UsageError):
        return Exit.USAGE
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return Exit.INTERRUPTED
    if isinstance(error, click.ClickException):
        return Exit.FAILED
    from wellkept.errors import ConfigError, LeaseLostError, WellkeptError

    if isinstance(error, ConfigError):
        return Exit.CONFIG
    if isinstance(error, WellkeptError):
        from wellkept.store.runs import RunUnderWayError

        return Exit.LOCKED if isinstance(error, (LeaseLostError, RunUnderWayError)) else Exit.FAILED
    return Exit.INTERNAL


def describe(error: BaseException, code: Exit) -> dict[str, Any]:
    """Return an error as the JSON document of a command that failed."""
    from wellkept.redact import redact_exception, redact_text

    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return {"ok": False, "exit": int(code), "error": {"kind": "Interrupted", "message": "interrupted"}}
    found: dict[str, Any] = {"kind": type(error).__name__, "message": redact_exception(error)}
    document = {"ok": False, "exit": int(code), "error": found}
    if isinstance(error, click.ClickException):
        found["message"] = redact_text(error.format_message())
        return document
    from wellkept.errors import ConfigError, WellkeptError
    from wellkept.problems import ProblemsError

    if isinstance(error, WellkeptError):
        found["message"] = redact_text(error.message)
        found["guidance"] = redact_text(error.guidance) if error.guidance else None
    if isinstance(error, ConfigError):
        found["text"] = redact_text(error.text)
        found |= {"path": str(error.path) if error.path else None, "line": error.line, "key": error.key}
    if isinstance(error, ProblemsError):
        document["problems"] = [
            {**problem.document(), "text": str(problem), "guidance": problem.mend} for problem in error.problems
        ]
    return document


def _remember(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep a global option where all commands find it; it may stand before or behind the verb."""
    app = ctx.ensure_object(App)
    if value is None or value is False or value == 0:
        return
    if parameter.name == "verbose":
        app.verbose += int(value)
    elif parameter.name == "no_color":
        app.color = False
    elif parameter.name is not None:
        setattr(app, parameter.name, value)


def shared_options() -> list[click.Parameter]:
    """Return the global options, for one command."""
    common: dict[str, Any] = {"expose_value": False, "callback": _remember}
    return [
        click.Option(
            ["-c", "--config", "config_path"],
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="PATH",
            is_eager=True,
            help="The configuration file.  [default: plugins.toml]",
            **common,
        ),
        click.Option(
            ["--env"],
            metavar="NAME",
            is_eager=True,
            help="Lay plugins.NAME.toml over the configuration.  [default: $WELLKEPT_ENV]",
            **common,
        ),
        click.Option(["--json", "as_json"], is_flag=True, is_eager=True, help="Print one JSON document.", **common),
        click.Option(["--strict"], is_flag=True, help="Any problem with an instance or plugin is fatal.", **common),
        click.Option(["-v", "--verbose"], count=True, help="Say more; twice: say everything, tracebacks too.", **common),
        click.Option(
            ["--log-format"],
            type=click.Choice(["console", "json"]),
            help="How log lines look.  [default: as in plugins.toml]",
            **common,
        ),
        click.Option(["--no-color"], is_flag=True, help="No colours.", **common),
    ]


class Verb(click.Command):
    """A command of the core: takes the global options, and returns its `Exit` (None means all is well)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with logging set up."""
        ctx.ensure_object(App).begin()
        return super().invoke(ctx)


class VerbGroup(click.Group):
    """A group of core commands: ``wellkept plugins list``. Without a subcommand it runs its first one, if it says so.

    Args:
        default: The subcommand that runs when none is named.
    """

    command_class = Verb

    def __init__(self, *args: Any, default: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.default = default
        self.no_args_is_help = default is None
        self.invoke_without_command = default is not None
        self.params += shared_options()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand, or the default one."""
        if self.default is not None and not ctx._protected_args and not ctx.args:  # noqa: SLF001 - click has no public name
            command = self.commands[self.default]
            with ctx, command.make_context(self.default, [], parent=ctx) as inner:
                return command.invoke(inner)
        return super().invoke(ctx)


pass_app = click.make_pass_decorator(App, ensure=True)
"""Give a command the `App` as its first argument."""
