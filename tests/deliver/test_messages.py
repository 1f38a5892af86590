from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from wellkept import Outcome
from wellkept.errors import NotSentError
from wellkept.records import Account, Person
from wellkept.store import approvals, evidence, messages, outbox
from wellkept.store.accounts import Node

pytestmark = pytest.mark.both

HOUR = 3_600_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def instead(outcome: Any) -> Any:
    def script(do: Any) -> Outcome:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    return script


def then(outcome: Any) -> Any:
    def script(do: Any) -> Outcome:
        do()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    return script


def marketing(world: Any, *, consent: bool | None = True) -> None:
    world.general["public_url"] = "https://w.example/"
    world.records(
        Person(id="bo", version=1, account_ref="cus_1", email="bo@acme.example", roles=["billing"], marketing_consent=consent)
    )


async def test_a_message_goes_out_once(world: Any) -> None:
    assert world.mail()
    assert not world.mail()
    await world.deliver()
    await world.deliver()
    assert world.vendor.sent == [("books/dunning/m1", "pay@acme.example")]
    (envelope,) = world.vendor.envelopes
    assert (envelope.purpose, envelope.account_name, envelope.unsubscribe_url) == ("transactional", "Acme Inc", None)
    assert (envelope.recipient.locale, envelope.recipient.name) == ("en", None)


async def test_after_a_crash_it_is_in_doubt_and_never_sent_again(world: Any, fakes: Any) -> None:
    for key, script in (("before", instead(fakes.Crash())), ("after", then(fakes.Crash()))):
        world.mail(key)
        world.vendor.script = [script]
        await world.crash()
    for _ in range(3):
        await world.deliver()
        world.clock.advance(86_400)

    assert [key for key, _ in world.vendor.sent] == ["books/dunning/after"]
    assert world.states() == [("held", "doubt"), ("held", "doubt")]
    assert "in doubt" in (world.entry("before").note or "")

    def job(tx: Any) -> Any:
        names = ["books/dunning/before"]
        return [*approvals.approve(tx, now=0, keys=names), *approvals.retry(tx, now=0, keys=names)]

    assert world.store.write_now(job) == []
    world.store.write_now(lambda tx: approvals.retry(tx, now=0, keys=["books/dunning/before"], i_know=True))
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/after", "books/dunning/before"]


@pytest.mark.parametrize("outcome", [Outcome.unknown("no answer"), RuntimeError("boom"), TimeoutError()])
async def test_without_an_answer_it_is_in_doubt(world: Any, outcome: Any) -> None:
    world.mail()
    world.vendor.script = [then(outcome)]
    report = await world.deliver()
    await world.deliver()
    assert world.states() == [("held", "doubt")]
    assert len(world.vendor.sent) == 1
    assert report.state == "partial"
    assert [event.kind for event in world.events] == ["effects.held"]


async def test_what_is_in_doubt_does_not_expire(world: Any) -> None:
    world.mail(expires_at=world.clock.now() + HOUR)
    world.vendor.script = [then(Outcome.unknown("no answer"))]
    await world.deliver()
    world.clock.advance(7200)
    await world.deliver()
    assert world.states() == [("held", "doubt")]


@pytest.mark.parametrize("outcome", [Outcome.retry("451"), NotSentError("no connection")])
async def test_what_did_not_leave_is_sent_later(world: Any, outcome: Any) -> None:
    world.mail()
    world.vendor.script = [instead(outcome)]
    await world.deliver()
    assert world.states() == [("planned", None)]
    await world.deliver()
    assert world.vendor.sent == []
    world.clock.advance(60)
    await world.deliver()
    assert len(world.vendor.sent) == 1
    assert world.table("SELECT COUNT(*) FROM sent_messages") == [(1,)]


async def test_a_refusal_ends_it(world: Any) -> None:
    world.mail()
    world.vendor.script = [instead(Outcome.rejected("550"))]
    await world.deliver()
    assert (world.entry("m1").state, world.entry("m1").note) == ("rejected", "550")
    assert world.table("SELECT COUNT(*) FROM sent_messages") == [(0,)]


# --- to whom ---------------------------------------------------------------------------------------------------------------


