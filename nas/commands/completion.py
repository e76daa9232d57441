"""`ppg-nas completion SHELL`: a script that completes commands and options."""

from __future__ import annotations

import argparse

_SHELLS = ("bash", "zsh", "tcsh")


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=_SHELLS, help="for which shell")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print the script, for the shell's folder of completions or for `eval`."""
    import shtab

    from nas.cli import build_parser

    print(shtab.complete(build_parser(None, every=True), shell=options.shell))
    return 0
