"""Updates of profiles: ``$set``, ``$set_once``, ``$add``, ``$union``, ``$append``, ``$remove``, ``$unset``, ``$delete``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from wellkept_mixpanel.simulator.state import GROUP_KEY, Project, Properties

LONGEST = 255
"""Bytes of a text; a longer one is cut silently."""

_TOKEN = re.compile(r"[0-9a-f]{32}")


class Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """Why an update is refused."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


def _set(profile: Properties, values: Any) -> None:
    profile.update({name: _cut(value) for name, value in values.items()})


def _set_once(profile: Properties, values: Any) -> None:
    for name, value in values.items():
        profile.setdefault(name, _cut(value))


def _add(profile: Properties, values: Any) -> None:
    for name, value in values.items():
        profile[name] = profile.get(name, 0) + value


def _union(profile: Properties, values: Any) -> None:
    for name, value in values.items():
        known = profile.setdefault(name, [])
        known += [item for item in (value if isinstance(value, list) else [value]) if item not in known]


def _append(profile: Properties, values: Any) -> None:
    for name, value in values.items():
        profile.setdefault(name, []).append(value)


def _remove(profile: Properties, values: Any) -> None:
    for name, value in values.items():
        profile[name] = [item for item in profile.get(name, []) if item != value]


def _unset(profile: Properties, names: Any) -> None:
    for name in names:
        profile.pop(name, None)


OPERATIONS: Mapping[str, Callable[[Properties, Any], None]] = {
    "$set": _set,
    "$set_once": _set_once,
    "$add": _add,
    "$union": _union,
    "$append": _append,
    "$remove": _remove,
    "$unset": _unset,
}


def apply(project: Project, token: str, update: Any, *, groups: bool, refused: Mapping[str, str]) -> None:
    """Do one update. One that carries another project's token is accepted, and does nothing here.

    Args:
        project: The project.
        token: The project's token.
        update: What was sent.
        groups: Whether it is about a group.
        refused: Ids whose updates are refused, and why; for tests.

    Raises:
        Refusal: It is malformed.
    """
    id_, names = _checked(update, groups=groups)
    if id_ in refused:
        raise Refusal("$set", refused[id_])
    if update["$token"] != token or (groups and update["$group_key"] != GROUP_KEY):
        return
    table = project.groups if groups else project.users
    kind = "group" if groups else "profile"
    if "$delete" in update:
        table.pop(id_, None)
        project.note(f"{kind}.deleted", id_, {})
        return
    for name in names:
        OPERATIONS[name](table.setdefault(id_, {}), update[name])
        project.note(f"{kind}.{name}", id_, {name: update[name]})


def _checked(update: Any, *, groups: bool) -> tuple[str, list[str]]:
    """Return whose profile an update is about, and its operations.

    Raises:
        Refusal: It is malformed.
    """
    if not isinstance(update, dict):
        raise Refusal("data", "must be an object")
    token = update.get("$token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Refusal("$token", "'$token' is missing or invalid")
    for field in ("$group_key", "$group_id") if groups else ("$distinct_id",):
        if update.get(field) in {None, ""}:
            raise Refusal(field, "must be a non-empty string")
    names = [name for name in OPERATIONS if name in update]
    if not names and "$delete" not in update:
        raise Refusal("$set", "there is no operation")
    for name in names:
        if not isinstance(update[name], list if name == "$unset" else dict):
            raise Refusal(name, "is of the wrong type")
    return str(update["$group_id" if groups else "$distinct_id"]), names


def _cut(value: Any) -> Any:
    return value.encode()[:LONGEST].decode(errors="ignore") if isinstance(value, str) else value