async def test_billing_is_a_person_with_that_role_else_the_accounts_address(world: Any) -> None:
    world.mail("a")
    await world.deliver()
    world.records(
        Person(id="p2", version=1, account_ref="cus_1", email="zoe@acme.example", roles=["billing"], email_verified=True,
               name="Zoe", locale="zh-CN"),
        Person(id="p1", version=1, account_ref="cus_1", email="abe@acme.example", roles=["billing"]),
        Person(id="p0", version=1, account_ref="cus_1", email="eve@acme.example", roles=["user"]),
    )  # fmt: skip
    world.mail("b")
    await world.deliver()
    assert [address for _, address in world.vendor.sent] == ["pay@acme.example", "zoe@acme.example"]
    recipient = world.vendor.envelopes[-1].recipient
    assert (recipient.name, recipient.locale, recipient.person.id) == ("Zoe", "zh-CN", "p2")


@pytest.mark.parametrize(("owner", "address"), [("ann@us.example", "ann@us.example"), ("u7", "max@us.example")])
async def test_the_owner_is_an_address_or_a_person(world: Any, owner: str, address: str) -> None:
    world.records(
        Person(id="u7", version=1, email="max@us.example", roles=["agent"]),
        Account(id="cus_1", version=2, name="Acme Inc", owner_ref=owner),
    )
    world.mail(to="owner")
    await world.deliver()
    assert world.vendor.sent == [("books/dunning/m1", address)]


async def test_a_person_by_name(world: Any) -> None:
    world.records(Person(id="x:1", version=1, email="x@acme.example"))
    world.mail(to="person:crm:x:1")
    await world.deliver()
    assert world.vendor.sent == [("books/dunning/m1", "x@acme.example")]


@pytest.mark.parametrize("to", ["billing", "owner", "team", "person:crm:nobody", "somebody", "team:0000"])
async def test_nobody_there_is_a_hold_that_ends_by_itself(world: Any, to: str) -> None:
    world.records(Account(id="cus_1", version=2, name="Acme Inc"))
    world.mail(to=to)
    report = await world.deliver()
    assert world.states() == [("held", "wait")]
    assert report.total("held") == 1
    assert world.entry("m1").note
    world.records(Account(id="cus_1", version=3, name="A", email="new@acme.example", owner_ref="new@acme.example"))
    world.records(Person(id="nobody", version=1, email="new@acme.example"))
    world.settings["team"] = ["new@acme.example"]
    await world.deliver()
    await world.deliver()
    expected = 0 if to in {"somebody", "team:0000"} else 1
    assert [address for _, address in world.vendor.sent] == ["new@acme.example"] * expected


async def test_the_language_is_the_messages_the_persons_the_accounts_ours(world: Any) -> None:
    world.general["locale"] = "fr"
    world.mail("a")
    world.mail("b", locale="de")
    await world.deliver()
    world.records(Account(id="cus_1", version=2, name="Acme Inc", email="pay@acme.example", locale="zh-CN"))
    world.mail("c")
    await world.deliver()
    assert [envelope.recipient.locale for envelope in world.vendor.envelopes] == ["fr", "de", "zh-CN"]


async def test_the_team_gets_one_each(world: Any, fakes: Any) -> None:
    world.settings["team"] = ["a@us.example", "b@us.example", "A@US.example"]
    world.mail(to="team")
    world.vendor.script = [then(Outcome.done()), instead(Outcome.retry("451"))]

    report = await world.deliver()

    assert [address for _, address in world.vendor.sent] == ["a@us.example"]
    assert (report.total("split"), report.total("done"), report.total("again later")) == (1, 1, 1)
    world.settings["team"] = ["b@us.example", "a@us.example"]  # the order does not matter
    world.clock.advance(60)
    await world.deliver()
    await world.deliver()

    assert sorted(address for _, address in world.vendor.sent) == ["a@us.example", "b@us.example"]
    assert [entry.state for entry in world.entries()] == ["superseded", "done", "done"]
    assert "@" not in "".join(f"{entry.key}{entry.payload}{entry.note}" for entry in world.entries())
    with world.store.read() as reader:
        told = outbox.untold(reader, "books/dunning")
    assert [(item.entry.key, item.entry.own_key, item.state) for item in told] == [("books/dunning/m1", "m1", "done")] * 2
    world.store.write_now(lambda tx: outbox.mark_told(tx, [item.seq for item in told]))
    with world.store.read() as reader:
        assert outbox.untold(reader, "books/dunning") == []


