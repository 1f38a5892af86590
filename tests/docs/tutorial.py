"""Follows a tutorial as a reader would: writes its files, makes its changes, runs its commands, looks at what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]*)\")?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
FAILS = "this fails"
ASIDE = "in a second terminal"
READY_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    kind: str
    title: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order; every fence must be part of one."""
    content = page.read_text(encoding="utf-8")
    found = list(BLOCK.finditer(content))
    assert len(found) * 2 == len(re.findall(r"^\s*```", content, re.MULTILINE)), "a block that nobody would try"
    for match in found:
        line = content.count("\n", 0, match.start()) + 1
        yield Block(kind=match["kind"], title=match["title"] or "", text=match["text"], line=line)


@dataclass
class Reader:
    """Who follows the page.

    Attributes:
        folder: Where the reader is.
        environ: The environment of the reader's terminal.
        replaced: Words of the page and what stands for them here, such as a port that is free.
        done: What was done, by kind of block.
    """

    folder: Path
    environ: dict[str, str]
    replaced: dict[str, str]
    printed: str = ""
    done: list[str] = field(default_factory=list)
    aside: list[subprocess.Popen[str]] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        """Do what one block says."""
        text = block.text
        for word, stands_for in self.replaced.items():
            text = text.replace(word, stands_for)
        place = f"line {block.line}"
        if block.kind == "sh":
            for command in text.strip().splitlines():
                self._run(command, block.title, place)
        elif block.kind == "text":
            self._compare(text, place)
        elif block.kind == "diff":
            self._change(self.folder / block.title, text, place)
        elif block.title:
            file = self.folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        else:
            assert block.kind == "json", f"{place}: nobody would know what to do with this block"
            return
        self.done.append(block.kind)

    def close(self) -> None:
        """End what runs in the second terminal."""
        for process in self.aside:
            process.terminate()
            process.wait(READY_SECONDS)
            assert process.stdout is not None
            process.stdout.close()

    def _run(self, command: str, title: str, place: str) -> None:
        words = shlex.split(command)
        if words[0] == "cd":
            self.folder /= words[1]
        elif words[0] == "export":
            name, _, value = words[1].partition("=")
            self.environ[name] = value
        elif words[:2] == ["pip", "install"]:
            assert words[2:] == ["-e", ".[test]"], f"{place}: an installation that is not made up for here"
            self._install()
        elif title == ASIDE:
            self._run_aside(words)
        else:
            process = subprocess.run(
                words, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False, timeout=240
            )
            self.printed = process.stdout + process.stderr
            assert (process.returncode != 0) == (title == FAILS), f"{place}: {command}\n{self.printed[-6000:]}"

    def _run_aside(self, words: list[str]) -> None:
        process = subprocess.Popen(words, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True)
        self.aside.append(process)
        assert process.stdout is not None
        self.printed = process.stdout.readline()  # it says so when it is ready

    def _install(self) -> None:
        """Do what pip does, without a network: the folder is on the path, and its entry point is known."""
        from wellkept.testing.distributions import write_distribution

        name = self.folder.name.removeprefix("wellkept-")
        write_distribution(self.folder / "src", self.folder.name, version="0.1.0", plugins={name: f"wellkept_{name}:plugin"})
        self.environ["PYTHONPATH"] = str(self.folder / "src")

    def _compare(self, text: str, place: str) -> None:
        """Check that the lines shown were printed, in this order; ``...`` stands for what is left out."""
        rest = " ".join(self.printed.split())
        for shown in filter(None, (part.strip() for line in text.splitlines() for part in line.split("..."))):
            before, found, rest = rest.partition(" ".join(shown.split()))
            assert found, f"{place}: {shown!r} is not in\n{before or self.printed}"

    @staticmethod
    def _change(file: Path, text: str, place: str) -> None:
        """Replace the lines with a space or a minus by those with a space or a plus."""
        lines = text.splitlines(keepends=True)
        assert {line[:1] for line in lines} <= {" ", "+", "-", "\n"}, f"{place}: not a change"
        old = "".join(line[1:] or line for line in lines if line[:1] != "+")
        new = "".join(line[1:] or line for line in lines if line[:1] != "-")
        content = file.read_text(encoding="utf-8")
        assert content.count(old) == 1, f"{place}: the lines to change are {content.count(old)} times in {file.name}"
        file.write_text(content.replace(old, new), encoding="utf-8")


def environment() -> dict[str, str]:
    """Return the environment of a reader who has Wellkept installed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "WELLKEPT_", "COV_"))}
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', '')}"
    return environ
