"""Columns from the helpdesk and from surveys: how much help is needed, how fast it comes, and what people say."""

from __future__ import annotations

from wellkept import Aggregate, Formula, Measure
from wellkept.records import SurveyResponse, Ticket

COUNTED = "status not in ['spam', 'merged', 'deleted']"
"""Tickets that somebody really asked for; most connectors leave out the others themselves."""

_QUANTILES: tuple[tuple[str, Aggregate, str], ...] = (
    ("median", "median", "the median"),
    ("p90", "p90", "what 90 of 100 do not exceed"),
)

_SURVEYS = (
    ("nps", "person_ref", 730, "The last NPS answer of each person in two years"),
    ("csat", None, 365, "CSAT answers of a year"),
)
"""Kind, whose last answer counts, days, and how they are called. NPS is asked of a person, CSAT of a ticket."""

SUPPORT: tuple[Measure, ...] = (
    Measure(
        name="tickets_28d",
        record=Ticket,
        aggregate="count",
        where=COUNTED,
        time="created_at",
        window=28,
        doc="Tickets of 28 days; spam, merged and deleted ones left out.",
    ),
    Measure(
        name="tickets_before_84d",
        record=Ticket,
        aggregate="count",
        where=COUNTED,
        time="created_at",
        window=84,
        offset=28,
        doc="Tickets of the 84 days before those.",
    ),
    Measure(
        name="open_tickets",
        record=Ticket,
        aggregate="count",
        where=f"not known(solved_at) and {COUNTED}",
        doc="Tickets without a solution.",
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
        leaks=True,
    ),
    *(
        Measure(
            name=f"{what}{hours}_{how}_90d",
            record=Ticket,
            aggregate=aggregate,
            field=f"{field}{hours}_minutes",
            where=COUNTED,
            time="created_at",
            window=90,
            unit="minutes",
            doc=f"{words} of tickets of 90 days, {clock}: {figure}.",
        )
        for what, field, words in (
            ("reply", "first_reply", "Time to the first reply"),
            ("resolution", "resolution", "Time to the solution"),
        )
        for hours, clock in (("", "by the calendar"), ("_business", "in business hours"))
        for how, aggregate, figure in _QUANTILES
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
            per=per,
            time="answered_at",
            window=window,
            unit="points",
            doc=f"{answers}: {what}.",
        )
        for kind, per, window, answers in _SURVEYS
        for name, field, what in (
            ("score", "score", "the average"),
            ("low", "scale_min", "the low end of the scale"),
            ("high", "scale_max", "the high end of the scale"),
        )
    ),
    *(
        Measure(
            name=f"{kind}_answers",
            record=SurveyResponse,
            aggregate="count",
            where=f"kind == '{kind}'",
            per=per,
            time="answered_at",
            window=window,
            doc=f"{answers}: how many. Who was asked and did not answer is not among them.",
        )
        for kind, per, window, answers in _SURVEYS
    ),
    *(
        Measure(
            name=f"nps_{name}",
            record=SurveyResponse,
            aggregate="count",
            where="kind == 'nps'",
            per="person_ref",
            having=f"score - scale_min {which} * (scale_max - scale_min)",
            time="answered_at",
            window=730,
            doc=f"People whose last NPS answer of two years is {what}.",
        )
        for name, which, what in (("promoters", ">= 0.9", "9 or 10 of 10"), ("detractors", "<= 0.6", "6 of 10 or less"))
    ),
    Measure(
        name="csat_satisfied",
        record=SurveyResponse,
        aggregate="count",
        where="kind == 'csat' and score - scale_min >= 0.75 * (scale_max - scale_min)",
        time="answered_at",
        window=365,
        doc="CSAT answers of a year that are good: 4 or 5 of 5, or `good` where there is only good and bad.",
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
        leaks=True,
    ),
)

SUPPORT_FORMULAS = (
    Formula(name="tickets_per_seat_28d", value="tickets_28d / seats_bought", doc="Tickets of 28 days for each seat paid for."),
    Formula(
        name="tickets_trend_28d",
        value="tickets_28d * 3 / tickets_before_84d",
        doc="Tickets of 28 days as a share of the usual.",
    ),
    Formula(name="csat", value="csat_satisfied / csat_answers", doc="Share of CSAT answers that are good."),
    Formula(
        name="nps",
        value="(nps_promoters - nps_detractors) / nps_answers * 100",
        unit="points",
        doc="Net promoter score, -100 to 100: the share of 9 and 10 less the share of 0 to 6.",
    ),
    Formula(
        name="nps_margin",
        value=(
            "196 * sqrt(((nps_promoters + nps_detractors + 2) / (nps_answers + 2)"
            " - (nps_promoters - nps_detractors) * (nps_promoters - nps_detractors)"
            " / ((nps_answers + 2) * (nps_answers + 2))) / (nps_answers + 2))"
        ),
        unit="points",
        doc="Half the width of the 95 % confidence interval of the NPS (adjusted Wald, which holds for a few answers too).",
    ),
)
