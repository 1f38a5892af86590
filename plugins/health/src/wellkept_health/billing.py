"""Columns from billing: revenue, what ends, what could not be collected, cards."""

from __future__ import annotations

from wellkept import Formula, Measure
from wellkept.records import Invoice, PaymentAttempt, PaymentMethod, Subscription

RUNNING = "status in ['active', 'trialing', 'past_due', 'unpaid', 'paused']"
"""Subscriptions that have not ended."""

FAILING = "status == 'open' and collection == 'automatic' and attempt_count > 0 and amount_remaining > 0"
"""Invoices that were to be collected, and could not be."""

LATE = "status == 'open' and collection == 'manual' and amount_remaining > 0 and due_at < as_of"
"""Invoices that the customer was to pay by a date that has passed."""

BILLING = (
    Measure(name="mrr", record=Subscription, aggregate="sum", field="mrr", unit="money", doc="Monthly recurring revenue."),
    *(
        Measure(
            name=f"mrr_{days}d_ago",
            record=Subscription,
            aggregate="sum",
            field="mrr",
            time="started_at",
            offset=days,
            ago=days,
            unit="money",
            doc=f"Monthly recurring revenue {days} days ago, at today's exchange rates.",
        )
        for days in (28, 90)
    ),
    Measure(
        name="plan",
        record=Subscription,
        aggregate="latest",
        field="plan",
        time="started_at",
        where=RUNNING,
        unit="text",
        doc="Plan of the running subscription that began last.",
    ),
    Measure(name="subscriptions", record=Subscription, aggregate="count", doc="Subscriptions, ended ones included."),
    Measure(
        name="active_subscriptions",
        record=Subscription,
        aggregate="count",
        where=RUNNING,
        doc="Subscriptions that have not ended.",
        leaks=True,
    ),
    Measure(
        name="ended_unpaid",
        record=Subscription,
        aggregate="any",
        where="end_reason == 'involuntary' and known(ended_at)",
        unit="flag",
        doc="A subscription ended because it was not paid.",
        leaks=True,
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
        leaks=True,
    ),
    Measure(
        name="cancelling",
        record=Subscription,
        aggregate="any",
        where=f"{RUNNING} and (cancel_at_period_end or known(cancel_at))",
        unit="flag",
        doc="A running subscription is set to end.",
        leaks=True,
    ),
    Measure(
        name="cancels_at",
        record=Subscription,
        aggregate="min",
        field="cancel_at",
        where=RUNNING,
        unit="date",
        doc="When the first of the running subscriptions ends that are set to.",
        leaks=True,
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

BILLING_FORMULAS = (
    Formula(
        name="mrr_trend_28d", value="mrr / mrr_28d_ago", doc="Monthly recurring revenue as a share of what it was 28 days ago."
    ),
    Formula(
        name="mrr_trend_90d", value="mrr / mrr_90d_ago", doc="Monthly recurring revenue as a share of what it was 90 days ago."
    ),
)
