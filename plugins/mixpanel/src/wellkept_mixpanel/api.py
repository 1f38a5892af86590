"""Talking to Mixpanel: three APIs with budgets of their own, each kept per project, whoever uses it.

=========  ===========================================  ==================================
API        used for                                     Mixpanel permits
=========  ===========================================  ==================================
export     events                                       60 an hour, 3 a second, 100 at once
query      profiles                                     60 an hour, 5 at once
ingestion  ``score.push``                               no figure is published
=========  ===========================================  ==================================
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from wellkept import Reject
from wellkept.errors import CredentialsError, FatalError, RetryableError, StuckCursorError
from wellkept.http import Basic, NotAllowedError, RateLimit, Response, decode_rows
from wellkept_mixpanel.wire import ErrorAnswer, Profile

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept.http import Client
    from wellkept_mixpanel.config import MixpanelConfig, Region

AN_HOUR = 60
"""Exports, and likewise queries, that a project may make in an hour."""

EXPORT = "/api/2.0/export"
ENGAGE = "/api/query/engage"

PACE = 0.35
"""Seconds from one export to the next: with one at a time, never more than three a second."""

PATIENCE = 2 * 3600.0
"""Seconds that a call may make us wait: up to an hour for its turn, and an hour for its answer."""

PLAIN = {"accept": "text/plain", "accept-encoding": "gzip"}

TERMINATED = b"terminated early"
"""What Mixpanel writes at the end of an export that it gave up. The status was 200 long before."""


class Page(NamedTuple):
    """A page of profiles."""

    rows: list[Profile]
    rejects: list[Reject]
    session: str
    total: int
    last: bool


class Api:
    """One project of one region."""

    def __init__(self, ctx: Context[MixpanelConfig], region: Region | None = None) -> None:
        config, self._clock = ctx.config, ctx.clock
        hosts = config.hosts(region)
        self.project = str(config.project_id)
        name = f"mixpanel/{region or config.region}/{self.project}"
        auth = Basic(config.service_account, config.secret)

        def client(base: str, budget: str, rate: RateLimit) -> Client:
            signed = None if budget == "ingestion" else auth
            return ctx.http(base, auth=signed, rate=rate, credential=f"{name}/{budget}", classify=refusal)

        self._export = client(hosts.export, "export", RateLimit(AN_HOUR, 3600, concurrent=1))
        self._query = client(hosts.query, "query", RateLimit(AN_HOUR, 3600, concurrent=5))
        self.ingestion = client(hosts.ingestion, "ingestion", RateLimit(20, 1))
        self._exported_at = 0.0

    async def export(self, from_date: str, to_date: str, **params: Any) -> AsyncGenerator[bytes, None]:
        """Yield the lines of an export.

        Raises:
            RetryableError: It broke off, as far as that shows: what was yielded is not all.
        """
        early = self._exported_at + PACE - self._clock.monotonic()
        if early > 0:
            await self._clock.sleep(early)
        query = {"project_id": self.project, "from_date": from_date, "to_date": to_date, **params}
        lines = self._export.stream_lines(EXPORT, params=query, headers=PLAIN, deadline=PATIENCE)
        try:
            async with aclosing(lines):
                async for line in lines:
                    if line.endswith(TERMINATED):
                        raise RetryableError(f"GET {EXPORT}: Mixpanel gave up in the middle of the export")
                    yield line
        finally:
            self._exported_at = self._clock.monotonic()

    async def profiles(self, *, page: int = 0, session: str | None = None, **form: Any) -> Page:
        """Read one page of profiles.

        Raises:
            StuckCursorError: It is another page than the one that was asked for.
        """
        fields = {"session_id": session, "page": page if session else None, **form}
        response = await self._query.post(
            ENGAGE, params={"project_id": self.project}, form=fields, retry=True, deadline=PATIENCE
        )
        found = decode_rows(response, Profile, path=("results",), id_field="$distinct_id")
        rest = found.rest
        if rest.get("page", page) != page:
            raise StuckCursorError(f"POST {ENGAGE}: page {page} was asked for, and another one came")
        size, total = rest.get("page_size"), rest.get("total")
        if not isinstance(size, int) or size < 1:
            raise FatalError(f"POST {ENGAGE}: the answer has no `page_size`, so the last page cannot be known")
        count = len(found.rows) + len(found.rejects)
        session = rest.get("session_id") or session
        last = count < size
        if not last and not session:
            raise FatalError(f"POST {ENGAGE}: the answer has no `session_id`, so the next page cannot be asked for")
        rows = [row for row, _ in found.rows]
        return Page(rows, found.rejects, str(session or ""), total if isinstance(total, int) else count, last)

    async def by_id(self, ids: Sequence[str], **form: Any) -> Page:
        """Read the profiles with these ids, as one page of all that there are."""
        wanted = msgspec.json.encode(list(ids)).decode()
        found = page = await self.profiles(distinct_ids=wanted, **form)
        number = 0
        while not page.last:
            number += 1
            page = await self.profiles(page=number, session=page.session, distinct_ids=wanted, **form)
            found = page._replace(rows=[*found.rows, *page.rows], rejects=[*found.rejects, *page.rejects])
        return found


def refusal(response: Response) -> Exception | None:
    """Return the error of a refused credential; leave the rest to the status.

    Mixpanel answers 400 where a service account does not belong to the project that is asked for.
    """
    if response.status not in {400, 401, 403}:
        return None
    reading = EXPORT in response.where or ENGAGE in response.where
    said = complaint(response.body).lower()
    if response.status == 400 and not (reading and ("project" in said or "authenticate" in said)):
        return None
    message = f"{response.where}: HTTP {response.status}"
    if not reading:
        return NotAllowedError(f"{message}: Mixpanel refuses the project's token", guidance="check token and region")
    if response.status == 403:
        mend = "give it the role Analyst or above in this project: Project settings, Service Accounts"
        return CredentialsError(f"{message}: the service account lacks a permission", missing=("Analyst",), guidance=mend)
    mend = "check service_account, secret, project_id and region"
    return CredentialsError(f"{message}: Mixpanel does not know this service account in this project", guidance=mend)


def complaint(body: bytes) -> str:
    """Return what an error answer says; it may repeat what was sent, so it is never shown."""
    try:
        return msgspec.json.decode(body, type=ErrorAnswer).error or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
