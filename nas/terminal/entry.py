"""The console script: from its first moment on, an interrupt is one line and exit code 130.

Only the standard library's smallest modules are imported before the signal is cared for; commands import the rest.
"""

from __future__ import annotations

import os
import signal
import sys

_LINE = b"ppg-nas: interrupted; the same command continues where it stopped\n"


def _leave(number: int, frame: object) -> None:
    os.write(2, _LINE)
    os._exit(130)


def main() -> int:
    """Run `ppg-nas` with the arguments of the process; its exit code."""
    signal.signal(signal.SIGINT, _leave)
    from nas.cli import main as run_commands

    try:
        return run_commands()
    finally:
        # Whatever is left is the interpreter's own tidying up.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
