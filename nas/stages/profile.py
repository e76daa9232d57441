"""Stage 2: the look-up table of the device's core: every kernel call of the space, run on an emulated one."""

from __future__ import annotations

from typing import Any

from hwmodels.device import load_device
from hwmodels.lut import rules_hash
from hwmodels.toolchain import find_toolchain
from hwmodels.variants import kernel_hash
from nas.hardware import cached_table, table_path
from nas.run_directory import RunDirectory
from nas.space import space_of

NAME = "profile"
NEEDS: tuple[str, ...] = ()


def inputs(run: RunDirectory) -> object:
    """Kernels, cycle rules, compiler, core and space."""
    toolchain = find_toolchain()
    space = space_of(run.config).model_dump(mode="json")
    core = load_device(run.config.device).core
    return [kernel_hash(), rules_hash(), toolchain.version, list(toolchain.flags), core, space]


def execute(run: RunDirectory) -> dict[str, Any]:
    """Take the table from the user's cache or make it; writes hardware/lut-CORE.json."""
    core = load_device(run.config.device).core
    table = cached_table(space_of(run.config), core)
    table.save(table_path(run, core))
    return {
        "entries": len(table.entries),
        "core": core,
        "compiler": table.provenance.compiler,
        "emulator": table.provenance.emulator,
    }
