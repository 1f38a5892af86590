"""What mkdocs asks while it builds the site: pages made from the code, and links that lead somewhere on it.

The same Markdown is read in the repository, where a link may lead to any file. On the site such a link leads to the
page of that file where there is one, else to a page that shows the file.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

from generate import pages, plugin_pages, surface  # noqa: E402 - from the folder beside this file

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
ELSEWHERE = {"README.md": "index.md", "README.zh.md": "zh/index.md", "docs/decisions/README.md": "decisions/README.md"}
"""Files of the repository that are another page on the site."""

REFERENCE = {
    f"core/wellkept/{module.replace('.', '/')}{end}": (f"reference/api/{page}.md", f"#{surface.anchor(module)}")
    for page, (_, modules) in surface.MODULES.items()
    for module in modules
    for end in (".py", "/__init__.py")
}
"""Public modules, and where they are described."""

LANGUAGES = {".py": "python", ".toml": "toml", ".tmpl": "python", ".json": "json"}

FETCHED = "https://unpkg.com/iframe-worker/shim"
"""What the theme would fetch from elsewhere, so that search works from file://; ours does the same."""

HIDDEN = "---\nsearch:\n  exclude: true\n---\n"


def on_config(config: Any) -> Any:
    """Put the pages of a folder in the place of its name in the navigation."""
    folders = {
        "plugins/": [f"plugins/{name}.md" for name in plugin_pages.names(ROOT)],
        "decisions/": [f"decisions/{path.name}" for path in sorted((DOCS / "decisions").glob("*.md"), key=_index_first)],
        "reference/api/": [f"reference/api/{name}.md" for name in surface.MODULES],
    }
    config.nav = _opened(config.nav, folders)
    return config


def _opened(nav: Any, folders: dict[str, list[str]]) -> Any:
    if isinstance(nav, list):
        return [_opened(item, folders) for item in nav]
    if isinstance(nav, dict):
        return {name: _opened(item, folders) for name, item in nav.items()}
    return folders.get(nav, nav)


def _index_first(path: Path) -> tuple[bool, str]:
    return path.name != "README.md", path.name


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made from code, and those of linked source files."""
    for uri, text in pages.made(ROOT).items():
        files.append(File.generated(config, uri, content=text))
    texts = {file.src_uri: file.content_string for file in files if file.src_uri.endswith(".md")}
    for path in sorted({path for uri, text in texts.items() for path in _sources(uri, text)}):
        files.append(File.generated(config, _source_uri(path), content=_source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links lead to pages of the site."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    return LINK.sub(lambda found: f"{found[1]}{_on_site(page.file.src_uri, found[2])}{found[3]}", markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Say the language of the Chinese pages, and let search work without a network."""
    script = os.path.relpath("assets/offline.js", os.path.dirname(page.url) or ".").replace(os.sep, "/")  # noqa: PTH120 - a URL
    output = output.replace(FETCHED, script)
    return output.replace('<html lang="en"', '<html lang="zh-CN"', 1) if page.file.src_uri.startswith("zh/") else output


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    """Keep to ourselves in what is no page, too."""
    del template_name
    return output.replace(FETCHED, "/assets/offline.js")


def _on_site(uri: str, target: str) -> str:
    """Return where a link of a page leads on the site."""
    path, anchor = _resolved(uri, target)
    if path is None:
        return target
    if path.startswith("docs/") and path.endswith((".md", ".svg")):
        place = path.removeprefix("docs/")
    elif path in ELSEWHERE:
        place = ELSEWHERE[path]
    elif plugin := re.fullmatch(r"plugins/([^/]+)/README\.md", path):
        place = f"plugins/{plugin[1]}.md"
    elif path in REFERENCE:
        place, anchor = REFERENCE[path]
    else:
        place = _source_uri(path)
    return os.path.relpath(place, os.path.dirname(uri) or ".").replace(os.sep, "/") + anchor  # noqa: PTH120 - no file system


def _resolved(uri: str, target: str) -> tuple[str | None, str]:
    """Return the file of the repository that a link leads to, and the anchor; none where it leads out or is made here."""
    if "://" in target or target.startswith(("#", "mailto:")):
        return None, ""
    name, mark, anchor = target.partition("#")
    for origin in _origins(uri):
        file = (origin.parent / name).resolve()
        if file.is_relative_to(ROOT) and file.exists():
            return str(file.relative_to(ROOT)), mark + anchor
    return None, ""


def _origins(uri: str) -> list[Path]:
    """Return the files whose text stands on a page, as links in it are meant from there."""
    plugin = re.fullmatch(r"plugins/(.+)\.md", uri)
    readme = [ROOT / "plugins" / plugin[1] / "README.md"] if plugin else []
    return [*readme, DOCS / uri]


def _sources(uri: str, text: str) -> set[str]:
    """Return the files that a page links to and that have no page of their own."""
    found = set()
    for link in LINK.finditer(text):
        path, _ = _resolved(uri, link[2])
        if path and path not in REFERENCE and not path.endswith((".md", ".svg")):
            found.add(path)
    return found


def _source_uri(path: str) -> str:
    return f"source/{path.rstrip('/')}.md"


def _source_page(path: str) -> str:
    """Return the page that shows a file, or lists a folder."""
    file = ROOT / path
    if file.is_dir():
        command = ["git", "ls-files", "--", path]
        out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own
        return f"{HIDDEN}# {path}\n\n" + "".join(f"* `{name}`\n" for name in out.splitlines())
    text = file.read_text(encoding="utf-8")
    return f"{HIDDEN}# {path}\n\n~~~~{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n~~~~\n"
