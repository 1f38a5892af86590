"""The site is built without a warning, and is whole by itself: nothing is fetched from elsewhere, every page is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlencode, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*?\bsrc=\"?([^\"\s>]+)|<link\b[^>]*?\bhref=\"?([^\"\s>]+)")
RESULT = re.compile(r'<a href="([^"]+)" class="md-search-result__link"')
FOLLOWED = re.compile(r"<a\b[^>]*?\bhref=\"([^\"#?]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    environ = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return folder


@pytest.mark.slow
def test_it_is_whole_without_a_network(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for found in LOADED.finditer(text):
            target = found[1] or found[2]
            assert "://" not in target, f"{page.name} loads {target}"
            assert target.startswith(("data:", "/")) or (page.parent / unquote(target.partition("?")[0])).exists(), target
        for found in FOLLOWED.finditer(text):
            if "://" not in found[1] and not found[1].startswith(("mailto:", "/")):
                assert (page.parent / unquote(found[1])).exists(), f"{page.relative_to(site)} links to {found[1]}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", style.read_text(encoding="utf-8")), style.name


def in_browser(page: Path, query: str, profile: Path) -> str:
    """Return what a browser makes of a file when a reader searches on it, once its scripts have done their work."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    switches += ["--disable-component-update", "--disable-sync", "--disable-quic", "--host-resolver-rules=MAP * ~NOTFOUND"]
    command = [program, *switches, f"--user-data-dir={profile}", "--virtual-time-budget=30000", "--dump-dom"]
    address = f"{page.as_uri()}?{urlencode({'q': query})}"
    done = subprocess.run([*command, address], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "query", "leads_to"),
    [
        ("index.html", "dead letters", "how-to/dead-letters.html"),
        ("reference/api/sources.html", "max_effects", "reference/keys.html"),
        ("zh/index.html", "plugins.toml", "configuration.html"),
    ],
)
def test_search_and_navigation_work_from_a_file(site: Path, tmp_path: Path, page: str, query: str, leads_to: str) -> None:
    text = in_browser(site / page, query, tmp_path)
    assert re.search(r"md-search-result__meta\">\s*\d+ matching|md-search-result__meta\">\s*找到", text), "search found nothing"
    found = {unquote(link).partition("?")[0].partition("#")[0] for link in RESULT.findall(text)}
    assert (site / leads_to).as_uri() in found
    assert all(Path(unquote(urlsplit(link).path)).is_file() for link in found)
    assert FOLLOWED.findall(text), "there is no navigation"


@pytest.mark.slow
def test_there_is_a_page_for_each_thing(site: Path) -> None:
    for plugin in ROOT.glob("plugins/*/README.md"):
        page = (site / "plugins" / f"{plugin.parent.name}.html").read_text(encoding="utf-8")
        assert ">Every key" in page
    hubspot = (site / "plugins/hubspot.html").read_text(encoding="utf-8")
    assert "<code>external_id_property</code>" in hubspot
    assert "[plugins.hubspot.oauth]" in hubspot
    assert "<code>max_deleted_share</code>" in (site / "reference/keys.html").read_text(encoding="utf-8")
    assert "wellkept effects approve" in (site / "reference/commands.html").read_text(encoding="utf-8")
    assert 'id="wellkept.source.WebhookSource.receive"' in (site / "reference/api/sources.html").read_text(encoding="utf-8")
    assert 'id="wellkept.errors.CursorExpiredError"' in (site / "reference/errors.html").read_text(encoding="utf-8")
    assert 'id="wellkept.hookspecs.Hooks.policies"' in (site / "reference/hooks.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN"' in (site / "zh/quick-start.html").read_text(encoding="utf-8")


def test_pictures_speak_and_keep_to_light_and_dark() -> None:
    pictures = sorted((ROOT / "docs/pictures").glob("*.svg"))
    assert pictures
    for picture in pictures:
        text = picture.read_text(encoding="utf-8")
        assert re.search(r'<title id="title">[^<]+</title>\s*<desc id="desc">[^<]+</desc>', text), picture.name
        assert 'aria-labelledby="title desc"' in text
        assert "prefers-color-scheme: dark" in text
        assert not re.search(r'(?:fill|stroke)="#', text), f"{picture.name} has a colour that dark mode does not change"
