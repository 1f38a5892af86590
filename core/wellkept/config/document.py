"""`plugins.toml` as a document: its values, and the line of each key."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wellkept.config.locate import KeyPath, Lines, locate, show
from wellkept.errors import ConfigError

_MENDS = (
    ("cannot overwrite a value", "the key stands there twice; remove one"),
    ("cannot mutate immutable namespace", "an inline table or array cannot be added to; write all of it in one place"),
    ("twice", "there is a table of that name further up; move the keys there"),
    ("expected '=' after a key", "write `key = value`; keys with blanks or dots need quotes"),
    ("initial character for a key", "write a key before `=`; keys with blanks or dots need quotes"),
    ("at the end of a table declaration", "close the brackets: [table] or [[list]]"),
    ("illegal character '\\n'", "close the quotes on the same line, or use three quotes"),
    ("unterminated string", "close the quotes"),
    ("unescaped '\\' in a string", "write \\\\ for a backslash, or use single quotes"),
    ("hex value", "write \\\\ for a backslash, or use single quotes"),
    ("unclosed array", "close the array with ]"),
    ("unclosed inline table", "close the inline table with }, on the same line"),
    ("newline or end of document", "put each `key = value` on a line of its own; text needs quotes"),
    ("invalid value", "text needs quotes; true and false are lower case; numbers have no unit"),
    ("invalid statement", "a line is `key = value`, `[table]`, or a comment that begins with #"),
    ("invalid date", "write dates as 2026-11-21, or put text in quotes"),
)
"""What `tomllib` complains of, in lower case, and what is usually the matter."""

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9_-]{0,30}")

_PLACE = re.compile(r"\s*\(at (?:line (?P<line>\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file that could be read, with an overlay of one environment where there is one.

    Attributes:
        path: The file.
        data: Its values; those of the overlay take precedence.
        lines: The lines of its keys.
        overlay: What one environment changes in it.
    """

    path: Path
    data: dict[str, Any]
    lines: Lines
    overlay: Document | None = None

    def error(self, place: KeyPath, message: str, guidance: str | None = None) -> ConfigError:
        """Return an error that names the file, the line and the key path."""
        overlay = self.overlay
        # what is missing from a table that the overlay alone has is the overlay's mistake as well
        theirs = overlay is not None and (overlay.decides(place) or overlay.lines.depth(place) > self.lines.depth(place))
        origin = overlay if overlay is not None and theirs else self
        return ConfigError(message, path=origin.path, line=origin.lines.of(place), key=show(place) or None, guidance=guidance)

    def decides(self, place: KeyPath) -> bool:
        """Say whether the value at a place, as an overlay, comes from here."""
        value: object = self.data
        for part in place:
            if not isinstance(value, dict):
                return True
            if part not in value:
                return False
            value = value[part]
        return bool(place)

    def under(self, overlay: Document) -> Document:
        """Return this document with an overlay: tables are merged key by key, everything else is replaced whole."""
        return Document(self.path, _merged(self.data, overlay.data), self.lines, overlay)


def overlay_path(path: Path, env: str) -> Path:
    """Return where the overlay of an environment stands: ``plugins.prod.toml`` beside ``plugins.toml``.

    Raises:
        ConfigError: The environment's name is none.
    """
    if not _ENVIRONMENT.fullmatch(env):
        raise ConfigError(
            f"{env!r} cannot name an environment", guidance="use lower-case letters, digits, - and _, a letter first"
        )
    return path.with_name(f"{path.stem}.{env}{path.suffix}")


def read(path: Path, env: str | None = None) -> Document:
    """Read a TOML file, and its overlay for an environment.

    Args:
        path: The file.
        env: The environment; its overlay must be there. None: the file as it is.

    Raises:
        ConfigError: A file is not there, or is not valid TOML in UTF-8; names the line and the mend.
    """
    document = _read(path, "run `wellkept init`, or name your file with --config")
    if env is None:
        return document
    overlay = overlay_path(path, env)
    return document.under(_read(overlay, f"make the overlay of the environment {env!r}, or leave out --env and WELLKEPT_ENV"))


def _read(path: Path, where: str) -> Document:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("there is no such file", path=path, guidance=where) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=path) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text", path=path, line=line, guidance="save the file as UTF-8") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Document:
    """Read TOML text that stands, or will stand, in `path`. Raises `ConfigError` like `read`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(str(error), text, path) from None
    except RecursionError:
        raise ConfigError("is nested too deeply", path=path, guidance="look for brackets that are never closed") from None
    return Document(path, data, locate(text))


def _merged(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in overlay.items():
        mine = found.get(key)
        found[key] = _merged(mine, value) if isinstance(mine, dict) and isinstance(value, dict) else value
    return found


def _syntax_error(message: str, text: str, path: Path) -> ConfigError:
    """Name line and mend of a syntax error. `tomllib` names keys and single characters in its messages, never values."""
    place = _PLACE.search(message)
    reason = message[: place.start()] if place else message
    line = int(place["line"]) if place and place["line"] else max(1, len(text.splitlines()))
    mend = next((mend for sign, mend in _MENDS if sign in reason.lower()), "compare with https://toml.io/en/v1.0.0")
    return ConfigError(f"is not valid TOML: {reason[:1].lower()}{reason[1:]}", path=path, line=line, guidance=mend)
