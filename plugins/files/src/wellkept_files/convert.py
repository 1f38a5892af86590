"""Cells as they stand in files and databases, turned into the values that records hold.

A reason never shows a cell: it may be somebody's name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from wellkept.errors import RejectedError
from wellkept.money import exponent, round_half_even, to_minor
from wellkept.records import Json

Kind = Literal["text", "integer", "number", "money", "instant", "day", "flag", "list", "json"]

UTC_ZONE = ZoneInfo("UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRUE = frozenset({"true", "t", "yes", "y", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "0"})
_GROUPED = {
    ".": re.compile(r"[+-]?(\d+|\d{1,3}([, '\u00a0\u202f\u2019]\d{3})+)(\.\d*)?"),
    ",": re.compile(r"[+-]?(\d+|\d{1,3}([. '\u00a0\u202f\u2019]\d{3})+)(,\d*)?"),
}
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GROUPS = {".": ", '\u00a0\u202f\u2019", ",": ". '\u00a0\u202f\u2019"}
_LARGEST = 2**63 - 1
_DIGITS = 40
"""More decimals or zeros than these are no figure: written out, ``1E-999999999`` fills the memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversion:
    """How one field is made; see `wellkept_files.mapping.Rule`, whose values it has with all defaults settled."""

    column: str | None = None
    value: Json = None
    default: Json = None
    values: dict[str, Any] | None = None
    kind: Kind = "text"
    minor: bool = False
    currency: str | None = None
    round: bool = False
    format: str = "iso"
    zone: ZoneInfo = UTC_ZONE
    decimal: Literal[".", ","] = "."
    split: str = ","


def convert(cell: Any, rule: Conversion, currency: str | None) -> Json:
    """Return a cell as its field wants it; None stays None.

    Args:
        cell: Text, or a value with a type of its own (from JSON, Parquet or a database).
        rule: How.
        currency: The row's currency, where it is known.

    Raises:
        RejectedError: The cell does not fit; names the column.
    """
    if cell is None:
        return None
    if rule.values is not None:
        word = _text(cell, rule)
        if word not in rule.values:
            raise _unfit(rule, f"not one of the words in `values` ({', '.join(rule.values)})")
        return rule.values[word]
    if rule.kind == "money":
        return _money(cell, rule, currency)
    return _CONVERSIONS[rule.kind](cell, rule)


def key_text(parts: Sequence[Any]) -> str:
    """Return the id that cells make: one as it is, several joined so that no two rows can have the same by accident."""
    texts = [_text(part, Conversion()) for part in parts]
    return texts[0] if len(texts) == 1 else "|".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in texts)


def instant_of(value: datetime) -> int:
    """Return an aware datetime in epoch ms."""
    return (value - _EPOCH) // timedelta(milliseconds=1)


def _text(cell: Any, rule: Conversion) -> str:
    if isinstance(cell, str):
        if not cell.isprintable() and any(char == "\0" or "\ud800" <= char <= "\udfff" for char in cell):
            raise _unfit(rule, "bytes that are not text in the file's encoding")
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, (float, Decimal)) and _is_whole(cell):
        return str(int(cell))
    if isinstance(cell, (int, float, Decimal, UUID)):
        return str(cell)
    if isinstance(cell, (date, datetime)):
        return cell.isoformat()
    raise _unfit(rule, f"a {type(cell).__name__}, not a text")


def _decimal(cell: Any, rule: Conversion) -> Decimal:
    try:
        if isinstance(cell, str):
            number = Decimal(_digits(cell, rule))
        elif isinstance(cell, (int, float, Decimal)) and not isinstance(cell, bool):
            number = Decimal(str(cell))
        else:
            raise _unfit(rule, f"a {type(cell).__name__}, not a number")
    except InvalidOperation:
        raise _unfit(rule, f"not a number with {rule.decimal!r} as its decimal sign") from None
    if not number.is_finite() or abs(_exponent(number)) > _DIGITS or number.copy_abs() > _LARGEST:
        raise _unfit(rule, "not a number that can be stored")
    return number


def _is_whole(number: float | Decimal) -> bool:
    """Say whether a number is a whole one of a length that can be written out."""
    if isinstance(number, float):
        return number.is_integer() and abs(number) < 10.0**_DIGITS
    return number.is_finite() and 0 <= number.adjusted() < _DIGITS and number == number.to_integral_value()


