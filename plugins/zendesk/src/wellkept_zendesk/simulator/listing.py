"""Pages: lists with a cursor or by offset, and incremental exports with a cursor or by time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from wellkept_zendesk.simulator.calls import Call
from wellkept_zendesk.simulator.errors import ZendeskError
from wellkept_zendesk.simulator.state import Obj

MOST = 100
"""Rows of a list's page, and pages that can be reached by offset."""

MOST_EXPORTED = 1000

UNSETTLED = 60
"""Seconds: exports leave out what changed within the last minute."""

Show = Callable[[Obj], Obj]


def listed(call: Call, name: str, rows: Sequence[Obj], show: Show) -> dict[str, Any]:
    """Return a page of a list: by cursor where ``page[size]`` is asked for, else by offset."""
    if "page[size]" in call.query:
        return _by_cursor(call, name, rows, show)
    size = min(MOST, _number(call, "per_page", MOST))
    page = _number(call, "page", 1)
    if page > MOST:
        raise ZendeskError(400, "InvalidPaginationDepth", "Offset pagination is limited to 100 pages; use cursor pagination")
    part = rows[(page - 1) * size : page * size]
    more = len(rows) > page * size
    return {
        name: [show(row) for row in part],
        "count": len(rows),
        "next_page": _link(call, page=page + 1, per_page=size) if more else None,
        "previous_page": _link(call, page=page - 1, per_page=size) if page > 1 else None,
    }


def _by_cursor(call: Call, name: str, rows: Sequence[Obj], show: Show) -> dict[str, Any]:
    size = _number(call, "page[size]", MOST)
    if not 0 < size <= MOST:
        raise ZendeskError(400, "InvalidPaginationParameter", "page[size] must be between 1 and 100")
    after = call.query.get("page[after]")
    start = 0 if not after else _decoded(after)[1]
    left = [row for row in rows if row["id"] > start]
    part, more = left[:size], len(left) > size
    cursor = _encoded(0, part[-1]["id"]) if part else None
    link = _link(call, **{"page[size]": size, "page[after]": cursor or ""}) if more else None
    return {
        name: [show(row) for row in part],
        "meta": {"has_more": more, "after_cursor": cursor, "before_cursor": None},
        "links": {"next": link, "prev": None},
    }


def export_by_cursor(call: Call, name: str, rows: Sequence[Obj], show: Show) -> dict[str, Any]:
    """Return a page of an export that goes on by a cursor."""
    after = call.query.get("cursor")
    if after:
        place = _decoded(after)
    elif "start_time" in call.query:
        place = (_start(call) - 1, 0)
    else:
        raise ZendeskError(400, "ParameterMissing", "start_time or cursor is required")
    size = min(MOST_EXPORTED, _number(call, "per_page", MOST_EXPORTED))
    left = sorted((row["_changed"], row["id"]) for row in rows if (row["_changed"], row["id"]) > place and _settled(call, row))
    by_id = {row["id"]: row for row in rows}
    part, more = left[:size], len(left) > size
    cursor = _encoded(*part[-1]) if part else (after or _encoded(*place))
    kept = {key: call.query[key] for key in ("include", "per_page") if key in call.query}
    return {
        name: [show(by_id[id_]) for _, id_ in part],
        "after_cursor": cursor,
        "after_url": _link(call, cursor=cursor, **kept),
        "before_cursor": None,
        "before_url": None,
        "end_of_stream": not more,
    }


def export_by_time(call: Call, name: str, rows: Sequence[Obj], show: Show) -> dict[str, Any]:
    """Return a page of an export that goes on by time.

    Pages overlap by a second. Rows of one second are never parted, so that a page may be longer than was asked for.
    """
    start = _start(call)
    size = min(MOST_EXPORTED, _number(call, "per_page", MOST_EXPORTED))
    left = sorted(
        (row for row in rows if row["_changed"] >= start and _settled(call, row)), key=lambda row: (row["_changed"], row["id"])
    )
    end = size
    while end < len(left) and left[end]["_changed"] == left[size - 1]["_changed"]:
        end += 1
    part, more = left[:end], len(left) > end
    end_time = max(part[-1]["_changed"], start + 1 if more else start) if part else start
    return {
        name: [show(row) for row in part],
        "count": len(part),
        "end_time": end_time,
        "end_of_stream": not more,
        "next_page": _link(call, start_time=end_time, per_page=size),
    }


def _start(call: Call) -> int:
    start = _number(call, "start_time", 0)
    if start > call.state.now - UNSETTLED:
        raise ZendeskError(400, "InvalidValue", "Too recent start_time. Use a start_time older than 1 minute")
    return start


def _settled(call: Call, row: Obj) -> bool:
    return bool(row["_changed"] <= call.state.now - UNSETTLED)


def _number(call: Call, name: str, otherwise: int) -> int:
    given = call.query.get(name)
    if given is None or given == "":
        return otherwise
    try:
        return int(float(given))
    except ValueError:
        raise ZendeskError(400, "InvalidValue", f"{name} is no number") from None


def _encoded(at: int, id_: int) -> str:
    return base64.urlsafe_b64encode(f"{at}|{id_}".encode()).decode()


def _decoded(cursor: str) -> tuple[int, int]:
    try:
        at, id_ = base64.urlsafe_b64decode(cursor.encode()).decode().split("|")
        return int(at), int(id_)
    except (binascii.Error, ValueError, UnicodeDecodeError):
        raise ZendeskError(400) from None


def _link(call: Call, **params: Any) -> str:
    return f"{call.url}?{urlencode(params)}"
