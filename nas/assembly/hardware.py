"""The device model of a run: look-up tables, made once per kernels, compiler and space, then cached."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from hwmodels.c.toolchain import Toolchain, cache_folder, find_toolchain
from hwmodels.cost import lut
from hwmodels.cost.lut import LookUpTable, MissingEntryError, TableError, entry_key, rules_hash
from hwmodels.cost.network_cost import CostError, CostModel
from hwmodels.cost.stripe_profiling import build_with_stripes
from hwmodels.device.device import Device
from hwmodels.device.energy import DEFAULT_PERIOD_S
from hwmodels.device.target import Target
from hwmodels.kernels.variants import kernel_hash
from hwmodels.network.build_form import CODES, BuildForm, Memory, built
from hwmodels.network.graph import Op
from hwmodels.schedule.striped_block import with_calls
from hwmodels.schedule.stripes import scheduled
from nas.assembly.run_space import space_of
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest
from nas.run.workers import worker_pool
from nas.terminal.progress import progress
from search.costs.cost_plan import CostPlan, compile_both_modes
from search.costs.segments import required_ops
from supernet.space.search_space import SearchSpace

WORKERS = 2


def table_path(run: RunDirectory, target: Target) -> Path:
    """Where a run keeps its table for a core and its memory."""
    return run.path / "hardware" / f"lut-{target.name}.json"


def measured_path(run: RunDirectory, device: Device) -> Path:
    """Where a run keeps a table measured on a device; where it is there, it comes before the modelled one."""
    return run.path / "hardware" / f"measured-{device.name}.json"


def cost_model(run: RunDirectory, wanted: Device) -> CostModel:
    """The cost model of a run's space on any device.

    Raises TableError when the run's table is damaged, StaleTableError when it was made from other
    kernels, MissingEntryError when it does not cover the space; makes a table when the device has
    another core or memory than those the run has tables for.
    """
    space = space_of(run.config)
    path, measured = table_path(run, wanted.target), measured_path(run, wanted)
    if measured.exists():
        path = measured
    elif not path.exists():
        cached_table(space, wanted.target, memory=form_of(run).memory).save(path)
    remedy = f"make it anew with `ppg-nas lut build {run.path} --device {wanted.name}`"
    if path == measured:
        remedy = "measure again (`ppg-nas lut export-firmware`) and import, or delete it"
    table = lut.load(path, remedy)
    for key in entry_keys(space, form_of(run).memory):
        if key not in table.entries:
            raise MissingEntryError(
                f"look-up table {path}: does not cover device {wanted.name}, it has no entry {key}; {remedy}"
            )
    try:
        return CostModel(table, wanted, form_of(run))
    except CostError as error:
        raise CostError(f"look-up table {path}: {error}") from None


def cost_plan(run: RunDirectory, device: Device) -> CostPlan:
    """Costs of the run's space on any device, windows and streaming steps; raises what `cost_model` does."""
    return compile_both_modes(space_of(run.config), cost_model(run, device), DEFAULT_PERIOD_S)


def form_of(run: RunDirectory) -> BuildForm:
    """How a run's networks are built: as its configuration says, or as the profile stage chose.

    Before that stage, the fastest code and no stripes.
    """
    given = run.config.budgets
    code = _chosen(run, "code", "fast") if given.code == "auto" else given.code
    return BuildForm(code, _chosen(run, "activations", "whole") if given.memory == "auto" else given.memory)


def _chosen(run: RunDirectory, key: str, before: Any) -> Any:
    """What the profile stage noted under `key`, or what holds `before` it has."""
    stamp = run.stamp("profile")
    return stamp.summary.get(key, before) if stamp else before


def entry_keys(space: SearchSpace, memory: Memory = "whole") -> list[str]:
    """The kernel calls that a table must hold to cover a space, sorted."""
    ops = with_calls(all_ops(space, memory))
    return sorted({entry_key(op) for op in ops if op.kind != "input"})


def all_ops(space: SearchSpace, memory: Memory = "whole") -> list[Op]:
    """What members of a space run as windows and as streaming steps, with any code; if striped, both ways."""
    ops = [*required_ops(space), *required_ops(space, DEFAULT_PERIOD_S)]
    found = [built(op, code) for code in CODES for op in ops]
    for code in CODES if memory == "striped" else ():
        form = BuildForm(code, memory)
        found += required_ops(space, deployed=partial(scheduled, form=form))
    return found


def cached_table(
    space: SearchSpace, target: Target, toolchain: Toolchain | None = None, memory: Memory = "whole"
) -> LookUpTable:
    """The table of a space from the user's cache, or built and put there."""
    toolchain = toolchain or find_toolchain()
    path = cache_path(space, target, toolchain, memory)
    # A cache may be lost at any time: a damaged file in it is made anew, not complained of.
    with suppress(TableError):
        return lut.load(path)
    table = build_table(space, target, toolchain, memory=memory)
    table.save(path)
    return table


def build_table(
    space: SearchSpace,
    target: Target,
    toolchain: Toolchain,
    workers: int = WORKERS,
    memory: Memory = "whole",
) -> LookUpTable:
    """Measure every kernel call of a space on the emulated core, with a progress line."""
    date = time.strftime("%Y-%m-%d", time.gmtime())
    with worker_pool(workers) as executor, progress("profiling kernels") as advance:
        return build_with_stripes(
            all_ops(space, memory),
            toolchain,
            date,
            target,
            executor,
            lambda done, total: advance(done, total, ""),
        )


def cache_path(space: SearchSpace, target: Target, toolchain: Toolchain, memory: Memory = "whole") -> Path:
    """Where the user's cache keeps the table of these kernels, this compiler, target and space."""
    keys = entry_keys(space, memory)
    name = digest(kernel_hash(), rules_hash(), toolchain.version, toolchain.flags, target.name, keys)
    return cache_folder() / f"lut-{name}.json"
