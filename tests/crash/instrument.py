"""Finds the boundaries of a process with the outside, and can kill it at any of them.

A boundary is an instant at which a kill leaves another state of the world than the instant before: just before a commit of the
store, before bytes leave for another host, and after bytes arrived from one. (Between these nothing outside the process
changes, so a kill there is a kill at the next boundary.) They are found where every library must pass: `sqlite3.Connection`
and asyncio's socket transports. Anything else that Wellkept's own code does to the world (files, processes) is seen by an
audit hook and listed, so that a new kind of boundary cannot slip in unnoticed.
"""

from __future__ import annotations

import asyncio.selector_events
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

KILLED = 137
PACKAGES = (
    "wellkept", "wellkept_stripe", "wellkept_zendesk", "wellkept_mixpanel", "wellkept_hubspot", "wellkept_smtp",
    "wellkept_health", "wellkept_playbooks",
)  # fmt: skip
AUDITED = {"open", "os.rename", "os.remove", "os.mkdir", "subprocess.Popen", "os.system", "shutil.rmtree", "os.truncate"}


class Boundaries:
    """Counts boundaries as the process passes them, writes their names to a file, and kills the process at number `kill_at`.

    Args:
        trace: Where names are appended, one a line; also what the audit hook saw, as ``audit:...``.
        kill_at: The boundary to die at, counted from 1; 0 lets the process live.
        peers: Port to name, so that a boundary says which server it belongs to.
    """

    def __init__(self, trace: Path, kill_at: int, peers: dict[int, str]) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._kill_at = kill_at
        self._peers = peers
        self._count = 0
        self._audited: set[str] = set()
        self._only_reads: dict[int, bool] = {}

    def passed(self, name: str) -> None:
        """Note a boundary; die here if it is the one."""
        self._count += 1
        os.write(self._trace, f"{name}\n".encode())
        if self._count == self._kill_at:
            os._exit(KILLED)

    def install(self) -> None:
        """Put the probes in place, for the rest of this process."""
        self._watch_store()
        self._watch_network()
        sys.addaudithook(self._audit)

    def _watch_store(self) -> None:
        connect = sqlite3.connect

        def probed(*args: Any, **options: Any) -> sqlite3.Connection:
            return connect(*args, **{**options, "factory": self._probed(options.get("factory", sqlite3.Connection))})

        sqlite3.connect = probed  # type: ignore[assignment]

    def _probed(self, factory: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
        """Return a class of connections that tell before they commit."""
        boundaries = self

        class Connection(factory):  # type: ignore[misc,valid-type]
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    boundaries.passed("store: before a commit")
                return super().execute(sql, *args)

        return Connection

    def _watch_network(self) -> None:
        transport = asyncio.selector_events._SelectorSocketTransport
        write, receive = transport.write, transport._read_ready__data_received

        def probed_write(self_: Any, data: bytes) -> None:
            peer = boundaries._peer(self_)
            if peer != "mail":
                boundaries._only_reads[id(self_)] = bytes(data[:4]) == b"GET "
            boundaries.passed(f"{peer}: before {'asking' if boundaries._only_reads.get(id(self_)) else 'sending'}")
            write(self_, data)

        def probed_receive(self_: Any) -> None:
            receive(self_)
            asked = boundaries._only_reads.get(id(self_))
            boundaries.passed(f"{boundaries._peer(self_)}: after {'asking' if asked else 'receiving'}")

        boundaries = self
        transport.write = probed_write
        transport._read_ready__data_received = probed_receive

    def _peer(self, transport: Any) -> str:
        address = transport.get_extra_info("peername")
        port = address[1] if isinstance(address, tuple) and len(address) > 1 else None
        return self._peers.get(port, f"unknown peer {address}") if port is not None else "self-pipe"

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in AUDITED:
            return
        if event == "open":
            mode, flags = args[1], args[2]
            writes = (
                any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & (os.O_WRONLY | os.O_RDWR))
            )
            if not writes:
                return
        site = _own_frame()
        if site is not None and (name := f"audit:{event} in {site}") not in self._audited:
            self._audited.add(name)
            os.write(self._trace, f"{name}\n".encode())


def _own_frame() -> str | None:
    """Return ``module.function`` of the innermost frame that belongs to our packages."""
    frame = sys._getframe(2)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.split(".")[0] in PACKAGES:
            return f"{module}.{frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return None
