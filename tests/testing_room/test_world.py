"""The market of the simulators: the same for everybody, as troubled as it says, and neither too easy nor impossible."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.testing.links import LinkReport, judge
from wellkept.testing.world import FREE_MAIL, SYSTEMS, Seen, Sighting, System, World, knowable, living, shares
from wellkept.testing.world.truth import our_id, registrable, tokens

NOW = 1_795_262_400_000
MANY = 3_000


def market(accounts: int, seed: int = 1) -> World:
    return World(accounts=accounts, seed=seed, now=NOW)


@pytest.fixture(scope="module")
def large() -> World:
    return market(MANY)


@given(seed=st.integers(0, 50), small=st.integers(0, 60), more=st.integers(0, 60))
@settings(max_examples=25, deadline=None)
def test_the_same_seed_gives_the_same_market_and_a_larger_one_begins_with_it(seed: int, small: int, more: int) -> None:
    one, other = market(small, seed), market(small + more, seed)
    assert other.companies[:small] == one.companies
    for system in SYSTEMS:
        assert market(small, seed).seen_by(system) == one.seen_by(system)
        customers = {company.key for company in one.companies}
        seen = [sighting for sighting in other.seen_by(system) if sighting.company.key in customers]
        # A unique id can be taken by a record that is new, but nothing else about the earlier ones changes.
        assert [(item.ref, item.name, item.people) for item in seen] == [
            (item.ref, item.name, item.people) for item in one.seen_by(system) if item.company.key in customers
        ]


def test_another_seed_gives_another_market() -> None:
    assert market(20, 1).companies != market(20, 2).companies


@pytest.mark.parametrize("accounts", [1, 3])
def test_the_smallest_market_has_plain_customers_whom_everybody_knows(accounts: int) -> None:
    world = market(accounts)
    for system in SYSTEMS:
        seen = world.seen_by(system)
        assert {item.company.key for item in seen} == {company.key for company in world.companies}
        assert len(seen) == accounts
        assert all(item.external_id == item.company.external_id and item.company.fate == "steady" for item in seen)


def test_an_empty_market_is_empty() -> None:
    assert all(market(0).seen_by(system) == () for system in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_what_a_system_holds_to_is_kept(large: World, system: System) -> None:
    seen = large.seen_by(system)
    refs = [item.ref for item in seen]
    assert len(set(refs)) == len(refs)
    assert [item.created_at for item in seen] == sorted(item.created_at for item in seen)
    assert all(0 < item.created_at <= NOW for item in seen)
    by_ref = {item.ref: item for item in seen}
    for item in seen:
        if item.merged_into is not None:
            assert by_ref[item.merged_into].company is item.company
            assert by_ref[item.merged_into].merged_into is None
    humans: dict[str, set[str]] = defaultdict(set)
    for item in seen:
        for human in item.people:
            if human.email:
                humans[human.email.lower()].add(human.key)
    assert not {email for email, keys in humans.items() if len(keys) > 1}, "an address is one person's"
    if system in {"helpdesk", "analytics"}:
        ids = [item.external_id.strip().lower() for item in seen if item.external_id]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("system", SYSTEMS)
def test_systems_know_as_much_as_the_shares_say(large: World, system: System) -> None:
    main = [item for item in large.seen_by(system) if item.main and not item.test and item.company.mrr]
    assert len(main) / MANY == pytest.approx(shares.KNOWN[system], abs=0.02)
    with_id = sum(our_id(item) is not None for item in main) / len(main)
    assert with_id == pytest.approx(shares.HAS_ID[system], abs=0.03)
    doubled = sum(item.ref.endswith("-2") for item in large.seen_by(system)) / len(main)
    assert doubled == pytest.approx(shares.DUPLICATE[system], abs=0.012)


def test_every_fate_and_plan_is_there(large: World) -> None:
    fates = Counter(company.fate for company in large.companies)
    for fate, share in shares.FATES.items():
        assert fates[fate] / MANY == pytest.approx(share, abs=0.02)
    assert {company.plan for company in large.companies} == {"Starter", "Team", "Business", "Enterprise"}
    for company in large.companies:
        assert (NOW - company.since < 60 * 86_400_000) is (company.fate == "new")
        assert company.mrr > 0
        assert company.people


def holders(seen: Sequence[Sighting], kind: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for item in seen:
        for key, value in tokens(item):
            if key == kind:
                found[value].add(item.company.key)
    return found


def test_every_trap_is_laid(large: World) -> None:
    """What makes identity hard in life is in the market, often enough to be met and seldom enough to be true."""
    billing, helpdesk, crm = (large.seen_by(system) for system in ("billing", "helpdesk", "crm"))
    everywhere = [item for system in SYSTEMS for item in large.seen_by(system)]
    names = "".join(company.name for company in large.companies)
    assert any("\u4e00" <= letter <= "\u9fff" for letter in names)
    assert any("\uac00" <= letter <= "\ud7a3" for letter in names)
    assert any(letter in "äéłø" for letter in names)
    assert any(company.legal_name != company.name for company in large.companies)
    free = sum(company.domain is None for company in large.companies) / MANY
    assert 0.05 < free < 0.13
    own = Counter(company.domain for company in large.companies if company.domain)
    assert 5 < sum(count > 1 for count in own.values()) < MANY / 50, "sister companies share a domain"
    assert max(len(keys) for keys in holders(billing, "domain").values()) > 10, "resellers"
    agencies = {domain for domain in holders(everywhere, "email") if "agency-" in domain}
    assert agencies
    assert any(len(keys) > 1 for email, keys in holders(everywhere, "email").items() if email.partition("@")[2] in FREE_MAIL)
    where: dict[str, set[str]] = defaultdict(set)
    for item in everywhere:
        for human in item.people:
            if human.key.startswith("co-"):
                where[human.key].add(item.company.key)
    movers = {key for key, companies in where.items() if len(companies) > 1}
    assert len(movers) > MANY / 100, "systems differ on where somebody works"
    former = [item for item in everywhere if item.ref.endswith("-former")]
    assert {item.company.former is not None for item in former} == {True}
    assert any(company.former and company.former.external_id is None for company in large.companies), "changed domains"
    assert any(item.merged_into for item in helpdesk)
    assert any(item.merged_into for item in crm)
    assert any(item.external_id and our_id(item) is None and not item.test for item in crm), "placeholders"
    assert any("gmail.com" in item.domains for item in helpdesk)
    assert any(item.test for item in billing)
    assert any(item.company.key.startswith("lead-") for item in crm)
    assert not any(item.company.key.startswith("lead-") for item in billing)
    shared = Counter(name.lower() for name in {(item.company.key, item.company.name) for item in billing} for name in name[1:])
    assert shared.most_common(1)[0][1] > 1, "namesakes"
    reused = defaultdict(set)
    for item in everywhere:
        for human in item.people:
            reused[human.email].add(human.key)
    reused.pop(None, None)
    assert any(len(keys) > 1 for keys in reused.values()), "an address that was another person's before"


def test_what_is_knowable_is_true_and_has_evidence(large: World) -> None:
    records, pairs = living(large), knowable(large)
    by_company: dict[str, int] = Counter(item.company.key for item in records.values())
    true = sum(count * (count - 1) // 2 for count in by_company.values())
    assert all(len({records[seen].company.key for seen in pair}) == 1 for pair in pairs)
    assert 0.93 < len(pairs) / true < 0.99, "most can be known, not all"
    assert not any(records[seen].test or records[seen].merged_into for pair in pairs for seen in pair)
    fewer = knowable(large, ["billing", "crm"])
    assert fewer < pairs
    assert {seen.system for pair in fewer for seen in pair} == {"billing", "crm"}


def linked(world: World, *, careful: bool) -> dict[Seen, str]:
    """Link as the rules of identity say, in their plainest form; without care every common domain and address counts."""
    records = living(world)
    head = {seen: seen for seen in records}
    ids = {seen: {our_id(item)} - {None} for seen, item in records.items()}
    having: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for seen, item in records.items():
        for token in tokens(item):
            having[token].append(seen)

    def find(seen: Seen) -> Seen:
        while head[seen] != seen:
            seen = head[seen]
        return seen

    for kind in ("id", "email", "tax", "phone", "domain"):
        for token in sorted(token for token in having if token[0] == kind):
            seen = having[token]
            known = set().union(*(ids[find(one)] for one in seen))
            if careful and kind != "id" and (len(known) > 1 or len(seen) > 20):
                continue
            for one, other in ((find(seen[0]), find(item)) for item in seen[1:]):
                if one != other and not (ids[one] and ids[other] and ids[one] != ids[other]):
                    head[other] = one
                    ids[one] |= ids[other]
    return {seen: "/".join(find(seen)) for seen in records}


def judged(world: World, *, careful: bool) -> LinkReport:
    return judge(world, linked(world, careful=careful))


def test_the_market_can_be_solved_with_care_and_only_with_care() -> None:
    """Else the figures of identity would say something about the market, and nothing about identity."""
    careful = [judged(market(400, seed), careful=True) for seed in range(5)]
    naive = [judged(market(400, seed), careful=False) for seed in range(5)]
    assert sum(report.precision for report in careful) / 5 > 0.995
    assert min(report.recall for report in careful) > 0.97
    assert sum(report.precision for report in naive) / 5 < 0.995
    assert sum(report.wrong_merges for report in naive) > 2 * sum(report.wrong_merges for report in careful)


def test_the_truth_is_judged_to_be_perfect_and_its_errors_are_counted(large: World) -> None:
    truth = {seen: item.company.key for seen, item in living(large).items()}
    perfect = judge(large, truth)
    assert (perfect.precision, perfect.recall, perfect.precision_b3, perfect.wrong_merges) == (1, 1, 1, 0)
    assert perfect.recall_b3 == 1
    assert not perfect.missed
    alone = judge(large, {seen: str(seen) for seen in truth})
    assert (alone.precision, alone.recall, alone.wrong_per_thousand) == (1, 0, 0)
    assert alone.recall_b3 < 0.5
    first, second = (company.key for company in large.companies[:2])
    merged = judge(large, {seen: first if company == second else company for seen, company in truth.items()})
    assert merged.wrong_merges == 1
    assert set(merged.wrong[first]) == {first, second}
    assert merged.linked - merged.right == 16, "four records of each"
    assert merged.wrong_per_thousand == 1000 / merged.accounts
    assert merged.recall == 1
    tests = [Seen("billing", item.ref) for item in large.seen_by("billing") if item.test]
    together = judge(large, {**truth, **dict.fromkeys(tests, "ours")})
    assert (together.linked, together.wrong_merges) == (perfect.linked, 0), "our own tests are no question"
    among = judge(large, {**truth, tests[0]: first})
    assert (among.wrong_merges, among.linked - among.right) == (1, 4)


@pytest.mark.parametrize(
    ("host", "registered"),
    [
        ("www.aster.example", "aster.example"),
        ("eu.aster-7.co.uk", "aster-7.co.uk"),
        ("shop.github.io", "shop.github.io"),
        ("AB.COM", "ab.com"),
        ("example", "example"),
    ],
)
def test_registrable_domains(host: str, registered: str) -> None:
    assert registrable(host) == registered


def test_a_large_market_is_drawn_quickly() -> None:
    began = time.process_time()
    world = market(10_000)
    assert len(world.seen_by("billing")) > 10_000
    assert time.process_time() - began < 8
