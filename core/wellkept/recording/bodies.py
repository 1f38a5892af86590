"""Answers of vendors that speak CSV or XML: as plain rows, and with their texts replaced."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

Replace = Callable[[str, str], str]
"""Returns what stands for a text in a field of some name."""


def rows_of(body: bytes, kind: str) -> list[dict[str, Any]]:
    """Return the rows of a CSV or XML body, by the names of columns, attributes and elements; [] for another kind.

    Args:
        body: The body.
        kind: Its content type.
    """
    if (table := _table(body, kind)) is not None:
        names, *rows = table or [[]]
        return [dict(zip(names, row, strict=False)) for row in rows]
    if (root := _tree(body, kind)) is not None:
        return [_plain(element) for element in root.iter() if len(element) or element.attrib]
    return []


def replaced(body: bytes, kind: str, replace: Replace) -> str | None:
    """Return a CSV or XML body with its cells, texts and attributes replaced; None for another kind."""
    if (table := _table(body, kind)) is not None:
        names, *rows = table or [[]]
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerows([names, *([replace(name, cell) for name, cell in zip(names, row, strict=False)] for row in rows)])
        return file.getvalue()
    if (root := _tree(body, kind)) is not None:
        for element in root.iter():
            element.attrib = {name: replace(_local(name), value) for name, value in element.attrib.items()}
            element.text, element.tail = (
                replace(_local(element.tag), text) if text and text.strip() else text for text in (element.text, element.tail)
            )
        return ET.tostring(root, encoding="unicode")
    return None


def _table(body: bytes, kind: str) -> list[list[str]] | None:
    if "csv" not in kind:
        return None
    text = body.decode("utf-8-sig", "replace")
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _tree(body: bytes, kind: str) -> ET.Element | None:
    if "xml" not in kind:
        return None
    try:
        return ET.fromstring(body)  # noqa: S314 - expat resolves nothing external and bounds what entities grow to
    except ET.ParseError:
        return None


def _plain(element: ET.Element) -> dict[str, Any]:
    """Return an element's attributes and what its children hold; of children of one name the first."""
    found: dict[str, Any] = {_local(name): value for name, value in element.attrib.items()}
    for child in element:
        held = _plain(child) if len(child) or child.attrib else (child.text or "").strip()
        found.setdefault(_local(child.tag), held)
    if element.text and element.text.strip():
        found.setdefault("text", element.text.strip())
    return found


def _local(name: str) -> str:
    return name.rpartition("}")[2]
