"""What is kept under an account's id moves on when the id does.

When another vendor's older record joins an account, or two accounts become one, the id that stands may be another one than
yesterday. Its score history, its overrides and what policies remember of it go along, unless the new id has its own; otherwise
a band would have no yesterday, and a rule would act a second time on what it has acted on.
"""

from __future__ import annotations

from collections.abc import Iterable

from wellkept.store.accounts import canonical
from wellkept.store.connection import Reader, Tx
from wellkept.store.database import Params

_OLD = "SELECT a.id FROM accounts a WHERE a.state IN ('merged', 'split')"


def successors(reader: Reader, having: str = "", params: Params = ()) -> dict[str, str]:
    """Return the ids that stand no more, and those that stand in their places.

    Args:
        reader: Where to read.
        having: A condition on the old id ``a.id``, such as an EXISTS; all old ids unless given.
        params: The condition's parameters.
    """
    old = reader.all(f"{_OLD} AND {having}" if having else _OLD, params)
    found = ((id_, canonical(reader, id_)) for (id_,) in old)
    return {id_: standing for id_, standing in found if standing is not None and standing != id_}


def move_scores(tx: Tx) -> None:
    """Give score histories and overrides to the ids that stand now, where those have none."""
    for table in ("scores", "overrides"):
        exists = f"EXISTS (SELECT 1 FROM {table} t WHERE t.account = a.id)"  # noqa: S608 - constants
        for old, new in successors(tx, exists).items():
            own = {scorer for (scorer,) in tx.rows(f"SELECT DISTINCT scorer FROM {table} WHERE account = ?", (new,))}  # noqa: S608
            for (scorer,) in tx.all(f"SELECT DISTINCT scorer FROM {table} WHERE account = ?", (old,)):  # noqa: S608
                if scorer not in own:
                    tx.execute(f"UPDATE {table} SET account = ? WHERE account = ? AND scorer = ?", (new, old, scorer))  # noqa: S608


def move_states(tx: Tx, policies: Iterable[str]) -> None:
    """Give what policies remember of accounts to the ids that stand now, where those have nothing.

    Args:
        tx: The transaction.
        policies: Those whose subjects are accounts.
    """
    for policy in policies:
        for table in ("policy_states", "unprimed"):
            exists = f"EXISTS (SELECT 1 FROM {table} t WHERE t.policy = ? AND t.subject = a.id)"  # noqa: S608 - constants
            for old, new in successors(tx, exists, (policy,)).items():
                if tx.one(f"SELECT 1 FROM {table} WHERE policy = ? AND subject = ?", (policy, new)) is None:  # noqa: S608
                    tx.execute(f"UPDATE {table} SET subject = ? WHERE policy = ? AND subject = ?", (new, policy, old))  # noqa: S608
                    tx.execute(
                        "UPDATE effect_subjects SET subject = ?"
                        " WHERE subject = ? AND key IN (SELECT o.key FROM outbox o WHERE o.policy = ?)",
                        (new, old, policy),
                    )
