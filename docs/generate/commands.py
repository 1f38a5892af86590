"""The command line's reference, made from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click


def commands(command: click.Command, path: str = "wellkept") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with what one types for it, the commands of groups included."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None and not child.hidden:
            yield from commands(child, f"{path} {name}")


def page() -> str:
    """Return the page of all commands of core."""
    from wellkept.cli import root
    from wellkept.cli.app import shared_options

    shared = {name for option in shared_options() for name in option.opts}
    lines = [
        "# Every command",
        "",
        "Made from the commands themselves; `wellkept VERB --help` says the same. [Command line](../cli.md) groups them by",
        "what one wants, and has the exit codes.",
        "",
        "## Options of every command",
        "",
        *_options([option for option in root.params if shared & set(option.opts)]),
    ]
    for path, command in commands(root):
        lines += ["", f"## {path}", "", "```text", f"{path} {_usage(command)}".strip(), "```", "", *_help(command)]
        own = [option for option in command.params if isinstance(option, click.Option) and not shared & set(option.opts)]
        lines += ["", *_options(own)] if own else []
    return "\n".join(lines) + "\n"


def without_meaning(path: str, command: click.Command) -> list[str]:
    """Return what a command does not say of itself: what it does, or what an option of it is for."""
    options = [option for option in command.params if isinstance(option, click.Option) and not option.hidden]
    silent = [f"option {option.opts[0]} of {path}" for option in options if not option.help]
    return silent if command.help or command.short_help else [f"command {path}", *silent]


def _usage(command: click.Command) -> str:
    pieces = command.collect_usage_pieces(click.Context(command))
    return " ".join(pieces)


def _help(command: click.Command) -> list[str]:
    text = (command.help or command.short_help or "").replace("\b\n", "")
    return [_code(line.strip()) for line in text.strip().splitlines()]


def _options(options: list[click.Parameter]) -> list[str]:
    lines = ["| option | meaning |", "| --- | --- |"]
    context = click.Context(click.Command("wellkept"))
    for option in options:
        record = option.get_help_record(context) if isinstance(option, click.Option) else None
        if record is not None:
            names, text = (part.replace("|", "\\|") for part in record)
            lines.append(f"| `{names}` | {_code(text)} |")
    return lines


def _code(text: str) -> str:
    """Return reStructuredText's literals as Markdown's."""
    return re.sub(r"``(.+?)``", r"`\1`", text)
