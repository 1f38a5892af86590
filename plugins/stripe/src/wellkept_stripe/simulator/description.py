"""Stripe's description, for checks on both sides."""

from __future__ import annotations

from pathlib import Path

from wellkept.testing import Spec


def describe(path: Path) -> Spec:
    """Load Stripe's description, with the one thing mended that its derivation lost.

    An object that was deleted is answered as ``{"id", "object", "deleted": true}``, which the derived file folds into the full
    object as a mere optional field. Stripe's own fixtures (``deleted_customer`` and others) show the short form.
    """
    spec = Spec.load(path)
    schemas = spec.document["components"]["schemas"]
    for name, schema in list(schemas.items()):
        properties = schema.get("properties", {})
        if "deleted" in properties and {"id", "object"} <= properties.keys():
            short = {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "object", "deleted"],
                "properties": {"id": {"type": "string"}, "object": properties["object"], "deleted": {"enum": [True]}},
            }
            schemas[name] = {"anyOf": [short, schema]}
    return spec
