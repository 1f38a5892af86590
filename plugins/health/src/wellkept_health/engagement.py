"""Columns from marketing and from our own tasks: whether the customer answers, and whether we keep our word."""

from __future__ import annotations

from wellkept import Formula, Measure
from wellkept.records import Task, Touch

OPEN = "not known(completed_at) and status not in ['done', 'completed', 'canceled', 'deferred']"
"""Tasks that wait to be done, in the words of the CRMs."""

ENGAGEMENT = (
    Measure(
        name="touches_90d",
        record=Touch,
        aggregate="count",
        where="kind not in ['sent', 'delivered', 'bounced', 'unsubscribed']",
        time="at",
        window=90,
        doc="What the customer did with our mail and pages in 90 days: opened, clicked, visited.",
    ),
    Measure(
        name="mails_sent_90d",
        record=Touch,
        aggregate="count",
        where="kind == 'sent'",
        time="at",
        window=90,
        doc="Mails that went out in 90 days.",
    ),
    Measure(
        name="mails_opened_90d",
        record=Touch,
        aggregate="count",
        where="kind == 'opened'",
        time="at",
        window=90,
        doc="Mails that were opened in 90 days.",
    ),
    Measure(
        name="mails_clicked_90d",
        record=Touch,
        aggregate="count",
        where="kind == 'clicked'",
        time="at",
        window=90,
        doc="Clicks on links in mails in 90 days.",
    ),
    Measure(
        name="open_tasks",
        record=Task,
        aggregate="count",
        where=OPEN,
        doc="Tasks of ours that are not done.",
    ),
    Measure(
        name="overdue_tasks",
        record=Task,
        aggregate="count",
        where=f"{OPEN} and due_at < as_of",
        doc="Tasks of ours that are not done in time.",
    ),
    Measure(
        name="tasks_done_90d",
        record=Task,
        aggregate="count",
        time="completed_at",
        window=90,
        doc="Tasks of ours that were done in 90 days.",
    ),
    Measure(
        name="days_since_task",
        record=Task,
        aggregate="max",
        field="completed_at",
        unit="days",
        doc="Days since we last did something for the account.",
    ),
)

ENGAGEMENT_FORMULAS = (
    Formula(name="mail_open_rate_90d", value="mails_opened_90d / mails_sent_90d", doc="Opened mails as a share of those sent."),
)
