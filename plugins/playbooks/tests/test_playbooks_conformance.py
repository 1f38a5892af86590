"""The standard tests, on rules of several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from wellkept.testing.conformance import PolicyTests


class TestPlaybooks(PolicyTests):
    plugin = "playbooks"
    beside: ClassVar[Mapping[str, Any]] = {"health": {}}
    keys: ClassVar[Mapping[str, Any]] = {
        "rules": [
            {"name": "turned red", "when": "health_band == 'red' and mrr > usd(500)", "do": ["task: owner", "mail: team"]},
            {"name": "silent", "when": "days_since_use > 30", "do": ["mail: team"], "cooldown": "30d", "holdout": 0.5},
            {"name": "careful", "when": "cancelling", "do": ["task: team"], "approval": True},
        ]
    }
