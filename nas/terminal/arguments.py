"""How the command line reads its arguments: errors are one line, counts and limits are positive."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path
from typing import NoReturn

from hwmodels.basics.suggestions import did_you_mean

CC_HELP = "compiler and more flags for it, or zig (default: arm-none-eabi-gcc, else zig)"
_PICTURES = (".png", ".svg", ".pdf")


class Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one line and exits with code 2."""

    def error(self, message: str) -> NoReturn:
        """Print one line and exit."""
        print(f"{self.prog}: error: {message}{self._suggestion(message)}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)

    def _suggestion(self, message: str) -> str:
        """What may have been meant, of an unknown option, command or other choice."""
        if unknown := re.search(r"unrecognized arguments: (--[^\s=]+)", message):
            return did_you_mean(unknown[1], self._options())
        if wrong := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            return did_you_mean(wrong[1], [name.strip(" '") for name in wrong[2].split(",")])
        return ""

    def _options(self) -> list[str]:
        """All long options, those of the commands that were declared among them."""
        inner = [
            parser
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for parser in action.choices.values()
        ]
        own = [name for name in self._option_string_actions if name.startswith("--")]
        return own + [name for parser in inner for name in parser._options()]


def positive_count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def count(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 0, got {text!r}")
    return int(text)


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, got {text!r}")
    return number


def picture_path(text: str) -> Path:
    """The path of a picture to write, of a kind that can be drawn."""
    path = Path(text)
    if path.suffix.lower() not in _PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {', '.join(_PICTURES)}")
    return path


def positive_number(text: str) -> float:
    """A finite number above 0."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return number
