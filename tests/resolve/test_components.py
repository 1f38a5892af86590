"""Groups of account records: what joins them, what keeps them apart, and what they are called."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellkept.identity.clusters import Facts
from wellkept.identity.keys import believable
from wellkept.pipeline.components import Solution, external_account, record_account, solve
from wellkept.store.accounts import Manual, Node, digest

A, B, C, D = Node("stripe", "a"), Node("hubspot", "b"), Node("zendesk", "c"), Node("stripe", "d")


def facts(node: Node, external_id: str | None = None, created_at: int | None = None, **more: object) -> Facts:
    key = None if external_id is None else digest("external_id", external_id)
    return Facts(node=node, external_id=key, created_at=created_at, **more)  # type: ignore[arg-type]


def said(a: Node, b: Node, relation: str = "same") -> Manual:
    return Manual(a=a, b=b, relation=relation, author="ada", reason="called them", at=1)  # type: ignore[arg-type]


def groups(solution: Solution) -> dict[str, list[Node]]:
    return {group.account: [member.node for member in group.members] for group in solution.groups}


def test_equal_external_ids_are_one_customer_named_after_the_id() -> None:
    solution = solve([facts(A, "42", 9), facts(B, "42", 3), facts(C, "43", 1)], [])
    assert groups(solution) == {external_account("42"): [B, A], external_account("43"): [C]}
    assert [member.rule for group in solution.groups for member in group.members] == ["external_id"] * 3


def test_records_without_evidence_are_customers_of_their_own() -> None:
    solution = solve([facts(A), facts(B)], [])
    assert groups(solution) == {record_account(A): [A], record_account(B): [B]}


def test_a_manual_link_joins_and_the_oldest_record_names() -> None:
    solution = solve([facts(A, created_at=5), facts(B, created_at=2), facts(C)], [said(A, B), said(B, C)])
    assert groups(solution) == {record_account(B): [B, A, C]}
    assert {member.rule for member in solution.groups[0].members} == {"manual"}


def test_external_ids_that_disagree_block_a_manual_link() -> None:
    solution = solve([facts(A, "1"), facts(B, "2")], [said(A, B)])
    assert set(groups(solution)) == {external_account("1"), external_account("2")}
    (conflict,) = solution.conflicts
    assert conflict.kind == "external_id"
    assert conflict.subject == '[["hubspot","b"],["stripe","a"]]'
    assert [side["record"] for side in conflict.detail["sides"]] == [["hubspot", "b"], ["stripe", "a"]]
    assert "42" not in str(conflict.detail)


def test_external_ids_that_disagree_block_also_around_a_corner() -> None:
    solution = solve([facts(A, "1", 1), facts(B, None, 2), facts(C, "2", 3)], [said(A, B), said(B, C)])
    assert groups(solution) == {external_account("1"): [A, B], external_account("2"): [C]}
    assert [conflict.kind for conflict in solution.conflicts] == ["external_id"]


def test_a_person_can_keep_records_apart_that_share_an_id() -> None:
    solution = solve([facts(A, "1", 1), facts(B, "1", 2), facts(C, "1", 3)], [said(A, B, "apart")])
    assert groups(solution) == {external_account("1"): [A, C], record_account(B): [B]}
    assert not solution.conflicts


def test_what_people_said_may_contradict_itself() -> None:
    solution = solve([facts(A, None, 1), facts(B, None, 2), facts(C, None, 3)], [said(A, B), said(B, C), said(A, C, "apart")])
    assert groups(solution) == {record_account(A): [A, B], record_account(C): [C]}
    assert [conflict.kind for conflict in solution.conflicts] == ["manual"]


def test_the_name_is_that_of_the_oldest_living_record() -> None:
    (group,) = solve(
        [
            facts(A, "1", 1, name="Old", deleted=True),
            facts(B, "1", 2),
            facts(C, "1", 3, name="Young"),
            facts(D, "1", 4, name="X"),
        ],
        [],
    ).groups
    assert (group.name, group.gone) == ("Young", False)
    (group,) = solve([facts(A, "1", name="Old", deleted=True)], []).groups
    assert (group.name, group.gone) == ("Old", True)


@pytest.mark.parametrize("text", ["", " ", "0", "000", "-", "--", "-1", "null", "None", "N/A", "undefined", "0000-0000", None])
def test_placeholders_are_no_ids(text: str | None) -> None:
    assert believable(text) is None


@pytest.mark.parametrize("text", ["1", "42", "10", "a", "-2", "0x1", "acme"])
def test_ids_are_ids(text: str) -> None:
    assert believable(text) == text


nodes = [Node(instance, id_) for instance in ("hubspot", "stripe", "zendesk") for id_ in "abc"]
worlds = st.tuples(
    st.lists(
        st.builds(
            facts,
            st.sampled_from(nodes),
            st.none() | st.sampled_from(["1", "2", "3"]),
            st.none() | st.integers(0, 3),
        ),
        unique_by=lambda known: known.node,
    ),
    st.lists(
        st.builds(said, st.sampled_from(nodes), st.sampled_from(nodes), st.sampled_from(["same", "apart"])).filter(
            lambda link: link.a != link.b
        ),
        unique_by=lambda link: frozenset((link.a, link.b)),
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)


@given(worlds)
@settings(max_examples=150, deadline=None)
def test_order_never_matters_and_strong_ids_never_meet(world: tuple[list[Facts], list[Manual], random.Random]) -> None:
    records, manual, shuffler = world
    solution = solve(records, manual)
    shuffled, links = records.copy(), [replace(link, a=link.b, b=link.a) for link in manual]
    shuffler.shuffle(shuffled)
    shuffler.shuffle(links)
    again = solve(shuffled, links)
    assert again.groups == solution.groups
    assert {(c.kind, c.subject) for c in again.conflicts} == {(c.kind, c.subject) for c in solution.conflicts}
    by_node = {known.node: known for known in records}
    found = groups(solution)
    assert sorted(node for members in found.values() for node in members) == sorted(by_node)
    assert len(found) == len(solution.groups)
    for members in found.values():
        assert len({by_node[node].external_id for node in members} - {None}) <= 1
        for link in manual:
            assert link.relation == "same" or not {link.a, link.b} <= set(members)
    home = {node: account for account, members in found.items() for node in members}
    known = [link for link in manual if link.a in home and link.b in home and link.relation == "same"]
    apart = sum(home[link.a] != home[link.b] for link in known)
    assert apart == len({conflict.subject for conflict in solution.conflicts})
