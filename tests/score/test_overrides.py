from __future__ import annotations

from typing import Any

import pytest

from wellkept.errors import ConfigError
from wellkept.store import Store, overrides

NOW = 1_795_219_200_000
DAY = 86_400_000


def put(store: Store, **change: Any) -> int:
    fields: dict[str, Any] = {
        "account": "a0",
        "scorer": "health",
        "band": "red",
        "bands": ("red", "yellow", "green"),
        "reason": "new sponsor",
        "author": "ann",
        "now": NOW,
        "expires_at": NOW + 30 * DAY,
    }
    return store.write_now(lambda tx: overrides.put(tx, **{**fields, **change}))


def active(store: Store, now: int = NOW) -> dict[str, str]:
    with store.read() as reader:
        return {account: item.band for account, item in overrides.active(reader, "health", now).items()}


def test_an_override_ends_by_itself(store: Store) -> None:
    put(store, expires_at=NOW + DAY)
    assert active(store, NOW + DAY - 1) == {"a0": "red"}
    assert active(store, NOW + DAY) == {}


def test_an_override_can_be_ended_once(store: Store) -> None:
    put(store)
    assert store.write_now(lambda tx: overrides.end(tx, "a0", "health", NOW + 5)) is True
    assert store.write_now(lambda tx: overrides.end(tx, "a0", "health", NOW + 6)) is False
    assert active(store, NOW + 7) == {}


def test_a_new_override_ends_the_one_before_and_both_stay_on_record(store: Store) -> None:
    put(store)
    put(store, band="green", now=NOW + 9, reason=" they renewed ")
    assert active(store, NOW + 10) == {"a0": "green"}
    with store.read() as reader:
        found = overrides.history(reader, "a0", "health")
    assert [(item.band, item.reason, item.ended_at) for item in found] == [
        ("green", "they renewed", None),
        ("red", "new sponsor", NOW + 9),
    ]


def test_overrides_of_other_scorers_and_accounts_are_left_alone(store: Store) -> None:
    put(store)
    put(store, account="a1", band="yellow")
    put(store, scorer="risk")
    store.write_now(lambda tx: overrides.end(tx, "a0", "health", NOW + 5))
    assert active(store, NOW + 6) == {"a1": "yellow"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"band": "redd"}, "band: health has no band 'redd' .use 'red'"),
        ({"band": "x", "bands": ()}, "this scorer has no bands"),
        ({"reason": "  "}, "reason: "),
        ({"author": ""}, "author: "),
        ({"expires_at": NOW}, "within 30 days"),
        ({"expires_at": NOW + 30 * DAY + 1}, "within 30 days"),
    ],
)
def test_what_cannot_be_overridden(store: Store, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        put(store, **change)
    assert active(store) == {}
