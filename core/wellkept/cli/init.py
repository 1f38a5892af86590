"""``wellkept init``: a first configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wellkept.cli.app import App, Verb, pass_app
from wellkept.cli.exits import Exit

if TYPE_CHECKING:
    from pydantic import BaseModel

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
    loads(text, path)
    _write(path, text)
    references = _references(text)
    app.out.line(f"Wrote {path}.", "good")
    if references:
        app.out.line(f"Next: set {', '.join(references)}, then run `wellkept check`.")
    else:
        app.out.line("Next: run `wellkept check`.")
    app.out.document({"ok": True, "path": str(path), "plugins": list(plugins.loaded), "references": references})
    return Exit.PARTIAL if plugins.problems else Exit.OK


def _ask_which(app: App, installed: Mapping[str, Installed]) -> list[str]:
    """Go through the installed plugins and ask for each."""
    if not installed:
        app.out.note("No plugin is installed; `pip install 'wellkept[all]'` brings those of the project.", "warn")
    return [name for name, item in installed.items() if click.confirm(f"Connect {name} ({item.summary})?", err=True)]


def _choice(app: App, loaded: Loaded, *, ask: bool) -> Choice:
    from wellkept.config.template import Choice, questions

    model = loaded.model()
    answers: dict[str, Any] = {}
    if ask and questions(model):
        app.out.note(f"\n{loaded.name}: {loaded.info.summary}", "bold")
        answers = _ask(app, loaded.name, model)
    return Choice(info=loaded.info, model=model, answers=answers)


def _ask(app: App, plugin: str, model: type[BaseModel] | None) -> dict[str, Any]:
    """Ask for the keys without a default. What is typed for a secret must be a reference; anything else is not kept."""
    from pydantic import TypeAdapter, ValidationError

    from wellkept.config.template import is_secret, questions, suggested_reference
    from wellkept.secrets import split

    answers: dict[str, Any] = {}
    for key, info in questions(model).items():
        doc = " ".join((info.description or key).split())
        secret = is_secret(info)
        default = suggested_reference(plugin, key) if secret else next(iter(info.examples or ()), None)
        while key not in answers:
            text = str(click.prompt(f"  {key} - {doc}", default=default, err=True, type=str))
            if secret and split(text) is None:
                app.out.note("  Write a reference such as env:NAME or file:path, never the secret itself.", "warn")
                continue
            try:
                value = text if secret else TypeAdapter[Any](info.annotation or str).validate_python(text)
            except ValidationError as error:
                app.out.note(f"  {error.errors(include_input=False)[0]['msg']}.", "warn")
            else:
                answers[key] = value
    return answers


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
