"""Properties of an object type: what there is, what we make on first use, and values as each type wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from wellkept.errors import RejectedError
from wellkept.http import StatusError
from wellkept.records import Json
from wellkept_hubspot.api import Api
from wellkept_hubspot.wire import Property

GROUP, GROUP_LABEL = "wellkept", "Wellkept"
LONGEST_TEXT = 65_536
"""Characters of a text property."""

NAME = re.compile(r"[a-z][a-z0-9_]{0,99}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FRACTION = re.compile(r"-?\d+\.\d+", re.ASCII)


class _Listed(msgspec.Struct):
    results: list[Property]


class Properties:
    """The properties of one object type.

    Args:
        api: HubSpot.
        object_type: Such as ``companies``.
    """

    def __init__(self, api: Api, object_type: str) -> None:
        self._api = api
        self._path = f"/crm/properties/{api.version}/{object_type}"
        self._known: Mapping[str, Property] | None = None

    async def known(self, *, again: bool = False) -> Mapping[str, Property]:
        """Return what there is, by name; remembered unless asked for again."""
        if self._known is None or again:
            response = await self._api.client.get(self._path)
            self._known = {found.name: found for found in response.json(_Listed).results if not found.archived}
        return self._known

    async def make(self, definition: Mapping[str, Any]) -> str | None:
        """Make a property, and its group if that is missing; return why that failed, if it did.

        Somebody else may have made either meanwhile, which is as good.
        """
        name = definition["name"]
        await self._make_group()
        try:
            response = await self._api.client.post(self._path, json=definition)
        except StatusError as error:
            if error.status == 409 and name in await self.known(again=True):
                return None
            return f"HubSpot does not take the property {name} (HTTP {error.status})"
        self._known = {**await self.known(), name: response.json(Property)}
        return None

    async def _make_group(self) -> None:
        """Make the group if it is missing. If that is refused, so is the property, which then says so."""
        from wellkept_hubspot import sdk

        with suppress(StatusError):
            await self._api.client.get(f"{self._path}/groups/{GROUP}")
            return
        with suppress(StatusError):
            await self._api.client.post(f"{self._path}/groups", json=sdk.group(GROUP, GROUP_LABEL))


def type_for(value: Json) -> str:
    """Return the type of property that a value wants."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "date" if isinstance(value, str) and _DAY.fullmatch(value) else "string"


def text_of(value: Json) -> str:
    """Return a value as HubSpot holds it; what is empty clears the property."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def normal(value: Json) -> str | None:
    """Return a value as it is compared: text, without idle zeros; None for what is empty."""
    text = text_of(value)
    if _FRACTION.fullmatch(text):
        text = text.rstrip("0").rstrip(".")
    return text or None


def fitted(value: Json, found: Property) -> str:
    """Return a value as text for a property that exists.

    Raises:
        RejectedError: The property cannot hold it; the message does not repeat the value.
    """
    text = text_of(value)
    if found.read_only:
        raise RejectedError("only HubSpot itself sets this property")
    if not text:
        return ""
    if found.type in {"enumeration", "bool"} and found.options:
        return _option(text, found)
    wrong = _wrong(text, found.type)
    if wrong is not None:
        raise RejectedError(f"the property holds a {found.type}; {wrong}")
    return text


def _option(text: str, found: Property) -> str:
    """Return the value of the option that is meant, by its value or its label."""
    options = found.options or ()
    by_name = {option.label.casefold(): option.value for option in options if option.label}
    by_name |= {option.value.casefold(): option.value for option in options}
    values = text.split(";") if found.field_type == "checkbox" else [text]
    chosen = [by_name.get(part.strip().casefold()) for part in values]
    if None in chosen:
        raise RejectedError("the value is none of the property's options")
    return ";".join(part for part in chosen if part is not None)


def _wrong(text: str, type_: str) -> str | None:
    if type_ == "number":
        try:
            return None if Decimal(text).is_finite() else "the value is no number"
        except InvalidOperation:
            return "the value is no number"
    if type_ == "date":
        try:
            date.fromisoformat(text)
        except ValueError:
            return "the value is no day"
    if type_ == "datetime" and not text.isdecimal():
        try:
            datetime.fromisoformat(text)
        except ValueError:
            return "the value is no instant"
    if type_ == "string" and len(text) > LONGEST_TEXT:
        return f"the value is longer than {LONGEST_TEXT} characters"
    return None
