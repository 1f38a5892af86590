from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.plugins import discover
from wellkept.testing.distributions import write_distribution

VENDOR = """
from wellkept import CheckResult, Finding, PluginInfo, Source, hookimpl
import os, click

class Checking(Source):
    def __init__(self, ctx):
        self.ctx = ctx
    def streams(self):
        return []
    async def check(self):
        key = self.ctx.config.api_key.reveal()
        if os.environ.get("VENDOR_CRASH"):
            raise RuntimeError(f"refused {key}")
        if key != "bad-key-value":
            invoices = Finding(name="invoices", ok=True, message="客户 read")
        else:
            invoices = Finding(name="invoices", ok=False, message=f"no permission for {key}", mend="allow it")
        return CheckResult(
            findings=[Finding(name="key", ok=True, message="works"), invoices],
            vendor_account=os.environ.get("VENDOR_ACCOUNT", "acct_1"),
            mode="test",
        )
    def read(self, request): ...

class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name="NAME", api="1.0", summary="Talks to a vendor.", config="wellkept_NAME_options:Options")
    @hookimpl
    def sources(self, ctx):
        return [Checking(ctx)]
    @hookimpl
    def commands(self):
        @click.command("greet", help="Say hello.")
        @click.argument("who")
        def greet(who):
            click.echo(f"hello {who}")
            return 4
        return [greet]

plugin = Plugin()
"""

OPTIONS = '''
from pydantic import BaseModel, ConfigDict
from wellkept.secrets import Secret

class Options(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    api_key: Secret
    """A restricted key."""
    host: str = "h"
    """The server."""
'''


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder of its own, with a cache and installed plugins of its own."""
    site = tmp_path / "site"
    site.mkdir()
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(discover, "distributions", lambda: distributions(path=[str(site)]))  # no others but ours
    for name in ("VENDOR_CRASH", "VENDOR_ACCOUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VENDOR_API_KEY", "good-key-value")
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(site)):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.fixture
def site(here: Path) -> Path:
    return here.parent / "site"


@pytest.fixture
def install(site: Path) -> Callable[..., None]:
    """Install a plugin: the vendor of these tests under some name, or another source."""

    def add(name: str = "vendor", source: str | None = None, *, distribution: str | None = None) -> None:
        module = f"wellkept_{(distribution or name).replace('-', '_')}"
        write_distribution(
            site,
            distribution or f"wellkept-{name}",
            plugins={name: f"{module}:plugin"},
            modules={
                module: dedent(source) if source is not None else VENDOR.replace("NAME", name),
                f"wellkept_{name}_options": OPTIONS,
            },
        )
        importlib.invalidate_caches()

    return add


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What was printed, as the one JSON document that it must be."""
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process."""

    def call(*arguments: str) -> Done:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def configured(here: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = here / "plugins.toml"
        path.write_text(dedent(text), encoding="utf-8")
        return path

    return write
