"""A Zendesk account that can be talked to: for tests, for the demo, and for developing without an account."""

from __future__ import annotations

from wellkept_zendesk.simulator.app import ZendeskSimulator
from wellkept_zendesk.simulator.description import describe

__all__ = ["ZendeskSimulator", "describe"]