async def test_a_crash_in_the_middle_of_the_team(world: Any, fakes: Any) -> None:
    world.settings["team"] = ["a@us.example", "b@us.example", "c@us.example"]
    world.mail(to="team")
    world.vendor.script = [then(Outcome.done()), then(fakes.Crash())]
    await world.crash()
    await world.deliver()
    assert sorted(address for _, address in world.vendor.sent) == ["a@us.example", "b@us.example", "c@us.example"]
    assert sorted(entry.state for entry in world.entries()) == ["done", "done", "held", "superseded"]


# --- may it be sent ----------------------------------------------------------------------------------------------------------


async def test_marketing_carries_a_link_out(world: Any) -> None:
    from wellkept import unsubscribe

    marketing(world)
    world.mail(template="tips")
    await world.deliver()
    url = world.vendor.envelopes[0].unsubscribe_url
    assert url.startswith("https://w.example/unsubscribe/")
    assert "acme.example" not in url
    token = urlsplit(url).path.rpartition("/")[2]
    assert "acme" not in token

    assert not await unsubscribe.accept(world.store, world.signer(), world.clock, token[:-2] + "xx")
    assert await unsubscribe.accept(world.store, world.signer(), world.clock, token)
    world.mail("m2", template="tips")
    world.mail("m3")
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/m1", "books/dunning/m3"]
    assert (world.entry("m2").state, world.entry("m2").note) == ("rejected", "the recipient has unsubscribed")


async def test_marketing_without_a_link_is_held(world: Any) -> None:
    marketing(world)
    del world.general["public_url"]
    world.mail(template="tips")
    await world.deliver()
    assert world.states() == [("held", "wait")]
    assert "public_url" in (world.entry("m1").note or "")
    assert world.vendor.sent == []


@pytest.mark.parametrize(
    ("own", "other", "sent"),
    [(True, None, True), (True, True, True), (None, True, True), (True, False, False), (False, True, False),
     (None, None, False), (None, False, False)],
)  # fmt: skip
async def test_the_strictest_consent_counts(world: Any, own: bool | None, other: bool | None, sent: bool) -> None:
    marketing(world, consent=own)
    world.records(
        Person(id="9", version=1, email="BO@acme.example", marketing_consent=other), instance="help", account="elsewhere"
    )
    world.mail("m1", template="tips")
    world.mail("m2")
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == [f"books/dunning/m{number}" for number in ([1, 2] if sent else [2])]
    assert world.entry("m1").state == ("done" if sent else "rejected")


async def test_a_no_under_another_address_of_the_same_human_counts(world: Any) -> None:
    marketing(world, consent=True)
    world.records(
        Person(id="9", version=1, email="bo.private@mail.example", marketing_consent=False),
        instance="help",
        account="elsewhere",
    )
    user = evidence.StoredKey("user", "u1", "own")
    keys = {Node("crm", "bo"): {user: "cus_1"}, Node("help", "9"): {user: ""}}
    world.store.write_now(lambda tx: evidence.replace(tx, "person", keys))
    world.mail("m1", template="tips")
    await world.deliver()
    assert world.vendor.sent == []
    assert world.entry("m1").state == "rejected"


async def test_a_bounced_address_gets_nothing(world: Any) -> None:
    await messages.StoredSuppressions(world.store, world.key, world.clock).add(" Pay@ACME.example", scope="all", reason="550")
    world.mail()
    await world.deliver()
    assert world.vendor.sent == []
    assert world.entry("m1").state == "rejected"


async def test_suppressions_only_grow_stricter(world: Any) -> None:
    suppressed = messages.StoredSuppressions(world.store, world.key, world.clock)
    assert await suppressed.scope("a@b.example") is None
    await suppressed.add("a@b.example", scope="marketing", reason="unsubscribed")
    assert await suppressed.scope("A@B.example") == "marketing"
    await suppressed.add("a@b.example", scope="all", reason="bounce")
    await suppressed.add("a@b.example", scope="marketing", reason="unsubscribed")
    assert await suppressed.scope("a@b.example") == "all"
    assert "a@b" not in str(world.table("SELECT * FROM suppressions"))


async def test_the_cap_counts_marketing_alone(world: Any) -> None:
    marketing(world)
    world.settings |= {"cap": 2, "cap_days": 7}
    for number in range(4):
        world.mail(f"t{number}", template="tips")
        world.mail(f"a{number}")
    await world.deliver()
    sent = [key.rpartition("/")[2] for key, _ in world.vendor.sent]
    assert sent == ["t0", "a0", "t1", "a1", "a2", "a3"]
    assert (world.entry("t2").state, world.entry("t2").not_before) == ("planned", world.clock.now() + 7 * 24 * HOUR)
    world.clock.advance(7 * 86_400 - 1)
    await world.deliver()
    assert len(world.vendor.sent) == 6
    world.clock.advance(1)
    await world.deliver()
    assert len(world.vendor.sent) == 8


