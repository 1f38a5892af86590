"""The store: one SQLite file, or one PostgreSQL database that holds everything Wellkept knows.

One thread writes. Work is sent to it as small functions of a `Tx`, which it runs one after another; work that waits together
is committed together. Everybody else reads from snapshots that never block. Rooms of the store (`records`, `outbox`, ...) are
modules of functions that take a `Tx` or a `Reader`; SQL is the dialect that SQLite and PostgreSQL share, with ``?`` for
parameters (what they do not share is translated in `wellkept.store.postgres.dialect`).
"""

from wellkept.store.engine import Reader, Store, Tx, open_store

__all__ = ["Reader", "Store", "Tx", "open_store"]
