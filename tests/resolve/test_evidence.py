"""Evidence: what joins records of several vendors, what does not, and what is queued for a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wellkept.identity.rules import Rules
from wellkept.settings import Identity

MakeBook = Callable[..., Any]


def kinds(book: Any) -> list[tuple[str, str]]:
    return sorted((conflict.kind, conflict.detail.get("rule", "")) for conflict in book.conflicts())


# --- what joins --------------------------------------------------------------------------------------------------------------


def test_ids_that_people_typed_differently_are_one(book: Any) -> None:
    book.put("stripe:1", external_id="acct-7")
    book.put("zendesk:1", external_id=" ACCT-7 ")
    assert book.together("stripe:1", "zendesk:1")


def test_ids_may_be_case_sensitive(make_book: MakeBook) -> None:
    book = make_book(Rules.of(Identity(case_sensitive_ids=True)))
    book.put("stripe:1", external_id="aB")
    book.put("zendesk:1", external_id="ab")
    assert len(book.groups()) == 2


def test_a_proven_address_joins_an_account_of_that_address(book: Any) -> None:
    book.put("stripe:1", name="Acme Inc", email="Jane@Bäckerei.de")
    book.put("zendesk:1", name="Acme")
    book.person("zendesk:p", account_ref="1", email="jane@xn--bckerei-5wa.de", email_verified=True)
    assert book.together("stripe:1", "zendesk:1")
    assert book.why("stripe:1") == "email"


def test_free_mail_customers_are_joined_by_the_whole_address_alone(book: Any) -> None:
    book.put("stripe:1", name="Joe Baker", email="joe.baker@gmail.com")
    book.put("stripe:2", name="Ann Baker", email="ann@gmail.com")
    book.put("zendesk:1", name="Joe's Bakery", domains=["gmail.com"])
    book.person("zendesk:p", account_ref="1", email="joebaker@googlemail.com", email_verified=True)
    assert book.groups() == {frozenset({"stripe:1", "zendesk:1"}), frozenset({"stripe:2"})}


def test_what_stands_behind_a_plus_is_kept(book: Any) -> None:
    book.put("stripe:1", email="joe+a@gmail.com")
    book.put("hubspot:1", email="joe+b@gmail.com")
    assert len(book.groups()) == 2


def test_a_phone_number_joins_in_international_form_only(book: Any) -> None:
    book.put("stripe:1", name="Acme", phone="+49 (0)30 1234-567")
    book.put("hubspot:1", name="Acme GmbH", phone="0049301234567")
    book.put("zendesk:1", name="Acme", phone="030 1234567")
    assert book.groups() == {frozenset({"stripe:1", "hubspot:1"}), frozenset({"zendesk:1"})}
    assert book.why("hubspot:1") == "phone"


def test_a_company_domain_joins_by_its_registrable_part(book: Any) -> None:
    book.put("stripe:1", name="Acme Ltd", email="billing@mail.acme.co.uk")
    book.put("hubspot:1", name="Acme", domains=["https://www.acme.co.uk/about"])
    book.put("hubspot:2", name="Bolt", domains=["bolt.co.uk"])
    assert book.groups() == {frozenset({"stripe:1", "hubspot:1"}), frozenset({"hubspot:2"})}
    assert book.why("hubspot:1") == "domain"


def test_names_under_a_common_host_are_not_a_common_domain(book: Any) -> None:
    book.put("stripe:1", name="Acme", domains=["acme.myshopify.com"])
    book.put("hubspot:1", name="Acme", domains=["bolt.myshopify.com"])
    assert len(book.groups()) == 2


def test_the_domain_of_most_of_its_people_stands_for_an_account_without_one(book: Any) -> None:
    book.put("mixpanel:1", name="Acme")
    for number, domain in enumerate(["acme.com", "acme.com", "agency.com"]):
        book.person(f"mixpanel:p{number}", account_ref="1", email=f"p{number}@{domain}")
    book.put("hubspot:1", name="Acme Corp", domains=["acme.com"])
    book.put("hubspot:2", name="Agency", domains=["agency.com"])
    assert book.groups() == {frozenset({"mixpanel:1", "hubspot:1"}), frozenset({"hubspot:2"})}


def test_a_tax_number_joins_however_it_is_written(book: Any) -> None:
    book.put("stripe:1", name="Acme", tax_ids=["DE 123.456.789"])
    book.put("hubspot:1", name="Acme", tax_ids=["123456789"], country="DE")
    assert book.together("stripe:1", "hubspot:1")
    assert book.why("stripe:1") == "tax_id"


def test_several_people_in_common_join(book: Any) -> None:
    book.put("mixpanel:1")
    book.put("zendesk:1")
    for number in range(2):
        for instance in ("mixpanel", "zendesk"):
            book.person(f"{instance}:p{number}", account_ref="1", email=f"p{number}@gmail.com")
    assert book.together("mixpanel:1", "zendesk:1")
    assert book.why("zendesk:1") == "people"


def test_what_a_vendor_has_merged_is_one(book: Any) -> None:
    book.put("zendesk:1", external_id="1", created_at=2)
    book.put("zendesk:2", external_id="2", merged_into="1", created_at=1)
    book.put("hubspot:1", external_id="9", merged_ids=["2"], created_at=3)
    book.put("hubspot:2", external_id="8", created_at=1)
    assert book.groups() == {frozenset({"zendesk:1", "zendesk:2"}), frozenset({"hubspot:1", "hubspot:2"})}
    assert book.why("zendesk:2") == "merged"


# --- what does not -----------------------------------------------------------------------------------------------------------


def test_a_name_alone_is_a_suggestion_and_no_link(book: Any) -> None:
    book.put("stripe:1", name="Blue Sky GmbH")
    book.put("hubspot:1", name="BlueSky")
    book.put("hubspot:2", name="Red Rock")
    assert len(book.groups()) == 3
    (item,) = book.review(lambda review: review.queue())
    assert item.kind == "name"
    assert sorted(side.record.instance for side in item.sides) == ["hubspot", "stripe"]
    book.say("stripe:1", "hubspot:1", "apart")
    book.resolve()
    assert book.review(lambda review: review.queue()) == []


def test_weak_evidence_between_ids_that_disagree_is_queued_with_both_sides(book: Any) -> None:
    book.put("stripe:1", name="Acme", external_id="1", domains=["acme.com"])
    book.put("hubspot:1", name="Acme", external_id="2", domains=["acme.com"])
    book.put("zendesk:1", name="Acme", domains=["acme.com"])
    assert len(book.groups()) == 3
    (item,) = book.review(lambda review: review.queue())
    assert (item.kind, item.rule, item.value) == ("contested", "domain", "acme.com")
    assert {side.record.instance: side.external_id for side in item.sides} == {
        "stripe": True,
        "hubspot": True,
        "zendesk": False,
    }


def test_a_bridge_joins_neither_of_two_that_disagree(book: Any) -> None:
    book.put("stripe:1", external_id="1", domains=["acme.com"])
    book.put("zendesk:1", domains=["acme.com"], email="joe@gmail.com")
    book.put("hubspot:1", external_id="2", email="joe@gmail.com")
    book.groups()
    assert book.home("stripe:1") != book.home("hubspot:1")
    book.put("zendesk:2", domains=["acme.com", "bolt.com"])
    book.put("mixpanel:1", external_id="3", domains=["bolt.com"])
    book.resolve()
    homes = {book.home(name) for name in ("stripe:1", "hubspot:1", "mixpanel:1")}
    assert len(homes) == 3
    assert book.home("zendesk:2") not in homes


def test_an_agency_acts_for_several_and_joins_none(book: Any) -> None:
    for number, name in enumerate(["Acme", "Bolt", "Crown"]):
        book.put(f"stripe:{number}", name=name, email="ana@agency.com")
        book.put(f"zendesk:{number}", name=name)
        book.person(f"zendesk:p{number}", account_ref=str(number), email="ana@agency.com", email_verified=True)
    book.put("hubspot:agency", name="Agency Partners", domains=["agency.com"])
    found = book.groups()
    assert frozenset({"hubspot:agency"}) in found
    assert all(len({name.partition(":")[2] for name in group}) == 1 for group in found)


def test_somebody_whom_the_vendor_knows_at_several_accounts_joins_none(book: Any) -> None:
    book.put("zendesk:1")
    book.put("zendesk:2")
    book.person("zendesk:p", account_ref="1", other_account_refs=["2"], email="ana@agency.com", email_verified=True)
    book.put("stripe:1", email="ana@agency.com")
    assert len(book.groups()) == 3


def test_somebody_who_moved_does_not_merge_firms(book: Any) -> None:
    book.put("hubspot:1", name="Acme", domains=["acme.com"])
    book.person("hubspot:p", account_ref="1", email="joe@acme.com")
    book.put("zendesk:2", name="Bolt", domains=["bolt.com"])
    book.person("zendesk:p", account_ref="2", email="joe@acme.com", email_verified=True)
    book.person("zendesk:q", account_ref="2", email="ann@bolt.com", email_verified=True)
    assert len(book.groups()) == 2


def test_an_address_that_was_given_to_somebody_else_joins_no_unlike_names(book: Any) -> None:
    book.put("stripe:1", name="Old Mill", email="office@gmail.com", created_at=1)
    book.put("zendesk:2", name="Harbour Lights")
    book.person("zendesk:p", account_ref="2", email="office@gmail.com", email_verified=True)
    assert len(book.groups()) == 2
    assert kinds(book) == [("contested", "email")]


def test_sub_brands_of_one_domain_stay_apart(book: Any) -> None:
    book.put("hubspot:1", name="Acme Health", domains=["acme.com"])
    book.put("hubspot:2", name="Acme Retail", domains=["acme.com"])
    book.put("zendesk:1", name="Acme", domains=["acme.com"])
    assert len(book.groups()) == 3
    assert ("contested", "domain") in kinds(book)


def test_sub_brands_at_two_vendors_stay_apart_though_the_domain_is_named_after_both(book: Any) -> None:
    book.put("stripe:1", name="Acme France", domains=["acme.com"])
    book.put("zendesk:1", name="Acme Germany", domains=["acme.com"])
    assert len(book.groups()) == 2
    assert kinds(book) == [("contested", "domain")]


def test_customers_of_a_provider_that_no_list_knows_stay_apart(book: Any) -> None:
    for number, name in enumerate(["jane.doe", "bob.ray", "li.wei"]):
        title = name.replace(".", " ").title()
        book.put(f"stripe:{number}", name=title, email=f"{name}@regional-isp.net.nz")
    book.put("mixpanel:1", email="ann@regional-isp.net.nz")
    assert len(book.groups()) == 4


def test_consultants_do_not_join_their_client_to_whoever_pays_them(book: Any) -> None:
    book.put("stripe:1", email="ap@consult.biz")
    book.put("hubspot:1", name="Old Mill")
    for name in ("ann", "bob"):
        book.person(f"hubspot:{name}", account_ref="1", email=f"{name}@consult.biz")
    assert len(book.groups()) == 2


def test_parent_and_child_stay_apart(book: Any) -> None:
    book.put("hubspot:1", name="Acme", domains=["acme.com"])
    book.put("hubspot:2", name="Acme", domains=["acme.com"], parent_ref="1")
    assert len(book.groups()) == 2


def test_duplicates_at_one_vendor_are_joined(book: Any) -> None:
    book.put("hubspot:1", name="Acme Robotics", domains=["acme.com"])
    book.put("hubspot:2", name="Acme Robotcis Inc.", domains=["acme.com"])
    assert book.together("hubspot:1", "hubspot:2")


def test_tax_numbers_of_one_country_that_differ_are_two(book: Any) -> None:
    book.put("stripe:1", name="Acme", tax_ids=["DE123456789"], domains=["acme.com"])
    book.put("hubspot:1", name="Acme", tax_ids=["DE987654321"], domains=["acme.com"])
    assert len(book.groups()) == 2


def test_tax_numbers_of_no_known_country_do_not_speak_against_each_other(book: Any) -> None:
    book.put("stripe:1", name="Acme", domains=["acme.com"], tax_ids=["123456789"])
    book.put("hubspot:1", name="Acme", domains=["acme.com"], tax_ids=["12-3000111"])
    assert book.together("stripe:1", "hubspot:1")


def test_a_person_who_paid_does_not_speak_against_the_company(book: Any) -> None:
    book.put("stripe:1", name="Jane Doe", email="jane.doe@acme.com")
    book.put("hubspot:1", name="Acme", domains=["acme.com"])
    assert book.together("stripe:1", "hubspot:1")


def test_what_a_person_said_of_an_account_goes_with_the_person(book: Any) -> None:
    """A user without an address tells only our id of the account; who has moved on tells nothing any more."""
    book.put("mixpanel:1", name="Acme")
    book.put("stripe:1", name="Acme", external_id="acct-1")
    book.person("mixpanel:p", account_ref="1", account_external_id="acct-1")
    assert book.together("mixpanel:1", "stripe:1")
    book.person("mixpanel:p", account_ref=None, account_external_id="acct-1")
    assert book.groups() == {frozenset({"mixpanel:1"}), frozenset({"stripe:1"})}


def test_our_own_people_are_nobodys_customers(make_book: MakeBook) -> None:
    book = make_book(Rules.of(Identity(own_domains=("ourselves.com",))))
    book.put("zendesk:1", name="Acme")
    book.put("stripe:1", name="Acme", email="sales@ourselves.com")
    book.person("zendesk:p", account_ref="1", email="sales@ourselves.com", email_verified=True)
    book.person("zendesk:q", account_ref="1", email="bot@gmail.com", roles=["agent"], email_verified=True)
    book.put("stripe:2", name="Acme", email="bot@gmail.com")
    assert len(book.groups()) == 3


@pytest.mark.parametrize("address", ["a@mailinator.com", "noreply@acme.com", "none"])
def test_throw_away_addresses_join_nothing(book: Any, address: str) -> None:
    book.put("stripe:1", name="Acme", email=address)
    book.put("hubspot:1", name="Acme", email=address)
    found = book.groups()
    assert len(found) == (1 if address.endswith("@acme.com") else 2)
    assert "email" not in book.why("stripe:1")


# --- hubs and size -----------------------------------------------------------------------------------------------------------


def test_a_domain_of_too_many_is_stopped_reported_and_believed_again(make_book: MakeBook) -> None:
    book = make_book(Rules(hub_limit=3))
    for number in range(3):
        book.put(f"stripe:{number}", domains=["reseller.com"])
    assert len(book.groups()) == 1
    book.put("hubspot:1", domains=["reseller.com"])
    assert len(book.groups()) == 4
    (conflict,) = book.conflicts()
    assert (conflict.kind, conflict.detail["rule"], conflict.detail["records"]) == ("hub", "domain", 4)
    assert "reseller" not in str(conflict)
    (item,) = book.review(lambda review: review.queue())
    assert (item.value, item.records) == ("reseller.com", 4)
    book.put("hubspot:1", domains=["other.com"])
    assert len(book.groups()) == 2
    assert book.conflicts() == []


def test_weak_evidence_makes_no_account_larger_than_configured(make_book: MakeBook) -> None:
    book = make_book(Rules(max_records=2))
    for number in range(3):
        book.put(f"{'abc'[number]}:1", name="Acme", domains=["acme.com"])
    assert sorted(map(len, book.groups())) == [1, 2]
    assert kinds(book) == [("crowded", "domain")]


def test_other_rules_resolve_everything_again(make_book: MakeBook) -> None:
    book = make_book()
    book.put("stripe:1", name="Acme", domains=["agency.com"])
    book.put("hubspot:1", name="Acme", domains=["agency.com"])
    book.person("mixpanel:p", email="joe@agency.com")
    book.resolve()
    assert book.homes() == {"mixpanel:p": book.home("stripe:1")}
    book.rules = Rules.of(Identity(shared_domains=("agency.com",)))
    assert len(book.groups()) == 2
    assert book.homes() == {}
    book.rules = Rules.of(Identity(shared_domains=("agency.com",), not_shared=("agency.com",)))
    assert len(book.groups()) == 1


# --- people's words ----------------------------------------------------------------------------------------------------------


def test_a_word_outranks_weak_evidence_and_survives_another_sync(book: Any) -> None:
    for name in ("stripe:1", "hubspot:1", "zendesk:1"):
        book.put(name, name="Acme", domains=["acme.com"])
    assert len(book.groups()) == 1
    for other in ("stripe:1", "hubspot:1"):
        book.say("zendesk:1", other, "apart")
    assert book.groups() == {frozenset({"stripe:1", "hubspot:1"}), frozenset({"zendesk:1"})}
    assert book.conflicts() == []
    for name in ("stripe:1", "hubspot:1", "zendesk:1"):
        book.put(name, name="Acme Inc", domains=["acme.com"])
    assert book.groups() == {frozenset({"stripe:1", "hubspot:1"}), frozenset({"zendesk:1"})}


def test_after_an_acquisition_a_person_may_join_ids_that_disagree(book: Any) -> None:
    book.put("stripe:1", external_id="1", created_at=2)
    book.put("stripe:2", external_id="2", created_at=1)
    book.put("hubspot:2", external_id="2", created_at=3)
    book.say("stripe:1", "stripe:2")
    assert len(book.groups()) == 2
    assert kinds(book) == [("external_id", "")]
    book.say("stripe:1", "stripe:2", "forced")
    assert book.together("stripe:1", "stripe:2", "hubspot:2")
    assert book.conflicts() == []


# --- tests and the deleted ---------------------------------------------------------------------------------------------------


def test_test_accounts_are_nobodys_customers(book: Any) -> None:
    book.put("stripe:1", name="Test account 3", external_id="5")
    book.put("hubspot:1", name="Acme", domains=["acme.com"])
    book.put("zendesk:1", name="acme", domains=["acme.com"], test=True)
    book.put("hubspot:2", name="Test", external_id="6")
    book.put("stripe:2", name="Bolt", external_id="6")
    book.resolve()
    assert {name: book.state(name) for name in ("stripe:1", "hubspot:1", "zendesk:1", "stripe:2")} == {
        "stripe:1": "test",
        "hubspot:1": "active",
        "zendesk:1": "test",
        "stripe:2": "active",
    }
    assert book.home("zendesk:1") != book.home("hubspot:1")


def test_a_changed_domain_does_not_lose_the_account(book: Any) -> None:
    book.put("stripe:1", name="Acme", email="pay@acme-old.com", created_at=1)
    book.put("hubspot:1", name="Acme", domains=["acme-old.com"], created_at=2)
    assert book.together("stripe:1", "hubspot:1")
    home = book.home("stripe:1")
    book.put("hubspot:1", name="Acme", domains=["acme.com", "acme-old.com"], created_at=2)
    assert book.together("stripe:1", "hubspot:1")
    book.put("stripe:1", name="Acme", email="pay@acme.com", created_at=1)
    assert book.together("stripe:1", "hubspot:1")
    assert book.home("stripe:1") == home


# --- persons without an account ----------------------------------------------------------------------------------------------


def test_people_without_an_account_are_found_one(book: Any) -> None:
    book.put("stripe:1", external_id="7", email="pay@acme.com", name="Acme")
    book.put("zendesk:2", name="Bolt")
    book.person("zendesk:p", account_ref="2", email="joe@gmail.com", external_id="u1")
    book.person("mixpanel:id", account_external_id="7")
    book.person("mixpanel:user", external_id="u1")
    book.person("mixpanel:mail", email="joe@gmail.com")
    book.person("mixpanel:domain", email="new@acme.com")
    book.person("mixpanel:nobody", email="x@gmail.com")
    book.resolve()
    one, two = book.home("stripe:1"), book.home("zendesk:2")
    found = {name: home for name, home in book.homes().items() if name.startswith("mixpanel")}
    assert found == {"mixpanel:id": one, "mixpanel:user": two, "mixpanel:mail": two, "mixpanel:domain": one}
    lost = [item for item in book.review(lambda review: list(review.unmatched())) if item.type == "person"]
    assert [(item.record.id, item.values) for item in lost] == [("nobody", ["x@gmail.com"])]


def test_people_follow_when_the_account_moves_or_comes_later(book: Any) -> None:
    book.person("mixpanel:p", email="new@acme.com")
    book.resolve()
    assert book.homes() == {}
    book.put("hubspot:1", name="Acme", domains=["acme.com"])
    book.resolve()
    assert book.homes() == {"mixpanel:p": book.home("hubspot:1")}
    book.put("hubspot:1", name="Acme", domains=["acme.com"], external_id="5")
    book.resolve()
    assert book.homes() == {"mixpanel:p": book.home("hubspot:1")}
    book.put("hubspot:1", name="Acme", domains=["elsewhere.com"], external_id="5")
    book.resolve()
    assert book.homes() == {}


def test_somebody_of_two_accounts_belongs_to_neither(book: Any) -> None:
    for number, name in enumerate(["Acme", "Bolt"]):
        book.put(f"zendesk:{number}", name=name)
        book.person(f"zendesk:p{number}", account_ref=str(number), email="ana@agency.com")
    book.person("mixpanel:p", email="ana@agency.com")
    book.resolve()
    assert "mixpanel:p" not in book.homes()


def test_people_of_an_account_that_their_vendor_has_no_record_of_are_found_by_our_id(book: Any) -> None:
    book.put("stripe:1", external_id="7")
    book.person("mixpanel:p", account_ref="7", account_external_id="7")
    book.resolve()
    assert book.homes() == {"mixpanel:p": book.home("stripe:1")}
    book.put("mixpanel:7", name="Seven")
    book.resolve()
    assert book.homes() == {"mixpanel:p": book.home("mixpanel:7")}
    assert book.together("stripe:1", "mixpanel:7")
