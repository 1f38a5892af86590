"""What a plugin does at the end of a run, by its instance's schedule: an export, a report, a file for somebody else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wellkept.installation import Installation


class Job(ABC):
    """Work at the end of the runs in which its instance is due. Subclass it, and return instances from the `jobs` hook.

    A job comes last, when everything is read, measured, scored and sent: under `wellkept serve` by its instance's own
    `schedule`, with `wellkept run` each time, never in a dry run. How it ended stands in the run table as a stream's end does;
    one that fails makes the run ``partial``, and there is an alert. What writes to a vendor is no job but an
    `wellkept.action.Action`, which is sent at most once and can be looked at before.

    Attributes:
        name: Its name, ``[a-z][a-z0-9_-]*``; unique in the instance.
        doc: One sentence.
    """

    name: str
    doc: str

    @abstractmethod
    def perform(self, installation: Installation) -> int:
        """Do it. Called in a thread of its own, so that it may block; doing it again must be harmless.

        Args:
            installation: The frame, scores and records, read-only.

        Returns:
            How many rows it dealt with, for the run table.
        """
