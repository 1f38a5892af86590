"""Core features and main causes, on values alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from wellkept import Measure, Value
from wellkept.expressions import parse
from wellkept_health.causes import WORDS, main_cause
from wellkept_health.config import HealthConfig
from wellkept_health.features import Features
from wellkept_health.measures import columns
from wellkept_health.scorer import HealthScorer

CONFIG = HealthConfig.model_validate(
    {
        "features": {
            "report": {"events": ["Report opened", "It's built"]},
            "bulk_export": {"events": ["Exported"], "when": "segment == 'large'"},
        },
        "leaving_events": ['Asked "why?"'],
    }
)


def look(report: Value, export: Value, segment: Value) -> tuple[Value, Value, Value]:
    view = {"feature_report_28d": report, "feature_bulk_export_28d": export, "segment": segment}
    found = Features(CONFIG.features).look(view)
    return found["core_features"], found["core_features_used"], found["core_features_unused"]


def test_features_count_for_whom_they_are_meant() -> None:
    assert look(3, 0, "large") == (2, 1, "bulk export")
    assert look(3, 0, "small") == (1, 1, "")
    assert look(3, 0, None) == (1, 1, "")
    assert look(0, 0, "large") == (2, 0, "report, bulk export")


def test_what_is_unknown_is_not_unused() -> None:
    assert look(None, 0, "large") == (1, 0, "bulk export")
    assert look(None, None, "large") == (None, None, None)


def test_without_features_nobody_is_measured_by_them() -> None:
    assert not any(name.startswith(("feature_", "core_features", "leaving")) for name in HealthScorer(HealthConfig()).uses)
    assert {"feature_report_28d", "feature_bulk_export_28d", "leaving_events_14d"} <= HealthScorer(CONFIG).uses


def test_a_card_may_speak_of_features_that_are_not_configured() -> None:
    HealthConfig.model_validate(
        {"scorecards": [{"name": "x", "when": "mrr > usd(1)", "signals": {"core_features": {"enabled": False}}}]}
    )


def test_events_with_quotation_marks_reach_the_filter_as_they_are() -> None:
    named = {item.name: item for item in columns(CONFIG) if isinstance(item, Measure)}
    for name, events in (("feature_report_28d", ["Report opened", "It's built"]), ("leaving_events_14d", ['Asked "why?"'])):
        where = parse(named[name].where or "", names={"event": "text"}, condition=True)
        assert all(where.holds({"event": event}) for event in events)
        assert not where.holds({"event": "Other"})
    assert named["leaving_events_14d"].leaks


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"features": {"Report": {"events": ["x"]}}}, "should match pattern"),
        ({"features": {"report": {"events": []}}}, "at least 1 item"),
        ({"features": {"report": {"events": ["a\\b"]}}}, "cannot hold a backslash"),
        ({"features": {"report": {"events": ["'\""]}}}, "nor both kinds of quotation marks"),
        ({"features": {"report": {"events": ["x"], "when": "plan =="}}}, "this is not an expression"),
        ({"leaving_events": ["a\\b"]}, "cannot hold a backslash"),
        ({"signals": {"seats": {"cause": "weather"}}}, "onboarding"),
    ],
)
def test_what_cannot_work_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        HealthConfig.model_validate(config)
    assert message in str(error.value)


# --- causes ---

LOST = st.lists(st.tuples(st.sampled_from([*WORDS, "none"]), st.integers(-5000, 0)), max_size=8)


@given(LOST, st.booleans(), st.booleans())
def test_every_account_has_exactly_one_cause_whatever_the_order(lost: list[tuple[str, int]], unpaid: bool, new: bool) -> None:
    found = main_cause(lost, unpaid=unpaid, new=new)
    assert found in WORDS
    assert main_cause(lost[::-1], unpaid=unpaid, new=new) == found
    assert not unpaid or found == "payment"


def test_the_cause_that_lost_most_in_all_counts_and_signs_of_leaving_do_not() -> None:
    lost = [("support", -300), ("disconnection", -200), ("disconnection", -200), ("none", -6000)]
    assert main_cause(lost, unpaid=False, new=False) == "disconnection"
    assert main_cause(lost, unpaid=False, new=True) == "onboarding"
    assert main_cause(lost[-1:], unpaid=False, new=False) == "other"
