"""``[[override]]``: bands that people set in a field of a vendor's account record, as a person's word with an end.

A value counts once, from the run that first sees it: it is put as an override, which ends by itself like any other. It is not
put again while the field stays as it is, whether the override has expired or somebody has ended it by hand; clearing the field
ends it, and another value (or the same one after it was cleared) is a new word. Since when a value stands follows from the
history of the record, so that nothing else has to be remembered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from wellkept.errors import ConfigError
from wellkept.records import Account, Json
from wellkept.scorer import Scorer
from wellkept.settings import OverrideField
from wellkept.store import Reader, Store, overrides
from wellkept.store.engine import Tx
from wellkept.store.records import RecordTables

DAY = 86_400_000
EXTRA = "extra."


class Word(NamedTuple):
    """What stands in the field of one record: which band, and since when we know it."""

    record: str
    band: str
    since: int


def take_overrides(
    store: Store,
    tables: RecordTables,
    fields: Sequence[OverrideField],
    scorers: Mapping[str, Scorer],
    *,
    now: int,
) -> list[str]:
    """Put and end the overrides that fields of records ask for.

    Args:
        store: The store.
        tables: Its record tables.
        fields: What the configuration names.
        scorers: All scorers by name.
        now: The current instant, epoch ms.

    Returns:
        What is wrong, in sentences: a score that does not exist, or a value that is none of its bands.
    """
    problems: list[str] = []
    for field in fields:
        scorer = scorers.get(field.score)
        if scorer is None:
            problems.append(f"[[override]] from {field.source}: there is no score {field.score!r}")
            continue
        problems += store.write_now(lambda tx, field=field, scorer=scorer: _take(tx, tables, field, scorer, now))  # type: ignore[misc]
    return problems


def _take(tx: Tx, tables: RecordTables, field: OverrideField, scorer: Scorer, now: int) -> list[str]:
    author = f"{field.source}: {field.field}"
    bands = {band.casefold(): band for band in scorer.bands}
    problems: list[str] = []
    words: dict[str, Word] = {}
    for word in _words(tx, tables, field):
        band = bands.get(word.band.casefold())
        account = tables.account_of(tx, Account, field.source, word.record)
        if band is None:
            known = ", ".join(scorer.bands) or "none"
            problems.append(f"{field.source}: {field.field} of {word.record} is none of the bands of {field.score} ({known})")
        elif account is not None and (account not in words or words[account].since < word.since):
            words[account] = word._replace(band=band)
    for account, found in overrides.active(tx, field.score, now).items():
        if found.author == author and account not in words:
            overrides.end(tx, account, field.score, now)
    for account, word in words.items():
        ours = [item for item in overrides.history(tx, account, field.score) if item.author == author]
        if any(item.band == word.band and item.at >= word.since for item in ours):
            continue
        try:
            overrides.put(
                tx,
                account=account,
                scorer=field.score,
                band=word.band,
                bands=scorer.bands,
                reason=f"set at {field.source}",
                author=author,
                now=now,
                expires_at=now + field.days * DAY,
            )
        except ConfigError as error:
            problems.append(f"[[override]] from {field.source}: {error}")
    return problems


def _words(reader: Reader, tables: RecordTables, field: OverrideField) -> Iterator[Word]:
    """Yield what stands in the field, record by record."""
    shape = tables.shape(Account)
    condition = "t.instance = ?"
    params: list[str] = [field.source]
    if field.field.startswith(EXTRA):  # most records have nothing there
        condition += " AND t.extra LIKE ?"
        params.append(f'%"{field.field.removeprefix(EXTRA)}"%')
    sql = f"SELECT t.observed_at, {shape.select('t')} FROM {shape.table} t WHERE t.deleted = 0 AND {condition}"  # noqa: S608
    past = f"SELECT h.observed_at, h.deleted, {shape.select('h')} FROM {shape.past} h WHERE h.instance = ? AND h.id = ?"  # noqa: S608
    for observed_at, *values in reader.all(sql, params):
        record = shape.record(values)
        band = _value(record, field.field)
        if band is None:
            continue
        since = observed_at
        for earlier, deleted, *old in reader.all(
            f"{past} ORDER BY h.version DESC, h.observed_at DESC", (field.source, record.id)
        ):
            if deleted or _value(shape.record(old), field.field) != band:
                break
            since = min(since, earlier)
        yield Word(record.id, band, since)


def _value(record: Account, field: str) -> str | None:
    """Return the text in a field; None where it is empty or no text."""
    found: Json = record.extra.get(field.removeprefix(EXTRA)) if field.startswith(EXTRA) else getattr(record, field, None)
    return found.strip() or None if isinstance(found, str) else None
