"""The default scorecard, in the words of its own configuration: weights, signals, and the card for new customers.

The figures are a beginning, not a law: every company should hold them against its own churn. Trouble with payment (the group
``billing``) is kept apart from what the customer *wants*, which shows in usage, support, satisfaction and engagement; each says
so in its words. A ceiling keeps a single clear sign, such as a cancellation, from being averaged away.
"""

from __future__ import annotations

from typing import Any

WEIGHTS: dict[str, float] = {"usage": 30, "support": 15, "satisfaction": 10, "billing": 25, "engagement": 20}
"""Weight of each group, in points of 100."""

SIGNALS: dict[str, dict[str, Any]] = {
    # --- usage ---
    "usage_trend": {
        "group": "usage",
        "value": "events_28d / events_before_28d",
        "when": "events_before_28d >= 10",
        "knots": [(0, 0), (0.5, 30), (0.8, 75), (1, 100)],
        "weight": 4,
        "reason": "uses less: {events_28d} events in 28 days, {events_before_28d} in the 28 days before",
        "fine": "{events_28d} events in 28 days, {events_before_28d} in the 28 days before",
    },
    "silence": {
        "group": "usage",
        "value": "days_since_use * active_days_before_84d / 84",
        "when": "active_days_before_84d >= 4",
        "knots": [(2, 100), (5, 50), (10, 0)],
        "weight": 4,
        "ceiling": 60,
        "reason": "went silent: {days_since_use} without use, before that used on {active_days_before_84d} of 84 days",
        "fine": "{days_since_use} since the last use",
    },
    "active_days": {
        "group": "usage",
        "value": "active_days_28d",
        "knots": [(0, 0), (4, 50), (12, 100)],
        "weight": 2,
        "reason": "used on {value} of 28 days",
    },
    "frequency": {
        "group": "usage",
        "value": "active_days_28d * 3 / active_days_before_84d",
        "when": "active_days_before_84d >= 9",
        "knots": [(0, 0), (0.4, 30), (0.75, 90), (0.85, 100)],
        "weight": 2,
        "reason": "comes less often: on {active_days_28d} of 28 days, before that on {active_days_before_84d} of 84",
        "fine": "used on {active_days_28d} of 28 days, before that on {active_days_before_84d} of 84",
    },
    "core_features": {
        "group": "usage",
        "value": "core_features_used / core_features",
        "when": "core_features > 0",
        "knots": [(0, 0), (0.5, 50), (1, 100)],
        "weight": 3,
        "cause": "features",
        "unit": "ratio",
        "reason": "core features unused: {core_features_unused} ({core_features_used} of {core_features} used in 28 days)",
        "fine": "all {core_features} core features used in 28 days",
    },
    "stickiness": {
        "group": "usage",
        "value": "stickiness",
        "when": "seats_active >= 3",
        "knots": [(0, 0), (0.05, 60), (0.15, 100)],
        "weight": 1,
        "reason": "people come rarely: {value} of those of 28 days are there on an average day",
        "fine": "{value} of the people of 28 days are there on an average day",
    },
    "nobody": {
        "group": "usage",
        "value": "seats_active",
        "when": "seats_bought >= 1 and tenure_days >= 30",
        "knots": [(0, 0), (1, 100)],
        "weight": 3,
        "ceiling": 50,
        "reason": "nobody uses it: no person in 28 days, {seats_bought} seats paid for",
        "fine": "{seats_active} people used it in 28 days",
    },
    "seats": {
        "group": "usage",
        "value": "seats_active / seats_bought",
        "when": "seats_bought >= 3 and tenure_days >= 30",
        "knots": [(0, 0), (0.25, 30), (0.6, 80), (0.8, 100)],
        "weight": 3,
        "reason": "seats unused: {seats_active} people use the {seats_bought} seats paid for",
        "fine": "{seats_active} people use the {seats_bought} seats paid for",
    },
    # --- support ---
    "tickets_per_seat": {
        "group": "support",
        "value": "(tickets_28d - tickets_before_84d / 3) * 10 / max(seats_bought, 10)",
        "when": "known(seats_bought) and seats_bought > 0",
        "knots": [(0, 100), (2, 70), (6, 20), (10, 0)],
        "weight": 3,
        "reason": (
            "asks for help more than usual: {tickets_28d} tickets in 28 days, {tickets_before_84d} in the 84 days before,"
            " {seats_bought} seats"
        ),
        "fine": "{tickets_28d} tickets in 28 days, {tickets_before_84d} in the 84 days before, {seats_bought} seats",
    },
    "slow_reply": {
        "group": "support",
        "value": "reply_median_90d",
        "when": "known(reply_median_90d)",
        "knots": [(240, 100), (1440, 60), (4320, 0)],
        "weight": 1,
        "reason": "waits for answers: half of the first replies took {value} or more, one in ten {reply_p90_90d} or more",
        "fine": "half of the first replies came within {value}",
    },
    "slow_solution": {
        "group": "support",
        "value": "resolution_median_90d",
        "when": "known(resolution_median_90d)",
        "knots": [(2880, 100), (10080, 60), (30240, 0)],
        "weight": 1,
        "reason": "waits for solutions: half of the tickets took {value} or more, one in ten {resolution_p90_90d} or more",
        "fine": "half of the tickets were solved within {value}",
    },
    "ticket_load": {
        "group": "support",
        "value": "tickets_28d - tickets_before_84d / 3",
        "when": "seats_bought is None or seats_bought == 0",
        "knots": [(0, 100), (2, 70), (6, 20), (10, 0)],
        "weight": 3,
        "reason": "asks for help more than usual: {tickets_28d} tickets in 28 days, {tickets_before_84d} in the 84 days before",
        "fine": "{tickets_28d} tickets in 28 days, {tickets_before_84d} in the 84 days before",
    },
    "reopened": {
        "group": "support",
        "value": "reopens_28d",
        "knots": [(0, 100), (1, 60), (3, 0)],
        "weight": 2,
        "reason": "solutions did not last: tickets opened again {value} times in 28 days",
        "fine": "no ticket opened again in 28 days",
    },
    "open_tickets": {
        "group": "support",
        "value": "open_tickets",
        "knots": [(0, 100), (3, 70), (8, 0)],
        "weight": 1,
        "reason": "open tickets: {value}",
    },
    "ticket_churn_intent": {
        "group": "support",
        "value": "ticket_churn_intent_60d",
        "cause": "none",
        "knots": [(0, 100), (1, 0)],
        "weight": 4,
        "ceiling": 40,
        "reason": "wants to leave: a ticket of the last 60 days says so",
        "fine": "no ticket of the last 60 days speaks of leaving",
    },
    # --- satisfaction ---
    "nps": {
        "group": "satisfaction",
        "value": "(nps_score - nps_low) / (nps_high - nps_low)",
        "age": "nps_age_days",
        "half_life": 180,
        "cause": "other",
        "knots": [(0, 0), (0.6, 30), (0.8, 80), (0.9, 100)],
        "weight": 3,
        "reason": (
            "would not recommend us: NPS {nps} ± {nps_margin}, answers: {nps_answers}, on average {nps_score} of {nps_high},"
            " the last one {nps_age_days} ago"
        ),
        "fine": "NPS {nps} ± {nps_margin}, answers: {nps_answers}, the last one {nps_age_days} ago",
    },
    "csat": {
        "group": "satisfaction",
        "value": "(csat_score - csat_low) / (csat_high - csat_low)",
        "age": "csat_age_days",
        "half_life": 60,
        "knots": [(0, 0), (0.5, 30), (0.75, 80), (1, 100)],
        "weight": 3,
        "reason": (
            "not satisfied: {csat} of the CSAT answers are good, answers: {csat_answers},"
            " on average {csat_score} of {csat_high}, the last one {csat_age_days} ago"
        ),
        "fine": "{csat} of the CSAT answers are good, answers: {csat_answers}, the last one {csat_age_days} ago",
    },
    "survey_churn_intent": {
        "group": "satisfaction",
        "value": "survey_churn_intent_90d",
        "cause": "none",
        "knots": [(0, 100), (1, 0)],
        "weight": 4,
        "ceiling": 40,
        "reason": "wants to leave: an answer of the last 90 days says so",
        "fine": "no answer of the last 90 days speaks of leaving",
    },
    # --- billing: trouble with payment, whatever the customer wants ---
    "failed_payments": {
        "group": "billing",
        "value": "failed_payments_30d",
        "knots": [(0, 100), (1, 50), (3, 10), (5, 0)],
        "weight": 3,
        "reason": "payment trouble: {value} failed payments in 30 days",
        "fine": "no failed payment in 30 days",
    },
    "failing_invoices": {
        "group": "billing",
        "value": "failing_invoices",
        "knots": [(0, 100), (1, 30), (3, 0)],
        "weight": 3,
        "reason": "payment trouble: {value} open invoices could not be collected, {failing_amount} in all",
        "fine": "no invoice waits to be collected",
    },
    "days_failing": {
        "group": "billing",
        "value": "days_failing",
        "when": "failing_invoices > 0",
        "knots": [(0, 60), (7, 30), (21, 0)],
        "weight": 2,
        "ceiling": 60,
        "reason": "payment trouble: the oldest invoice that could not be collected is {value} old",
    },
    "late_invoices": {
        "group": "billing",
        "value": "late_invoices",
        "knots": [(0, 100), (1, 40), (3, 0)],
        "weight": 3,
        "reason": "payment trouble: {value} invoices past due, {late_amount} in all",
        "fine": "no invoice past due",
    },
    "days_past_due": {
        "group": "billing",
        "value": "days_past_due",
        "when": "late_invoices > 0",
        "knots": [(0, 80), (14, 40), (45, 0)],
        "weight": 2,
        "ceiling": 60,
        "reason": "payment trouble: the oldest unpaid invoice is {value} past due",
    },
    "past_due": {
        "group": "billing",
        "value": "past_due_subscriptions",
        "knots": [(0, 100), (1, 10), (2, 0)],
        "weight": 3,
        "ceiling": 60,
        "reason": "payment trouble: subscriptions past due or unpaid: {value}",
        "fine": "no subscription past due",
    },
    "uncollectible": {
        "group": "billing",
        "value": "uncollectible_invoices_90d",
        "knots": [(0, 100), (1, 0)],
        "weight": 2,
        "reason": "payment trouble: {value} invoices of 90 days given up as uncollectible",
        "fine": "no invoice given up in 90 days",
    },
    "card_expiring": {
        "group": "billing",
        "value": "card_expired_days",
        "when": "known(card_expired_days)",
        "knots": [(-60, 100), (-30, 80), (-7, 30), (1, 0)],
        "weight": 2,
        "reason": "payment trouble ahead: the card is good until {card_expires_on}",
        "fine": "the card is good until {card_expires_on}",
    },
    "no_payment_method": {
        "group": "billing",
        "value": "payment_methods",
        "when": "mrr > 0 and manual_invoices_365d == 0",
        "knots": [(0, 0), (1, 100)],
        "weight": 2,
        "reason": "payment trouble ahead: no payment method on file",
        "fine": "payment methods on file: {value}",
    },
    # --- engagement: whether the customer wants to stay ---
    "cancelling": {
        "group": "engagement",
        "value": "cancelling",
        "cause": "none",
        "knots": [(0, 100), (1, 0)],
        "weight": 5,
        "ceiling": 25,
        "reason": "wants to leave: a subscription is set to end on {cancels_at}",
        "fine": "no subscription is set to end",
    },
    "ended": {
        "group": "engagement",
        "value": "active_subscriptions",
        "when": "subscriptions > 0",
        "cause": "none",
        "knots": [(0, 0), (1, 100)],
        "weight": 4,
        "ceiling": 10,
        "reason": "has left: no subscription runs any more",
        "fine": "running subscriptions: {value}",
    },
    "paused": {
        "group": "engagement",
        "value": "paused_subscriptions",
        "cause": "none",
        "knots": [(0, 100), (1, 20)],
        "weight": 2,
        "ceiling": 60,
        "reason": "takes a break: paused subscriptions: {value}",
        "fine": "no subscription paused",
    },
    "mrr_trend_28d": {
        "group": "engagement",
        "value": "mrr / mrr_28d_ago",
        "when": "mrr_28d_ago > 0 and active_subscriptions > 0 and paused_subscriptions == 0",
        "cause": "price",
        "knots": [(0, 0), (0.5, 10), (0.9, 60), (1, 100)],
        "weight": 3,
        "reason": "pays less than a month ago: {mrr} a month, it was {mrr_28d_ago}",
        "fine": "{mrr} a month, a month ago {mrr_28d_ago}",
    },
    "mrr_trend_90d": {
        "group": "engagement",
        "value": "mrr / mrr_90d_ago",
        "when": "mrr_90d_ago > 0 and active_subscriptions > 0 and paused_subscriptions == 0",
        "cause": "price",
        "knots": [(0, 0), (0.5, 20), (0.9, 70), (1, 100)],
        "weight": 2,
        "reason": "pays less than a quarter ago: {mrr} a month, it was {mrr_90d_ago}",
        "fine": "{mrr} a month, a quarter ago {mrr_90d_ago}",
    },
    "leaving_events": {
        "group": "engagement",
        "value": "leaving_events_14d",
        "knots": [(0, 100), (1, 30), (3, 0)],
        "weight": 4,
        "ceiling": 50,
        "cause": "none",
        "reason": "looks for the way out: {value} times in 14 days",
        "fine": "nobody looked for the way out in 14 days",
    },
    "overdue_tasks": {
        "group": "engagement",
        "value": "overdue_tasks",
        "knots": [(0, 100), (1, 60), (4, 0)],
        "weight": 1,
        "reason": "we owe them something: overdue tasks of ours: {value}",
        "fine": "no task of ours is overdue",
    },
    "touches": {
        "group": "engagement",
        "value": "touches_90d",
        "knots": [(0, 40), (1, 70), (5, 100)],
        "weight": 1,
        "reason": "hardly answers: opened, clicked or visited {value} times in 90 days",
    },
}
"""Every signal, by name; see `wellkept_health.config.SignalTable`."""

CAUSES: dict[str, str] = {
    "usage": "disconnection",
    "engagement": "disconnection",
    "support": "support",
    "satisfaction": "support",
    "billing": "payment",
}
"""What the signals of a group point to, unless they say it themselves; see `wellkept_health.causes`."""

NEW_DAYS = 90
"""For so many days an account is new."""

CARDS: list[dict[str, Any]] = [
    {
        "name": "new",
        "when": f"tenure_days < {NEW_DAYS}",
        "signals": {
            "usage_trend": {"enabled": False},
            "silence": {"enabled": False},
            "frequency": {"enabled": False},
            "active_days": {"knots": [(0, 0), (2, 50), (6, 100)], "weight": 4},
            "ticket_load": {"knots": [(6, 100), (12, 50), (20, 0)]},
            "tickets_per_seat": {"knots": [(6, 100), (12, 50), (20, 0)]},
            "seats": {"knots": [(0, 20), (0.2, 60), (0.5, 100)]},
        },
    }
]
"""A card for the first 90 days; below 30 days unused seats are no part of it.

A new customer has no past to fall short of, asks more, and has yet to invite their people."""
