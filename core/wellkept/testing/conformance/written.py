"""What a plugin does, written down in files beside its tests, so that nothing of it changes by accident.

The files are written by ``pytest --accept-records``, and are to be read before they are committed: they say what is right.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from wellkept.testing.faults import Logged

REQUEST_ID = re.compile(r"(?<=request-id )[\w-]+|(?<=correlation-id )[\w-]+")
"""What tells an answer from any other, in what the HTTP kit says of a failed request."""

LONGEST = 1_000
"""Characters of what differs that are shown."""


class Written:
    """The files of one test class.

    Args:
        case: The test class's object.
        request: Of the test; tells whether files are to be written.
    """

    def __init__(self, case: Any, request: pytest.FixtureRequest) -> None:
        folder = getattr(case, "records_folder", None) or f"{case.plugin}_records"
        self._folder = Path(inspect.getfile(type(case))).parent / folder
        self._accept: bool = request.config.getoption("--accept-records")

    def holds(self, name: str, found: Any) -> None:
        """Fail unless a file says the same as what was found, which may be anything that JSON can say."""
        file = self._folder / f"{name}.json"
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        if self._accept:
            self._folder.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.is_file(), f"{file.name} is missing: run pytest --accept-records, and read what it writes"
        kept = json.loads(file.read_text(encoding="utf-8"))
        other = _difference(json.loads(text), kept)
        assert other is None, f"{file.name} says something else{other}"


def _difference(found: Any, kept: Any, place: str = "") -> str | None:
    """Return where two values differ first, and how; None where they do not."""
    if found == kept:
        return None
    if isinstance(found, dict) and isinstance(kept, dict) and found.keys() == kept.keys():
        return next(filter(None, (_difference(found[name], kept[name], f"{place} > {name}") for name in found)))
    if isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        pairs = enumerate(zip(found, kept, strict=True))
        return next(filter(None, (_difference(new, old, f"{place} > {number}") for number, (new, old) in pairs)))
    return f"{place}: {json.dumps(kept)[:LONGEST]}, and now it is {json.dumps(found)[:LONGEST]}"


def shown(requests: Iterable[Logged]) -> list[str]:
    """Return requests as they are written down: sorted, as those under way at the same time come in any order."""
    return sorted(f"{entry.method} {entry.path} {json.dumps(entry.params, sort_keys=True)}" for entry in requests)


def without(found: Any, hidden: Iterable[str]) -> Any:
    """Return what was found without texts that must not be written down, such as secrets, and without the ids of answers."""
    text = REQUEST_ID.sub("***", json.dumps(found))
    for part in hidden:
        text = text.replace(part, "***")
    return json.loads(text)
