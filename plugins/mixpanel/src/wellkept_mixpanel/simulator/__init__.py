"""A Mixpanel project on loopback: for tests, for the demo, and for whoever develops without an account.

Export, profile queries and ingestion, stateful and deterministic from a seed, with Mixpanel's limits and quirks.
"""

from wellkept_mixpanel.simulator.app import MixpanelSimulator
from wellkept_mixpanel.simulator.description import describe

__all__ = ["MixpanelSimulator", "describe"]
