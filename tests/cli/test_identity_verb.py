"""``wellkept identity``, on an installation of two vendors that are files: what it shows, and what a person's word does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Install = Callable[..., None]
Configured = Callable[[str], Path]

BOOKS = """
import json
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from wellkept import (
    AccountScorer, Batch, CheckResult, Contribution, Measure, Outcome, PluginInfo, Score, ScorePush, Source, StateAction,
    Stream, hookimpl,
)
from wellkept.records import Account, Invoice, Person


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Read(Source):
    def __init__(self, ctx):
        self.ctx = ctx

    def streams(self):
        return [Stream(name="all", records=(Account, Person, Invoice), doc="Everything.", deletes="absence")]

    async def check(self):
        return CheckResult(findings=[], vendor_account=self.ctx.instance, mode="test")

    async def read(self, request):
        known = json.loads(Path(f"{self.ctx.instance}.json").read_text())
        version = self.ctx.clock.now()
        records = []
        for id_, fields in known.items():
            bills = fields.pop("bills", 0)
            for number, person in enumerate(fields.pop("people", [])):
                records.append(Person(id=f"{id_}-{number}", version=version, account_ref=id_, **person))
            records.append(Account(id=id_, version=version, **fields))
            records += [
                Invoice(id=f"{id_}-{bill}", version=version, account_ref=id_, status="open", currency="usd", amount_due=1)
                for bill in range(bills)
            ]
        yield Batch(records=records, cursor={}, complete=True)


