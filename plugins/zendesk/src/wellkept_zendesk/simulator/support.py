"""Tickets with their tags, comments and history; ratings; jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wellkept_zendesk.simulator import objects
from wellkept_zendesk.simulator.calls import Call, endpoint
from wellkept_zendesk.simulator.companies import change_organization, new_job
from wellkept_zendesk.simulator.errors import ZendeskError, invalid
from wellkept_zendesk.simulator.listing import export_by_cursor, export_by_time, listed
from wellkept_zendesk.simulator.objects import shown, shown_metric, shown_ticket
from wellkept_zendesk.simulator.state import Obj, State, seconds_of, text

KEYS = ("subject", "status", "priority", "type", "assignee_id", "group_id", "external_id", "tags", "custom_fields")
STATUSES = ("new", "open", "pending", "hold", "solved", "closed")
PRIORITIES = ("low", "normal", "high", "urgent", None)


def living(state: State) -> list[Obj]:
    """Return the tickets that are not deleted."""
    return state.all("ticket", lambda row: row["status"] != "deleted")


def living_one(call: Call) -> Obj:
    """Return the ticket that the path names.

    Raises:
        ZendeskError: It was deleted, or never was.
    """
    found = call.find("ticket")
    if found["status"] == "deleted":
        raise ZendeskError(404)
    return found


def _shower(call: Call) -> Any:
    metrics = "metric_sets" in call.query.get("include", "").split(",")
    return lambda row: shown_ticket(row, metrics=metrics)


@endpoint("GET", "incremental/tickets/cursor", scope="tickets", admin=True)
def export_tickets(call: Call) -> Any:
    """Deleted ones are shown as well."""
    return export_by_cursor(call, "tickets", call.state.all("ticket"), _shower(call))


@endpoint("GET", "incremental/tickets", scope="tickets", admin=True)
def export_tickets_by_time(call: Call) -> Any:
    """The older export."""
    return export_by_time(call, "tickets", call.state.all("ticket"), _shower(call))


@endpoint("GET", "tickets/show_many", scope="tickets")
def show_tickets(call: Call) -> Any:
    """Those that are gone are left out."""
    wanted = set(call.wanted)
    return {"tickets": [_shower(call)(row) for row in living(call.state) if row["id"] in wanted]}


@endpoint("GET", "tickets/count", scope="tickets")
def count_tickets(call: Call) -> Any:
    """How many there are."""
    return {"count": {"value": len(living(call.state)), "refreshed_at": text(call.state.now)}}


@endpoint("PUT", "tickets/update_many", scope="tickets")
def update_tickets(call: Call) -> Any:
    """Change many by a job: the same for all, or each for itself."""
    rows = call.body.get("tickets")
    if not isinstance(rows, list):
        rows = [{**call.part("ticket"), "id": id_} for id_ in call.wanted]
    return {"job_status": shown(new_job(call.state, [("ticket", row) for row in rows]))}


@endpoint("GET", "tickets", scope="tickets")
def list_tickets(call: Call) -> Any:
    """All of them."""
    return listed(call, "tickets", living(call.state), _shower(call))


@endpoint("POST", "tickets", scope="tickets", status=201)
def create_ticket(call: Call) -> Any:
    """Make one."""
    given = call.part("ticket")
    comment = given.get("comment") or {}
    body = comment.get("body") or given.get("description")
    if not body:
        raise invalid("base", "Description: cannot be blank")
    requester = call.state.tables["user"].get(int(given.get("requester_id") or call.user["id"]))
    if requester is None:
        raise invalid("requester_id", "Requester: is invalid", "InvalidValue")
    row = {key: given[key] for key in KEYS if key in given}
    subject = str(row.pop("subject", body))
    made = call.state.add(
        "ticket", objects.ticket(subject, requester, **{"description": body, "via": objects.via("api"), **row})
    )
    objects.audit(call.state, made, requester, [_comment(call.state, requester, body, public=True)], {})
    return {"ticket": shown_ticket(made), "audit": call.state.audits[made["id"]][-1]}


@endpoint("GET", "tickets/*/tags", scope="tickets")
def list_tags(call: Call) -> Any:
    """Its tags."""
    return {"tags": living_one(call)["tags"]}


def _given_tags(call: Call) -> list[str]:
    tags = call.body.get("tags")
    if not isinstance(tags, list):
        raise ZendeskError(400, "ParameterMissing", "Parameter tags is required")
    return sorted({part for tag in tags for part in str(tag).lower().split()})


def _retag(call: Call, row: Obj, tags: list[str]) -> dict[str, list[str]]:
    _refuse_closed(row)
    if tags != row["tags"]:
        call.state.touch("ticket", row, {"tags": tags})
        objects.audit(call.state, row, call.user, [{"type": "Change", "field_name": "tags", "value": tags}], {})
    return {"tags": tags}


@endpoint("PUT", "tickets/*/tags", scope="tickets")
def add_tags(call: Call) -> Any:
    """Add some; the others stay."""
    row = living_one(call)
    return _retag(call, row, sorted({*row["tags"], *_given_tags(call)}))


@endpoint("POST", "tickets/*/tags", scope="tickets", status=201)
def set_tags(call: Call) -> Any:
    """Set them; the others go."""
    return _retag(call, living_one(call), _given_tags(call))


@endpoint("DELETE", "tickets/*/tags", scope="tickets")
def remove_tags(call: Call) -> Any:
    """Take some away."""
    row = living_one(call)
    return _retag(call, row, sorted(set(row["tags"]) - set(_given_tags(call))))


@endpoint("GET", "tickets/*/audits", scope="tickets")
def list_audits(call: Call) -> Any:
    """Its history, the oldest first."""
    return listed(call, "audits", call.state.audits.get(living_one(call)["id"], []), shown)


@endpoint("GET", "tickets/*/comments", scope="tickets")
def list_comments(call: Call) -> Any:
    """What was said."""
    audits = call.state.audits.get(living_one(call)["id"], [])
    found = [
        {**event, "created_at": audit["created_at"], "audit_id": audit["id"]}
        for audit in audits
        for event in audit["events"]
        if event["type"] == "Comment"
    ]
    return listed(call, "comments", found, shown)


@endpoint("GET", "tickets/*", scope="tickets")
def show_ticket(call: Call) -> Any:
    """One of them."""
    return {"ticket": _shower(call)(living_one(call))}


@endpoint("PUT", "tickets/*", scope="tickets")
def update_ticket(call: Call) -> Any:
    """Change one."""
    row = living_one(call)
    change_ticket(call.state, row, call.part("ticket"), call.user)
    return {"ticket": shown_ticket(row), "audit": call.state.audits[row["id"]][-1]}


@endpoint("DELETE", "tickets/*", scope="tickets", status=204)
def delete_ticket(call: Call) -> Any:
    """Put it into the bin."""
    bin_ticket(call.state, living_one(call), call.user)


@endpoint("GET", "deleted_tickets", scope="tickets", admin=True)
def list_deleted(call: Call) -> Any:
    """The bin."""

    def show(row: Obj) -> Obj:
        deleted: Obj = row["_deleted"]
        return {"id": row["id"], "subject": row["subject"], **deleted}

    return listed(call, "deleted_tickets", call.state.all("ticket", lambda row: row["status"] == "deleted"), show)


@endpoint("GET", "ticket_metrics", scope="tickets")
def list_metrics(call: Call) -> Any:
    """The metrics of all tickets."""
    return listed(call, "ticket_metrics", living(call.state), shown_metric)


def _refuse_closed(row: Obj) -> None:
    if row["status"] == "closed":
        raise invalid("status", "Status: closed prevents ticket update", "ClosedTicket")


def change_ticket(state: State, row: Obj, given: Mapping[str, Any], author: Obj) -> None:
    """Change a ticket, and write its history.

    Raises:
        ZendeskError: A value does not fit, it is closed, or somebody has changed it since.
    """
    _refuse_closed(row)
    if given.get("safe_update") and seconds_of(str(given.get("updated_stamp"))) < seconds_of(row["updated_at"]):
        raise ZendeskError(409)
    changes = {key: given[key] for key in KEYS if key in given and given[key] != row[key]}
    if changes.get("priority", row["priority"]) not in PRIORITIES or changes.get("status", "open") not in STATUSES:
        raise invalid("base", "Priority or status: is invalid", "InvalidValue")
    if "tags" in changes:
        changes["tags"] = sorted({str(tag).lower() for tag in changes["tags"]})
    agents = {user["id"] for user in state.all("user", lambda user: user["role"] != "end-user" and bool(user["active"]))}
    if changes.get("assignee_id") is not None and changes["assignee_id"] not in agents:
        raise invalid("assignee_id", "Assignee: is not an agent", "InvalidValue")
    if changes.get("group_id") is not None and changes["group_id"] not in state.tables["group"]:
        raise invalid("group_id", "Group: is invalid", "InvalidValue")
    events: list[Obj] = [{"type": "Change", "field_name": key, "value": value} for key, value in changes.items()]
    comment = given.get("comment")
    if isinstance(comment, Mapping):
        events.append(_comment(state, author, str(comment.get("body", "")), public=bool(comment.get("public", True))))
    state.touch("ticket", row, changes)
    objects.audit(state, row, author, events, dict(given.get("metadata") or {}))


def _comment(state: State, author: Obj, body: str, *, public: bool) -> Obj:
    return {"id": state.new_id("audit"), "type": "Comment", "author_id": author["id"], "body": body, "public": public}


def bin_ticket(state: State, row: Obj, actor: Obj) -> None:
    """Put a ticket into the bin, as a deletion or a mark as spam does."""
    deleted = {
        "deleted_at": text(state.now),
        "previous_state": row["status"],
        "actor": {"id": actor["id"], "name": actor["name"]},
    }
    state.touch("ticket", row, {"status": "deleted", "_deleted": deleted})


@endpoint("GET", "satisfaction_ratings/count", scope="satisfaction_ratings")
def count_ratings(call: Call) -> Any:
    """How many there are."""
    return {"count": {"value": len(call.state.all("satisfaction_rating")), "refreshed_at": text(call.state.now)}}


@endpoint("GET", "satisfaction_ratings", scope="satisfaction_ratings")
def list_ratings(call: Call) -> Any:
    """All of them, offers as well; `start_time` looks at when they were offered."""
    score, start = call.query.get("score"), int(call.query.get("start_time") or 0)
    rows = call.state.all("satisfaction_rating", lambda row: seconds_of(row["created_at"]) >= start)
    if score:
        wanted = {"received": {"good", "bad"}}.get(score, {score})
        rows = [row for row in rows if row["score"] in wanted]
    return listed(call, "satisfaction_ratings", rows, shown)


@endpoint("GET", "satisfaction_ratings/*", scope="satisfaction_ratings")
def show_rating(call: Call) -> Any:
    """One of them."""
    return {"satisfaction_rating": shown(call.find("satisfaction_rating"))}


@endpoint("GET", "job_statuses/*", scope=None)
def show_job(call: Call) -> Any:
    """A job; asking for it moves it on: from queued to working to completed."""
    job = call.state.jobs.get(call.ids[0])
    if job is None:
        raise ZendeskError(404)
    if job["status"] == "queued":
        job |= {"status": "working"}
    elif job["status"] == "working":
        work_off(call.state, job, call.user)
    return {"job_status": shown(job)}


def work_off(state: State, job: Obj, author: Obj) -> None:
    """Do what a job was made for, row by row."""
    results: list[Obj] = []
    for index, (kind, row) in enumerate(job["_rows"]):
        result = {"index": index, "id": row.get("id"), "action": "update"}
        found = state.tables[kind].get(int(row.get("id", 0)))
        if found is None or found.get("deleted_at") is not None or found.get("status") == "deleted":
            results.append({**result, "error": f"{kind.capitalize()}NotFound", "details": "Not found"})
            continue
        try:
            if kind == "organization":
                change_organization(state, found, row)
            else:
                change_ticket(state, found, row, author)
        except ZendeskError as error:
            results.append({**result, "error": error.error, "details": str(error.details or error.description)})
        else:
            results.append({**result, "success": True, "status": "Updated"})
    job |= {"status": "completed", "progress": len(results), "results": results, "message": "Completed"}
