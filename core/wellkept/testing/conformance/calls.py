"""What an action is called with, what arrives at the vendor, and what the action says of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import msgspec

from wellkept.action import Delivery, Envelope, MessageAction
from wellkept.effects import MessageSend
from wellkept.errors import WellkeptError
from wellkept.pipeline.worker import idempotency_key
from wellkept.records import Json
from wellkept.store import messages
from wellkept.testing.conformance.bench import Bench
from wellkept.testing.conformance.written import without


def calls(action: Any, arrived: Callable[[], Sequence[str]], run: Callable[[], object], *, in_order: bool) -> Json:
    """Run, and return what came of each call of an action, as it is written down.

    Args:
        action: Whose calls are noted.
        arrived: Returns all that has arrived at the vendor so far.
        run: Lets core call the action.
        in_order: Whether what arrives within one call comes in a certain order.
    """
    found: list[Json] = []

    def noted(name: str) -> Callable[..., Any]:
        whole = getattr(action, name)

        async def call(*args: Any) -> Any:
            begun = len(arrived())
            keys = [given.idempotency_key for part in args for given in _listed(part) if hasattr(given, "idempotency_key")]
            end: dict[str, Json] = {}
            try:
                said = await whole(*args)
                end["said"] = _said(msgspec.to_builtins(said))
            except Exception as error:
                end["raised"] = f"{type(error).__name__}: {error}"
                raise
            finally:
                came = list(arrived())[begun:]
                found.append(without({name: came if in_order else sorted(came), **end}, keys))
            return said

        return call

    with ExitStack() as stack:
        for name in ("read", "deliver", "send", "look_up"):
            if hasattr(action, name):
                stack.enter_context(patch.object(action, name, noted(name)))
        run()
    return sorted(found, key=json.dumps)  # whose turn is first depends on the plugin's name


def sending(
    bench: Bench,
    action: MessageAction,
    key: str,
    message: MessageSend,
    envelope: Envelope,
    *,
    arrived: Callable[[], Sequence[str]],
) -> Json:
    """Send a message, and return what came of it, as it is written down.

    Args:
        bench: Where the action is.
        action: Sends it.
        key: Of the effect.
        message: What is to be sent.
        envelope: To whom.
        arrived: Returns all that has arrived at the vendor so far.
    """
    begun, now = len(arrived()), bench.clock.now()
    delivery = Delivery(
        key=key,
        idempotency_key=idempotency_key(key),
        payload=message,
        target=None,
        account=None,
        recipient=envelope.recipient,
        attempt=1,
        first_sent_at=now,
        sent_at=now,
    )
    end: dict[str, Json] = {}
    try:
        end["said"] = _said(msgspec.to_builtins(bench.runtime.run(action.send(delivery, envelope))))
    except WellkeptError as error:
        end["raised"] = f"{type(error).__name__}: {error}"
    store, address = bench.runtime.store, messages.digest(bench.runtime.key, envelope.recipient.address)
    with store.read() as reader:
        end["suppressed"] = messages.suppressed(reader, address)
    return without({"send": list(arrived())[begun:], **end}, [delivery.idempotency_key])


def _said(value: Any) -> Any:
    """Return what an action said, without what is empty, and without waits of which a part is over."""
    if isinstance(value, list):
        return [_said(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if part and not (isinstance(part, float) and part % 1)}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else (value,)