class Write(StateAction):
    payload = ScorePush
    max_batch = 10

    def __init__(self, ctx):
        self.path = Path(f"{ctx.instance}.pushed.json")

    def known(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    async def deliver(self, deliveries):
        known = self.known()
        for delivery in deliveries:
            known.setdefault(delivery.target.id, {}).update(delivery.fields)
        self.path.write_text(json.dumps(known))
        return [Outcome.done() for _ in deliveries]

    async def read(self, targets, fields):
        known = self.known()
        return [{field: known.get(target.id, {}).get(field) for field in fields} for target in targets]


class Bills(AccountScorer):
    name = "health"
    version = "1"
    bands = ("red", "green")
    uses = frozenset({"bills"})

    def score_account(self, row, previous):
        if not row["bills"]:
            return Score(account=row.account, value=None, band=None, coverage=0.0, note="no bills")
        value = Decimal(10 * row["bills"])
        part = Contribution(measure="bills", group="all", value=row["bills"], points=value, text="bills", weight=1.0)
        return Score(account=row.account, value=value, band="green", coverage=1.0, contributions=[part])


class Plugin:
    @hookimpl
    def describe(self):
        return PluginInfo(name="books", api="1.0", summary="Reads a file.", config="wellkept_books:Nothing")

    @hookimpl
    def sources(self, ctx):
        return [Read(ctx)]

    @hookimpl
    def actions(self, ctx):
        return [Write(ctx)]

    @hookimpl
    def measures(self, ctx):
        bills = Measure(name="bills", record=Invoice, aggregate="count", unit="count", doc="Bills.")
        return [bills] if ctx.instance == "crm" else []

    @hookimpl
    def scorers(self, ctx):
        return [Bills()] if ctx.instance == "crm" else []


plugin = Plugin()
"""

CONFIG = """
[identity]
sources = ["crm"]

[safety]
max_effects = 100
max_share = 1.0

[[push]]
to = "crm"
properties = { score = "health" }
first = "all"

[[push]]
to = "desk"
properties = { score = "health" }
first = "all"

[plugins.crm]
plugin = "books"
live = true

[plugins.desk]
plugin = "books"
live = true
"""

CRM = {
    "c1": {"name": "Acme", "domains": ["acme.com"], "bills": 2},
    "c2": {"name": "Blue Rock", "external_id": "7", "bills": 3, "country": "DE"},
    "c3": {"name": "Crown", "domains": ["crown.com"], "bills": 1},
}
DESK = {
    "d1": {"name": "Harbour", "bills": 5},
    "d2": {"name": "Unlike", "bills": 0},
    "d3": {"name": "Crown Inc", "people": [{"email": "joe@crown.com", "email_verified": True}]},
    "d4": {"name": "Blue Rock GmbH"},
    "d5": {"name": "Other", "external_id": "9", "domains": ["crown.com"]},
}


@pytest.fixture
def house(install: Install, configured: Configured, here: Path) -> Path:
    install("books", BOOKS)
    configured(CONFIG)
    (here / "crm.json").write_text(json.dumps(CRM))
    (here / "desk.json").write_text(json.dumps(DESK))
    return here


def pushed(house: Path) -> dict[str, Any]:
    found = {}
    for instance in ("crm", "desk"):
        path = house / f"{instance}.pushed.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        found.update({id_: fields["score"] for id_, fields in known.items()})
    return found


def test_a_merge_and_a_split_restore_accounts_scores_and_pushed_values(house: Path, run: Any) -> None:
    assert run("run").code == 0
    before = pushed(house)
    assert before == {"c1": 20, "c2": 30, "c3": 10, "d1": 50, "d3": 10}
    accounts = {row["account"]: row["value"] for row in run("accounts", "--json").document["accounts"]}

    for record, other in (("crm:c1", "desk:d1"), ("crm:c2", "desk:d2")):
        done = run("identity", "link", record, other, "--reason", "same address", "--author", "ada")
        assert done.code == 0, done.err
    assert run("run").code == 0
    assert pushed(house) == {**before, "c1": 70, "d1": 70, "d2": 30}
    explained = run("identity", "explain", "desk:d1", "--json").document
    assert {(item["record"][1], item["rule"]) for item in explained["records"]} == {("c1", "manual"), ("d1", "manual")}
    assert len(explained["former"]) == 1
    assert [(word["relation"], word["author"], word["reason"]) for word in explained["said"]] == [
        ("same", "ada", "same address")
    ]

    assert run("identity", "split", explained["account"], "desk:d1", "--reason", "two after all").code == 0
    assert run("identity", "unlink", "crm:c2", "desk:d2", "--forget").code == 0
    assert run("run").code == 0
    assert pushed(house) == {**before, "d2": None}
    assert {row["account"]: row["value"] for row in run("accounts", "--json").document["accounts"]} == accounts
    explained = run("identity", "explain", "Harbour").out
    assert "two customers, says" in explained
    assert "two after all" in explained


def test_explain_shows_values_origins_and_what_was_not_joined(house: Path, run: Any) -> None:
    assert run("run").code == 0
    done = run("identity", "explain", "crm:c3")
    assert done.code == 0
    assert "company domain" in done.out
    assert "crown.com" in done.out
    document = run("identity", "explain", "crm:c3", "--json").document
    assert [item["origin"] for item in document["fields"] if item["field"] == "name"] == [["crm", "c3"]]
    assert list(document["fields"][0]["others"]) == ["Crown Inc"]
    assert [item["kind"] for item in document["conflicts"]] == ["contested"]


def test_the_queue_shows_both_sides_and_suggestions(house: Path, run: Any) -> None:
    assert run("run").code == 0
    document = run("identity", "queue", "--json").document
    kinds = {item["kind"]: item for item in document["queue"]}
    assert set(kinds) == {"contested", "name"}
    assert kinds["contested"]["value"] == "crown.com"
    assert {side["record"][1] for side in kinds["name"]["sides"]} == {"c2", "d4"}
    assert run("identity", "link", "crm:c2", "desk:d4", "--reason", "asked").code == 0
    assert {item["kind"] for item in run("identity", "queue", "--json").document["queue"]} == {"contested"}
    assert "would join customers that cannot be one" in run("identity", "queue").out


def test_a_link_that_ids_forbid_is_kept_and_says_so(house: Path, run: Any) -> None:
    assert run("run").code == 0
    done = run("identity", "link", "crm:c2", "desk:d5", "--reason", "bought them", "--json")
    assert (done.code, done.document["linked"]) == (4, False)
    assert run("identity", "queue", "--json").document["queue"][-1]["kind"] in {"external_id", "name"}
    done = run("identity", "link", "crm:c2", "desk:d5", "--reason", "bought them", "--force", "--json")
    assert (done.code, done.document["linked"]) == (0, True)


def test_unmatched_lists_records_and_people_of_nobody(house: Path, run: Any) -> None:
    assert run("run").code == 0
    document = run("identity", "unmatched", "--json").document
    assert {item["record"][1] for item in document["unmatched"]} == {"c1", "c2", "d1", "d2", "d4", "d5"}
    only = run("identity", "unmatched", "--instance", "crm", "--json").document
    assert {tuple(item["record"]) for item in only["unmatched"]} == {("crm", "c1"), ("crm", "c2")}
    assert "acme.com" in run("identity", "unmatched", "-n", "1").out


WRONG: list[tuple[list[str], int, str]] = [
    (["link", "crm", "desk:d1", "--reason", "x"], 3, "names no record"),
    (["link", "crm:zz", "desk:d1", "--reason", "x"], 3, "no account record 'zz'"),
    (["link", "cmr:c1", "desk:d1", "--reason", "x"], 3, "no instance 'cmr'"),
    (["link", "crm:c1", "desk:d1"], 2, "--reason"),
    (["unlink", "crm:c1", "desk:d1"], 2, "--reason, or --forget"),
    (["unlink", "crm:c1", "desk:d1", "--forget"], 3, "nobody has said anything"),
    (["split", "crm:c1", "desk:d1", "--reason", "x"], 3, "is not part of"),
    (["split", "crm:c1", "crm:c1", "--reason", "x"], 3, "nothing would be left"),
    (["explain", "nobody"], 3, "no account is called"),
    (["unmatched", "--instance", "nobody"], 3, "no instance"),
]
"""Arguments, the exit code, and what is said."""


def test_what_is_wrong_is_told(house: Path, run: Any) -> None:
    assert run("sync").code == 0
    assert run("score").code == 0
    for arguments, code, says in WRONG:
        done = run("identity", *arguments)
        assert (done.code, says in done.err) == (code, True), arguments
