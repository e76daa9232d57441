"""Stage 2: the look-up table of the device's core: every kernel call of the space, run on an emulated one.

With it, budgets that nothing meets are found out here, before any training, and the kernels' code is chosen.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwmodels.cost import CostModel
from hwmodels.device import load_device
from hwmodels.energy import DEFAULT_PERIOD_S
from hwmodels.graph import Code
from hwmodels.lut import rules_hash
from hwmodels.toolchain import find_toolchain
from hwmodels.variants import kernel_hash
from nas.hardware import cached_table, table_path
from nas.run_directory import RunDirectory
from nas.space import space_of
from nas.stages.choice import budgets_of
from search.code_choice import CODES, choose_code
from search.cost_plan import CostPlan, compile_both_modes

NAME = "profile"
NEEDS: tuple[str, ...] = ()


def inputs(run: RunDirectory) -> object:
    """Kernels, cycle rules, compiler, device, budgets and space."""
    toolchain = find_toolchain()
    space = space_of(run.config).model_dump(mode="json")
    facts = [kernel_hash(), rules_hash(), toolchain.version, list(toolchain.flags)]
    return [*facts, load_device(run.config.device).model_dump(), run.config.budgets.model_dump(), space]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The table."""
    return (table_path(run, load_device(run.config.device).target),)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Take the table from the user's cache or make it; writes hardware/lut-TARGET.json.

    Raises InfeasibleBudget, with the nearest feasible point.
    """
    device, space = load_device(run.config.device), space_of(run.config)
    table = cached_table(space, device.target)
    table.save(table_path(run, device.target))

    def plan_of(code: Code) -> CostPlan:
        return compile_both_modes(space, CostModel(table, device, code), DEFAULT_PERIOD_S)

    budgets, given, seed = budgets_of(run.config.budgets), run.config.budgets.code, run.config.seed
    chosen = choose_code(plan_of, budgets, seed, CODES if given == "auto" else (given,))
    if chosen.code != CODES[0]:
        run.say(f"the flash budget asks for {chosen.code} code of the kernels")
    return {
        "code": chosen.code,
        "share_within_budgets": round(chosen.feasibility.share, 4),
        "share_by_code": {code: round(share, 4) for code, share in chosen.shares.items()},
        "entries": len(table.entries),
        "core": device.core,
        "memory": device.target.memory,
        "compiler": table.provenance.compiler,
        "emulator": table.provenance.emulator,
    }
