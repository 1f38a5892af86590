"""Wellkept keeps a SaaS company's customers.

This module is the public API: everything that a plugin author imports, together with `wellkept.records`, `wellkept.errors`,
`wellkept.money`, `wellkept.http`, `wellkept.secrets`, `wellkept.expressions` and `wellkept.testing`. Everything else may
change without notice. A name is imported from its module when it is first asked for, so that `wellkept --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wellkept.action import (
        Action,
        Delivery,
        Envelope,
        MessageAction,
        OnceAction,
        Outcome,
        Recipient,
        StateAction,
        StateDelivery,
        Template,
    )
    from wellkept.clock import Clock
    from wellkept.context import Context, PluginInfo, PluginState, Signer, StoreView, Suppressions, Tokens
    from wellkept.effects import (
        PRIORITIES,
        Effect,
        MessageSend,
        Payload,
        Priority,
        ScorePush,
        Target,
        TaskCreate,
        TicketAssign,
        TicketNote,
        TicketPriority,
        TicketTag,
    )
    from wellkept.events import Event
    from wellkept.frame import Aggregate, Column, Formula, Frame, Gap, Measure, Row, Unit, Value
    from wellkept.hookspecs import API, hookimpl
    from wellkept.installation import Installation, Scored, pass_installation
    from wellkept.job import Job
    from wellkept.paths import LocalPath
    from wellkept.policy import Decider, Fact, Facts, Machine, Policy, Step, Verdict
    from wellkept.routes import Route
    from wellkept.scorer import AccountScorer, Contribution, Score, Scorer
    from wellkept.source import (
        Batch,
        CheckResult,
        Cursor,
        Deletion,
        Estimate,
        FetchingSource,
        Finding,
        Hint,
        ReadRequest,
        Received,
        Reject,
        Replace,
        Source,
        Stream,
        WebhookRequest,
        WebhookSource,
        Window,
    )

__all__ = [
    "API",
    "PRIORITIES",
    "AccountScorer",
    "Action",
    "Aggregate",
    "Batch",
    "CheckResult",
    "Clock",
    "Column",
    "Context",
    "Contribution",
    "Cursor",
    "Decider",
    "Deletion",
    "Delivery",
    "Effect",
    "Envelope",
    "Estimate",
    "Event",
    "Fact",
    "Facts",
    "FetchingSource",
    "Finding",
    "Formula",
    "Frame",
    "Gap",
    "Hint",
    "Installation",
    "Job",
    "LocalPath",
    "Machine",
    "Measure",
    "MessageAction",
    "MessageSend",
    "OnceAction",
    "Outcome",
    "Payload",
    "PluginInfo",
    "PluginState",
    "Policy",
    "Priority",
    "ReadRequest",
    "Received",
    "Recipient",
    "Reject",
    "Replace",
    "Route",
    "Row",
    "Score",
    "ScorePush",
    "Scored",
    "Scorer",
    "Signer",
    "Source",
    "StateAction",
    "StateDelivery",
    "Step",
    "StoreView",
    "Stream",
    "Suppressions",
    "Target",
    "TaskCreate",
    "Template",
    "TicketAssign",
    "TicketNote",
    "TicketPriority",
    "TicketTag",
    "Tokens",
    "Unit",
    "Value",
    "Verdict",
    "WebhookRequest",
    "WebhookSource",
    "Window",
    "hookimpl",
    "pass_installation",
]

_HOME = {
    "wellkept.action": (
        "Action",
        "Delivery",
        "Envelope",
        "MessageAction",
        "OnceAction",
        "Outcome",
        "Recipient",
        "StateAction",
        "StateDelivery",
        "Template",
    ),
    "wellkept.clock": ("Clock",),
    "wellkept.context": ("Context", "PluginInfo", "PluginState", "Signer", "StoreView", "Suppressions", "Tokens"),
    "wellkept.effects": (
        "PRIORITIES",
        "Effect",
        "MessageSend",
        "Payload",
        "Priority",
        "ScorePush",
        "Target",
        "TaskCreate",
        "TicketAssign",
        "TicketNote",
        "TicketPriority",
        "TicketTag",
    ),
    "wellkept.events": ("Event",),
    "wellkept.frame": ("Aggregate", "Column", "Formula", "Frame", "Gap", "Measure", "Row", "Unit", "Value"),
    "wellkept.hookspecs": ("API", "hookimpl"),
    "wellkept.installation": ("Installation", "Scored", "pass_installation"),
    "wellkept.job": ("Job",),
    "wellkept.paths": ("LocalPath",),
    "wellkept.policy": ("Decider", "Fact", "Facts", "Machine", "Policy", "Step", "Verdict"),
    "wellkept.routes": ("Route",),
    "wellkept.scorer": ("AccountScorer", "Contribution", "Score", "Scorer"),
    "wellkept.source": (
        "Batch",
        "CheckResult",
        "Cursor",
        "Deletion",
        "Estimate",
        "FetchingSource",
        "Finding",
        "Hint",
        "ReadRequest",
        "Received",
        "Reject",
        "Replace",
        "Source",
        "Stream",
        "WebhookRequest",
        "WebhookSource",
        "Window",
    ),
}
"""Where each public name lives."""

_LEAVING: frozenset[str] = frozenset()
"""Public names that are deprecated; each is entered in `wellkept.deprecation.REGISTER` as well."""


def __getattr__(name: str) -> object:
    """Import a public name from its module, once."""
    for module, names in _HOME.items():
        if name in names:
            value: object = getattr(import_module(module), name)
            if name in _LEAVING:
                import_module("wellkept.deprecation").note(f"{__name__}.{name}")
            else:
                globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
