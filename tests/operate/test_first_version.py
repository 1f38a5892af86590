"""A store that the first version left behind is upgraded, and the program answers from it what that version answered.

``first_version/store.sql`` is what its own program wrote after three runs against its own simulators, and ``answers.json`` what
its command line said then. Neither is ever made anew: migrations are tried on what was, not on what they make themselves. There
is no tag yet; with the first one, the store of the newest tag comes beside this one.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from wellkept.cli import main
from wellkept.store import audit, open_store
from wellkept.store.engine import peek
from wellkept.store.migrate import revision_of, revisions
from wellkept.store.restore import restore

pytestmark = pytest.mark.file

CONFIG = """\
[wellkept]
store = "{store}"
[plugins.stripe]
api_key = "file:stripe.key"
[plugins.health]
"""
FROZEN = Path(__file__).parent / "first_version"
THEN: dict[str, Any] = json.loads((FROZEN / "answers.json").read_text(encoding="utf-8"))


@pytest.fixture
def here(address: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with that store: in its file, or moved to PostgreSQL by a backup of it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "plugins.toml").write_text(CONFIG.format(store=address))
    for name, secret in (("wellkept.key", THEN["key"]), ("stripe.key", "sk_test_of_nobody")):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    path = address if isinstance(address, Path) else folder / "backup.db"
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FROZEN / "store.sql").read_text(encoding="utf-8"))
        if not isinstance(address, Path):
            connection.execute("INSERT INTO meta (key, value) VALUES ('backup_at', '1795312800000')")
            connection.commit()
    with peek(path) as reader:
        assert revision_of(reader) == revisions()[0]
    if not isinstance(address, Path):
        restore(path, address)
    return folder


def said(then: Any, now: Any, place: str) -> None:
    """Make sure that all that was said then is said now; more may be."""
    if isinstance(then, dict):
        assert isinstance(now, dict), place
        for name, value in then.items():
            assert name in now, f"{place}.{name}"
            said(value, now[name], f"{place}.{name}")
    elif isinstance(then, list):
        assert len(then) == len(now), place
        for number, (old, new) in enumerate(zip(then, now, strict=True)):
            said(old, new, f"{place}[{number}]")
    else:
        assert now == then, place


def test_it_answers_as_it_did(here: Path, address: Path | str, capsys: pytest.CaptureFixture[str]) -> None:
    def ask(*arguments: str) -> Any:
        capsys.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    said(THEN["effects"], ask("effects", "list")["effects"], "effects")
    said(THEN["runs"], ask("runs"), "runs")
    for account, then in THEN["accounts"].items():
        said(then, ask("account", account), account)
    assert main(["score"]) == 0
    with closing(open_store(address)) as store, store.read() as reader:
        assert revision_of(reader) == revisions()[-1]
        assert audit.verify(reader) is None
        assert reader.value("SELECT COUNT(*) FROM outbox WHERE state = 'done'") > 0
