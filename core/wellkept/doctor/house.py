"""The machine, the distributions, the plugins and the configuration: what can be said without a store."""

from __future__ import annotations

import platform
import sqlite3
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from typing import TYPE_CHECKING

from wellkept.doctor.finding import Finding
from wellkept.errors import ConfigError, WellkeptError
from wellkept.redact import REDACTOR, redact_exception

if TYPE_CHECKING:
    from wellkept.config import Config
    from wellkept.plugins import Found
    from wellkept.settings import Settings

OLDEST_PYTHON = (3, 11)


def examine_house(config: Config | None) -> Iterator[Finding]:
    """Examine what can be examined without a store.

    Args:
        config: The configuration, None where it cannot be read.
    """
    from wellkept.plugins import find

    found = find()
    yield from _machine()
    yield from _plugins(found, config)
    if config is not None:
        yield from _configuration(config)


def _machine() -> Iterator[Finding]:
    running = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("machine", "python", "bad", f"Python {running} is too old", "install Python 3.11 or newer")
    else:
        yield Finding("machine", "python", "ok", f"Python {running}, {platform.system()} {platform.machine()}")
    yield Finding("machine", "wellkept", "ok", f"Wellkept {version('wellkept')}, SQLite {sqlite3.sqlite_version}")


def _plugins(found: Found, config: Config | None) -> Iterator[Finding]:
    for name, items in found.ambiguous.items():
        claims = ", ".join(item.origin for item in items)
        mend = f"uninstall all but one: pip uninstall {items[-1].distribution}"
        yield Finding("plugins", name, "bad", f"several distributions call a plugin so, and none is used: {claims}", mend)
    wanted = {table.plugin: table.name for table in config.enabled} if config is not None else {}
    for name in sorted(wanted.keys() - found.plugins.keys() - found.ambiguous.keys()):
        mend = f"pip install wellkept-{name}, or `enabled = false` in [plugins.{wanted[name]}]"
        yield Finding("plugins", name, "bad", f"[plugins.{wanted[name]}] needs it, and it is not installed", mend)
    for name, item in found.plugins.items():
        conflicts = list(_conflicts(item.distribution))
        for conflict in conflicts:
            yield Finding("plugins", name, "bad", conflict, f"pip install --upgrade wellkept {item.distribution}")
        if not conflicts:
            used = "in use" if name in wanted else "not in use"
            yield Finding("plugins", name, "ok", f"{item.distribution} {item.version}, {used}")


def _conflicts(name: str) -> Iterator[str]:
    """Yield what a distribution needs and what is installed instead."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in distribution(name).requires or ():
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = Distribution.from_name(needed.name).version
        except PackageNotFoundError:
            yield f"{name} needs {needed.name}, which is not installed"
            continue
        if not needed.specifier.contains(installed, prereleases=True):
            yield f"{name} needs {needed.name} {needed.specifier}, and {installed} is installed"


def _configuration(config: Config) -> Iterator[Finding]:
    document = config.document
    overlays = f"{document.path}" if document.overlay is None else f"{document.path} with {document.overlay.path}"
    yield Finding("configuration", "file", "ok", f"{overlays}: {len(config.enabled)} of {len(config.tables)} instances enabled")
    for problem in config.problems:
        yield Finding("configuration", problem.instance or "file", "bad", str(problem), problem.mend)
    yield _key(config)
    yield from _channels(config.settings, config.base)


def _key(config: Config) -> Finding:
    from wellkept.secrets import Resolver, split
    from wellkept.trust import open_key

    secret = config.settings.wellkept.key
    resolver = Resolver(config.base, REDACTOR.register)
    scheme, rest = split(secret.reference) or ("", "")
    path = resolver.file(rest) if scheme == "file" else None
    if path is not None and not path.exists():
        return Finding("configuration", "key", "note", f"{path} is made at first use", "back it up apart from the store then")
    try:
        open_key(secret, resolver, create=False)
    except WellkeptError as error:
        return Finding("configuration", "key", "bad", error.message, error.guidance)
    if path is not None and sys.platform != "win32" and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("configuration", "key", "warn", f"others on this machine can read {path}", f"chmod 600 {path}")
    return Finding("configuration", "key", "ok", f"{secret.reference} can be read")


def _channels(settings: Settings, base: Path) -> Iterator[Finding]:
    from wellkept.secrets import Resolver, bind, secrets_in

    alerts = bind(settings.alerts, Resolver(base, REDACTOR.register))
    ways = [name for name in ("mail", "webhook") if getattr(alerts, name) is not None]
    if not ways:
        mend = "set up [alerts.mail] or [alerts.webhook]"
        yield Finding("alerts", "channels", "note", "nobody is told when something is wrong", mend)
    else:
        yield Finding("alerts", "channels", "ok", f"alerts go by {' and '.join(ways)}")
    if alerts.ping is None:
        yield Finding("alerts", "ping", "note", "nobody outside notices silence", "set `ping` in [alerts]; see docs/runbook.md")
    for secret in secrets_in(alerts):
        try:
            secret.reveal()
        except ConfigError as error:
            yield Finding("alerts", secret.reference, "bad", redact_exception(error), error.guidance)
