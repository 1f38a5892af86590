"""What all commands share: quick help, global options anywhere, exit codes, errors without tracebacks or secrets."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest

from wellkept.cli import VERBS
from wellkept.cli.app import exit_code
from wellkept.cli.exits import MEANING, Exit
from wellkept.errors import ConfigError, FatalError, LeaseLostError, RetryableError
from wellkept.problems import Problem, ProblemsError
from wellkept.store.runs import RunUnderWayError

HEAVY = (
    "pydantic", "httpx", "httpcore", "sqlalchemy", "alembic", "rich", "asyncio", "sqlite3", "msgspec", "cryptography",
    "apscheduler", "importlib.metadata", "pluggy", "ssl", "tenacity", "starlette",
)  # fmt: skip


def imported(here: Path, site: Path, *arguments: str) -> set[str]:
    """Run a command line in a process of its own and return the modules that it imported."""
    code = (
        "import sys, json; sys.path.insert(0, sys.argv[1]); from wellkept.cli import main;"
        "main(sys.argv[2:]); print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(site), *arguments], cwd=here, capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_imports_nothing_heavy_and_no_plugin(
    here: Path, site: Path, install: Callable[..., None], configured: Callable[[str], Path]
) -> None:
    install()
    configured("[plugins.vendor]\n")
    first = imported(here, site, "--help")
    assert "wellkept_vendor" in first  # nothing was known of it yet
    modules = imported(here, site, "--help")
    assert not [name for name in HEAVY if name in modules]
    assert not [name for name in modules if name.startswith("wellkept_vendor")]
    assert {name for name in modules if name.startswith("wellkept.cli.")} == {"wellkept.cli.app", "wellkept.cli.exits"}


@pytest.mark.parametrize("arguments", [("check", "--help"), ("--version",), ("vendor", "--help")])
def test_help_of_a_verb_and_the_version_import_little(
    here: Path, site: Path, install: Callable[..., None], configured: Callable[[str], Path], arguments: tuple[str, ...]
) -> None:
    install()
    configured("[plugins.vendor]\n")
    imported(here, site, "--help")
    modules = imported(here, site, *arguments)
    light = set(HEAVY) - {"importlib.metadata"}
    assert not [name for name in light if name in modules]
    assert "wellkept_vendor" not in modules


def test_help_lists_verbs_plugins_and_exit_codes(
    run: Any, install: Callable[..., None], configured: Callable[[str], Path]
) -> None:
    install()
    install("other")
    configured("[plugins.vendor]\n")
    done = run("--help")
    assert done.code == 0
    for name, (_, text) in VERBS.items():
        assert name in done.out
        assert text in done.out
    assert "Talks to a vendor." in done.out
    assert "\n  other" not in done.out  # not in the configuration
    for code, meaning in MEANING.items():
        assert f"{int(code):>3}  {meaning}" in done.out


def test_every_verb_exists_under_its_name() -> None:
    for name, (target, text) in VERBS.items():
        module, _, attribute = target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        assert command.name == name
        assert len(text) <= 80, name


def test_every_leaf_takes_the_global_options() -> None:
    def leaves(command: click.Command) -> list[click.Command]:
        if isinstance(command, click.Group):
            return [command, *(leaf for inner in command.commands.values() for leaf in leaves(inner))]
        return [command]

    for target, _ in VERBS.values():
        module, _, attribute = target.partition(":")
        for command in leaves(getattr(import_module(module), attribute)):
            flags = {flag for parameter in command.params for flag in parameter.opts}
            assert {"--config", "--json", "--strict", "--verbose", "--no-color"} <= flags, command.name


def test_exit_codes_are_documented_and_distinct() -> None:
    assert set(MEANING) == set(Exit)
    assert [int(code) for code in Exit] == [0, 1, 2, 3, 4, 5, 6, 7, 130]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (click.UsageError("x"), Exit.USAGE),
        (click.Abort(), Exit.INTERRUPTED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (click.FileError("x"), Exit.FAILED),
        (ConfigError("x"), Exit.CONFIG),
        (ProblemsError([Problem(stage="config", reason="x")]), Exit.CONFIG),
        (RunUnderWayError("x"), Exit.LOCKED),
        (LeaseLostError("x"), Exit.LOCKED),
        (RetryableError("x"), Exit.FAILED),
        (FatalError("x"), Exit.FAILED),
        (ValueError("x"), Exit.INTERNAL),
    ],
)
def test_errors_have_their_exit_codes(error: BaseException, code: Exit) -> None:
    assert exit_code(error) is code


# --- errors ---


def test_an_error_is_message_and_guidance_without_a_traceback(run: Any) -> None:
    done = run("check")
    assert done.code == Exit.CONFIG
    assert done.out == ""
    assert done.err == (
        "Error: plugins.toml: there is no such file\n  -> run `wellkept init`, or name your file with --config\n"
    )


def test_an_error_is_one_json_document_with_its_place(run: Any, configured: Callable[[str], Path]) -> None:
    configured("[safety]\n\nmax_share = 7\n")
    for arguments in (("--json", "check"), ("check", "--json"), ("plugins", "--json"), ("plugins", "list", "--json")):
        done = run(*arguments)
        assert done.code == Exit.CONFIG
        document = done.document
        assert document["ok"] is False
        assert document["exit"] == 3
        assert "plugins.toml:3: safety.max_share" in document["problems"][0]["text"]
    configured("[safety\n")
    error = run("check", "--json").document["error"]
    assert (error["kind"], error["line"], error["path"]) == ("ConfigError", 1, "plugins.toml")
    assert error["guidance"] == "close the brackets: [table] or [[list]]"


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any, **__: Any) -> None:
        secret = "sk_live_abcdefgh12345678"
        raise ValueError(f"no good: {secret}")

    monkeypatch.setattr("wellkept.config.load", crash)


@pytest.mark.usefixtures("crashing")
def test_a_fault_of_ours_is_told_without_a_traceback_unless_asked_for_and_never_with_secrets(run: Any) -> None:
    for arguments, traceback in (
        (("check",), False),
        (("check", "-v"), False),
        (("check", "-vv"), True),
        (("-vv", "check"), True),
    ):
        done = run(*arguments)
        assert done.code == Exit.INTERNAL
        assert "ValueError: no good: ***" in done.err
        assert ("Traceback" in done.err) is traceback
        assert "sk_live" not in done.err + done.out
    document = run("--json", "check").document
    assert document["error"] == {"kind": "ValueError", "message": "ValueError: no good: ***"}


def test_usage_errors_say_what_was_meant(run: Any) -> None:
    done = run("chek")
    assert done.code == Exit.USAGE
    assert "Did you mean 'check'?" in done.err
    done = run("nothing-like-it")
    assert "lists the commands" in done.err
    assert run("state", "reset").code == Exit.USAGE
    document = run("--json", "chek").document
    assert document["exit"] == 2
    assert "Did you mean" in document["error"]["message"]


def test_an_interrupt_is_no_crash(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wellkept.config.load", interrupt)
    done = run("check")
    assert done.code == Exit.INTERRUPTED
    assert "Traceback" not in done.err


def test_output_that_nobody_reads_any_more_is_no_crash(here: Path, site: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from wellkept.cli import main;"
        "raise SystemExit(main(['config', 'schema']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(site)], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 0, error
    assert b"Traceback" not in error


def test_logging_is_set_up_by_verbosity_and_taken_down(run: Any, configured: Callable[[str], Path]) -> None:
    configured("")
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging.getLogRecordFactory())
    run("state", "show")
    assert (list(root.handlers), root.level, logging.getLogRecordFactory()) == before


@pytest.mark.parametrize("arguments", [("state", "show"), ("state",), ("check",), ("vendor", "greet", "x")])
def test_every_way_to_a_command_has_redacted_logs(
    run: Any, install: Callable[..., None], configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, arguments: Any
) -> None:
    install()
    configured("[plugins.vendor]\n")

    def load(*_: Any, **__: Any) -> None:
        logging.getLogger("somebody").warning("key %s", "sk_live_abcdefgh12345678")
        raise ConfigError("x")

    monkeypatch.setattr("wellkept.config.load", load)
    monkeypatch.setattr("wellkept.plugins.load_named", load)
    assert "WARNING somebody: key ***\n" in run(*arguments).err


def test_what_nobody_caught_is_logged_redacted(
    run: Any, configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured("")
    hooks = (threading.excepthook, sys.unraisablehook)

    def fail() -> None:
        raise ValueError("in a thread: sk_live_abcdefgh12345678")

    class Fragile:
        def __del__(self) -> None:
            raise ValueError("cleared away: sk_live_abcdefgh12345678")

    def load(*_: Any, **__: Any) -> None:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        Fragile()
        raise ConfigError("x")

    monkeypatch.setattr("wellkept.config.load", load)
    done = run("check")
    assert "ValueError: in a thread: ***" in done.err
    assert "ValueError: cleared away: ***" in done.err
    assert "sk_live" not in done.err
    assert (threading.excepthook, sys.unraisablehook) == hooks


def test_options_stand_before_or_behind_the_verb(run: Any, here: Path) -> None:
    (here / "other.toml").write_text("")
    for arguments in (
        ("-c", "other.toml", "state", "show"),
        ("state", "show", "-c", "other.toml"),
        ("state", "-c", "other.toml"),
    ):
        assert run(*arguments).code == 0
    assert run("state", "show").code == Exit.CONFIG


def test_shells_can_ask_for_completions(
    run: Any, install: Callable[..., None], configured: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    configured("[plugins.vendor]\n")
    monkeypatch.setenv("_WELLKEPT_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "wellkept v")
    monkeypatch.setenv("COMP_CWORD", "1")
    done = run()
    assert "plain,vendor" in done.out
    monkeypatch.setenv("COMP_WORDS", "wellkept plugins ")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert {"plain,enable", "plain,inspect", "plain,list"} <= set(run().out.split())


# --- commands of plugins ---


def test_a_plugins_command_runs_and_its_result_is_the_exit_code(
    run: Any, install: Callable[..., None], configured: Callable[[str], Path]
) -> None:
    install()
    configured("[plugins.vendor-eu]\nplugin = 'vendor'\n")
    done = run("vendor", "greet", "Ada")
    assert (done.code, done.out) == (4, "hello Ada\n")
    assert "Say hello." in run("vendor", "--help").out
    assert run("vendor", "nothing").code == Exit.USAGE


def test_a_plugin_that_is_not_in_the_configuration_has_no_commands(run: Any, install: Callable[..., None]) -> None:
    install()
    assert run("vendor", "greet", "Ada").code == Exit.USAGE


@pytest.mark.parametrize("text", ["[plugins.bad]\n", "[plugins\n", "plugins = 3\n", "[plugins]\nbad = 1\n", ""])
def test_help_survives_broken_plugins_and_configurations(
    run: Any, install: Callable[..., None], configured: Callable[[str], Path], text: str
) -> None:
    install("bad", "raise SystemExit(9)")
    configured(text)
    done = run("--help")
    assert done.code == 0
    assert "check" in done.out
