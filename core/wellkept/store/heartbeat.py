"""A sign of life at regular intervals, from a thread of its own: long computing in the event loop must not stop it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from wellkept.errors import WellkeptError
from wellkept.redact import redact_exception

_log = logging.getLogger(__name__)


class Heartbeat:
    """Calls `beat` until it says that the lease is lost, or `stop` is called.

    A beat that fails (the disk is full, another process holds the store) is logged, and tried again at the next one: the lease
    bears three of them.

    Args:
        name: Of the thread, and in the log.
        beat: Shows a sign of life and holds the lease on; False when another process has taken over, or nobody is alive.
        seconds: Real seconds between beats.
        lost: Told, in this thread, when `beat` said False.
    """

    def __init__(self, name: str, beat: Callable[[], bool], seconds: float, lost: Callable[[], object]) -> None:
        self._name = name
        self._beat = beat
        self._seconds = seconds
        self._lost = lost
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start beating; the first beat comes after the first interval."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a beat under way is not waited for."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until no beat is under way any more; after `stop`."""
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                alive = self._beat()
            except WellkeptError as error:
                if self._stopped.is_set():  # the store may be closed by now
                    return
                _log.warning("%s: the heartbeat could not be written: %s", self._name, redact_exception(error))
            else:
                if not alive:
                    if not self._stopped.is_set():
                        self._lost()
                    return
