"""Damaged inputs end in one clear line, whatever the damage; `python -m tests.fuzz` tries many more."""

import pytest

from tests.fuzz.targets import TARGETS, fuzz


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_files_are_read_or_refused_in_one_line(name: str) -> None:
    outcome = fuzz(name, 150, seed=1)
    assert not outcome.failures
    assert outcome.refused > 10
