"""The tutorial is true: each of its steps is done here, in its order, as it is written."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.docs.tutorial import FAILS, Block, Reader, blocks, environment

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "connector.md"
PORT = "8765"


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.mark.slow
def test_every_step_of_the_tutorial_works(tmp_path: Path) -> None:
    reader = Reader(folder=tmp_path, environ=environment(), replaced={PORT: free_port()})
    steps = list(blocks(PAGE))
    try:
        for block in steps:
            reader.follow(block)
    finally:
        reader.close()
    assert {"sh", "diff", "python", "toml", "text"} <= set(reader.done)
    assert any(block.title == FAILS for block in steps), "the page shows how a mistake is found"


@pytest.mark.slow
def test_every_step_for_a_vendor_without_json_works(tmp_path: Path) -> None:
    reader = Reader(folder=tmp_path, environ=environment(), replaced={})
    for block in blocks(PAGE.parents[1] / "how-to" / "other-formats.md"):
        reader.follow(block)
    assert "failed" not in reader.printed


def test_a_step_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file.py").write_text("a = 1\n")
    reader = Reader(folder=tmp_path, environ=environment(), replaced={})

    def step(kind: str, text: str, title: str = "") -> None:
        reader.follow(Block(kind=kind, title=title, text=text, line=1))

    with pytest.raises(AssertionError, match="0 times in"):
        step("diff", " b = 1\n+c = 2\n", "file.py")
    with pytest.raises(AssertionError, match="not a change"):
        step("diff", "b = 1\n", "file.py")
    with pytest.raises(AssertionError, match="import sys"):
        step("sh", 'python -c "import sys; sys.exit(1)"\n')
    with pytest.raises(AssertionError, match="print"):
        step("sh", 'python -c "print(1)"\n', FAILS)
    with pytest.raises(AssertionError, match="is not in"):
        step("text", "something else\n")
    with pytest.raises(AssertionError, match="nobody would know"):
        step("python", "pass\n")
    page = tmp_path / "page.md"
    page.write_text('```sh\ntrue\n```\n```{.sh title="odd"}\ntrue\n```\n')
    with pytest.raises(AssertionError, match="nobody would try"):
        list(blocks(page))
