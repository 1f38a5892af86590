"""Who holds a lock: a process, named by the place in which its number means something."""

from __future__ import annotations

import itertools
import os
import socket
from functools import cache
from hashlib import sha256
from pathlib import Path

_counter = itertools.count()


@cache
def place() -> str:
    """Return the name of this machine, or container: processes of one place can be asked whether they live.

    A host name alone does not tell: containers may share it, and the process number 1 stands for another process in each.
    """
    marks = []
    for path, read in (("/proc/sys/kernel/random/boot_id", Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        try:
            marks.append(str(read(Path(path))).strip())
        except OSError:  # not Linux, or hidden from us
            continue
    mark = sha256(" ".join(marks).encode()).hexdigest()[:8]
    return f"{socket.gethostname()}/{mark}" if marks else socket.gethostname()


def new() -> str:
    """Return a name for a holder in this process; no two are the same."""
    return f"{place()}:{os.getpid()}:{next(_counter)}"


def is_gone(owner: str) -> bool:
    """Say whether the process behind a holder's name is gone for certain; one of another place cannot be asked."""
    where, pid, *_ = (*owner.rsplit(":", 2), "", "")
    return where == place() and pid.isdigit() and process_is_gone(int(pid))


def is_ours(owner: str) -> bool:
    """Say whether a holder's name is of this process, or of an earlier one that had its number."""
    return owner.rpartition(":")[0] == f"{place()}:{os.getpid()}"


def process_is_gone(pid: int) -> bool:
    """Say whether another process of this place is gone for certain."""
    if os.name != "posix":  # asking would end the process there; its lease ends by itself
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
