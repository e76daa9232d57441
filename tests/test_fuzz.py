"""Damaged inputs end in one clear line, whatever the damage; `python -m tests.fuzz` tries many more."""

import pytest

from tests.fuzz.recordings import RECORDINGS
from tests.fuzz.targets import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused_in_one_line(name: str) -> None:
    outcome = fuzz(name, 150, seed=1)
    assert not outcome.failures
    assert outcome.refused > 10


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RECORDINGS, "measured"])
def test_two_thousand_damaged_recordings_are_read_or_refused_in_one_line(name: str) -> None:
    assert not fuzz(name, 2000, seed=2).failures
