"""The stages of a run by name, in order, apart from what they do: commands offer them before anything is loaded."""

from __future__ import annotations

STAGE_NAMES = ("prepare", "profile", "teacher", "supernet", "search", "finish", "verify", "evaluate", "report")
