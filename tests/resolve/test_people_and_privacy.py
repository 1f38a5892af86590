"""People: consent that follows a human through vendors, fields that count, and the erased who stay erased."""

from __future__ import annotations

from typing import Any

from wellkept.identity.golden import golden
from wellkept.identity.keys import Key
from wellkept.identity.rules import Rules
from wellkept.records import CANONICAL
from wellkept.settings import Identity
from wellkept.store import evidence
from wellkept.store.erase import erase
from wellkept.store.records import RecordTables


def keyed_hash(text: str) -> str:
    return f"#{Key('email', text).digest}"


def test_records_of_one_human_are_found_by_address_and_id(book: Any) -> None:
    book.person("zendesk:1", email="joe@acme.com", external_id="u1")
    book.person("hubspot:1", email="joe.private@gmail.com", other_emails=["JOE@acme.com"])
    book.person("mixpanel:1", external_id="u1")
    book.person("mixpanel:2", external_id="u2", email="ann@acme.com")
    book.resolve()
    found = book.read(evidence.humans, {("email", Key("email", "joe@acme.com").digest)})
    assert sorted(":".join(node) for node in found) == ["hubspot:1", "mixpanel:1", "zendesk:1"]


def test_fields_come_from_the_sources_in_order_then_from_whoever_said_it_last(book: Any) -> None:
    book.put("stripe:1", external_id="1", name="Acme Inc", country="DE", email="pay@acme.com", updated_at=10)
    book.put("hubspot:1", external_id="1", name="Acme", country="AT", updated_at=30)
    book.put("zendesk:1", external_id="1", name="ACME (old)", phone="+49301234567", updated_at=20)
    book.resolve()

    def told(rules: Rules) -> dict[str, tuple[str, str, list[str]]]:
        found = book.read(golden, book.tables, book.home("stripe:1"), rules)
        return {item.field: (item.value, item.origin.instance, sorted(item.others)) for item in found}

    latest = told(Rules())
    assert latest["name"] == ("Acme", "hubspot", ["ACME (old)", "Acme Inc"])
    assert latest["phone"] == ("+49301234567", "zendesk", [])
    assert "segment" not in latest
    book.rules = Rules.of(Identity(sources=("zendesk", "stripe"), fields={"country": ("stripe",)}))
    trusted = told(book.rules)
    assert trusted["name"] == ("ACME (old)", "zendesk", ["Acme", "Acme Inc"])
    assert trusted["country"] == ("DE", "stripe", ["AT"])
    book.resolve()
    assert book.table("SELECT name FROM accounts WHERE state = 'active'") == [("ACME (old)",)]


def test_the_erased_leave_no_keys_and_do_not_come_back(book: Any) -> None:
    book.tables = RecordTables(CANONICAL, keyed_hash=keyed_hash)
    book.put("hubspot:1", name="Acme", domains=["acme.com"], external_id="7")
    book.person("hubspot:p", account_ref="1", email="joe@gmail.com", other_emails=["joe@acme.com"], external_id="u1")
    book.person("mixpanel:p", external_id="u1")
    book.person("mixpanel:q", external_id="u2", email="ann@acme.com")
    book.resolve()
    report = erase(book.store, "joe@acme.com", keyed_hash=keyed_hash)
    assert report.records == {"person": 2}
    assert {id_ for (id_,) in book.table("SELECT record_id FROM identity_keys WHERE type = 'person'")} == {"q"}
    book.person("hubspot:p2", account_ref="1", email="other@gmail.com", other_emails=["joe@gmail.com"])
    book.person("mixpanel:p2", external_id="u1")
    book.person("zendesk:p", email="joe@acme.com")
    assert {id_ for (id_,) in book.table("SELECT id FROM r_person")} == {"q"}


def test_an_erased_account_does_not_come_back_with_its_people(book: Any) -> None:
    book.tables = RecordTables(CANONICAL, keyed_hash=keyed_hash)
    book.put("stripe:1", external_id="7", name="Acme")
    book.resolve()
    erase(book.store, book.home("stripe:1"), keyed_hash=keyed_hash)
    book.put("hubspot:1", external_id="7", name="Acme")
    book.person("mixpanel:p", account_external_id="7")
    book.person("mixpanel:q", external_id="7")
    book.resolve()
    assert book.table("SELECT id FROM r_account") == []
    assert book.table("SELECT id FROM r_person") == [("q",)]


def test_what_no_record_says_any_more_is_no_evidence(book: Any) -> None:
    book.put("stripe:1", name="Acme", domains=["acme.com"])
    book.put("hubspot:1", name="Acme Labs", domains=["acme.com"])
    book.put("hubspot:2", name="Acme Care", domains=["acme.com"])
    book.resolve()
    assert [conflict.kind for conflict in book.conflicts()] == ["contested"]
    book.put("hubspot:2", name="Acme Care")
    assert book.together("stripe:1", "hubspot:1")
    assert book.conflicts() == []
