"""Stripe's own SDK, with core's HTTP client in the place of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import stripe

from wellkept.http import StatusError
from wellkept_stripe.wire import API_VERSION

if TYPE_CHECKING:
    from wellkept.http import Client

PASSED_ON = ("content-type", "idempotency-key")
"""Of the SDK's headers; the key and the version are core's to send, and telemetry stays at home."""


class Sender(stripe.HTTPClient):
    """Sends what the SDK asks for through core.

    Errors of core pass through the SDK as they are: they tell what may have happened. Answers of any status are the SDK's to
    understand.
    """

    name = "wellkept"

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Send one request, once."""
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        kept = {name: lower[name] for name in PASSED_ON if name in lower}
        content = post_data.encode() if isinstance(post_data, str) else post_data
        try:
            response = await self._client.request(method, url, content=content, headers=kept, retry=False)
        except StatusError as error:
            return error.body, error.status, error.headers
        return response.body, response.status, response.headers

    async def close_async(self) -> None:
        """Do nothing: the client is closed by whoever made it."""


def client(http: Client, base: str) -> stripe.StripeClient:
    """Return an SDK client that never retries, and that sees no key: core signs."""
    logging.getLogger("stripe").setLevel(logging.WARNING)  # its debug lines hold whole answers: names, addresses
    stripe.enable_telemetry = False  # it would keep an id in the user's own folder of settings
    return stripe.StripeClient(
        "sk_core_signs_requests",
        http_client=Sender(http),
        base_addresses={"api": base},
        stripe_version=API_VERSION,
        max_network_retries=0,
    )
