"""Writes: ``score.push`` into the metadata of customers, through Stripe's own SDK over core's HTTP client.

The SDK builds the request and understands the answer; sending is core's, with its limit, deadline and redaction, and without
the SDK's retries. No idempotency key of ours is sent, and for a reason: for a day Stripe answers a known key with the answer of
the first time *without acting*. A value that goes from A to B and back to A would stay B, and a 500 would come back for a day.
Setting metadata again is harmless by itself. (The SDK adds a random key to each call.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import msgspec

from wellkept import Outcome, Payload, ScorePush, StateAction, StateDelivery, Target
from wellkept.errors import RetryableError
from wellkept.http import together
from wellkept.records import Json
from wellkept_stripe.api import Absence, Api, connect
from wellkept_stripe.wire import Labels

if TYPE_CHECKING:
    import stripe

    from wellkept import Context
    from wellkept_stripe.config import StripeConfig

LONGEST_KEY, LONGEST_VALUE, MOST_KEYS = 40, 500, 50
"""Limits of metadata: characters of a key and of a value, keys of an object. Source: docs.stripe.com/api/metadata."""


class PushMetadata(StateAction):
    """Sets keys of ``customer.metadata``; other keys stay as they are."""

    payload: ClassVar[type[Payload]] = ScorePush
    max_batch: ClassVar[int] = 100
    target_types: ClassVar[tuple[str, ...]] = ("account",)

    def __init__(self, ctx: Context[StripeConfig]) -> None:
        self._ctx = ctx

    @cached_property
    def _api(self) -> Api:
        return Api(self._ctx)

    @cached_property
    def _sdk(self) -> stripe.StripeClient:
        from wellkept_stripe.sdk import client

        return client(connect(self._ctx), self._ctx.config.api_base)

    async def deliver(self, deliveries: Sequence[StateDelivery]) -> Sequence[Outcome]:
        """Set the values, a few customers at a time.

        Raises:
            CredentialsError: The key was refused, or may not write customers.
        """
        return await together(deliveries, self._deliver)

    async def _deliver(self, delivery: StateDelivery) -> Outcome:
        values: dict[str, str] = {}
        refused: dict[str, str] = {}
        for name, value in delivery.fields.items():
            text = text_of(value)
            wrong = _wrong(name, text)
            if wrong is None:
                values[name] = text or ""
            else:
                refused[name] = wrong
        outcome = await self._set(delivery.target.id, values) if values else Outcome.done()
        if isinstance(outcome, _TooMany):
            return await self._set_those_that_fit(delivery.target.id, values, refused, outcome)
        return outcome.without(refused)

    async def _set(self, customer: str, values: Mapping[str, str]) -> Outcome | _TooMany:
        import stripe

        try:
            await self._sdk.v1.customers.update_async(customer, {"metadata": dict(values)})
        except RetryableError as error:
            return Outcome.failed(error)
        except stripe.InvalidRequestError as error:
            return _refusal(error)
        except stripe.StripeError as error:
            return Outcome.unknown(f"Stripe answered {error.http_status} ({error.code or type(error).__name__})")
        return Outcome.done(ref=customer)

    async def _set_those_that_fit(
        self, customer: str, values: dict[str, str], refused: dict[str, str], refusal: _TooMany
    ) -> Outcome:
        """Fill what room there is, in the order of the fields, and refuse the rest."""
        present = await self._metadata(customer)
        if present is None:
            return Outcome.rejected("the customer is gone")
        if len({name for name, text in {**present, **values}.items() if text}) <= MOST_KEYS:
            return Outcome.rejected(refusal.reason)
        kept = {**present, **{name: text for name, text in values.items() if name in present}}
        room = MOST_KEYS - sum(text != "" for text in kept.values())
        fitting = {name: text for name, text in values.items() if name in present or text == ""}
        for name, text in values.items():
            if name in fitting:
                continue
            if room > 0:
                fitting[name] = text
                room -= 1
            else:
                refused[name] = f"the customer has {MOST_KEYS} keys of metadata, and there can be no more"
        outcome = await self._set(customer, fitting) if fitting else Outcome.done()
        if isinstance(outcome, _TooMany):
            return Outcome.retry("the customer's metadata changed meanwhile")
        return outcome.without(refused)

    async def read(self, targets: Sequence[Target], fields: Sequence[str]) -> Sequence[Mapping[str, Json] | None]:
        """Return the present values; None for a customer that is gone."""

        async def one(target: Target) -> Mapping[str, Json] | None:
            present = await self._metadata(target.id)
            return None if present is None else {name: present.get(name) for name in fields}

        return await together(targets, one)

    async def _metadata(self, customer: str) -> dict[str, str] | None:
        answer = await self._api.find(f"/v1/customers/{customer}")
        if isinstance(answer, Absence):
            return None
        labels = answer.response.json(Labels)
        return None if labels.deleted else labels.metadata or {}

    def normalise(self, field: str, value: Json) -> Json:
        """Return a value as text, as Stripe keeps it; what is empty is not there."""
        del field
        return text_of(value)


def text_of(value: Json) -> str | None:
    """Return a value as metadata hold it: ``72``, ``71.5``, ``true``; None for what clears the key."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class _TooMany(msgspec.Struct, frozen=True):
    """Stripe refused the metadata as a whole."""

    reason: str


def _wrong(name: str, text: str | None) -> str | None:
    """Return why Stripe could not keep a value under this name, or None."""
    if not name or len(name) > LONGEST_KEY:
        return f"a metadata key has 1 to {LONGEST_KEY} characters"
    if "[" in name or "]" in name:
        return "a metadata key has no square brackets"
    if text is not None and len(text) > LONGEST_VALUE:
        return f"a metadata value has up to {LONGEST_VALUE} characters, not {len(text)}"
    return None


def _refusal(error: stripe.InvalidRequestError) -> Outcome | _TooMany:
    """Return what a 400 or 404 amounts to. Stripe's message may repeat the values, so it is not shown."""
    if error.http_status == 404 or error.code == "resource_missing":
        return Outcome.rejected("the customer is gone")
    why = f"Stripe refuses it: {error.code or 'invalid request'} ({error.param or 'no parameter named'})"
    return _TooMany(why) if error.param == "metadata" else Outcome.rejected(why)