async def test_the_cap_holds_when_somebody_else_sends_at_the_same_time(world: Any, monkeypatch: Any) -> None:
    marketing(world)
    world.settings |= {"cap": 1}
    world.mail("a", template="tips")
    write, bo = world.store.write, messages.digest(world.key, "bo@acme.example")

    async def overtaken(job: Any, **options: Any) -> Any:
        if options.get("durable"):
            now = world.clock.now()
            await write(lambda tx: messages.note_sent(tx, bo, account=None, purpose="marketing", now=now))
        return await write(job, **options)

    monkeypatch.setattr(world.store, "write", overtaken)
    await world.deliver()
    assert world.vendor.sent == []
    assert (world.entry("a").state, world.entry("a").attempts) == ("planned", 0)


async def test_what_did_not_leave_does_not_count_against_the_cap(world: Any) -> None:
    marketing(world)
    world.settings |= {"cap": 1}
    world.mail("a", template="tips")
    world.vendor.script = [instead(Outcome.retry("451"))] * 8
    for _ in range(9):
        await world.deliver()
        world.clock.advance(7 * 3600)
    world.mail("b", template="tips")
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/b"]


# --- when --------------------------------------------------------------------------------------------------------------------


async def test_quiet_hours_are_the_recipients(world: Any) -> None:
    world.settings["quiet_hours"] = "21:00-08:00"
    world.general["timezone"] = "UTC"  # it is midnight there
    world.records(
        Person(id="p", version=1, account_ref="cus_1", email="p@acme.example", roles=["billing"],
               time_zone="America/Los_Angeles"),
    )  # fmt: skip
    world.mail("a")  # 16:00 in Los Angeles
    world.mail("b", to="owner")
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/a"]
    assert world.entry("b").not_before == world.clock.now() + 8 * HOUR
    assert world.entry("b").note == "quiet hours"
    world.clock.advance(8 * 3600)
    await world.deliver()
    assert len(world.vendor.sent) == 2


async def test_a_wrong_zone_is_the_installations(world: Any) -> None:
    world.settings["quiet_hours"] = "09:00-21:00"
    world.general["timezone"] = "Asia/Shanghai"  # 08:00 there
    world.records(
        Person(id="p", version=1, account_ref="cus_1", email="p@acme.example", roles=["billing"], time_zone="Pacific Time (US)")
    )
    world.mail()
    await world.deliver()
    assert len(world.vendor.sent) == 1


async def test_not_before_and_expiry(world: Any) -> None:
    now = world.clock.now()
    world.mail("later", not_before=now + HOUR)
    world.mail("stale", expires_at=now + HOUR)
    world.mail("held", state="held", expires_at=now + HOUR)
    world.settings["quiet_hours"] = "00:00-02:00"
    await world.deliver()
    assert world.vendor.sent == []
    world.clock.advance(2 * 3600)
    await world.deliver()
    assert [key for key, _ in world.vendor.sent] == ["books/dunning/later"]
    assert [entry.state for entry in world.entries()] == ["done", "expired", "expired"]


async def test_unknown_templates_and_missing_variables_are_held_with_the_mend(world: Any) -> None:
    world.mail("a", template="nothing")
    from wellkept import MessageSend

    world.plan("b", MessageSend(template="alert", to="billing"))
    await world.deliver()
    assert world.states() == [("held", "wait"), ("held", "wait")]
    assert "alert, tips" in (world.entry("a").note or "")
    assert "needs title" in (world.entry("b").note or "")


async def test_reports_and_events_carry_no_address(world: Any, caplog: Any) -> None:
    world.settings["team"] = ["a@us.example"]
    for number, to in enumerate(("billing", "owner", "team")):
        world.mail(f"m{number}", to=to)
    for dry_run in (True, False):
        report = await world.deliver(dry_run=dry_run)
        assert "@" not in str(report)
    assert "@" not in str(world.events)
    assert "@" not in caplog.text
    assert "@" not in str(world.table("SELECT * FROM outbox"))
    assert "@" not in str(world.table("SELECT * FROM sent_messages"))
