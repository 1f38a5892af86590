"""A recording of an account plays back as the vendor did, and names nobody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from wellkept.http.tap import Exchange
from wellkept.recording import Report, Scrubber, Writer, record_instance
from wellkept.recording.bodies import replaced, rows_of
from wellkept.redact import MASK, REDACTOR
from wellkept.testing import FakeClock, Recording, Server
from wellkept.testing.conformance import Bench
from wellkept_stripe.simulator import StripeSimulator


class Made:
    """A recording of a small Stripe account."""

    def __init__(self, folder: Path, report: Report, rows: dict[str, int], people: list[str], secret: str) -> None:
        self.folder, self.report, self.rows, self.people, self.secret = folder, report, rows, people, secret

    @property
    def text(self) -> str:
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted(self.folder.iterdir()))


def counted(bench: Bench) -> dict[str, int]:
    counts: dict[str, int] = {}
    for kind, _ in bench.rows():
        counts[kind] = counts.get(kind, 0) + 1
    return counts


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder, clock = tmp_path_factory.mktemp("recording"), FakeClock()
    simulator = StripeSimulator(accounts=5, clock=clock, seed=3)
    with pytest.MonkeyPatch.context() as patch, Server(simulator) as server:
        patch.setenv("STRIPE_KEY", simulator.key)
        keys = {"api_key": "env:STRIPE_KEY", "api_base": server.url}
        with Bench(folder / "bench", "stripe", keys, clock=clock) as bench:
            report = bench.runtime.run(record_instance(bench.instance, folder / "made", limit=50, now=clock.now()))
            assert bench.rows() == {}
            bench.sync()
            people = [
                text
                for kind in ("account", "person")
                for (found, _), row in bench.rows().items()
                if found == kind
                for text in (row.get("name"), row.get("email"))
                if text
            ]
            yield Made(folder / "made", report, counted(bench), people, simulator.key)


def test_it_plays_back_to_the_same_rows(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert made.report.ok, made.report
    recording = Recording(made.folder)
    monkeypatch.setenv("STRIPE_KEY", "rk_test_any_key_will_do")
    clock = FakeClock(recording.recorded_at)
    with (
        Server(recording) as server,
        Bench(tmp_path / "b", "stripe", {"api_key": "env:STRIPE_KEY", "api_base": server.url}, clock=clock) as bench,
    ):
        assert bench.check().ok
        report = bench.sync()
        assert [(item.stream, item.error) for item in report.streams if item.state != "done"] == []
        assert counted(bench) == made.rows
        assert bench.sync().streams[0].state == "done"
        who = [row for (kind, _), row in bench.rows().items() if kind == "account"]
        assert len({row["name"] for row in who}) == len({name for name in made.people if "@" not in name} & set(made.people))


def test_nobody_and_no_secret_is_in_it(made: Made) -> None:
    assert made.people
    assert made.secret not in made.text
    assert [text for text in made.people if text in made.text] == []
    assert "127.0.0.1" not in made.text


def test_the_same_person_is_the_same_stand_in(made: Made) -> None:
    mails = set()
    for path in made.folder.glob("*customers*.json"):
        for row in json.loads(path.read_text(encoding="utf-8"))["answer"].get("json", {}).get("data", []):
            mails.add((row["id"], row["email"]))
    assert len({mail for _, mail in mails}) == len({id_ for id_, _ in mails}) > 1


def test_what_was_not_recorded_is_said(made: Made) -> None:
    with Server(Recording(made.folder)) as server:
        answer = httpx.get(f"{server.url}/v1/nothing")
        assert answer.status_code == 404
        assert answer.json() == {"error": "GET /v1/nothing was not recorded with these parameters"}
        assert httpx.post(f"{server.url}/oauth/token").json()["access_token"] == "recorded-token"


def test_a_recording_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recording.json").write_text('{"format": 99}', encoding="utf-8")
    with pytest.raises(ValueError, match="has format 99"):
        Recording(tmp_path)


def test_a_stream_that_is_too_long_is_cut_and_told(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_KEY", made.secret)
    recording = Recording(made.folder)
    keys: dict[str, Any] = {"api_key": "env:STRIPE_KEY"}
    with (
        Server(recording) as server,
        Bench(tmp_path / "b", "stripe", keys | {"api_base": server.url}, clock=FakeClock(recording.recorded_at)) as bench,
    ):
        report = bench.runtime.run(record_instance(bench.instance, tmp_path / "short", limit=1, now=1))
    assert not report.ok
    assert {item.note for item in report.streams} == {"cut off: it needs more than 1 request"}


# --- what is replaced ---


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("status", "past_due"), ("id", "cus_9s6XKzkNRiz8i3"), ("created", "2026-11-21T10:00:00Z"), ("type", "invoice.paid"),
        ("amount", "12.50"), ("next_cursor", "eyJpZCI6OX0="), ("uuid", "7f3c2a0e-0000-4000-8000-c0ffee000001"),
        ("currency", "EUR"), ("event_name", "Report Opened"), ("starting_after", "cus_1"),
    ],
)  # fmt: skip
def test_what_a_connector_lives_on_stays(key: str, value: str) -> None:
    assert Scrubber().text(key, value) == value


@pytest.mark.parametrize(
    ("key", "value", "made"),
    [
        ("email", "Ada@lovelace.org", "person1@company1.example"),
        ("anything", "write to ada@lovelace.org now", "write to person1@company1.example now"),
        ("first_name", "ada", "text1"),
        ("phone", "+49 151 234567", "+15550000001"),
        ("client_secret", "x9", MASK),
        ("custom", "Prefers calls on Monday", "text1"),
        ("website", "lovelace.org", "company1.example"),
        ("site", "www.lovelace.org", "company1.example"),
        ("avatar", "https://cdn.lovelace.org/ada.png", "https://company1.example/page1"),
        ("next_page", "https://acme.vendor.com/v1/x?page=2", "{origin}/v1/x?page=2"),
    ],
)
def test_what_is_somebody_s_is_replaced(key: str, value: str, made: str) -> None:
    scrubber = Scrubber()
    scrubber.origins.add("https://acme.vendor.com")
    assert scrubber.text(key, value) == made
    assert scrubber.text(key, value) == made


CSV = b'id;name;site;at\r\n7;"Lovelace; Ada";lovelace.org;2026-11-21\r\n8;Grace;hopper.org;2026-11-22\r\n'
XML = b"""<?xml version="1.0"?>
<list xmlns="urn:vendor"><client id="7" email="ada@lovelace.org"><name>Ada &amp; Co</name><visits>3</visits></client></list>"""


def test_csv_and_xml_are_kept_with_their_people_replaced() -> None:
    kept = replaced(CSV, "text/csv; charset=utf-8", Scrubber().text)
    assert kept == "id,name,site,at\r\n7,text1,company1.example,2026-11-21\r\n8,text2,company2.example,2026-11-22\r\n"
    kept = replaced(XML, "application/xml", Scrubber().text)
    assert kept is not None
    assert rows_of(kept.encode(), "application/xml")[-1] == {
        "id": "7", "email": "person1@company1.example", "name": "text1", "visits": "3",
    }  # fmt: skip
    assert replaced(b"%PDF", "application/pdf", Scrubber().text) is None
    assert replaced(b"<cut", "application/xml", Scrubber().text) is None


def test_rows_of_csv_and_xml_are_seen_as_rows() -> None:
    assert rows_of(CSV, "text/csv")[0] == {"id": "7", "name": "Lovelace; Ada", "site": "lovelace.org", "at": "2026-11-21"}
    rows = rows_of(XML, "text/xml")
    assert rows[-1] == {"id": "7", "email": "ada@lovelace.org", "name": "Ada & Co", "visits": "3"}
    assert rows_of(b"{}", "application/json") == rows_of(b"", "text/csv") == []


def test_headers_that_say_where_to_go_on_and_bodies_of_any_text_are_played_back(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    exchange: Any = {"origin": "http://v.example", "method": "GET", "content": b"", "kind": "", "status": 200}
    headers = {"content-type": "text/csv", "x-next-cursor": "c1", "x-pages": "2", "x-owner": "ada@lovelace.org"}
    writer.hear(Exchange(target="/rows.csv", headers=headers, body=CSV, **exchange))
    writer.hear(Exchange(target="/bill", headers={"content-type": "application/pdf"}, body=b"%PDF", **exchange))
    assert writer.left_out == {"application/pdf": 1}
    assert not Report(left_out=writer.left_out).ok
    about = {"format": 1, "plugin": "quill", "recorded_at": 1}
    (tmp_path / "recording.json").write_text(json.dumps(about), encoding="utf-8")
    with Server(Recording(tmp_path)) as server:
        answer = httpx.get(f"{server.url}/rows.csv")
    assert (answer.headers["x-next-cursor"], answer.headers["x-pages"]) == ("c1", "2")
    assert "x-owner" not in answer.headers
    assert rows_of(answer.content, "text/csv")[0]["name"] == "text1"


def test_known_secrets_go_wherever_they_stand_and_domains_belong_together() -> None:
    REDACTOR.register("very-secret-value-1")
    scrubber = Scrubber()
    found = scrubber.data(
        {"note": 7, "ref": "x very-secret-value-1", "email": "a@acme.io", "domain": "acme.io", "b@acme.io": 1, "phone": 491512}
    )
    assert found == {
        "note": 7, "ref": "x ***", "email": "person1@company1.example", "domain": "company1.example",
        "person2@company1.example": 1, "phone": 0,
    }  # fmt: skip
