"""All pages of the site that are made from code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from generate import commands, keys, plugin_pages, surface

INDEX = """\
# Reference

What is made from the code itself says so; it cannot be out of date.

| | | |
| --- | --- | --- |
| [Configuration](../configuration.md) | explained, table by table | written |
| [Every key](keys.md) | type, default and meaning | made from the models |
| [Plugins](../plugins.md) | each with all its keys | README and models |
| [Command line](../cli.md) | by what one wants; exit codes | written |
| [Every command](commands.md) | with all options | made from the commands |
| [Measures](../measures.md) | every column that scores, rules and pushes can read | written, held against the code |
| [Metrics](../metrics.md) | what `/metrics` shows | written, held against the code |
| [Writing a plugin](../writing-a-plugin.md) | hooks, errors and tests, with examples | written |
| [Hooks](hooks.md) | every hook | made from docstrings |
| [Errors](errors.md) | every error class | made from docstrings |
"""


def made(root: Path) -> Mapping[str, str]:
    """Return the text of each page by its place on the site."""
    return {
        "reference/index.md": INDEX + _modules(),
        "reference/keys.md": keys.page(),
        "reference/commands.md": commands.page(),
        "reference/hooks.md": surface.hooks_page(),
        "reference/errors.md": surface.errors_page(),
        **{f"reference/api/{name}.md": text for name, text in surface.api_pages()},
        **{f"plugins/{name}.md": plugin_pages.page(root, name) for name in plugin_pages.names(root)},
    }


def _modules() -> str:
    rows = (
        f"| [{heading}](api/{name}.md) | {', '.join(f'`wellkept.{module}`' for module in modules)} | made from docstrings |"
        for name, (heading, modules) in surface.MODULES.items()
    )
    return "".join(f"{row}\n" for row in rows)
