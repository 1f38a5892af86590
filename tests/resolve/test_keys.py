"""The forms in which values are compared, names, and the file of domains."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellkept.errors import ConfigError
from wellkept.identity.domains import ascii_domain, label, registrable
from wellkept.identity.keys import account_keys, believable, email_form, phone_form, tax_form
from wellkept.identity.names import fits_domain, fold, is_persons, likeness, skeleton
from wellkept.identity.rules import Rules
from wellkept.records import Account
from wellkept.settings import Identity

RULES = Rules.of(Identity())


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (" Joe@ACME.com ", "joe@acme.com"),
        ("joe@bäckerei.de", "joe@xn--bckerei-5wa.de"),
        ("j.o.e@googlemail.com", "joe@gmail.com"),
        ("joe+news@gmail.com", "joe+news@gmail.com"),
        ("j.oe@acme.com", "j.oe@acme.com"),
        ("no-reply@acme.com", None),
        ("joe", None),
        ("@acme.com", None),
        ("joe@acme", None),
        ("joe@10.0.0.1", None),
        ("a b@acme.com", None),
        (None, None),
    ],
)
def test_addresses(text: str | None, form: str | None) -> None:
    assert email_form(text) == form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("+49 (0)30 123-456", "+4930123456"),
        ("0049 30 123456", "+4930123456"),
        ("+1.415.555.2671 ext. 12", "+14155552671"),
        ("+1 415 555 2671 x9", "+14155552671"),
        ("tel:+1\u2011415\u2011555\u20112671", "+14155552671"),
        ("030 123456", None),
        ("+1 000 000 0000", None),
        ("+12", None),
        ("+1234567890123456", None),
        ("call me", None),
        (None, None),
    ],
)
def test_phone_numbers(text: str | None, form: str | None) -> None:
    assert phone_form(text) == form


@pytest.mark.parametrize(
    ("text", "country", "form"),
    [
        ("DE 123.456.789", None, "DE123456789"),
        ("123456789", "de", "DE123456789"),
        ("123456789", None, "123456789"),
        ("ATU12345678", "AT", "ATU12345678"),
        ("CHE-123.456.788 MWST", "CH", "CHE123456788"),
        ("000000000", "DE", None),
        ("12", "DE", None),
    ],
)
def test_tax_numbers(text: str, country: str | None, form: str | None) -> None:
    assert tax_form(text, country) == form


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("https://www.shop.acme.co.uk:443/x?y#z", "acme.co.uk"),
        ("Acme.COM.", "acme.com"),
        ("joe@mail.acme.com", "acme.com"),
        ("acme.myshopify.com", "acme.myshopify.com"),
        ("www.食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
        ("co.uk", None),
        ("localhost", None),
        ("printer.local", None),
        ("192.168.0.1", None),
        ("example.com", None),
        ("a..b.com", None),
        ("", None),
    ],
)
def test_registrable_domains(text: str, domain: str | None) -> None:
    assert registrable(text) == domain


def test_a_domain_is_called_by_its_first_part() -> None:
    assert label("acme.co.uk") == "acme"
    assert label("xn--85x722f.com.cn") == "食狮"


@given(st.text())
def test_no_text_breaks_the_forms(text: str) -> None:
    for form in (email_form, phone_form, tax_form, ascii_domain, registrable, believable, fold, skeleton):
        form(text)
    assert likeness(text, text) in {"same", "unknown"}


@pytest.mark.parametrize(
    "text",
    [
        "xxx",
        "0",
        "--",
        "??",
        "TBD",
        "N/A",
        "unknown",
        "-1",
        "",
        None,
        "(none)",
        "[empty]",
        "not_set",
        "#N/A",
        "Unassigned",
        "guest",
    ],
)
def test_ids_that_are_none(text: str | None) -> None:
    assert believable(text) is None


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("Acme Inc.", "ACME", "same"),
        ("Blue Sky GmbH & Co. KG", "BlueSky", "same"),
        ("Amce Robotics", "Acme Robotics", "same"),
        ("Müller & Söhne", "Mueller und Soehne AG", "same"),
        ("北京字节跳动科技有限公司", "字节跳动", "like"),
        ("Acme Robotics", "Acme", "like"),
        ("International Business Machines", "IBM", "like"),
        ("Acme Health", "Acme Retail", "unlike"),
        ("Harbour Lights", "Old Mill", "unlike"),
        ("Site 1", "Site 2", "unlike"),
        ("Toyota", "トヨタ", "unknown"),
        ("...", "Acme", "unknown"),
    ],
)
def test_names(one: str, other: str, found: str) -> None:
    assert likeness(one, other) == likeness(other, one) == found


def test_names_and_domains_and_people() -> None:
    assert fits_domain("Blue Sky Inc", "bluesky")
    assert fits_domain("Müller Bau", "mueller")
    assert not fits_domain("Foo", "bright-agency")
    assert is_persons("Jane Doe", "jane.doe@acme.com")
    assert is_persons("Doe, Jane", "jdoe2@acme.com")
    assert not is_persons("Acme", "acme@gmail.com")
    assert not is_persons("Blue Sky", "office@bluesky.com")


def test_pages_at_others_are_no_domain_of_a_company() -> None:
    keys = account_keys(Account(id="1", version=1, domains=["https://www.facebook.com/acme", "acme.com"]), [], RULES)
    assert [key.value for key in keys if key.kind == "domain"] == ["acme.com"]


def test_the_file_of_domains(tmp_path: Path) -> None:
    (tmp_path / "domains.txt").write_text(
        "# ours\nours.io own\n\nAgency.com shared # theirs\nmail.net free\ngmx.de not_shared\n"
    )
    rules = Rules.of(Identity(domains_file=Path("domains.txt")), tmp_path)
    assert [rules.company_domain(name) for name in ("ours.io", "agency.com", "mail.net", "gmx.de")] == [
        None,
        None,
        None,
        "gmx.de",
    ]
    assert [rules.believes_address(f"joe@{name}") for name in ("ours.io", "agency.com", "mail.net")] == [False, False, True]
    assert rules.fingerprint != Rules.of(Identity()).fingerprint


@pytest.mark.parametrize("line", ["agency.com", "agency shared", "agency.com theirs", "a.com b.com shared"])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "domains.txt").write_text(f"ok.com shared\n{line}\n")
    with pytest.raises(ConfigError, match=r"domains\.txt:2"):
        Rules.of(Identity(domains_file=Path("domains.txt")), tmp_path)


def test_wrong_domains_in_the_configuration_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[identity\] shared_domains: 'agency' is no domain"):
        Rules.of(Identity(shared_domains=("agency",)))
    with pytest.raises(ConfigError, match="cannot be read"):
        Rules.of(Identity(domains_file=tmp_path / "none.txt"))
