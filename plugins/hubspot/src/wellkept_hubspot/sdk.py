"""Bodies of writes from the models of HubSpot's own SDK, which check required fields and enumerations before anything leaves.

Only its models (and its signatures, in `wellkept_hubspot.webhooks`) are used. Its clients are not: they keep sessions and
retries of their own, and call v3 and v4 paths, which HubSpot switches off in 2027. Bodies have the same shapes in dated paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hubspot.crm import objects, properties  # type: ignore[import-untyped]

TASK_TO_COMPANY = 192
"""HubSpot's own association type."""

FIELD_TYPES = {"number": "number", "string": "text", "bool": "booleancheckbox", "date": "date", "datetime": "date"}
"""How a property of each type is shown in HubSpot's forms."""


def plain(value: Any) -> Any:
    """Return a model of the SDK as plain data with the names of the wire."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    names = getattr(value, "attribute_map", None)
    if names is None:
        return value
    found = {wire: plain(getattr(value, name)) for name, wire in names.items()}
    return {wire: item for wire, item in found.items() if item is not None}


def update_batch(rows: Iterable[tuple[str, Mapping[str, str]]]) -> Any:
    """Return the body that sets properties of several objects."""
    inputs = [objects.SimplePublicObjectBatchInput(id=id_, properties=dict(values)) for id_, values in rows]
    return plain(objects.BatchInputSimplePublicObjectBatchInput(inputs=inputs))


def creation(values: Mapping[str, str], *, company: str | None) -> Any:
    """Return the body that makes a task, about a company if there is one."""
    kind = objects.AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=TASK_TO_COMPANY)
    links = [objects.PublicAssociationsForObject(to=objects.PublicObjectId(id=company), types=[kind])] if company else []
    return plain(objects.SimplePublicObjectInputForCreate(properties=dict(values), associations=links))


def group(name: str, label: str) -> Any:
    """Return the body that makes a property group."""
    return plain(properties.PropertyGroupCreate(name=name, label=label))


def definition(name: str, type_: str, *, group_name: str, label: str, description: str, options: Iterable[str] = ()) -> Any:
    """Return the body that makes a property; with `options` it is a choice of one."""
    choices = {"true": "Yes", "false": "No"} if type_ == "bool" else {option: _label(option) for option in options}
    made = properties.PropertyCreate(
        name=name,
        label=label,
        type=type_,
        field_type=FIELD_TYPES.get(type_, "select"),
        group_name=group_name,
        description=description,
        options=[
            properties.OptionInput(label=shown, value=value, display_order=order, hidden=False)
            for order, (value, shown) in enumerate(choices.items())
        ]
        or None,
    )
    return plain(made)


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
