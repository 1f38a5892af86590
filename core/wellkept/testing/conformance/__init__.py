"""The conformance kit: subclass one class per kind of object, and get the standard tests by name."""

from wellkept.testing.conformance.actions import ActionTests
from wellkept.testing.conformance.bench import Bench
from wellkept.testing.conformance.case import Case
from wellkept.testing.conformance.jobs import JobTests
from wellkept.testing.conformance.opinions import PolicyTests, ScorerTests
from wellkept.testing.conformance.plugins import PluginTests
from wellkept.testing.conformance.recordings import RecordingTests
from wellkept.testing.conformance.sources import SourceTests
from wellkept.testing.conformance.webhooks import WebhookTests

__all__ = [
    "ActionTests",
    "Bench",
    "Case",
    "JobTests",
    "PluginTests",
    "PolicyTests",
    "RecordingTests",
    "ScorerTests",
    "SourceTests",
    "WebhookTests",
]
