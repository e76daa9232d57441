"""The device model of a run: look-up tables, made once per kernels, compiler and space, then cached."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from hwmodels import lut
from hwmodels.cost import CostModel
from hwmodels.device import load_device
from hwmodels.lut import LookUpTable, entry_key, rules_hash
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
        return CostModel(lut.load(path), target)
    table = cached_table(space_of(run.config), target.core)
    table.save(path)
    return CostModel(table, target)


def cached_table(space: SearchSpace, core: str, toolchain: Toolchain | None = None) -> LookUpTable:
    """The table of a space from the user's cache, or built and put there."""
    toolchain = toolchain or find_toolchain()
    ops = [op for op in required_ops(space) if op.kind != "input"]
    keys = sorted({entry_key(op) for op in ops})
    name = digest(kernel_hash(), rules_hash(), toolchain.version, toolchain.flags, core, keys)
    path = cache_folder() / f"lut-{name}.json"
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


def cache_folder() -> Path:
    """The user's cache, where tables are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ppg-nas"
