"""A sign of life at regular intervals, from a thread of its own: long computing in the event loop must not stop it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

from wellkept.errors import WellkeptError
from wellkept.redact import redact_exception

SILENT_SECONDS = 300.0
"""An event loop that does nothing for so long is stuck: whoever lives in it gives no more sign of life, others take over."""

_log = logging.getLogger(__name__)


class Heartbeat:
    """Calls `beat` until it says that the lease is lost, the event loop is stuck, or `stop` is called.

    A beat that fails (the disk is full, another process holds the store) is logged, and tried again at the next one: the lease
    bears three of them. Belongs to the event loop in which it is made.

    Args:
        name: Of the thread, and in the log.
        beat: Shows a sign of life and holds the lease on; False when another process has taken over.
        seconds: Real seconds between beats.
        lost: Told, in this thread, when the heart has stopped by itself.
    """

    def __init__(self, name: str, beat: Callable[[], bool], seconds: float, lost: Callable[[], object]) -> None:
        self._name = name
        self._beat = beat
        self._seconds = seconds
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._unheard = 0
        """Beats that the event loop has not answered. Counted, since a process that was paused must not seem stuck."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start beating; the first beat comes after the first interval."""
        self._thread.start()

    def stop(self) -> None:
        """Stop; a beat under way is not waited for."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                alive = self._loop_lives() and self._beat()
            except WellkeptError as error:
                if self._stopped.is_set():  # the store may be closed by now
                    return
                _log.warning("%s: it could not be written: %s", self._name, redact_exception(error))
            else:
                if not alive:
                    if not self._stopped.is_set():
                        self._lost()
                    return

    def _loop_lives(self) -> bool:
        if self._unheard * self._seconds > SILENT_SECONDS:
            _log.error("%s: the event loop is stuck; the lease is no longer held on", self._name)
            return False
        self._unheard += 1
        try:
            self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _hear(self) -> None:
        self._unheard = 0