def _exponent(number: Decimal) -> int:
    power = number.as_tuple().exponent
    return power if isinstance(power, int) else 0


def _digits(text: str, rule: Conversion) -> str:
    """Return a number's text without groups of thousands and with a point."""
    if _GROUPED[rule.decimal].fullmatch(text):
        bare = text.translate({ord(char): None for char in _GROUPS[rule.decimal]})
        return bare.replace(",", ".")
    if rule.decimal == "." and _PLAIN.fullmatch(text):
        return text
    raise InvalidOperation


def _integer(cell: Any, rule: Conversion) -> int:
    number = _decimal(cell, rule)
    if number != number.to_integral_value():
        raise _unfit(rule, "not a whole number")
    return int(number)


def _number(cell: Any, rule: Conversion) -> float:
    return float(_decimal(cell, rule))


def _money(cell: Any, rule: Conversion, currency: str | None) -> int:
    if rule.minor:
        return _integer(cell, rule)
    amount, code = _decimal(cell, rule), rule.currency or currency
    if code is None:
        raise _unfit(rule, "money of a row whose currency is empty")
    if rule.round:
        return round_half_even(amount.scaleb(exponent(code)))
    try:
        return to_minor(amount, code)
    except ValueError:
        raise _unfit(rule, f"more decimals than {code.upper()} has ({exponent(code)}); round = true rounds them") from None


def _moment(cell: Any, rule: Conversion) -> datetime | date:
    """Return a cell as a date or a time, of whatever zone it names."""
    if isinstance(cell, (datetime, date)):
        return cell
    try:
        if rule.format in {"epoch_s", "epoch_ms"}:
            factor = 1000 if rule.format == "epoch_s" else 1
            return _EPOCH + timedelta(milliseconds=int(_decimal(cell, rule) * factor))
        if isinstance(cell, str):
            if rule.format == "iso":
                return date.fromisoformat(cell) if len(cell) in {8, 10} else datetime.fromisoformat(cell)
            return datetime.strptime(cell, rule.format)  # noqa: DTZ007 - a zone is given to it below
    except (ValueError, OverflowError):
        raise _unfit(rule, f"not a date or time as `format` says ({rule.format})") from None
    raise _unfit(rule, "a number where a date is wanted; format = 'epoch_s' or 'epoch_ms' reads it")


def _instant(cell: Any, rule: Conversion) -> int:
    moment = _moment(cell, rule)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)  # noqa: DTZ001 - likewise
    return instant_of(moment if moment.tzinfo else moment.replace(tzinfo=rule.zone))


def _day(cell: Any, rule: Conversion) -> str:
    moment = _moment(cell, rule)
    if isinstance(moment, datetime):
        moment = (moment.astimezone(rule.zone) if moment.tzinfo else moment).date()
    return moment.isoformat()


def _flag(cell: Any, rule: Conversion) -> bool:
    word = _text(cell, rule).lower()
    if word not in _TRUE | _FALSE:
        raise _unfit(rule, "neither yes nor no")
    return word in _TRUE


def _list(cell: Any, rule: Conversion) -> list[str]:
    items = cell if isinstance(cell, (list, tuple)) else _text(cell, rule).split(rule.split)
    return [text for item in items if item is not None and (text := _text(item, rule).strip())]


def _json(cell: Any, rule: Conversion) -> Json:
    if isinstance(cell, dict):
        return {str(name): _json(value, rule) for name, value in cell.items()}
    if isinstance(cell, (list, tuple)):
        return [_json(item, rule) for item in cell]
    if isinstance(cell, (float, Decimal)):
        if not math.isfinite(cell) or not math.isfinite(float(cell)):
            raise _unfit(rule, "not a number that can be stored")
        return int(cell) if _is_whole(cell) else float(cell)
    return cell if cell is None or isinstance(cell, (bool, int)) else _text(cell, rule)


_CONVERSIONS = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "instant": _instant,
    "day": _day,
    "flag": _flag,
    "list": _list,
    "json": _json,
}


def _unfit(rule: Conversion, reason: str) -> RejectedError:
    return RejectedError(f"column {rule.column!r}: {reason}" if rule.column else reason)
