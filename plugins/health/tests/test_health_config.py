from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from wellkept_health.cards import build
from wellkept_health.config import HealthConfig
from wellkept_health.scorer import HealthScorer

NEW = {"group": "usage", "value": "exports", "knots": [[0, 20], [10, 100]], "reason": "hardly exports: {value}"}


def test_nothing_needs_to_be_configured() -> None:
    cards = build(HealthConfig())
    assert [card.name for card in cards] == ["new", "default"]
    assert sum(cards[-1].weights.values()) == 100


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"weights": {"usage": 50, "billing": 40}}, "the weights must sum to 100; these sum to 90"),
        ({"weights": {"usage": 110, "billing": -10}}, "billing: a weight cannot be negative"),
        ({"weights": {"usage": 50, "biling": 50}}, "weights: there is no group 'biling' (did you mean 'billing'?)"),
        ({"wieghts": {}}, "Extra inputs are not permitted"),
        ({"signals": {"seats": {"knots": [[0, 0]]}}}, "at least 2 items"),
        ({"signals": {"seats": {"knots": [[1, 0], [0, 100]]}}}, "must ascend"),
        ({"signals": {"seats": {"knots": [[0, 0], [1, 101]]}}}, "from 0 to 100"),
        ({"signals": {"seats": {"knots": [[0, 0], [1, 80], [2, 40]]}}}, "must go one way"),
        ({"signals": {"seats": {"value": "seats_active /"}}}, "this is not an expression"),
        ({"signals": {"seats": {"when": "seats_bought + 1"}}}, "neither true nor false"),
        ({"signals": {"seats": {"weight": 0}}}, "greater than 0"),
        ({"signals": {"seats": {"age": "3"}}}, "signals.seats: age and half_life go together"),
        ({"signals": {"seat": {"weight": 2}}}, "signals.seat: a new signal needs 'group' (did you mean 'seats'?)"),
        ({"signals": {"exports": {**NEW, "group": "usge"}}}, "signals.exports.group: there is no group 'usge'"),
        ({"scorecards": [{"name": "x", "when": "mrr >"}]}, "this is not an expression"),
        (
            {"scorecards": [{"name": "x", "when": "mrr > usd(1)", "weights": {"usage": 99}}]},
            "the weights must sum to 100; these sum to 99",
        ),
        (
            {"scorecards": [{"name": "x", "when": "mrr > usd(1)", "signals": {"seat": {"enabled": False}}}]},
            "scorecards.0.signals.seat: there is no such signal (did you mean 'seats'?)",
        ),
        ({"bands": {"red_below": 80}}, "red_below must be less than green_above"),
        ({"name": "Health Score"}, "should match pattern"),
    ],
)
def test_what_cannot_work_is_refused_by_its_key(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        HealthConfig.model_validate(config)
    assert message in str(error.value)


def test_signals_are_changed_added_and_taken_away() -> None:
    config = HealthConfig.model_validate(
        {"signals": {"seats": {"weight": 9}, "touches": {"enabled": False}, "exports": NEW}, "scorecards": []}
    )
    (card,) = build(config)
    signals = {signal.name: signal for signal in card.signals}
    assert signals["seats"].weight == 9
    assert signals["seats"].value.text == "seats_active / seats_bought"
    assert "touches" not in signals
    assert signals["exports"].fine == signals["exports"].reason
    assert "exports" in HealthScorer(config).uses
    assert "touches_90d" not in HealthScorer(config).uses


def test_groups_without_weight_do_not_count() -> None:
    config = HealthConfig.model_validate({"weights": {"billing": 100}, "scorecards": []})
    (card,) = build(config)
    assert {signal.group for signal in card.signals} == {"billing"}


def test_the_first_card_that_fits_counts() -> None:
    config = HealthConfig.model_validate(
        {
            "scorecards": [
                {"name": "big", "when": "mrr > usd(5000)", "weights": {"support": 100}},
                {"name": "other", "when": "mrr > usd(1)", "signals": {"seats": {"enabled": False}}},
            ]
        }
    )
    big, other, default = build(config)
    assert (big.name, other.name, default.name) == ("big", "other", "default")
    assert {signal.group for signal in big.signals} == {"support"}
    assert "seats" not in {signal.name for signal in other.signals}
    assert "seats" in {signal.name for signal in default.signals}


def test_the_schema_can_be_written() -> None:
    schema = HealthConfig.model_json_schema()
    assert schema["additionalProperties"] is False
