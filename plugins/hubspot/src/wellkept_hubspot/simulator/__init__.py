"""A HubSpot account on loopback: for tests, for the demo, and for whoever develops without an account.

Covers the endpoints that the plugin uses and those that change what it reads, in dated paths and in those of v3 and v4. It is
stateful and deterministic from a seed.
"""

from wellkept_hubspot.simulator.app import HubSpotSimulator
from wellkept_hubspot.simulator.description import describe

__all__ = ["HubSpotSimulator", "describe"]
