"""The standard tests of sources that take webhooks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

import msgspec
import pytest

from wellkept.errors import RejectedError, SignatureError
from wellkept.records import Json
from wellkept.source import Received, WebhookRequest, WebhookSource
from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.bench import Bench, everything_logged
from wellkept.testing.conformance.case import Case
from wellkept.testing.conformance.written import Written
from wellkept.testing.simulator import Simulator

DAY = 86_400_000


class WebhookTests(Case):
    """The standard tests of a source's webhooks. Subclass it as ``class TestAcmeWebhooks(WebhookTests)``.

    Attributes:
        tolerance: How old a webhook may be, and how far ahead of the time, epoch ms; None where that is not known.
    """

    tolerance: ClassVar[int | None] = None

    @abstractmethod
    def deliveries(self, vendor: Any) -> Sequence[WebhookRequest]:
        """Let something happen at the vendor and return what it sends, genuine and signed, a webhook or more."""

    def signed(self, vendor: Any, body: bytes) -> WebhookRequest | None:
        """Return any body as the vendor would sign and send it now; None where the simulator cannot."""
        del vendor, body
        return None

    def bodies(self, vendor: Any) -> Mapping[str, bytes]:
        """Return further bodies that the vendor may send, by name: each kind of event, and what is missing or odd in some.

        What each hints at stands in a file beside the test. They are signed with `signed`.
        """
        del vendor
        return {}

    @pytest.fixture
    def source(self, bench: Bench) -> WebhookSource:
        """The source that takes webhooks."""
        found = [source for source in bench.instance.sources if isinstance(source, WebhookSource)]
        assert found, f"no source of {self.plugin!r} is a WebhookSource"
        return found[0]

    def test_a_genuine_one_hints_at_what_happened(self, source: WebhookSource, bench: Bench, simulator: Simulator) -> None:
        """Webhooks: a genuine one becomes hints that name a stream of the source."""
        hints = [hint for request in self.deliveries(simulator) for hint in source.receive(request).hints]
        assert hints, "nothing that happened was of interest"
        assert {hint.stream for hint in hints} <= set(bench.streams)
        assert all(hint.id and hint.at > 0 for hint in hints)

    def test_what_is_hinted_at_can_be_read(self, source: WebhookSource, bench: Bench, simulator: Simulator) -> None:
        """Webhooks: a hint is read again by id, and the row that comes is the vendor's own."""
        for request in self.deliveries(simulator):
            for hint in source.receive(request).hints:
                if hint.object_id is not None:
                    batch = bench.runtime.run(source.fetch(bench.streams[hint.stream], [hint.object_id]))
                    assert batch.cursor is None
                    assert batch.records or batch.deletions or batch.rejects

    def test_hints_stay_the_same(self, source: WebhookSource, simulator: Simulator, request: pytest.FixtureRequest) -> None:
        """Webhooks: what each kind of event hints at stands in a file, so that none is overlooked by accident."""
        found = {}
        for number, delivery in enumerate(self.deliveries(simulator), 1):
            found[f"delivery {number}"] = _hinted(source, delivery)
        for name, body in self.bodies(simulator).items():
            signed = self.signed(simulator, body)
            assert signed is not None, f"{type(self).__name__}.signed() must sign {name}"
            found[name] = _hinted(source, signed)
        Written(self, request).holds("webhooks.hints", found)

    def test_a_forged_one_is_refused(self, source: WebhookSource, simulator: Simulator) -> None:
        """Webhooks are verified on raw bytes: any other byte in the body, or another secret's signature, is refused."""
        for request in self.deliveries(simulator):
            for place in {0, len(request.body) // 2, len(request.body) - 1}:
                body = bytearray(request.body)
                body[place] ^= 1
                with pytest.raises(SignatureError):
                    source.receive(_with(request, body=bytes(body)))
            with pytest.raises(SignatureError):
                source.receive(_with(request, body=request.body + b" "))

    def test_one_without_a_signature_is_refused(self, source: WebhookSource, simulator: Simulator) -> None:
        """Webhooks: without the headers that prove it genuine it is refused, whichever of them is missing or spoilt."""
        for request in self.deliveries(simulator):
            with pytest.raises(SignatureError):
                source.receive(_with(request, headers={}))
            needed = [name for name in request.headers if not _accepted(source, _without(request, name))]
            assert needed, "no header is needed"
            for name in needed:
                for wrong in ("", "0", "\x00", request.headers[name][::-1], "é" * 8):
                    with pytest.raises(SignatureError):
                        source.receive(_with(request, headers={**request.headers, name: wrong}))

    @pytest.mark.parametrize("days", [1, -1], ids=["old", "from the future"])
    def test_one_of_another_time_is_refused(self, source: WebhookSource, simulator: Simulator, days: int) -> None:
        """Webhooks: a genuine one that was kept back, or is ahead of the time, is refused."""
        for request in self.deliveries(simulator):
            with pytest.raises(SignatureError):
                source.receive(_with(request, received_at=request.received_at + days * DAY))

    def test_the_time_is_bounded(self, source: WebhookSource, simulator: Simulator) -> None:
        """Webhooks: one that is as old, or as far ahead, as may be is taken, and one beyond that is refused."""
        if self.tolerance is None:
            pytest.skip(f"{type(self).__name__}.tolerance is not known")
        for request in self.deliveries(simulator):
            for way in (1, -1):
                at_last = source.receive(_with(request, received_at=request.received_at + way * self.tolerance))
                assert _ids(at_last) == _ids(source.receive(request))
                with pytest.raises(SignatureError):
                    source.receive(_with(request, received_at=request.received_at + way * (self.tolerance + 1)))

    def test_a_replay_is_the_same_hint(self, source: WebhookSource, simulator: Simulator, clock: FakeClock) -> None:
        """Webhooks: the same delivery twice converges, because its hints have the same ids."""
        for request in self.deliveries(simulator):
            first = source.receive(request)
            clock.advance(5)
            again = source.receive(_with(request, received_at=request.received_at + 5_000))
            assert _ids(again) == _ids(first)

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"unexpected": true}', b'"\xff"', b"{", b"[1, null, {}]"])
    def test_what_is_genuine_and_odd_is_kept(self, source: WebhookSource, simulator: Simulator, body: bytes) -> None:
        """Webhooks: a genuine body that is not understood is of no interest or a dead letter, never a crash."""
        request = self.signed(simulator, body)
        if request is None:
            pytest.skip(f"{type(self).__name__}.signed() cannot sign any body")
        with suppress(RejectedError):
            assert isinstance(source.receive(request), Received)

    def test_it_calls_nobody(self, source: WebhookSource, simulator: Simulator) -> None:
        """Webhooks: the vendor waits for the answer, so nothing is asked while it is taken in, and no secret is told."""
        requests = self.deliveries(simulator)
        simulator.log.clear()
        with everything_logged() as log:
            for request in requests:
                source.receive(request)
                with pytest.raises(SignatureError) as caught:
                    source.receive(_with(request, headers={}))
                told = f"{caught.value} {log.getvalue()}"
                assert not any(value in told for value in self.secrets(simulator).values() if value)
        assert list(simulator.log.requests) == []


def _with(request: WebhookRequest, **changes: Any) -> WebhookRequest:
    return msgspec.structs.replace(request, **changes)


def _without(request: WebhookRequest, name: str) -> WebhookRequest:
    headers: Mapping[str, str] = {key: value for key, value in request.headers.items() if key != name}
    return _with(request, headers=headers)


def _accepted(source: WebhookSource, request: WebhookRequest) -> bool:
    try:
        source.receive(request)
    except SignatureError:
        return False
    return True


def _hinted(source: WebhookSource, request: WebhookRequest) -> Json:
    """Return what a webhook hints at, or why it is refused, as it is written down."""
    try:
        received = source.receive(request)
    except RejectedError as error:
        return f"refused: {error}"
    hints = [f"{hint.stream} {hint.object_id} at {hint.at} ({hint.id})" for hint in received.hints]
    return {"account": received.vendor_account, "mode": received.mode, "hints": hints}


def _ids(received: Received) -> set[tuple[str, str, str | None]]:
    return {(hint.id, hint.stream, hint.object_id) for hint in received.hints}
