"""Paths in the configuration of plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo


def _beside(path: Path, info: ValidationInfo) -> Path:
    base = info.context.get("base") if isinstance(info.context, dict) else None
    return Path(base or "") / path.expanduser()


LocalPath = Annotated[Path, AfterValidator(_beside)]
"""A path in a plugin's configuration model: a relative one starts at `plugins.toml`, wherever Wellkept is started."""
