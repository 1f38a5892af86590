"""What is kept under an account's id moves on when the id does, and comes back when a split restores it.

When another vendor's older record joins an account, or two accounts become one, the id that stands may be another one than
yesterday. Its score history, its overrides and what policies remember of it go along, unless the new id has its own; otherwise
a band would have no yesterday, and a rule would act a second time on what it has acted on. Every move is written down: when the
old id stands again, because somebody split what was one, it gets back what was its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from wellkept.store.accounts import canonical
from wellkept.store.connection import Reader, Tx

_OLD = "SELECT a.id FROM accounts a WHERE a.state IN ('merged', 'split')"


class _Move(NamedTuple):
    seq: int
    account: str
    holder: str
    """Who has it now."""
    owner: str
    at: int


def successors(reader: Reader, having: str = "", params: Sequence[Any] = ()) -> dict[str, str]:
    """Return the ids that stand no more, and those that stand in their places.

    Args:
        reader: Where to read.
        having: A condition on the old id ``a.id``, such as an EXISTS; all old ids unless given.
        params: The condition's parameters.
    """
    old = reader.all(f"{_OLD} AND {having}" if having else _OLD, params)
    found = ((id_, canonical(reader, id_)) for (id_,) in old)
    return {id_: standing for id_, standing in found if standing is not None and standing != id_}


def move_scores(tx: Tx, now: int) -> None:
    """Give score histories and overrides to the ids that stand now, where those have none, and back to ids that stand again."""
    for table in ("scores", "overrides"):
        for move in _to_give_back(tx, table):
            tx.execute(
                f"UPDATE {table} SET account = ? WHERE account = ? AND scorer = ? AND at < ?",  # noqa: S608 - constants
                (move.account, move.holder, move.owner, move.at),
            )
        exists = f"EXISTS (SELECT 1 FROM {table} t WHERE t.account = a.id)"  # noqa: S608 - constants
        for old, new in successors(tx, exists).items():
            own = {scorer for (scorer,) in tx.rows(f"SELECT DISTINCT scorer FROM {table} WHERE account = ?", (new,))}  # noqa: S608
            for (scorer,) in tx.all(f"SELECT DISTINCT scorer FROM {table} WHERE account = ?", (old,)):  # noqa: S608
                if scorer not in own:
                    tx.execute(f"UPDATE {table} SET account = ? WHERE account = ? AND scorer = ?", (new, old, scorer))  # noqa: S608
                    _note(tx, table, scorer, old, new, now)


def move_states(tx: Tx, policies: Iterable[str], now: int) -> None:
    """Give what policies remember of accounts to the ids that stand now, where those have nothing; and back.

    An id that stands again gets a copy: what was done in its name, or in that of both, is not done again for either.

    Args:
        tx: The transaction.
        policies: Those whose subjects are accounts.
        now: The current instant, epoch ms.
    """
    wanted = set(policies)
    for table, columns in (("policy_states", "state, wake_at, updated_at"), ("unprimed", "")):
        more = f", {columns}" if columns else ""
        for move in _to_give_back(tx, table, wanted):
            tx.execute(
                f"INSERT INTO {table} (policy, subject{more}) SELECT policy, ?{more} FROM {table}"  # noqa: S608 - constants
                " WHERE policy = ? AND subject = ? ON CONFLICT (policy, subject) DO NOTHING",
                (move.account, move.owner, move.holder),
            )
            tx.execute(
                "UPDATE effect_subjects SET subject = ? WHERE subject = ?"
                " AND key IN (SELECT o.key FROM outbox o WHERE o.policy = ? AND o.account = ?)",
                (move.account, move.holder, move.owner, move.account),
            )
        for policy in sorted(wanted):
            exists = f"EXISTS (SELECT 1 FROM {table} t WHERE t.policy = ? AND t.subject = a.id)"  # noqa: S608 - constants
            for old, new in successors(tx, exists, (policy,)).items():
                if tx.one(f"SELECT 1 FROM {table} WHERE policy = ? AND subject = ?", (policy, new)) is None:  # noqa: S608
                    tx.execute(f"UPDATE {table} SET subject = ? WHERE policy = ? AND subject = ?", (new, policy, old))  # noqa: S608
                    tx.execute(
                        "UPDATE effect_subjects SET subject = ?"
                        " WHERE subject = ? AND key IN (SELECT o.key FROM outbox o WHERE o.policy = ?)",
                        (new, old, policy),
                    )
                    _note(tx, table, policy, old, new, now)


def _to_give_back(tx: Tx, table: str, owners: Iterable[str] | None = None) -> Iterator[_Move]:
    """Yield what was moved from ids that stand again, and forget that it was."""
    rows = tx.all(
        "SELECT m.seq, m.account, m.taken_by, m.owner, m.at FROM moves m JOIN accounts a ON a.id = m.account"
        " WHERE m.what = ? AND a.merged_into IS NULL AND a.state <> 'erased' ORDER BY m.seq DESC",
        (table,),
    )
    for seq, account, taken_by, owner, at in rows:
        if owners is None or owner in owners:
            tx.execute("DELETE FROM moves WHERE seq = ?", (seq,))
            yield _Move(seq, account, canonical(tx, taken_by) or taken_by, owner, at)


def _note(tx: Tx, table: str, owner: str, old: str, new: str, now: int) -> None:  # noqa: PLR0917 - a row
    tx.execute(
        "INSERT INTO moves (account, taken_by, what, owner, at) VALUES (?, ?, ?, ?, ?)",
        (old, new, table, owner, now),
    )
