"""HubSpot's descriptions, for checks on both sides: that of dated paths, and that of v3 and v4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wellkept.testing import Operation, Spec

DATED = re.compile(r"/2026-\d\d(?=/|$)")
DESCRIBED = "/2026-03"


class Descriptions(Spec):
    """Two descriptions that act as one: the path decides which of them counts.

    Dated versions have the same shapes, so that 2026-09 is held against what there is for 2026-03. The SDK of the old paths
    writes booleans into the query as Python shows them (``True``), which HubSpot takes.
    """

    legacy: Spec | None = None

    def check_request(
        self, method: str, url: str, *, query: str | None = None, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Operation:
        """Check one request against the description that it belongs to."""
        if self.legacy is not None and not DATED.search(url):
            query = re.sub(r"=(True|False)(?=&|$)", lambda match: match[0].lower(), query or "")
            return self.legacy.check_request(method, url, query=query, headers=headers, body=body)
        return super().check_request(method, DATED.sub(DESCRIBED, url), query=query, headers=headers, body=body)

    def check_response(
        self, method: str, url: str, *, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Operation:
        """Check one answer likewise."""
        if self.legacy is not None and not DATED.search(url):
            return self.legacy.check_response(method, url, status=status, headers=headers, body=body)
        return super().check_response(method, DATED.sub(DESCRIBED, url), status=status, headers=headers, body=body)


def describe(dated: Path, legacy: Path | None = None) -> Spec:
    """Load the descriptions, with what their derivation lost mended.

    HubSpot answers null for properties that were asked for and are empty, and for the label of an association without one; the
    SDKs' types, from which the files are derived, do not say so, and the SDKs do not mind.
    """
    found = Descriptions.load(dated)
    _mend(found.document)
    if isinstance(found, Descriptions) and legacy is not None:
        found.legacy = Spec.load(legacy)
        _mend(found.legacy.document)
    return found


def _mend(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("AssociationSpecWithLabel"):
            schema["properties"]["label"] = {"type": ["string", "null"]}
        if name.rpartition(".")[2] in {"SimplePublicObject", "SimplePublicObjectWithAssociations"}:
            schema["properties"]["properties"]["additionalProperties"] = {"type": ["string", "null"]}
