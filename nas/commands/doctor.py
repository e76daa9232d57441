"""`ppg-nas doctor`: what is there, what is missing for what, and the command that mends it."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from nas.terminal.output import print_json, print_table

_COLUMNS = ("what", "state", "for", "mend")
_EXTRAS = {
    "export": (
        ("tflite", "flatbuffers", "onnx", "onnxruntime", "ai_edge_litert"),
        "TFLite and ONNX files",
    ),
    "formats": (("wfdb", "edfio"), "WFDB and EDF recordings"),
    "cluster": (("distributed",), "searches over a dask cluster"),
    "zig": (("ziglang",), "compiling for the Arm core without its own compiler"),
}
_TOOLS = {
    "qemu-system-arm": ("a second emulator beside Unicorn", "qemu-system-arm"),
    "llvm-mca": ("a second opinion on cycles", "llvm"),
    "chromium": ("tests and timing of the explorer", "chromium"),
}
_LEAST_GB, _LEAST_DISK_GB = 4.0, 2.0


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(execute=execute)


def execute(options: argparse.Namespace) -> int:
    """Print one line a part; exit code 1 where something that every run needs is missing."""
    rows = list(findings())
    if options.json:
        print_json(rows)
    else:
        print_table(rows, _COLUMNS)
    return 1 if any(row["state"].startswith("missing") and row["is_needed"] for row in rows) else 0


def findings() -> Iterator[dict[str, Any]]:
    """What was looked for: its state, what for, and how to mend it, "" where nothing is to be done."""
    yield _row("python", f"{platform.python_version()}", "everything", is_needed=True)
    yield _package("torch", "training", "pip install -c constraints.txt torch", is_needed=True)
    yield _compiler()
    for name, (modules, purpose) in _EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        state = f"missing {', '.join(missing)}" if missing else "there"
        yield _row(f"extra {name}", state, purpose, f"pip install 'ppg-nas[{name}]'" if missing else "")
    for tool, (purpose, package) in _TOOLS.items():
        path = shutil.which(tool)
        yield _row(tool, "there" if path else "missing", purpose, "" if path else f"apt-get install {package}")
    yield _cache()
    yield _machine()


def _compiler() -> dict[str, Any]:
    from hwmodels.c.toolchain import ToolchainError, find_toolchain

    try:
        state, mend = find_toolchain().version.splitlines()[0], ""
    except ToolchainError as error:
        state, mend = f"missing: {error}".split("\n")[0], "apt-get install gcc-arm-none-eabi, or pip install ziglang"
    return _row("Arm compiler", state, "costs of kernels, export, verification", mend, is_needed=True)


def _package(name: str, purpose: str, mend: str, is_needed: bool = False) -> dict[str, Any]:
    try:
        return _row(name, version(name), purpose, is_needed=is_needed)
    except PackageNotFoundError:
        return _row(name, "missing", purpose, mend, is_needed)


def _cache() -> dict[str, Any]:
    """Where look-up tables are kept between runs."""
    from hwmodels.c.toolchain import cache_folder

    folder = cache_folder()
    place = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    if not os.access(place, os.W_OK):
        return _row("cache", f"{folder}: cannot be written", "look-up tables", "set XDG_CACHE_HOME")
    free = shutil.disk_usage(place).free / 1e9
    mend = "" if free > _LEAST_DISK_GB else "free some space"
    return _row("cache", f"{folder}, {free:.0f} GB free", "look-up tables, made once", mend)


def _machine() -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9 if hasattr(os, "sysconf") else 0.0
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    mend = "" if memory == 0 or memory >= _LEAST_GB else "keep data.sources small"
    return _row("machine", f"{cores} cores, {memory:.0f} GB", "runs train on the cores there are", mend)


def _row(what: str, state: str, purpose: str, mend: str = "", is_needed: bool = False) -> dict[str, Any]:
    return {"what": what, "state": state, "for": purpose, "mend": mend, "is_needed": is_needed}
