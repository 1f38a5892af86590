"""``wellkept init``: a first configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from wellkept.config import Config
    from wellkept.config.template import Choice
    from wellkept.manifest import Installed
    from wellkept.plugins import Loaded


@click.command(cls=Verb)
@click.option("--yes", is_flag=True, help="Ask nothing: take the plugins named with --plugin, or all that are installed.")
@click.option("--plugin", "names", multiple=True, metavar="NAME", help="Connect this plugin; may be given several times.")
@pass_app
def init(app: App, *, yes: bool, names: tuple[str, ...]) -> Exit:
    """Write a commented plugins.toml, with references in the places of secrets.

    An existing file is never overwritten.
    """
    from wellkept.config import loads
    from wellkept.config.template import render
    from wellkept.errors import ConfigError
    from wellkept.plugins import find, load_named

    path = app.config_path
    if path.exists():
        raise ConfigError("the file exists already", path=path, guidance="edit it, or name another one with --config")
    found = find()
    chosen = list(names) or (list(found.plugins) if yes else _ask_which(app, found.plugins))
    plugins = load_named(chosen, found=found)
    app.tell(plugins.problems)
    if plugins.problems and (names or app.strict):
        return Exit.CONFIG
    text = render([_choice(app, loaded, ask=not yes) for loaded in plugins.loaded.values()])
    missing = _missing(loads(text, path), plugins.loaded)
    _write(path, text)
    references = _references(text)
    app.out.line(f"Wrote {path}.", "good")
    for place in missing:
        app.out.line(f"To be filled in: {place}")
    if references:
        app.out.line(f"Next: set {', '.join(references)}, then run `wellkept check`.")
    else:
        app.out.line("Next: run `wellkept check`.")
    names_ = list(plugins.loaded)
    app.out.document({"ok": True, "path": str(path), "plugins": names_, "references": references, "missing": missing})
    return Exit.PARTIAL if plugins.problems else Exit.OK


def _ask_which(app: App, installed: Mapping[str, Installed]) -> list[str]:
    """Go through the installed plugins and ask for each."""
    if not installed:
        app.out.note("No plugin is installed; `pip install 'wellkept[all]'` brings those of the project.", "warn")
    return [name for name, item in installed.items() if click.confirm(f"Connect {name} ({item.summary})?", err=True)]


def _choice(app: App, loaded: Loaded, *, ask: bool) -> Choice:
    from wellkept.config.template import Choice, questions, ways

    model = loaded.model()
    answers: dict[str, Any] = {}
    possible = ways(model)
    way = possible[0].keys if possible else ()
    if ask and (possible or questions(model)):
        app.out.note(f"\n{loaded.name}: {loaded.info.summary}", "bold")
        if len(possible) > 1:
            way = possible[_ask_way(app, [item.title for item in possible])].keys
        answers = _ask(app, loaded.name, questions(model, way))
    return Choice(info=loaded.info, model=model, answers=answers, way=way)


def _ask_way(app: App, titles: Sequence[str]) -> int:
    """Ask by which of several ways the vendor lets us in; the first one is recommended."""
    for number, title in enumerate(titles, 1):
        app.out.note(f"  {number}  {title}")
    return int(click.prompt("  Which one", default=1, err=True, type=click.IntRange(1, len(titles)))) - 1


def _ask(app: App, plugin: str, fields: Mapping[str, FieldInfo], within: str = "") -> dict[str, Any]:
    """Ask for some keys. What is typed for a secret must be a reference; anything else is not kept.

    Args:
        app: Where to ask.
        plugin: Whose keys they are.
        fields: The keys.
        within: The table that they stand in, where that is one in the plugin's own.
    """
    from wellkept.config.template import is_secret, questions, suggested_reference, table_of

    answers: dict[str, Any] = {}
    for key, info in fields.items():
        inner = table_of(info)
        if inner is not None:
            answers[key] = _ask(app, plugin, questions(inner), key)
            continue
        path = f"{within}_{key}" if within else key
        default = suggested_reference(plugin, path) if is_secret(info) else next(iter(info.examples or ()), None)
        answers[key] = _ask_one(app, f"  {path.replace('_', ' ')} - {_first_line(info, key)}", info, default)
    return answers


def _ask_one(app: App, question: str, info: FieldInfo, default: object) -> Any:
    """Ask until the answer can stand in the file."""
    from pydantic import TypeAdapter, ValidationError

    from wellkept.config.template import is_secret
    from wellkept.secrets import split

    while True:
        text = str(click.prompt(question, default=default, err=True, type=str))
        if is_secret(info):
            if split(text) is not None:
                return text
            app.out.note("  Write a reference such as env:NAME or file:path, never the secret itself.", "warn")
            continue
        try:
            limited: Any = Annotated[info.annotation or str, *info.metadata, info]
            return TypeAdapter[Any](limited).validate_python(text)
        except ValidationError as error:
            app.out.note(f"  {error.errors(include_input=False)[0]['msg']}.", "warn")


def _first_line(info: FieldInfo, key: str) -> str:
    return " ".join((info.description or key).replace("``", "").split())


def _missing(config: Config, loaded: Mapping[str, Loaded]) -> list[str]:
    """Return what somebody still has to fill in or mend in the file that is about to be written."""
    from wellkept.config import validate

    return [
        error.text
        for table in config.tables.values()
        if table.plugin in loaded
        for error in validate(config, table, loaded[table.plugin].model())[1]
    ]


def _references(text: str) -> list[str]:
    """Return the environment variables that the written configuration needs."""
    import tomllib

    def walk(value: object) -> list[str]:
        if isinstance(value, str):
            return [value.removeprefix("env:")] if value.startswith("env:") else []
        parts: Sequence[object] = list(value.values()) if isinstance(value, dict) else []
        return [name for part in parts for name in walk(part)]

    return list(dict.fromkeys(walk(tomllib.loads(text))))


def _write(path: Path, text: str) -> None:
    from wellkept.errors import ConfigError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # "x": whoever made it meanwhile keeps theirs
            file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=path) from error
