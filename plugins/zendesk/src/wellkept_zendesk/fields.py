"""Organization fields: made when they are first used, and values in the form that each field takes.

Numbers make decimal fields: a score of 72 today is 71.5 tomorrow. A field that is there already is used as it is; what does
not fit into it is refused by name, and the organization's other fields are set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import msgspec

from wellkept.errors import RejectedError
from wellkept.http import StatusError, decode_rows
from wellkept_zendesk.api import PAGE, Api

if TYPE_CHECKING:
    from wellkept.records import Json

PATH = "/api/v2/organization_fields"
KEY = re.compile(r"[a-zA-Z0-9_-]{1,255}", re.ASCII)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
TRUE = frozenset({"true", "1", "yes"})


class Option(msgspec.Struct):
    """A choice of a drop-down; `value` is what the API takes."""

    value: str


class Field(msgspec.Struct):
    """An organization field."""

    key: str
    type: str
    custom_field_options: list[Option] | None = None


class Fields:
    """The account's organization fields, as they were when they were asked for.

    Args:
        api: Zendesk.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: Mapping[str, Field] | None = None

    async def known(self) -> Mapping[str, Field]:
        """Return all fields by key."""
        if self._known is None:
            self._known = {field.key: field for field in await self._list()}
        return self._known

    async def _list(self) -> list[Field]:
        found: list[Field] = []
        after: str | None = None
        while True:
            response = await self._api.get(PATH, {"page[size]": PAGE, "page[after]": after})
            page = decode_rows(response, Field, path=("organization_fields",))
            found += [field for field, _ in page.rows]
            following = page.rest.at(("meta", "after_cursor"))
            if page.rest.at(("meta", "has_more")) is not True or not isinstance(following, str) or following == after:
                return found
            after = following

    async def make(self, wanted: Mapping[str, Iterable[Json]]) -> dict[str, str]:
        """Make the fields that are missing; return why some could not be made, by key.

        Args:
            wanted: Keys, each with the values that it is to hold; what only clears a field needs none.
        """
        refused: dict[str, str] = {}
        for key, values in wanted.items():
            if self.find(await self.known(), key) is not None:
                continue
            kinds = {kind_of(value) for value in values if value is not None}
            if not kinds:
                continue
            reason = await self._make(key, kinds.pop() if len(kinds) == 1 else "text")
            if reason is not None:
                refused[key] = reason
        return refused

    async def _make(self, key: str, kind: str) -> str | None:
        """Make one field; return why that was not possible."""
        if not KEY.fullmatch(key):
            return "a field's key has letters, digits, _ and -"
        new = {"key": key, "type": kind, "title": key, "active": True, "description": "Kept by Wellkept."}
        try:
            answer = await self._api.client.post(PATH, json={"organization_field": new})
        except StatusError as error:
            self._known = None  # another process may have been quicker
            if self.find(await self.known(), key) is not None:
                return None
            return f"Zendesk refuses to make this field (HTTP {error.status})"
        field = answer.json(dict[str, Field])["organization_field"]
        self._known = {**await self.known(), field.key: field}
        return None

    @staticmethod
    def find(known: Mapping[str, Field], key: str) -> Field | None:
        """Return the field of a key; Zendesk keeps keys in lower case."""
        return known.get(key) or known.get(key.lower())


def kind_of(value: Json) -> str:
    """Return the type of the field that a value makes."""
    if isinstance(value, bool):
        return "checkbox"
    if isinstance(value, (int, float)):
        return "decimal"
    return "date" if isinstance(value, str) and DATE.fullmatch(value) else "text"


def fitting(field: Field, value: Json) -> Any:
    """Return a value as a field takes it.

    Raises:
        RejectedError: It does not fit; says why.
    """
    if value is None:
        return False if field.type == "checkbox" else None
    if field.type == "checkbox":
        return value if isinstance(value, bool) else str(value).lower() in TRUE
    if field.type in {"decimal", "integer"}:
        return _number(field.type, value)
    text = text_of(value)
    if field.type == "date" and not DATE.fullmatch(text):
        raise RejectedError("the field takes dates only")
    if field.type == "dropdown" and text not in {option.value for option in field.custom_field_options or ()}:
        raise RejectedError("the value is none of the field's options")
    return text


def _number(kind: str, value: Json) -> int | float:
    try:
        number = Decimal(text_of(value))
    except InvalidOperation:
        raise RejectedError("the field takes numbers only") from None
    if not number.is_finite():
        raise RejectedError("the field takes finite numbers only")
    if number == number.to_integral_value():
        return int(number)
    if kind == "integer":
        raise RejectedError("the field takes whole numbers only; make it a decimal field")
    return float(number)


def text_of(value: Json) -> str:
    """Return a value as text: ``72``, ``71.5``, ``true``."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def canonical(value: Json) -> str | None:
    """Return the one form of a value, whether we sent it or Zendesk gives it back: ``72``, ``72.0`` and ``"72"`` are one.

    An unticked box and an empty field are the same: neither says anything.
    """
    if value is None or value == "" or value is False:
        return None
    text = text_of(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return f"{number.normalize():f}" if number.is_finite() else text
