"""The columns that the default signals read, computed from canonical records of whatever sources there are."""

from __future__ import annotations

from wellkept import Measure
from wellkept.records import Invoice, PaymentAttempt, PaymentMethod, Subscription, SurveyResponse, Ticket, Touch, Usage

RUNNING = "status in ['active', 'trialing', 'past_due', 'unpaid', 'paused']"
"""Subscriptions that have not ended."""

FAILING = "status == 'open' and collection == 'automatic' and attempt_count > 0 and amount_remaining > 0"
"""Invoices that were to be collected, and could not be."""

LATE = "status == 'open' and collection == 'manual' and amount_remaining > 0 and due_at < as_of"
"""Invoices that the customer was to pay by a date that has passed."""

BILLING = (
    Measure(name="mrr", record=Subscription, aggregate="sum", field="mrr", unit="money", doc="Monthly recurring revenue."),
    Measure(name="subscriptions", record=Subscription, aggregate="count", doc="Subscriptions, ended ones included."),
    Measure(
        name="active_subscriptions",
        record=Subscription,
        aggregate="count",
        where=RUNNING,
        doc="Subscriptions that have not ended.",
    ),
    Measure(
        name="past_due_subscriptions",
        record=Subscription,
        aggregate="count",
        where="status in ['past_due', 'unpaid']",
        doc="Subscriptions whose last invoice could not be collected.",
    ),
    Measure(
        name="paused_subscriptions",
        record=Subscription,
        aggregate="count",
        where="status == 'paused'",
        doc="Subscriptions that are paused.",
    ),
    Measure(
        name="cancelling",
        record=Subscription,
        aggregate="any",
        where=f"{RUNNING} and (cancel_at_period_end or known(cancel_at))",
        unit="flag",
        doc="A running subscription is set to end.",
    ),
    Measure(
        name="cancels_at",
        record=Subscription,
        aggregate="min",
        field="cancel_at",
        where=RUNNING,
        unit="date",
        doc="When the first of the running subscriptions ends that are set to.",
    ),
    Measure(
        name="seats_bought",
        record=Subscription,
        aggregate="sum",
        field="quantity",
        where="status in ['active', 'trialing', 'past_due']",
        doc="Seats that running subscriptions pay for.",
    ),
    Measure(
        name="failed_payments_30d",
        record=PaymentAttempt,
        aggregate="count",
        where="status == 'failed'",
        time="attempted_at",
        window=30,
        doc="Tries to collect money that failed in 30 days.",
    ),
    Measure(
        name="failing_invoices",
        record=Invoice,
        aggregate="count",
        where=FAILING,
        doc="Open invoices that could not be collected.",
    ),
    Measure(
        name="failing_amount",
        record=Invoice,
        aggregate="sum",
        field="amount_remaining",
        where=FAILING,
        unit="money",
        doc="What is open on invoices that could not be collected.",
    ),
    Measure(
        name="days_failing",
        record=Invoice,
        aggregate="min",
        field="created_at",
        where=FAILING,
        unit="days",
        doc="Age of the oldest invoice that could not be collected.",
    ),
    Measure(
        name="late_invoices",
        record=Invoice,
        aggregate="count",
        where=LATE,
        doc="Open invoices that the customer has not paid in time.",
    ),
    Measure(
        name="late_amount",
        record=Invoice,
        aggregate="sum",
        field="amount_remaining",
        where=LATE,
        unit="money",
        doc="What is open on invoices that the customer has not paid in time.",
    ),
    Measure(
        name="days_past_due",
        record=Invoice,
        aggregate="min",
        field="due_at",
        where=LATE,
        unit="days",
        doc="Days since the oldest invoice was due that the customer has not paid.",
    ),
    Measure(
        name="uncollectible_invoices_90d",
        record=Invoice,
        aggregate="count",
        where="status == 'uncollectible'",
        time="created_at",
        window=90,
        doc="Invoices of 90 days that were given up.",
    ),
    Measure(
        name="manual_invoices_365d",
        record=Invoice,
        aggregate="count",
        where="collection == 'manual'",
        time="created_at",
        window=365,
        doc="Invoices of a year that the customer pays by themselves.",
    ),
    Measure(name="payment_methods", record=PaymentMethod, aggregate="count", doc="Payment methods on file."),
    Measure(
        name="card_expires_on",
        record=PaymentMethod,
        aggregate="min",
        field="expires_on",
        where="is_default",
        unit="date",
        doc="The last day on which the default card is good.",
    ),
    Measure(
        name="card_expired_days",
        record=PaymentMethod,
        aggregate="min",
        field="expires_on",
        where="is_default",
        unit="days",
        doc="Days since the last one on which the default card was good; negative while it is good.",
    ),
)

