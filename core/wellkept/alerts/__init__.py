"""Alerts: what is wrong is told once when it begins, and once when it is over.

After each run `conditions` says what is wrong, `wellkept.store.alerts` keeps the episodes, and `watch` tells who wants to know.
Nothing here needs a plugin, since a broken plugin is among what there is to tell.
"""

from wellkept.alerts.conditions import RUNBOOK, Limits
from wellkept.alerts.watch import Watch, stale_limits

__all__ = ["RUNBOOK", "Limits", "Watch", "stale_limits"]
