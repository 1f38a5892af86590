"""A TOML language server as editors use it: taplo, from npm; its linter, and its language server, for completions."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ERROR = re.compile(r"^error: (?P<message>.*)\n\s*┌─ (?P<file>.*):(?P<line>\d+):(?P<column>\d+)$", re.MULTILINE)


class UnavailableError(Exception):
    """Taplo is not here and cannot be fetched."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One error of the linter, where an editor would underline it."""

    line: int
    column: int
    message: str


def installed(package: str, version: str) -> Path:
    """Return the folder of a package; fetched once by npm, and then kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wellkept-tests"
    folder = cache / f"{package.strip('@').replace('/', '-')}-{version}"
    if not (folder / "node_modules" / package).exists():
        npm = shutil.which("npm")
        if npm is None:
            raise UnavailableError("npm is not installed")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as fresh:
            command = [npm, "install", "--prefix", fresh, "--no-audit", "--no-fund", f"{package}@{version}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
            if done.returncode:
                raise UnavailableError(f"npm cannot fetch {package}: {done.stderr.strip()[-300:]}")
            if not folder.exists():
                Path(fresh).replace(folder)
                Path(fresh).mkdir()
    return folder


def program() -> Path:
    """Return the linter."""
    return installed("@taplo/cli", "0.7.0") / "node_modules" / ".bin" / "taplo"


def lint(file: Path) -> list[Fault]:
    """Return what the linter has to say of a file, by what the file's own ``#:schema`` line names."""
    return lint_all([file])[file]


def lint_all(files: Sequence[Path]) -> dict[Path, list[Fault]]:
    """Return what the linter has to say of files of one folder. To start it takes longer than to look at one."""
    environ = {**os.environ, "RUST_LOG": "error"}
    command = [str(program()), "lint", "--colors", "never", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environ, cwd=files[0].parent)
    faults: dict[Path, list[Fault]] = {file: [] for file in files}
    for found in ERROR.finditer(done.stdout + done.stderr):
        fault = Fault(line=int(found["line"]), column=int(found["column"]), message=found["message"])
        faults[files[0].parent / found["file"]].append(fault)
    assert any(faults.values()) == bool(done.returncode), done.stdout + done.stderr
    return faults


class Editor:
    """Speaks to the language server as an editor does."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._number = 0
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).with_name("server.js")), str(installed("@taplo/lsp", "0.8.0"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=file.parent,
        )

    def __enter__(self) -> Self:
        folder = {"uri": self._file.parent.as_uri(), "name": "test"}
        self.ask("initialize", {"processId": None, "rootUri": folder["uri"], "capabilities": {}, "workspaceFolders": [folder]})
        self._tell("initialized", {})
        text = self._file.read_text(encoding="utf-8")
        document = {"uri": self._file.as_uri(), "languageId": "toml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def labels(self, line: int, column: int) -> list[str]:
        """Return what is offered at a place, both counted from 0."""
        found = self._at("textDocument/completion", line, column)
        items = found["items"] if isinstance(found, dict) else found or []
        return [item["label"] for item in items]

    def hover(self, line: int, column: int) -> str:
        """Return what is shown for a place."""
        found = self._at("textDocument/hover", line, column)
        return json.dumps(found, ensure_ascii=False)

    def _at(self, method: str, line: int, column: int) -> Any:
        place = {"line": line, "character": column}
        return self.ask(method, {"textDocument": {"uri": self._file.as_uri()}, "position": place})

    def ask(self, method: str, params: Any) -> Any:
        """Send a request and return its answer; requests of the server are answered with nothing."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message and "id" in message:
                count = len(message["params"].get("items", [])) if message["method"] == "workspace/configuration" else 0
                self._send({"id": message["id"], "result": [None] * count or None})
            elif message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]

    def _tell(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()

    def _receive(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the language server has ended"
        return json.loads(line)
