"""The simulator: service accounts, limits, and the endpoints of the three APIs."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from wellkept import Clock
from wellkept.testing import Answer, Simulator, Spec, parse_pairs
from wellkept.testing.world import Sighting, World
from wellkept_mixpanel.simulator import updates
from wellkept_mixpanel.simulator.limits import Budget, LimitError
from wellkept_mixpanel.simulator.state import GROUP_KEY, Project

SMALLEST_COMPRESSED = 1400
"""Bytes; shorter answers are not compressed."""

MOST_EVENTS, MOST_BYTES = 2000, 10 * 1024 * 1024
"""Of an import."""

MOST_UPDATES = 2000
"""Of a request to ``/engage`` and ``/groups``."""

MOST_EXPORTED = 100_000
"""The largest `limit` of an export."""


class Refused(Exception):  # noqa: N818 - an answer, not a failure
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True)
class ServiceAccount:
    """A service account; a ``consumer`` may see reports, but may not read raw data."""

    secret: str
    role: Literal["consumer", "analyst", "admin"] = "analyst"


class MixpanelSimulator(Simulator):
    """A Mixpanel project that can be talked to.

    Args:
        accounts: How many fictional customers the world has, where no `sightings` are given.
        sightings: The customers as this project knows them.
        clock: Its time.
        seed: Decides ids, habits and histories.
        spec: The description to check both sides against; see `describe`.
        project_id: The project.
        timezone: Its time zone.
        created_before_2023: It stores its own wall clock instead of UTC.
        page_size: Profiles in a page.
        limits: Whether Mixpanel's limits are kept.

    Attributes:
        service_account: The name of a service account that may read everything,
        secret: and its secret.
        api_secret: The project's own secret, an older way in.
        token: The project's token, for sending.
        data_group_id: The id of the group key ``company_id``.
        spoilt: Lines that the next exports have among theirs.
        refused_ids: Ids whose updates are refused, and why.
        verdict: What updates are answered with, instead of what became of them.
        page: Fields of the next pages of profiles that are otherwise; None for one that is missing.
    """

    def __init__(
        self,
        *,
        accounts: int = 0,
        sightings: Sequence[Sighting] | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        spec: Spec | None = None,
        project_id: int = 2_345_678,
        timezone: str = "UTC",
        created_before_2023: bool = False,
        page_size: int = 1000,
        limits: bool = True,
    ) -> None:
        super().__init__(clock=clock, seed=seed, spec=spec)
        self.project_id = project_id
        self.page_size = page_size
        digest = hashlib.sha256(f"mixpanel/{seed}/{project_id}".encode()).hexdigest()
        self.token, self.api_secret = digest[:32], digest[32:]
        self.service_account = f"wellkept.{digest[:6]}.mp-service-account"
        self.secret = digest[8:40]
        self.data_group_id = str(int(digest[:14], 16))
        self._service_accounts = {self.service_account: ServiceAccount(self.secret)}
        self.project = Project(self.clock, seed, self.log, ZoneInfo(timezone), created_before_2023)
        if sightings is None:
            sightings = World(accounts=accounts, seed=seed, now=self.clock.now()).seen_by("analytics")
        self.sightings = sightings
        self.project.populate(sightings)
        self.spoilt: list[bytes] = []
        self._early: list[float | None] = []
        self.refused_ids: dict[str, str] = {}
        self.verdict: bytes | None = None
        self.page: Mapping[str, Any] = {}
        self._export = Budget(self.clock, ((60, 3600), (3, 1)), concurrent=100, kept=limits)
        self._query = Budget(self.clock, ((60, 3600),), concurrent=5, kept=limits)
        self._snapshots: dict[str, list[str]] = {}
        self._sessions = Counter[str]()
        self._begun = self.clock.now() // 1000

    def add_service_account(self, name: str, secret: str, role: Literal["consumer", "analyst", "admin"] = "analyst") -> None:
        """Make a service account of this project, or change one."""
        self._service_accounts[name] = ServiceAccount(secret, role)

    def track(self, distinct_id: str, event: str, at: int, group: str | None = None, *, insert_id: str = "") -> None:
        """Let an event arrive now that happened at `at`, epoch seconds: phones send theirs late."""
        said: dict[str, Any] = {"time": at, "distinct_id": distinct_id, "$insert_id": insert_id or f"late-{distinct_id}-{at}"}
        with self.lock:
            self.project.take({"event": event, "properties": {**said, **({GROUP_KEY: group} if group else {})}})

    def stop_using(self, group: str, days_ago: int = 0) -> None:
        """Let an account's use end; with `days_ago` its events since then turn out to be none, and are removed."""
        with self.lock:
            self.project.habits.stopped[group] = self.clock.now() // 1000 - days_ago * 86_400

    def give_up_export(self, at: float | None = 0.5, *, after: int = 0) -> None:
        """Let an export end with the mark of one that was given up, after a share of its lines; `after` others go well.

        With None, those that were still to be given up go well.
        """
        self._early = [] if at is None else [*self._early, *[None] * after, at]

    def forget_snapshots(self) -> None:
        """Let all sessions of profile queries end."""
        self._snapshots.clear()

    def scenarios(self) -> Mapping[str, Callable[..., object]]:
        """Return what may happen by itself."""
        return {
            "track": self.track,
            "stop_using": self.stop_using,
            "forget_snapshots": self.forget_snapshots,
            "give_up_export": self.give_up_export,
        }

    def error(self, status: int, code: str | None = None) -> Answer:
        """Return an error in Mixpanel's words."""
        message = code or {
            401: "Unable to authenticate request",
            403: "Service account does not have permission to access this resource",
            429: "Project exceeded rate limits. Please retry the request with exponential backoff.",
        }.get(status, "Something went wrong")
        return Answer(status, {"content-type": "application/json"}, json.dumps({"status": "error", "error": message}).encode())

    def routes(self) -> Sequence[BaseRoute]:
        """Return the endpoints; ``GET /api/2.0/engage`` is the older way to ask for profiles, which a leading SDK uses."""
        return [
            Route("/api/2.0/export", self._guarded(self._serve_export, self._export), methods=["GET"]),
            Route("/api/query/engage", self._guarded(self._serve_profiles, self._query), methods=["POST"]),
            Route("/api/2.0/engage", self._guarded(self._serve_profiles, self._query), methods=["GET", "POST"]),
            Route("/import", self._guarded(self._serve_import), methods=["POST"]),
            Route("/track", self._guarded(self._serve_track), methods=["POST"]),
            Route("/engage", self._guarded(self._serve_updates), methods=["POST"]),
            Route("/groups", self._guarded(self._serve_updates), methods=["POST"]),
        ]

    def _guarded(self, serve: Callable[..., Any], budget: Budget | None = None) -> Callable[..., Any]:
        async def endpoint(request: Request) -> Response:
            try:
                with budget.one() if budget is not None else nullcontext():
                    failure = await self.inside(request)
                    answer = failure or await serve(request, await request.body())
            except Refused as refused:
                answer = self.error(refused.status, refused.message)
            except LimitError:
                answer = self.error(429)
            return Response(answer.body, answer.status, dict(answer.headers))

        return endpoint

    # --- who may ---

    def _authenticate(self, request: Request, fields: Mapping[str, Any], *, raw: bool) -> None:
        kind, _, credential = request.headers.get("authorization", "").partition(" ")
        name, _, secret = base64.b64decode(credential).decode("utf-8", "replace").partition(":")
        if kind.lower() != "basic" or not name:
            raise Refused(401, "Unable to authenticate request")
        if name == self.api_secret and not secret:
            return
        account = self._service_accounts.get(name)
        if account is None or account.secret != secret:
            raise Refused(401, "Unable to authenticate request")
        project = request.query_params.get("project_id") or fields.get("project_id")
        if project is None:
            raise Refused(400, "project_id is required with service account credentials")
        if str(project) != str(self.project_id):
            raise Refused(400, "Service account is not a member of this project")
        if raw and account.role == "consumer":
            raise Refused(403, "Service account does not have permission to access this resource")

    # --- reading ---

    async def _serve_export(self, request: Request, body: bytes) -> Answer:
        del body
        asked = request.query_params
        self._authenticate(request, {}, raw=True)
        with self.lock:
            first, last = _day(asked, "from_date"), _day(asked, "to_date")
            if last < first or last > self.project.today():
                raise Refused(400, "to_date must not be before from_date, nor in the future")
            limit = int(asked.get("limit", MOST_EXPORTED + 1))
            if "limit" in asked and not 0 < limit <= MOST_EXPORTED:
                raise Refused(400, f"limit must be between 1 and {MOST_EXPORTED}")
            if "where" in asked:
                raise Refused(400, "this simulator takes no where")
            wanted = set(json.loads(asked["event"])) if "event" in asked else None
            lines = [
                json.dumps(event, ensure_ascii=False).encode()
                for event in self.project.exported(first, last)
                if wanted is None or event["event"] in wanted
            ]
            random.Random(f"{self.seed}/{first}/{last}").shuffle(lines)  # noqa: S311 - a simulation
            if "limit" in asked:
                lines = lines[:limit]
            else:
                lines[len(lines) // 2 : len(lines) // 2] = self.spoilt
                share = self._early.pop(0) if self._early else None
                if share is not None:
                    lines = [*lines[: int(len(lines) * share)], b"terminated early"]
        text = b"\n".join([*lines, b""])
        headers = {"content-type": "text/plain; charset=utf-8"}
        if "gzip" in request.headers.get("accept-encoding", "") and len(text) > SMALLEST_COMPRESSED:
            headers["content-encoding"] = "gzip"
            text = gzip.compress(text, 1, mtime=0)
        return Answer(200, headers, text)

    async def _serve_profiles(self, request: Request, body: bytes) -> Answer:
        fields = {**dict(request.query_params), **dict(parse_pairs(body))}
        self._authenticate(request, fields, raw=True)
        with self.lock:
            table = self.project.users
            if "data_group_id" in fields:
                if fields["data_group_id"] != self.data_group_id:
                    raise Refused(400, "unknown data_group_id")
                table = self.project.groups
            page = int(fields.get("page", 0))
            session = fields.get("session_id")
            if session is None:
                if page:
                    raise Refused(400, "session_id is needed for a page above 0")
                kind = fields.get("data_group_id", "users")
                self._sessions[kind] += 1
                session = f"{self._begun}-{kind}-{self._sessions[kind]}"
                self._snapshots[session] = self._matching(table, fields)
            ids = self._snapshots.get(session)
            if ids is None:
                raise Refused(400, "request for page in uncached query for params")
            part = [id_ for id_ in ids[page * self.page_size : (page + 1) * self.page_size] if id_ in table]
            shown = {
                "page": page,
                "page_size": self.page_size,
                "session_id": session,
                "status": "ok",
                "total": len(ids),
                "results": [{"$distinct_id": id_, "$properties": table[id_]} for id_ in part],
                **self.page,
            }
            return _json({name: value for name, value in shown.items() if value is not None})

    def _matching(self, table: Mapping[str, Any], fields: Mapping[str, str]) -> list[str]:
        wanted = json.loads(fields["distinct_ids"]) if "distinct_ids" in fields else None
        if "distinct_id" in fields:
            wanted = [fields["distinct_id"]]
        return sorted(table) if wanted is None else [str(id_) for id_ in wanted if str(id_) in table]

    # --- sending ---

    async def _serve_import(self, request: Request, body: bytes) -> Answer:
        if len(body) > MOST_BYTES:
            return _json({"code": 413, "error": f"request exceeds max limit of {MOST_BYTES} bytes", "status": "Too Large"}, 413)
        events, _ = self._sent(request, body)
        try:
            self._authenticate(request, {}, raw=False)
        except Refused:
            return _json({"code": 401, "error": "Invalid credentials", "status": "Unauthorized"}, 401)
        if len(events) > MOST_EVENTS:
            return _json({"code": 413, "error": f"more than {MOST_EVENTS} events", "status": "Too Large"}, 413)
        failed = []
        with self.lock:
            for index, event in enumerate(events):
                wrong = _wrong_event(event)
                if wrong is None:
                    self.project.take(event)
                else:
                    failed.append({"index": index, "field": wrong, "message": f"'{wrong}' is missing or invalid"})
        good = len(events) - len(failed)
        verbose = {"status": 0 if failed else 1, "error": "some events are invalid" if failed else None}
        if request.query_params.get("strict") != "1":
            return _json(verbose)
        if failed:
            shown = {"code": 400, "status": "Bad Request", "num_records_imported": good, "failed_records": failed}
            return _json({**shown, "error": "Some data points in the request failed validation."}, 400)
        return _json({"code": 200, "num_records_imported": good, "status": "OK"})

    async def _serve_track(self, request: Request, body: bytes) -> Answer:
        events, verbose = self._sent(request, body)
        good = 0
        with self.lock:
            for event in events:
                if isinstance(event, dict) and event.get("event") and isinstance(event.get("properties"), dict):
                    good += 1
                    said = event["properties"]
                    said["time"] = min(int(said.get("time", 0)) or self.clock.now() // 1000, self.clock.now() // 1000)
                    if said.pop("token", None) == self.token:
                        self.project.take(event)
        return self._received(bool(good), verbose=verbose)

    async def _serve_updates(self, request: Request, body: bytes) -> Answer:
        sent, verbose = self._sent(request, body)
        strict = request.query_params.get("strict") == "1"
        if len(sent) > MOST_UPDATES:
            return _json({"code": 413, "status": "Too Large", "error": f"more than {MOST_UPDATES} updates"}, 413)
        failed = []
        groups = request.url.path == "/groups"
        with self.lock:
            for index, update in enumerate(sent):
                try:
                    updates.apply(self.project, self.token, update, groups=groups, refused=self.refused_ids)
                except updates.Refusal as refusal:
                    failed.append({"index": index, "field": refusal.field, "message": refusal.message})
        good = len(sent) - len(failed)
        if self.verdict is not None:
            return Answer(200, {"content-type": "application/json"}, self.verdict)
        if not strict:
            return self._received(good > 0, verbose=verbose)
        if failed:
            shown = {"code": 400, "status": "Bad Request", "num_good_events": good, "failed_records": failed}
            return _json({**shown, "error": "some data points in the request failed validation"}, 400)
        return _json({"code": 200, "num_good_events": good, "status": "OK"})

    def _sent(self, request: Request, body: bytes) -> tuple[list[Any], bool]:
        """Return what was sent (JSON, NDJSON, or a form whose `data` is JSON or base64 of it), and whether verbosely."""
        kind = request.headers.get("content-type", "")
        verbose = request.query_params.get("verbose") == "1"
        try:
            if request.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if "ndjson" in kind:
                return [json.loads(line) for line in body.splitlines() if line.strip()], verbose
            if "json" in kind:
                found = json.loads(body)
            else:
                form = dict(parse_pairs(body))
                verbose = verbose or form.get("verbose") == "1"
                text = form["data"]
                found = json.loads(text if text.lstrip().startswith(("{", "[")) else base64.b64decode(text))
        except (ValueError, KeyError, OSError):
            raise Refused(400, "data, missing or empty") from None
        return (found if isinstance(found, list) else [found]), verbose

    def _received(self, good: bool, *, verbose: bool) -> Answer:
        if verbose:
            return _json({"status": int(good), "error": None if good else "data, missing or invalid"})
        return Answer(200, {"content-type": "text/plain"}, b"1" if good else b"0")


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, json.dumps(value, ensure_ascii=False).encode())


def _day(asked: Mapping[str, str], name: str) -> date:
    try:
        return date.fromisoformat(asked[name])
    except (KeyError, ValueError):
        raise Refused(400, f"{name} must be a date in the format yyyy-mm-dd") from None


def _wrong_event(event: Any) -> str | None:
    """Return the field for which an event cannot be imported."""
    said = event.get("properties") if isinstance(event, dict) else None
    if not isinstance(said, dict) or not event.get("event"):
        return "event"
    if not isinstance(said.get("time"), (int, float)):
        return "properties.time"
    return next((f"properties.{name}" for name in ("$insert_id", "distinct_id") if name not in said), None)