USAGE = (
    Measure(name="events_28d", record=Usage, aggregate="sum", field="count", time="day", window=28, doc="Events in 28 days."),
    Measure(
        name="events_before_28d",
        record=Usage,
        aggregate="sum",
        field="count",
        time="day",
        window=28,
        offset=28,
        doc="Events in the 28 days before those.",
    ),
    Measure(
        name="active_days_28d",
        record=Usage,
        aggregate="distinct",
        field="day",
        time="day",
        window=28,
        doc="Days of 28 with any use.",
    ),
    Measure(
        name="active_days_before_84d",
        record=Usage,
        aggregate="distinct",
        field="day",
        time="day",
        window=84,
        offset=28,
        doc="Days with any use in the 84 days before the last 28: the account's own rhythm.",
    ),
    Measure(
        name="days_since_use",
        record=Usage,
        aggregate="max",
        field="day",
        unit="days",
        doc="Days since the last one with any use.",
    ),
    Measure(
        name="seats_active",
        record=Usage,
        aggregate="distinct",
        field="subject",
        time="day",
        window=28,
        doc="People who used the product in 28 days.",
    ),
)

SUPPORT = (
    Measure(name="tickets_28d", record=Ticket, aggregate="count", time="created_at", window=28, doc="Tickets of 28 days."),
    Measure(
        name="tickets_before_84d",
        record=Ticket,
        aggregate="count",
        time="created_at",
        window=84,
        offset=28,
        doc="Tickets of the 84 days before those.",
    ),
    Measure(
        name="open_tickets", record=Ticket, aggregate="count", where="not known(solved_at)", doc="Tickets without a solution."
    ),
    Measure(
        name="reopens_28d",
        record=Ticket,
        aggregate="sum",
        field="reopens",
        time="created_at",
        window=28,
        doc="How often tickets of 28 days were opened again.",
    ),
    Measure(
        name="ticket_churn_intent_60d",
        record=Ticket,
        aggregate="any",
        where="churn_intent",
        time="created_at",
        window=60,
        unit="flag",
        doc="A ticket of 60 days says that the customer wants to leave.",
    ),
)

SATISFACTION = (
    *(
        Measure(
            name=f"{kind}_{name}",
            record=SurveyResponse,
            aggregate="avg",
            field=field,
            where=f"kind == '{kind}'",
            time="answered_at",
            window=730,
            unit="points",
            doc=f"{kind.upper()} answers of two years: {what}.",
        )
        for kind in ("nps", "csat")
        for name, field, what in (
            ("score", "score", "the average"),
            ("low", "scale_min", "the low end of the scale"),
            ("high", "scale_max", "the high end of the scale"),
        )
    ),
    *(
        Measure(
            name=f"{kind}_age_days",
            record=SurveyResponse,
            aggregate="max",
            field="answered_at",
            where=f"kind == '{kind}'",
            unit="days",
            doc=f"Days since the last {kind.upper()} answer.",
        )
        for kind in ("nps", "csat")
    ),
    Measure(
        name="survey_churn_intent_90d",
        record=SurveyResponse,
        aggregate="any",
        where="churn_intent",
        time="answered_at",
        window=90,
        unit="flag",
        doc="An answer of 90 days says that the customer wants to leave.",
    ),
)

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
)

MEASURES: tuple[Measure, ...] = (*BILLING, *USAGE, *SUPPORT, *SATISFACTION, *ENGAGEMENT)
"""All of them."""
