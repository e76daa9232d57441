"""The device model of a run: look-up tables, made once per kernels, compiler and space, then cached."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hwmodels import lut
from hwmodels.cost import CostModel
from hwmodels.device import load_device
from hwmodels.lut import LookUpTable, StaleTableError, entry_key, rules_hash
from hwmodels.profiling import build
from hwmodels.toolchain import Toolchain, find_toolchain
from hwmodels.variants import kernel_hash
from nas.files import digest
from nas.progress import progress
from nas.run_directory import RunDirectory
from nas.space import space_of
from search.segments import required_ops
from supernet.space import SearchSpace

WORKERS = 2


def table_path(run: RunDirectory, core: str) -> Path:
    """Where a run keeps its table for a core."""
    return run.path / "hardware" / f"lut-{core}.json"


def cost_model(run: RunDirectory, device: str) -> CostModel:
    """The cost model of a run's space on any device.

    Raises StaleTableError when the run's table was made from other kernels; makes a table when the
    device has another core.
    """
    target = load_device(device)
    path = table_path(run, target.core)
    if path.exists():
        try:
            return CostModel(lut.load(path), target)
        except StaleTableError:
            raise StaleTableError(
                f"look-up table {path}: made from other kernels or cycle rules; make it anew with "
                f"`ppg-nas lut build {run.path}`"
            ) from None
    table = cached_table(space_of(run.config), target.core)
    table.save(path)
    return CostModel(table, target)


def cached_table(space: SearchSpace, core: str, toolchain: Toolchain | None = None) -> LookUpTable:
    """The table of a space from the user's cache, or built and put there."""
    toolchain = toolchain or find_toolchain()
    path = cache_path(space, core, toolchain)
    if path.exists():
        return lut.load(path)
    table = build_table(space, core, toolchain)
    table.save(path)
    return table


def build_table(space: SearchSpace, core: str, toolchain: Toolchain, workers: int = WORKERS) -> LookUpTable:
    """Measure every kernel call of a space on the emulated core, with a progress line."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    with ProcessPoolExecutor(workers) as executor, progress("profiling kernels") as advance:
        return build(
            required_ops(space), toolchain, date, core, executor, lambda done, total: advance(done, total, "")
        )


def cache_path(space: SearchSpace, core: str, toolchain: Toolchain) -> Path:
    """Where the user's cache keeps the table of these kernels, this compiler, core and space."""
    keys = sorted({entry_key(op) for op in required_ops(space) if op.kind != "input"})
    name = digest(kernel_hash(), rules_hash(), toolchain.version, toolchain.flags, core, keys)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ppg-nas"
    return folder / f"lut-{name}.json"
