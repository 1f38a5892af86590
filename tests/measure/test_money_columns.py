"""Money in the frame: a column per currency, one converted, and never a partial sum."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.frame import Measure
from wellkept.money import EXPONENTS, round_half_even
from wellkept.records import Invoice, Subscription
from wellkept.store import rates
from wellkept.store.rates import Rate

World = Any


def due(aggregate: Any = "sum", **more: Any) -> Measure:
    return Measure(
        name="due",
        record=Invoice,
        aggregate=aggregate,
        field="amount_due",
        unit="money",
        doc="Owed.",
        time="created_at",
        **more,
    )


def invoice(id_: str, currency: str, amount: int, created_at: int = 1, **more: Any) -> Invoice:
    known = {"account_ref": "cus_1", "status": "open", **more}
    return Invoice(id=id_, version=1, currency=currency, amount_due=amount, created_at=created_at, **known)


def quote(world: World, *lines: tuple[str, str, str, str]) -> None:
    world.store.write_now(
        lambda tx: rates.replace(tx, [Rate(day, base, quote, Decimal(rate)) for day, base, quote, rate in lines])
    )


def test_currencies_stand_side_by_side_and_together(world: World) -> None:
    world.customer()
    quote(world, ("2026-11-01", "eur", "usd", "1.1"), ("2026-11-01", "usd", "jpy", "150"), ("2026-11-01", "kwd", "usd", "3.25"))
    world.put(invoice("1", "usd", 1_000), invoice("2", "EUR", 200), invoice("3", "eur", 300))
    world.put(invoice("4", "jpy", 1_500), invoice("5", "kwd", 1_234))
    plan = world.plan(due())
    world.measure(plan)
    found = world.frame(plan)
    (row,) = found.rows()
    assert {name: row[name] for name in found.columns if name.startswith("due")} == {
        "due": 1_000 + 550 + 1_000 + 401,  # 1500 yen are 10 USD; 1.234 dinars are 4.0105 USD
        "due_eur": 500,
        "due_jpy": 1_500,
        "due_kwd": 1_234,
        "due_usd": 1_000,
    }
    assert [found.columns[name].currency for name in ("due", "due_eur", "due_jpy")] == ["usd", "eur", "jpy"]
    assert found.columns["due"].unit == "money"


def test_one_missing_rate_leaves_the_whole_unknown(world: World) -> None:
    world.customer()
    world.put(invoice("1", "usd", 1_000), invoice("2", "eur", 200))
    plan = world.plan(due())
    assert world.cell(plan, "due") == "no_rate"
    assert (world.cell(plan, "due_usd"), world.cell(plan, "due_eur")) == (1_000, 200)
    quote(world, ("2026-11-22", "eur", "usd", "1.1"))
    assert world.cell(plan, "due") == "no_rate"  # the rate is of tomorrow
    quote(world, ("2026-11-21", "eur", "usd", "1.1"))
    assert world.cell(plan, "due") == 1_220


def test_nothing_owed_needs_no_rate(world: World) -> None:
    world.customer()
    plan = world.plan(due())
    assert (world.cell(plan, "due"), world.cell(plan, "due_usd")) == (0, 0)
    world.put(invoice("1", "usd", 1_000), invoice("2", "eur", 0))
    assert (world.cell(plan, "due"), world.cell(plan, "due_eur")) == (1_000, 0)


def test_a_currency_that_is_none_has_no_column_and_no_rate(world: World) -> None:
    world.customer()
    world.put(invoice("1", "usd", 1_000), invoice("2", "xyz", 200))
    plan = world.plan(due())
    assert (world.cell(plan, "due"), world.cell(plan, "due_usd")) == ("no_rate", 1_000)
    assert "due_xyz" not in world.frame(plan).columns


def test_columns_of_a_currency_in_another_account_are_zero_or_unknown(world: World) -> None:
    one, two = world.customer("cus_1"), world.customer("cus_2")
    world.put(invoice("1", "eur", 200), invoice("2", "usd", 100, account_ref="cus_2"))
    total, most = world.plan(due(where="status == 'open'")), world.plan(due("max"))
    assert (world.cell(total, "due_eur", one), world.cell(total, "due_eur", two), world.cell(total, "due_usd", one)) == (
        200,
        0,
        0,
    )
    assert (world.cell(most, "due_eur", one), world.cell(most, "due_eur", two), world.cell(most, "due_usd", one)) == (
        200,
        "none",
        "none",
    )


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [("min", 300), ("max", 1_000), ("avg", 600), ("latest", 300), ("sum", 1_800)],
)
def test_every_aggregate_of_money_is_converted(world: World, aggregate: str, expected: int) -> None:
    world.customer()
    quote(world, ("2026-11-01", "eur", "usd", "2"))
    world.put(invoice("1", "usd", 1_000, 10), invoice("2", "eur", 250, 20), invoice("3", "usd", 300, 30))
    assert world.cell(world.plan(due(aggregate)), "due") == expected


def test_the_slope_of_money_counts_whole_minor_units(world: World) -> None:
    world.customer()
    quote(world, ("2026-11-01", "eur", "usd", "2"))
    noon, day = world.now, 86_400_000
    world.put(*(invoice(f"{place}", "eur", 100 * place, noon - (4 - place) * day) for place in range(5)))
    plan = world.plan(due("slope", window=5))
    assert (world.cell(plan, "due_eur"), world.cell(plan, "due")) == (100, 200)


def test_columns_that_somebody_reads_are_always_there(world: World) -> None:
    world.customer()
    plan = world.plan(due())
    assert "due_gbp" not in world.compute(plan).columns
    plan.require({"due_gbp", "country"}, by="playbooks")
    assert "due_gbp" in plan.columns
    assert world.cell(plan, "due_gbp") == 0
    with pytest.raises(ConfigError, match=r"playbooks: there is no column 'dew' \(did you mean 'due'"):
        plan.require({"dew"}, by="playbooks")
    with pytest.raises(ConfigError, match="no column 'due_xyz'"):
        plan.require({"due_xyz"}, by="playbooks")


def test_the_filter_of_accounts_speaks_of_money(world: World) -> None:
    one, two = world.customer("cus_1"), world.customer("cus_2")
    world.put(invoice("1", "gbp", 50_000), invoice("2", "gbp", 49_999, account_ref="cus_2"))
    plan = world.plan(due(), where="due_gbp >= gbp(500)")
    world.measure(plan)
    assert list(world.frame(plan).accounts) == [one]
    assert list(world.frame(plan, [one, two]).accounts) == [one]
    with pytest.raises(ConfigError, match=r"accounts\.where.*'due' \(USD amount\) cannot be compared with this GBP amount"):
        world.plan(due(), where="due > gbp(5)")


def test_mrr_of_several_subscriptions(world: World) -> None:
    world.customer()
    quote(world, ("2026-11-01", "eur", "usd", "1.0843"))
    rows = [("a", "active", "usd", 5_000), ("b", "past_due", "eur", 3_333), ("c", "canceled", "usd", 9_999)]
    world.put(
        *(
            Subscription(id=id_, version=1, account_ref="cus_1", status=status, currency=currency, mrr=mrr)  # type: ignore[arg-type]
            for id_, status, currency, mrr in rows
        )
    )
    mrr = Measure(
        name="mrr",
        record=Subscription,
        aggregate="sum",
        field="mrr",
        unit="money",
        doc="MRR.",
        where="status in ['active', 'past_due']",
    )
    assert world.cell(world.plan(mrr), "mrr") == 5_000 + 3_614  # 3333 * 1.0843 = 3613.97


amounts = st.lists(st.tuples(st.sampled_from(["usd", "eur", "jpy", "kwd"]), st.integers(-(10**9), 10**9)), max_size=8)
factors = st.fixed_dictionaries(
    {code: st.none() | st.decimals("0.000001", "100000", places=6, allow_nan=False) for code in ("eur", "jpy", "kwd")}
)


@given(amounts, factors)
@settings(max_examples=15, deadline=None)
def test_the_sum_is_exact_up_to_one_rounding(
    new_world: Callable[[], Any], amounts: list[tuple[str, int]], factors: dict[str, Decimal | None]
) -> None:
    with new_world() as world:
        world.customer()
        quote(world, *(("2026-01-01", code, "usd", str(rate)) for code, rate in factors.items() if rate is not None))
        world.put(*(invoice(str(index), currency, amount) for index, (currency, amount) in enumerate(amounts)))
        sums: dict[str, int] = {}
        for currency, amount in amounts:
            sums[currency] = sums.get(currency, 0) + amount
        plan = world.plan(due())
        if any(amount and currency != "usd" and factors[currency] is None for currency, amount in sums.items()):
            assert world.cell(plan, "due") == "no_rate"
            return
        exact = sum(
            (
                Fraction(amount, 10 ** EXPONENTS[currency]) * Fraction(factors.get(currency, 1) or 0) * 100
                for currency, amount in sums.items()
                if amount
            ),
            Fraction(0),
        )
        assert world.cell(plan, "due") == round_half_even(exact)
