"""The plan of the frame: what may be declared and mapped, and how mistakes are told."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from wellkept.errors import ConfigError
from wellkept.expressions import ExpressionError, parse
from wellkept.frame import Measure
from wellkept.records import Account, Invoice, PaymentMethod, Record, SurveyResponse, Ticket, Usage
from wellkept.settings import MappedField

World = Any


def m(name: str = "x", record: type[Record] = Ticket, aggregate: Any = "count", **more: Any) -> Measure:
    return Measure(name=name, record=record, aggregate=aggregate, doc="x", **more)


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        (m(field="reopens"), "'count' has no use for the field 'reopens'"),
        (m(aggregate="sum"), "'sum' needs a field"),
        (m(aggregate="sum", field="reopen"), "ticket has no field 'reopen'; did you mean 'reopens'?"),
        (m(aggregate="sum", field="status"), "'sum' needs numbers, and 'status' is a text"),
        (m(aggregate="avg", field="created_at"), "'avg' needs numbers, and 'created_at' is an instant"),
        (m(aggregate="sum", field="churn_intent"), "'sum' needs numbers, and 'churn_intent' is a flag"),
        (m(aggregate="max", field="extra"), "ticket has no field 'extra'"),
        (m(aggregate="max", field="tags", unit="text"), "'tags' is a list, which cannot be taken as 'text'"),
        (m(aggregate="distinct", field="tags"), "no distinct values"),
        (m(aggregate="distinct", field="status", unit="text"), "'distinct' is a count, not 'text'"),
        (m(aggregate="any", unit="text"), "'any' is a flag, not 'text'"),
        (m(aggregate="count", unit="days"), "'count' is a count, not 'days'"),
        (m(aggregate="max", field="status"), "'status' is a text, which cannot be taken as 'count'"),
        (m(aggregate="max", field="created_at"), "'created_at' is an instant, which cannot be taken as 'count'"),
        (m(aggregate="max", field="reopens", unit="date"), "'reopens' is a number, which cannot be taken as 'date'"),
        (m(aggregate="sum", field="reopens", unit="money"), "money needs a field `currency`, which ticket does not have"),
        (m(record=SurveyResponse, aggregate="sum", field="score", unit="money"), "money is an integer of minor units"),
        (m(aggregate="latest", field="status", unit="text"), "`window`, `offset` and 'latest' need `time`"),
        (m(window=7), "need `time`"),
        (m(time="created_at", window=0), "a window of 0 days"),
        (m(time="created_at", offset=-1), "an offset into the future"),
        (m(time="status"), "'status' is neither an instant nor a day"),
        (m(time="created", window=7), "ticket has no field 'created'; did you mean 'created_at'?"),
        (m(aggregate="slope", field="reopens", time="created_at"), "'slope' needs a window of at least two days"),
        (m(where="state == 'open'"), "where: there is no column 'state'"),
        (m(where="status == 3"), "'status' (text) cannot be compared with 3 (number)"),
        (m(where="created_at < days(3)"), "'created_at' (date) cannot be compared with this span of time"),
        (m(where="reopens"), "neither true nor false"),
        (m(name="Bad"), "lower-case"),
        (m(name="a-b"), "lower-case"),
    ],
)
def test_a_measure_that_cannot_be_computed_is_refused_by_name(world: World, measure: Measure, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world.plan(measure)
    assert f"column {measure.name!r} of plugin" in str(caught.value)
    assert words in str(caught.value)


def test_two_columns_of_one_name_are_refused_with_both_owners(world: World) -> None:
    from wellkept.pipeline.frame_plan import Plan

    both = [("stripe", m("tickets")), ("zendesk", m("tickets"))]
    with pytest.raises(ConfigError, match="'tickets' is declared by stripe and by zendesk"):
        Plan(both, tables=world.tables, feeds={})
    with pytest.raises(ConfigError, match="'country' is declared by core and by plugin"):
        world.plan(m("country"))
    money = Measure(name="due", record=Invoice, aggregate="sum", field="amount_due", unit="money", doc="x")
    for both in ((money, m("due_eur")), (m("due_eur"), money)):
        with pytest.raises(ConfigError, match="'due_eur' of plugin is what 'due' of plugin has in EUR"):
            world.plan(*both)
    assert "due_late" in world.plan(money, m("due_late")).columns


def test_a_record_type_that_belongs_to_nobody_or_is_unknown_is_refused(world: World) -> None:
    class Price(Record, frozen=True, kw_only=True, omit_defaults=True):
        type: ClassVar[str] = "stripe.price"

    with pytest.raises(ConfigError, match=r"column 'x' of plugin: record type stripe\.price"):
        world.plan(m(record=Price))
    from wellkept.store.records import RecordTables

    world.tables = RecordTables([*world.tables.types, Price])
    with pytest.raises(ConfigError, match="neither account_ref nor person_ref"):
        world.plan(m(record=Price))


def test_one_plugins_mistake_leaves_the_others_columns(world: World) -> None:
    from wellkept.pipeline.frame_plan import Plan

    problems: list[tuple[str, ConfigError]] = []
    plan = Plan(
        [("bad", m("a", field="reopens")), ("good", m("b")), ("late", m("b"))],
        tables=world.tables,
        feeds={},
        mapped={"stripe": {"c": MappedField(record="acount", field="name"), "d": MappedField(field="name")}},
        report=lambda owner, error: problems.append((owner, error)),
    )
    assert {"b", "d"} <= plan.columns.keys()
    assert not {"a", "c"} & plan.columns.keys()
    assert [owner for owner, _ in problems] == ["bad", "late", "stripe"]
    assert "declared by good and by late" in str(problems[1][1])


def test_reporting_currency_and_filter_are_checked(world: World) -> None:
    with pytest.raises(ConfigError, match=r"wellkept\.reporting_currency: 'XYZ' is not an ISO 4217 currency"):
        world.plan(reporting_currency="XYZ")
    with pytest.raises(ConfigError, match=r"accounts\.where: there is no column 'contry'") as caught:
        world.plan(where="contry == 'DE'")
    assert "did you mean 'country'?" in str(caught.value)


def test_columns_know_their_units(world: World) -> None:
    measures = [
        m("wants_out", aggregate="any", where="churn_intent"),
        m("seen", Usage, "max", field="day", unit="date"),
        Measure(name="due", record=Invoice, aggregate="sum", field="amount_due", unit="money", doc="Owed."),
    ]
    columns = world.plan(*measures, reporting_currency="EUR").columns
    assert list(columns) == ["country", "segment", "owner_known", "tenure_days", "wants_out", "seen", "due", "due_eur"]
    assert [columns[name].unit for name in ("owner_known", "wants_out", "seen", "due")] == ["flag", "flag", "date", "money"]
    assert (columns["due"].currency, columns["due_eur"].currency) == ("eur", "eur")


def test_conditions_of_policies_may_name_any_currency(world: World) -> None:
    due = Measure(name="due", record=Invoice, aggregate="sum", field="amount_due", unit="money", doc="Owed.")
    plan = world.plan(due)
    assert parse("due_gbp > gbp(5) and due > usd(5)", names=plan.names).names == {"due_gbp", "due"}
    with pytest.raises(ExpressionError, match="cannot be compared"):
        parse("due_gbp > usd(5)", names=plan.names)
    with pytest.raises(ExpressionError, match="no column 'due_xyz'"):
        parse("due_xyz > 5", names=plan.names)
    assert len(plan.names) == len(plan.columns)


def test_the_digest_changes_with_what_changes_figures_alone(world: World) -> None:
    plain = world.plan(m("a")).digest
    assert world.plan(m("a")).digest == plain
    assert world.plan(Measure(name="a", record=Ticket, aggregate="count", doc="other words")).digest == plain
    others = [world.plan(m("a", where="churn_intent")), world.plan(m("a"), zone="Asia/Tokyo"), world.plan(m("a"), feeds={}),
              world.plan(m("a"), reporting_currency="EUR"), world.plan(m("a"), stale_after_hours=1)]  # fmt: skip
    assert len({plain, *(plan.digest for plan in others)}) == 6


# --- custom fields -----------------------------------------------------------------------------------------------------------


def custom(world: World, **columns: MappedField) -> Any:
    return world.plan(mapped={"stripe": columns})


def test_custom_fields_become_columns(world: World) -> None:
    world.customer(
        extra={"tier": "gold", "Seats used": 4, "vip": True, "renews": "2026-12-01", "score": 7.5, "wrong": "x"}, seats_bought=9
    )
    plan = custom(
        world,
        tier=MappedField(field="extra.tier"),
        seats_used=MappedField(field="extra.Seats used", unit="count"),
        vip=MappedField(field="extra.vip", unit="flag"),
        renews=MappedField(field="extra.renews", unit="date"),
        score=MappedField(field="extra.score", unit="points", aggregate="max"),
        total=MappedField(field="extra.Seats used", unit="count", aggregate="sum"),
        wrong=MappedField(field="extra.wrong", unit="count"),
        missing=MappedField(field="extra.missing"),
        tiers=MappedField(field="extra.tier", aggregate="distinct"),
        golden=MappedField(field="extra.tier", aggregate="count", where="extra.tier == 'gold' and extra['Seats used'] > 3"),
        bought=MappedField(field="seats_bought", unit="count"),
    )
    expected = {"tier": "gold", "seats_used": 4, "vip": True, "renews": 1_796_083_200_000, "score": 7.5, "total": 4}
    expected |= {"wrong": "none", "missing": "none", "tiers": 1, "golden": 1, "bought": 9}
    assert {name: world.cell(plan, name) for name in expected} == expected


def test_a_custom_field_is_that_of_its_instance_alone(world: World) -> None:
    world.fresh("hubspot")
    account = world.customer("cus_1", external_id="1", extra={"tier": "gold"}, version=1)
    world.customer("7", "hubspot", external_id="1", extra={"tier": "lead"}, version=9)
    other = world.customer("8", "hubspot", extra={"tier": "lead"})
    plan = custom(world, tier=MappedField(field="extra.tier"))
    assert world.cell(plan, "tier", account) == "gold"
    assert world.cell(plan, "tier", other) == "unmatched"


def test_the_newest_version_of_a_custom_field_counts(world: World) -> None:
    world.customer("cus_1", external_id="1", extra={"tier": "old"}, version=1)
    world.customer("cus_2", external_id="1", extra={"tier": "new"}, version=2)
    assert world.cell(custom(world, tier=MappedField(field="extra.tier")), "tier") == "new"


def test_mapped_mistakes_are_named(world: World) -> None:
    with pytest.raises(ConfigError, match=r"plugins\.stripe\.map\.a: there is no record type 'acount'.*'account'"):
        custom(world, a=MappedField(record="acount", field="name"))
    with pytest.raises(ConfigError, match="column 'a' of stripe: account has no field 'nam'; did you mean 'name'"):
        custom(world, a=MappedField(field="nam"))
    with pytest.raises(ConfigError, match="quotation marks"):
        custom(world, a=MappedField(field='extra.a"b'))
    with pytest.raises(ConfigError, match="'tier' is declared by a and by b"):
        world.plan(mapped={"a": {"tier": MappedField(field="name")}, "b": {"tier": MappedField(field="name")}})


def test_a_key_that_looks_like_sql_is_a_key(world: World) -> None:
    key = "it's; DROP TABLE links --"
    world.customer(extra={key: "kept"})
    assert world.cell(custom(world, odd=MappedField(field=f"extra.{key}")), "odd") == "kept"


def test_a_card_expires_in_days(world: World) -> None:
    world.customer()
    world.put(PaymentMethod(id="pm", version=1, account_ref="cus_1", kind="card", is_default=True, expires_on="2026-11-30"))
    age = Measure(name="card_days", record=PaymentMethod, aggregate="max", field="expires_on", unit="days", doc="x")
    soon = Measure(name="expired", record=PaymentMethod, aggregate="any", where="expires_on < today", doc="x")
    plan = world.plan(age, soon)
    assert (world.cell(plan, "card_days"), world.cell(plan, "expired")) == (-9, False)
    world.now += 10 * 86_400_000
    world.fresh()
    assert (world.cell(plan, "card_days"), world.cell(plan, "expired")) == (1, True)


def test_nonsense_dates_are_unknown(world: World) -> None:
    world.customer(created_at=10**18, extra={"since": "soon"})
    world.put(PaymentMethod(id="pm", version=1, account_ref="cus_1", kind="card", expires_on="12/27"))
    card = Measure(name="card_days", record=PaymentMethod, aggregate="max", field="expires_on", unit="days", doc="x")
    plan = world.plan(card, mapped={"stripe": {"since": MappedField(field="extra.since", unit="date")}})
    assert [world.cell(plan, name) for name in ("card_days", "since", "tenure_days")] == ["none"] * 3


def test_an_account_field_is_measured_over_all_its_records(world: World) -> None:
    world.customer("cus_1", external_id="1", seats_bought=3)
    world.customer("cus_2", external_id="1", seats_bought=4)
    assert world.cell(world.plan(m("seats", Account, "sum", field="seats_bought")), "seats") == 7
