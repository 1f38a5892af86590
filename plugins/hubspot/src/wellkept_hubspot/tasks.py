"""``task.create``: a task for the owner, about the company; made once.

Every task carries its effect's key in a property of its own, ``wellkept_key``, whose values HubSpot keeps unique where it can.
After a try in doubt the task is looked up by that key; a second one with the same key would be refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, ClassVar

import msgspec

from wellkept import Delivery, OnceAction, Outcome, Payload, TaskCreate
from wellkept.errors import CredentialsError, RetryableError
from wellkept.http import StatusError
from wellkept_hubspot.api import Api
from wellkept_hubspot.mapping import OWNER
from wellkept_hubspot.properties import GROUP, Properties

if TYPE_CHECKING:
    from wellkept import Context
    from wellkept_hubspot.config import HubSpotConfig

KEY = "wellkept_key"


class _Made(msgspec.Struct):
    id: str


class CreateTask(OnceAction[TaskCreate]):
    """Creates tasks."""

    payload: ClassVar[type[Payload]] = TaskCreate
    settle_after: ClassVar[timedelta] = timedelta(minutes=5)

    def __init__(self, ctx: Context[HubSpotConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    @cached_property
    def _properties(self) -> Properties:
        return Properties(self._api, "tasks")

    async def deliver(self, deliveries: Sequence[Delivery[TaskCreate]]) -> Sequence[Outcome]:
        """Create the tasks, one by one.

        Raises:
            CredentialsError: The token was refused, or may not create tasks.
        """
        return [await self._deliver(delivery) for delivery in deliveries]

    async def _deliver(self, delivery: Delivery[TaskCreate]) -> Outcome:
        try:
            problem = await self._prepare()
            owner = await self._owner(delivery)
        except CredentialsError:
            raise
        except RetryableError as error:  # the task itself has not left
            return Outcome.retry(error.message, after=error.retry_after)
        if problem is not None:
            return Outcome.rejected(problem)
        return await self._create(delivery, owner)

    async def _create(self, delivery: Delivery[TaskCreate], owner: str | None) -> Outcome:
        from wellkept_hubspot import sdk

        task, target = delivery.payload, delivery.target
        values = {
            "hs_task_subject": task.title,
            "hs_task_body": escape(task.body, quote=False).replace("\n", "<br>"),
            "hs_task_status": "NOT_STARTED",
            "hs_timestamp": str(task.due_at if task.due_at is not None else self._ctx.clock.now()),
            KEY: delivery.idempotency_key,
        }
        if owner is not None:
            values["hubspot_owner_id"] = owner
        ours = target is not None and (target.instance, target.type) == (self._ctx.instance, "account")
        body = sdk.creation(values, company=target.id if target is not None and ours else None)
        try:
            response = await self._api.client.post(self._api.objects("tasks"), json=body, retry=False)
        except RetryableError as error:
            return Outcome.failed(error)
        except StatusError as error:
            return await self._refused(delivery, error)
        return Outcome.done(ref=response.json(_Made).id)

    async def _refused(self, delivery: Delivery[TaskCreate], error: StatusError) -> Outcome:
        """Find out whether a refusal means that the task is there already."""
        try:
            found = await self.look_up(delivery)
        except CredentialsError:
            raise
        except RetryableError:
            return Outcome.unknown(error.message)
        if found is not None and found.status == "done":
            return found
        return Outcome.rejected(f"HubSpot refuses the task (HTTP {error.status})")

    async def look_up(self, delivery: Delivery[TaskCreate]) -> Outcome | None:
        """Find the task by its key: at once where HubSpot keeps keys unique, else by a search, whose index lags behind."""
        key = delivery.idempotency_key
        try:
            page = await self._api.by_id("tasks", [key], [KEY], id_property=KEY)
        except StatusError as error:
            if error.status not in {400, 404}:
                return None
            equal = {"propertyName": KEY, "operator": "EQ", "value": key}
            if KEY not in await self._properties.known(again=True):
                return Outcome.retry("HubSpot has no task of ours")
            page = await self._api.searched("tasks", [KEY], [equal], limit=1)
        if page.rejects:
            return None
        if page.rows:
            return Outcome.done(ref=page.rows[0].row.id)
        return Outcome.retry("HubSpot does not have the task")

    async def _prepare(self) -> str | None:
        """Make the properties that are missing; return why the key could not be made."""
        from wellkept_hubspot import sdk

        known = await self._properties.known(again=True)  # an admin may have changed them since
        config = self._ctx.config
        if KEY not in known:
            why = "Tells Wellkept which task it has made already."
            plain = sdk.definition(KEY, "string", group_name=GROUP, label="Wellkept key", description=why)
            problem = await self._properties.make({**plain, "hasUniqueValue": True})
            if problem is not None:  # not every edition keeps values of tasks unique
                problem = await self._properties.make(plain)
            if problem is not None:
                return problem
        if config.task_outcome_property not in known:
            label = config.task_outcome_property.removeprefix("wellkept_").replace("_", " ").capitalize()
            why = "What came of the task; Wellkept reads it."
            definition = sdk.definition(
                config.task_outcome_property,
                "enumeration",
                group_name=GROUP,
                label=label,
                description=why,
                options=config.task_outcomes,
            )
            await self._properties.make(definition)  # without it people note no outcome, which is no reason to make no task
        return None

    async def _owner(self, delivery: Delivery[TaskCreate]) -> str | None:
        """Return HubSpot's id of the person who is meant; None where HubSpot does not know them."""
        recipient = delivery.recipient
        if recipient is None:
            return None
        person = recipient.person
        if person is not None and person.instance == self._ctx.instance and person.id.startswith(OWNER):
            return person.id.removeprefix(OWNER)
        page = await self._api.owners(email=recipient.address)
        return next((owner.id for owner, _ in page.owners), None)
