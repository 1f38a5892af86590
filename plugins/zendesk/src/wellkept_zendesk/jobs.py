"""Jobs: changes of many objects, which Zendesk takes at once and does by and by, each row for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from wellkept import Outcome
from wellkept.errors import CredentialsError, RetryableError
from wellkept.http import StatusError
from wellkept_zendesk.api import Api

if TYPE_CHECKING:
    from wellkept import Clock

POLL_SECONDS = 1.0
MOST_POLLS = 60
"""A job that takes longer is left alone; what is set by it is set again by the next delivery, which is harmless."""

OVER = frozenset({"completed", "failed", "killed"})


class Result(msgspec.Struct):
    """What came of one row."""

    index: int | None = None
    id: int | str | None = None
    success: bool | None = None
    error: str | None = None
    errors: str | None = None


class Job(msgspec.Struct):
    """A job. `results` is a list once it is completed."""

    id: str
    status: str
    results: Any = None


class Answer(msgspec.Struct):
    """What update_many and job_statuses answer."""

    job_status: Job


async def update_many(api: Api, clock: Clock, plural: str, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Change up to a hundred objects, and return one outcome per row, in their order.

    Raises:
        CredentialsError: Zendesk refuses the credential.
    """
    try:
        job = (
            (await api.client.request("PUT", f"/api/v2/{plural}/update_many", json={plural: list(rows)}))
            .json(Answer)
            .job_status
        )
    except CredentialsError:
        raise
    except StatusError as error:
        return [Outcome.rejected(f"Zendesk refuses the batch (HTTP {error.status})")] * len(rows)
    for _ in range(MOST_POLLS):
        if job.status in OVER:
            break
        await clock.sleep(POLL_SECONDS)
        try:
            job = (await api.get(f"/api/v2/job_statuses/{job.id}")).json(Answer).job_status
        except (RetryableError, StatusError):
            continue
    if job.status not in OVER:
        return [Outcome.unknown("the job is not done yet")] * len(rows)
    return _outcomes(job, rows)


def _outcomes(job: Job, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Match results with rows: by index, else by id. A row of which nothing is said is in doubt."""
    try:
        results = msgspec.convert(job.results or [], list[Result])
    except msgspec.ValidationError:
        results = []
    by_index = {result.index: result for result in results if result.index is not None}
    by_id = {str(result.id): result for result in results if result.id is not None}
    outcomes = []
    for index, row in enumerate(rows):
        result = by_id.get(str(row["id"])) or by_index.get(index)
        if result is None:
            outcomes.append(Outcome.unknown(f"the job says nothing about it (it is {job.status})"))
        elif result.error or result.errors or result.success is False:
            outcomes.append(Outcome.rejected(_reason(result)))
        else:
            outcomes.append(Outcome.done(ref=str(row["id"])))
    return outcomes


def _reason(result: Result) -> str:
    """Return the error's name; its details may repeat values."""
    if result.error and "NotFound" in result.error:
        return "the organization is gone"
    return f"Zendesk refuses it: {result.error or 'no reason given'}"
