"""The root of every error that a user can cause and mend.

All packages derive their narrow classes from InputError; the command line prints its one line and exits 2.
"""

from __future__ import annotations


class InputError(ValueError):
    """Bad input: the message is one line naming the file, the field and the remedy."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class MemoryPlanError(AssertionError):
    """A plan under which an operation would read bytes that something else has overwritten."""
