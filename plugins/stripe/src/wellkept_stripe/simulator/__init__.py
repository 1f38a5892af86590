"""A Stripe account on loopback: for tests, for the demo, and for whoever develops without an account.

Covers the endpoints of billing that the plugin uses, and those that change what it reads. It is stateful, deterministic from a
seed, and answers as API version 2026-10-28.endive, or in some older ones where they are asked for.
"""

from wellkept_stripe.simulator.app import StripeSimulator
from wellkept_stripe.simulator.description import describe
from wellkept_stripe.simulator.webhooks import signature

__all__ = ["StripeSimulator", "describe", "signature"]
