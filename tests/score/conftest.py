from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wellkept.store import Store, open_store
from wellkept.testing import FakeClock


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "wellkept.db", FakeClock())
    yield store
    store.close()
