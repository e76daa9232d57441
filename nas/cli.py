"""The command line: finds the command, turns a user's mistake into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 infeasible budget.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence

from hwmodels.basics.errors import InputError
from nas.terminal.arguments import Parser

_ENVIRONMENT = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
"""What goes wrong outside of the program and names no file."""

_COMMANDS = {
    "run": "run the whole job of a configuration, or continue it",
    "data": "check recordings, or simulate some",
    "hw": "hold the hardware model against what others measured",
    "cost": "cost any int8 TFLite model on a device, layer by layer",
    "lut": "build, show and check the look-up table of the device model; measure a real board",
    "search": "search a trained supernet for another device or budget, without training",
    "pareto": "query the Pareto front of a run",
    "explain": "say what a subnet of a run costs layer by layer, and who stands next to it",
    "export": "finish a subnet of a run and export it for firmware",
    "verify": "execute an exported bundle on an emulated Cortex-M7",
    "predict": "run an exported or finished network over recordings",
    "personalize": "fit a run's network to each wearer, and judge it on what follows",
    "explore": "look into a run, or two side by side, as a page",
    "report": "write the report of a run again and print its summary",
    "runs": "list runs: how far each is, its error, its size, when it last worked",
    "doctor": "say what is there, what is missing for what, and how to mend it",
    "completion": "print a script that completes commands and options in a shell",
}
_SPINS = "1000"
_SHELVES = {
    **dict.fromkeys(("hw", "cost", "lut"), "hardware."),
    **dict.fromkeys(("pareto", "explain", "explore", "report", "runs"), "results."),
}


class _Version(argparse.Action):
    """Prints the version, which is only looked up when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *given: object) -> None:
        """Print and exit."""
        from hwmodels.basics.tool import tool_version

        print(f"ppg-nas {tool_version()}")
        parser.exit()


def build_parser(wanted: str | None, every: bool = False) -> argparse.ArgumentParser:
    """The parser; only the module of the command that is wanted is imported, as some are slow to load, unless every."""
    parser = Parser(
        prog="ppg-nas",
        description="From PPG recordings to verified int8 firmware on an Arm Cortex-M7.",
        epilog="ppg-nas COMMAND --help tells the options of a command. Exit codes: 0 done, 1 failed, 2 wrong "
        "usage or input, 3 infeasible budget.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the program's version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, summary in _COMMANDS.items():
        inner = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if every or name == wanted:
            importlib.import_module(f"nas.commands.{_SHELVES.get(name, '')}{name}").declare(inner)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(build_parser(given[0] if given else None), given)


def run_command(parser: argparse.ArgumentParser, given: Sequence[str]) -> int:
    """Parse and execute; what a user can mend is one line on standard error, and an exit code."""
    if not given:
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(given)
    # Read when torch is loaded: threads that wait for each other sleep soon, and leave the core to other processes.
    os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    interrupts = signal.getsignal(signal.SIGINT)
    try:
        # Until here there was nothing to tidy up; from here on work is ended in order.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code: int = options.execute(options)
        sys.stdout.flush()
        return code
    except InputError as error:
        print(f"ppg-nas: error: {' '.join(str(error).split())}", file=sys.stderr)
        return getattr(error, "exit_code", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None and error.errno not in _ENVIRONMENT:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        print(f"ppg-nas: error: {where}{error.strerror}; mend that and try again", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("ppg-nas: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupts)


if __name__ == "__main__":
    sys.exit(main())
