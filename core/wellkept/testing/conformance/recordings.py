"""The standard tests of sources, on what a live account has answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from wellkept.testing.clock import FakeClock
from wellkept.testing.conformance.case import NOWHERE
from wellkept.testing.conformance.sources import SourceTests
from wellkept.testing.recording import Recording


class RecordingTests(SourceTests):
    """The standard tests of a source against a recording (``wellkept record``), faults included.

    Subclass it before the case that has `keys`: ``class TestAcmeRecording(RecordingTests, Acme)``. Any credential is good for a
    recording, so none has to be given. Nothing changes in it, its pages are as they were, and it answers only what was asked
    when it was made: the tests that ask for something else are left out.

    Attributes:
        recording: The folder of the recording.
    """

    recording: ClassVar[Path]
    test_changes_are_found = None  # type: ignore[assignment]  # left out
    test_a_cursor_that_does_not_move_is_an_error = None  # type: ignore[assignment]  # left out

    test_check_says_the_same = None  # type: ignore[assignment]  # left out
    test_other_shapes_are_the_same_rows = None  # type: ignore[assignment]  # left out
    test_requests_stay_the_same = None  # type: ignore[assignment]  # left out
    test_single_rows_are_read_again = None  # type: ignore[assignment]  # left out
    test_a_window_has_what_lies_in_it = None  # type: ignore[assignment]  # left out

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.vendor is not RecordingTests.vendor:
            raise TypeError(f"{cls.__name__} would not be tried on its recording: name RecordingTests first")
        if cls.records_folder is None:
            cls.records_folder = f"{cls.plugin}_recording_records"

    @pytest.fixture
    def clock(self) -> FakeClock:
        """Virtual time, from when the recording was made."""
        return FakeClock(json.loads((self.recording / "recording.json").read_text(encoding="utf-8"))["recorded_at"])

    @pytest.fixture
    def description(self) -> None:
        """A recording is not held to its vendor's description: stand-ins for personal data need not fit it."""

    def vendor(self, clock: FakeClock) -> Recording:
        """Return the recording, from its beginning."""
        return Recording(self.recording, clock=clock)

    def secrets(self, vendor: Any) -> Mapping[str, str]:
        """Return something for each environment variable that `keys` refers to."""
        named = (value for value in self.keys(vendor, NOWHERE).values() if isinstance(value, str))
        return {value.removeprefix("env:"): "any_credential_will_do" for value in named if value.startswith("env:")}

    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Leave the pages as they were recorded."""
        del monkeypatch
