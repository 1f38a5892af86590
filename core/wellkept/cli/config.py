"""``wellkept config``: the schema of `plugins.toml`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from wellkept.cli.app import App, VerbGroup, pass_app
from wellkept.cli.exits import Exit


@click.group(cls=VerbGroup)
def config() -> None:
    """The configuration's JSON schema."""


@config.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="PATH",
    help="Write it to this file.",
)
@pass_app
def schema(app: App, output: Path | None) -> Exit:
    """Print one JSON Schema over the core and all installed plugins, so that editors complete plugins.toml.

    Save it as plugins.schema.json beside the configuration, whose first line names it.
    """
    from wellkept.config.schema import schema as build
    from wellkept.plugins import find, load_named
    from wellkept.plugins.guard import guard

    found = find()
    loaded = load_named(found.plugins, found=found)
    models: dict[str, Any] = {}
    for name, plugin in loaded.loaded.items():
        with guard(
            loaded.problems.append,
            stage="config",
            what="its configuration model fails",
            plugin=name,
            distribution=plugin.distribution,
        ):
            model = plugin.model()
            build({name: (plugin.info, model)})
            models[name] = (plugin.info, model)
    app.tell(loaded.problems)
    built = build(models)
    if output is None:
        click.echo(json.dumps(built, indent=2, ensure_ascii=False))
    else:
        output.write_text(json.dumps(built, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        app.out.line(f"Wrote {output}.", "good")
        app.out.document({"ok": not loaded.problems, "path": str(output), "plugins": sorted(models)})
    return Exit.PARTIAL if loaded.problems else Exit.OK
