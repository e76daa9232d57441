"""What the program says of itself in what it makes: its version, the day, its licence."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

LICENCE = "Apache-2.0"
LICENCE_FILE = Path(__file__).parents[1] / "c" / "LICENSE"
SPDX_LINE = f"/* SPDX-License-Identifier: {LICENCE} */\n"


@cache
def tool_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version  # slow to import, and most commands never ask

    return version("ppg-nas")


def today() -> str:
    """The day, as YYYY-MM-DD in UTC; that of SOURCE_DATE_EPOCH (seconds since 1970) where it is set.

    See reproducible-builds.org/specs/source-date-epoch: whoever needs equal bytes on another day sets it.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    return now.date().isoformat()
