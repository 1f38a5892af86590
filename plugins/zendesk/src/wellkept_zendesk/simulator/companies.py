"""Organizations and their fields, users, groups, jobs and settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from wellkept_zendesk.simulator import objects
from wellkept_zendesk.simulator.calls import Call, endpoint
from wellkept_zendesk.simulator.errors import ZendeskError, invalid
from wellkept_zendesk.simulator.listing import export_by_cursor, export_by_time, listed
from wellkept_zendesk.simulator.objects import shown
from wellkept_zendesk.simulator.state import Obj, State, text

ORGANIZATION_KEYS = ("name", "external_id", "domain_names", "tags", "details", "notes")
USER_KEYS = ("name", "email", "phone", "role", "verified", "external_id", "organization_id", "locale", "tags", "user_fields")
DATE = re.compile(r"\d{4}-\d\d-\d\d(T.*)?")


def living(state: State) -> list[Obj]:
    """Return the organizations that are not deleted."""
    return state.all("organization", lambda row: row["deleted_at"] is None)


def living_one(call: Call) -> Obj:
    """Return the organization that the path names.

    Raises:
        ZendeskError: It was deleted, or never was.
    """
    found = call.find("organization")
    if found["deleted_at"] is not None:
        raise ZendeskError(404)
    return found


def active(state: State) -> list[Obj]:
    """Return the users that are not deleted."""
    return state.all("user", lambda row: bool(row["active"]))


@endpoint("GET", "incremental/organizations", scope="organizations", admin=True)
def export_organizations(call: Call) -> Any:
    """Deleted ones are shown as well."""
    return export_by_time(call, "organizations", call.state.all("organization"), shown)


@endpoint("GET", "organizations/show_many", scope="organizations")
def show_organizations(call: Call) -> Any:
    """Those that are gone are left out."""
    wanted = set(call.wanted)
    found = [row for row in living(call.state) if row["id"] in wanted]
    return {"organizations": [shown(row) for row in found], "count": len(found), "next_page": None, "previous_page": None}


@endpoint("GET", "organizations/count", scope="organizations")
def count_organizations(call: Call) -> Any:
    """How many there are."""
    return {"count": {"value": len(living(call.state)), "refreshed_at": text(call.state.now)}}


@endpoint("PUT", "organizations/update_many", scope="organizations")
def update_organizations(call: Call) -> Any:
    """Change up to a hundred by a job, each for itself."""
    rows = call.body.get("organizations")
    if not isinstance(rows, list) or not 0 < len(rows) <= 100:
        raise ZendeskError(400, "ParameterMissing", "organizations must be given, 100 at most")
    return {"job_status": shown(new_job(call.state, [("organization", row) for row in rows]))}


@endpoint("GET", "organizations", scope="organizations")
def list_organizations(call: Call) -> Any:
    """All of them."""
    return listed(call, "organizations", living(call.state), shown)


@endpoint("POST", "organizations", scope="organizations", status=201)
def create_organization(call: Call) -> Any:
    """Make one; names and external ids are unique, whatever their case."""
    given = call.part("organization")
    if not given.get("name"):
        raise invalid("name", "Name: cannot be blank")
    row = {key: given[key] for key in ORGANIZATION_KEYS if key in given}
    check_unique(call.state, row, None)
    made = call.state.add("organization", objects.organization(**row))
    set_fields(call.state, made, given.get("organization_fields") or {})
    return {"organization": shown(made)}


@endpoint("GET", "organizations/*", scope="organizations")
def show_organization(call: Call) -> Any:
    """One of them."""
    return {"organization": shown(living_one(call))}


@endpoint("PUT", "organizations/*", scope="organizations")
def update_organization(call: Call) -> Any:
    """Change one."""
    row = living_one(call)
    change_organization(call.state, row, call.part("organization"))
    return {"organization": shown(row)}


@endpoint("DELETE", "organizations/*", scope="organizations", status=204)
def delete_organization(call: Call) -> Any:
    """Delete one; its users stay."""
    row = living_one(call)
    call.state.touch("organization", row, {"deleted_at": text(call.state.now)})


@endpoint("GET", "organizations/*/merges", scope="organizations")
def list_merges(call: Call) -> Any:
    """What was merged into it."""
    row = call.find("organization")
    found = call.state.all("merge", lambda merge: merge["winner_id"] == row["id"])
    shape = ("loser_id", "winner_id", "status", "url")
    return {"organization_merges": [{"id": str(m["id"]), **{name: m[name] for name in shape}} for m in found]}


def change_organization(state: State, row: Obj, given: Mapping[str, Any]) -> None:
    """Change an organization; what is not known is ignored, as Zendesk does.

    Raises:
        ZendeskError: A value does not fit.
    """
    changes = {key: given[key] for key in ORGANIZATION_KEYS if key in given}
    check_unique(state, changes, row["id"])
    set_fields(state, row, given.get("organization_fields") or {})
    state.touch("organization", row, changes)


def check_unique(state: State, given: Mapping[str, Any], own: int | None) -> None:
    """Refuse a name or an external id that another organization has."""
    for key in ("name", "external_id"):
        value = given.get(key)
        for other in living(state) if value else ():
            if other["id"] != own and str(other[key] or "").casefold() == str(value).casefold():
                raise invalid(key, f"{key}: {value} has already been taken", "DuplicateValue")


def set_fields(state: State, row: Obj, given: Mapping[str, Any]) -> None:
    """Set custom fields that exist; all are looked at before one is set."""
    fields = {field["key"]: field for field in state.all("organization_field")}
    values = {key: _checked(fields[key], value) for key, value in given.items() if key in fields}
    row["organization_fields"] = {**row["organization_fields"], **values}


def _checked(field: Obj, value: Any) -> Any:
    kind = field["type"]
    if value is None:
        return False if kind == "checkbox" else None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = {
        "decimal": number,
        "integer": number and float(value) == int(value),
        "checkbox": isinstance(value, bool),
        "date": isinstance(value, str) and DATE.fullmatch(value) is not None,
        "dropdown": value in [option["value"] for option in field.get("custom_field_options", ())],
    }.get(kind, isinstance(value, str))
    if not fits:
        raise invalid(field["key"], f"{field['title']}: is not a valid {kind}", "InvalidValue")
    return value


@endpoint("GET", "organization_fields", scope="organizations")
def list_fields(call: Call) -> Any:
    """All custom fields."""
    return listed(call, "organization_fields", call.state.all("organization_field"), shown)


@endpoint("POST", "organization_fields", scope="organizations", admin=True, status=201)
def create_field(call: Call) -> Any:
    """Make one; every organization has it from now on."""
    given = call.part("organization_field")
    key = str(given.get("key") or "")
    if not key or not given.get("title") or given.get("type") not in FIELD_TYPES:
        raise invalid("key", "key, title and type must be given")
    if any(row["key"].casefold() == key.casefold() for row in call.state.all("organization_field")):
        raise invalid("key", "Key: has already been taken", "DuplicateValue")
    made = add_field(call.state, key, str(given["type"]), title=given["title"])
    return {"organization_field": shown(made)}


FIELD_TYPES = frozenset({"checkbox", "date", "decimal", "dropdown", "integer", "regexp", "text", "textarea"})


def add_field(state: State, key: str, kind: str, **more: Any) -> Obj:
    """Make a custom field."""
    made = state.add("organization_field", objects.field(key, kind, **more))
    for row in state.all("organization"):
        row["organization_fields"].setdefault(key, False if kind == "checkbox" else None)
    return made


@endpoint("GET", "incremental/users/cursor", scope="users", admin=True)
def export_users(call: Call) -> Any:
    """Deleted ones are shown as well, as not active."""
    return export_by_cursor(call, "users", call.state.all("user"), shown)


@endpoint("GET", "users/me", scope="users")
def show_me(call: Call) -> Any:
    """Who is behind the credential."""
    return {"user": shown(call.user)}


@endpoint("GET", "users/show_many", scope="users")
def show_users(call: Call) -> Any:
    """Those that are gone are left out."""
    wanted = set(call.wanted)
    return {"users": [shown(row) for row in active(call.state) if row["id"] in wanted]}


@endpoint("GET", "users/count", scope="users")
def count_users(call: Call) -> Any:
    """How many there are."""
    return {"count": {"value": len(active(call.state)), "refreshed_at": text(call.state.now)}}


@endpoint("GET", "users", scope="users")
def list_users(call: Call) -> Any:
    """All of them."""
    return listed(call, "users", active(call.state), shown)


@endpoint("POST", "users", scope="users", status=201)
def create_user(call: Call) -> Any:
    """Make one; addresses are unique."""
    given = call.part("user")
    if not given.get("name"):
        raise invalid("name", "Name: is too short (minimum is 1 characters)")
    email = given.get("email")
    if email and any(str(row["email"]).casefold() == str(email).casefold() for row in active(call.state)):
        raise invalid("email", f"Email: {email} is already being used by another user", "DuplicateValue")
    return {"user": shown(call.state.add("user", objects.user(**{k: given[k] for k in USER_KEYS if k in given})))}


@endpoint("GET", "users/*", scope="users")
def show_user(call: Call) -> Any:
    """One of them; a deleted one can still be seen."""
    return {"user": shown(call.find("user"))}


@endpoint("PUT", "users/*", scope="users")
def update_user(call: Call) -> Any:
    """Change one."""
    row = call.find("user")
    given = call.part("user")
    call.state.touch("user", row, {key: given[key] for key in USER_KEYS if key in given})
    return {"user": shown(row)}


@endpoint("DELETE", "users/*", scope="users")
def delete_user(call: Call) -> Any:
    """Delete one."""
    row = call.find("user")
    call.state.touch("user", row, {"active": False})
    return {"user": shown(row)}


@endpoint("GET", "groups", scope=None)
def list_groups(call: Call) -> Any:
    """All groups of agents."""
    return listed(call, "groups", call.state.all("group"), shown)


@endpoint("GET", "account/settings", scope=None)
def show_settings(call: Call) -> Any:
    """A few settings."""
    del call
    return {"settings": {"api": {"token_access": True}, "active_features": {"satisfaction_ratings": True}}}


def new_job(state: State, rows: list[tuple[str, Any]]) -> Obj:
    """Queue a job; it is worked off when it is asked for."""
    id_ = f"{state.new_id('job_status'):032x}"
    job: Obj = {
        "id": id_,
        "status": "queued",
        "message": None,
        "progress": 0,
        "total": len(rows),
        "results": None,
        "url": f"/api/v2/job_statuses/{id_}.json",
        "_rows": rows,
    }
    state.jobs[id_] = job
    return job
