from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wellkept.records import CANONICAL
from wellkept.store import Store, open_store
from wellkept.store.records import RecordTables
from wellkept.testing import FakeClock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "wellkept.db", FakeClock())
    yield opened
    opened.close()


@pytest.fixture
def tables(store: Store) -> RecordTables:
    made = RecordTables(CANONICAL)
    store.write_now(made.ensure)
    return made
