"""The arithmetic: exact to the last hundredth, monotone, steady."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept import Score
from wellkept_health.bands import BANDS, Borders
from wellkept_health.card import FULL, fade, interpolate, limit, points
from wellkept_health.card import losses as taken


class Part(msgspec.Struct, kw_only=True):
    """A signal of one account."""

    weight: int
    health: int
    ceiling: int = 100


def losses(given: Sequence[Part]) -> list[Decimal]:
    """Return what each part takes from 100 points."""
    limits = [limit(part.health, part.ceiling) for part in given]
    weights = [part.weight for part in given]
    return [points(-each) for each in taken(weights, [part.health for part in given], limits, sum(weights))]


parts = st.lists(
    st.builds(Part, weight=st.integers(1, 10**8), health=st.integers(0, FULL), ceiling=st.integers(0, 100)),
    min_size=1,
    max_size=25,
)


@given(parts)
def test_contributions_always_sum_to_the_score_exactly(given_parts: list[Part]) -> None:
    points = losses(given_parts)
    weight = sum(part.weight for part in given_parts)
    exact = Decimal(sum(part.weight * part.health for part in given_parts)) / weight / 1000
    value = 100 + sum(points)
    assert all(point <= 0 and point == round(point, 2) for point in points)
    assert 0 <= value <= 100
    limit = min(Decimal(part.ceiling) + Decimal(100 - part.ceiling) * part.health / FULL for part in given_parts)
    assert abs(value - min(exact, limit)) <= Decimal("0.011")


@given(parts, st.data())
def test_a_healthier_signal_never_lowers_the_score(given_parts: list[Part], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(given_parts) - 1))
    better = msgspec.structs.replace(given_parts[index], health=data.draw(st.integers(given_parts[index].health, FULL)))
    improved = [*given_parts[:index], better, *given_parts[index + 1 :]]
    assert sum(losses(improved)) >= sum(losses(given_parts))


@given(parts)
def test_what_lacks_nothing_costs_nothing(given_parts: list[Part]) -> None:
    perfect = [msgspec.structs.replace(part, health=FULL) for part in given_parts]
    assert losses(perfect) == [Decimal("0.00")] * len(perfect)
    assert [str(point) for point in losses(perfect)] == ["0.00"] * len(perfect)


def test_a_part_loses_its_share_of_the_weight() -> None:
    found = losses([Part(weight=3, health=0), Part(weight=1, health=50_000)])
    assert found == [Decimal("-75.00"), Decimal("-12.50")]


def test_hundredths_left_over_go_to_the_largest_remainders() -> None:
    thirds = [Part(weight=1, health=0), Part(weight=1, health=0), Part(weight=1, health=0)]
    assert losses(thirds) == [Decimal("-33.34"), Decimal("-33.33"), Decimal("-33.33")]


def test_a_ceiling_takes_the_rest_on_the_part_that_has_it() -> None:
    found = losses([Part(weight=1, health=0, ceiling=25), Part(weight=9, health=FULL)])
    assert found == [Decimal("-75.00"), Decimal("0.00")]
    half = losses([Part(weight=1, health=50_000, ceiling=0), Part(weight=9, health=FULL)])
    assert half == [Decimal("-50.00"), Decimal("0.00")]


knots = st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 100)), min_size=2, max_size=6, unique_by=lambda knot: knot[0])


@given(knots, st.floats(-2e6, 2e6), st.floats(-2e6, 2e6), st.booleans())
def test_a_map_goes_one_way_and_stays_within_its_ends(
    raw: list[tuple[float, float]], x: float, y: float, falling: bool
) -> None:
    places = sorted(place for place, _ in raw)
    healths = sorted((health for _, health in raw), reverse=falling)
    line = list(zip(places, healths, strict=True))
    low, high = (interpolate(line, value) for value in sorted((x, y)))
    assert (low >= high) if falling else (low <= high)
    assert min(healths) * 1000 - 1 <= low <= max(healths) * 1000 + 1
    for place, health in line:
        assert interpolate(line, place) == round(health * 1000)


def test_a_weight_halves_once_per_half_life() -> None:
    assert [fade(1_000_000, age, 180) for age in (0, 180, 540)] == [1_000_000, 500_000, 125_000]
    assert fade(1_000_000, -50, 180) == 1_000_000
    assert fade(1_000_000, float("inf"), 180) == 0


# --- bands ---


def day_by_day(*values: float, start: str | None = None) -> list[str]:
    borders, found = Borders(), []
    previous = None if start is None else Score(account="a", value=Decimal(0), band=start, coverage=1.0)
    for value in values:
        exact = Decimal(str(value))
        band, carry = borders.band(exact, previous)
        found.append(band)
        previous = Score(account="a", value=exact, band=band, coverage=1.0, carry=carry)
    return found


@pytest.mark.parametrize(("value", "band"), [(49.99, "red"), (50, "yellow"), (75, "yellow"), (75.01, "green"), (0, "red")])
def test_borders(value: float, band: str) -> None:
    assert day_by_day(value) == [band]


def test_a_band_changes_at_once_past_the_margin_and_on_the_second_day_within() -> None:
    assert day_by_day(60, 46.9) == ["yellow", "red"]
    assert day_by_day(60, 47, 47) == ["yellow", "yellow", "red"]
    assert day_by_day(60, 78, 78) == ["yellow", "yellow", "green"]
    assert day_by_day(60, 78.01) == ["yellow", "green"]


def test_a_score_that_wavers_does_not_make_the_band_flap() -> None:
    assert set(day_by_day(52, *[48, 51] * 10)) == {"yellow"}


def test_a_fall_through_two_bands_stops_at_a_border_that_is_only_just_crossed() -> None:
    assert day_by_day(90, 49, 49) == ["green", "yellow", "red"]
    assert day_by_day(90, 20) == ["green", "red"]


def test_an_account_that_was_not_scored_begins_anew() -> None:
    previous = Score(account="a", value=None, band=None, coverage=0.1)
    assert Borders().band(Decimal(49), previous) == ("red", {})


@given(st.lists(st.decimals(0, 100, places=2), min_size=1, max_size=12))
def test_a_band_is_where_the_score_was_today_or_yesterday(values: list[Decimal]) -> None:
    borders = Borders()
    bands = day_by_day(*map(float, values))
    for index, band in enumerate(bands):
        seen = {borders.plain(value) for value in values[max(0, index - 1) : index + 1]}
        if index and band != bands[index - 1]:
            low, high = sorted((BANDS.index(bands[index - 1]), BANDS.index(borders.plain(values[index]))))
            assert low <= BANDS.index(band) <= high
        assert abs(BANDS.index(band) - BANDS.index(borders.plain(values[index]))) <= 1
        assert seen
