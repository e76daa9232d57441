"""Pieces of C text that the code generators share: arrays, braces, fixed source files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from numpy.typing import NDArray

C_FOLDER = Path(__file__).parent


def sources_in(folder: Path) -> dict[str, str]:
    """The C sources and headers of a folder, file name to text, sorted."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def array(kind: str, name: str, values: NDArray) -> str:
    """A static constant array on a word boundary; words are spelled in hexadecimal."""
    spelled = (f"{v:#x}" if kind == "uint32_t" else str(v) for v in values.tolist())
    declared = f"static const {kind} {name}[{len(values)}] __attribute__((aligned(4)))"
    return f"{declared} =\n{wrapped(braced(spelled))};\n"


def braced(values: Iterable[object]) -> str:
    """Values in braces, separated by commas."""
    return "{" + ", ".join(map(str, values)) + "}"


def wrapped(text: str) -> str:
    """Long lines broken after commas."""
    return re.sub(r"(.{90,108},) ", r"\1\n", text)
