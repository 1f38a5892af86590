"""Exit codes: what a script that calls `wellkept` can rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended. Numbers never change their meaning."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIG = 3
    PARTIAL = 4
    FAILED = 5
    HELD = 6
    LOCKED = 7
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done, nothing to complain about",
    Exit.INTERNAL: "a fault of Wellkept itself; run again with -vv and report it",
    Exit.USAGE: "the command line is wrong",
    Exit.CONFIG: "plugins.toml, a secret or a plugin needs mending (with --strict: any of them)",
    Exit.PARTIAL: "some of it worked: a stream, an instance or a row did not",
    Exit.FAILED: "nothing worked: the vendor, the store or the network",
    Exit.HELD: "effects are held until somebody approves them",
    Exit.LOCKED: "another run is working on this store",
    Exit.INTERRUPTED: "interrupted from the keyboard, or by SIGTERM",
}


def epilog() -> str:
    """Return the list for ``--help``."""
    lines = "\n".join(f"  {int(code):>3}  {text}" for code, text in MEANING.items())
    return f"\b\nExit codes:\n{lines}"
