"""Stage 2: the look-up table of the device's core: every kernel call of the space, run on an emulated one.

With it, budgets that nothing meets are found before any training, and how networks are built is chosen.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from hwmodels.c.toolchain import find_toolchain
from hwmodels.cost.lut import LookUpTable, rules_hash
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.energy import DEFAULT_PERIOD_S
from hwmodels.kernels.variants import kernel_hash
from hwmodels.network.build_form import CODES, MEMORIES, BuildForm, Memory
from hwmodels.schedule.striped_block import source_hash
from nas.assembly.choice import budgets_of
from nas.assembly.hardware import cached_table, table_path
from nas.assembly.run_space import space_of
from nas.run.run_directory import RunDirectory
from search.costs.cost_plan import CostPlan, compile_both_modes
from search.feasibility.build_choice import choose_form

NAME = "profile"
NEEDS: tuple[str, ...] = ()


def inputs(run: RunDirectory) -> object:
    """Kernels, cycle rules, compiler, device, budgets and space."""
    toolchain = find_toolchain()
    space = space_of(run.config).model_dump(mode="json")
    facts = [kernel_hash(), rules_hash(), toolchain.version, list(toolchain.flags)]
    if run.config.budgets.memory == "striped":
        facts.append(source_hash())
    return [*facts, run.device().model_dump(), run.config.budgets.model_dump(), space]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The table."""
    return (table_path(run, run.device().target),)


def execute(run: RunDirectory) -> dict[str, Any]:
    """Take the table from the user's cache or make it; writes hardware/lut-TARGET.json.

    Raises InfeasibleBudget, with the nearest feasible point.
    """
    device, space, given = run.device(), space_of(run.config), run.config.budgets

    @cache
    def table_of(memory: Memory) -> LookUpTable:
        return cached_table(space, device.target, memory=memory)

    def plan_of(form: BuildForm) -> CostPlan:
        return compile_both_modes(space, CostModel(table_of(form.memory), device, form), DEFAULT_PERIOD_S)

    codes = CODES if given.code == "auto" else (given.code,)
    memories = MEMORIES if given.memory == "auto" else (given.memory,)
    chosen = choose_form(plan_of, budgets_of(given), run.config.seed, codes, memories)
    code, memory = chosen.form.code, chosen.form.memory
    if code != codes[0]:
        run.say(f"the flash budget asks for {code} code of the kernels")
    if memory != memories[0]:
        run.say("the RAM budget asks for blocks in stripes")
    table = table_of(memory)
    table.save(table_path(run, device.target))
    shares = {form: round(share, 4) for form, share in chosen.shares.items()}
    told: dict[str, Any] = {} if memory == "whole" else {"activations": memory}
    if len({form.memory for form in shares}) > 1:
        told["share_whole"] = max(share for form, share in shares.items() if form.memory == "whole")
    return {
        "code": code,
        **told,
        "share_within_budgets": round(chosen.feasibility.share, 4),
        "share_by_code": {form.code: share for form, share in shares.items() if form.memory == memory},
        "entries": len(table.entries),
        "core": device.core,
        "memory": device.target.memory,
        "compiler": table.provenance.compiler,
        "emulator": table.provenance.emulator,
    }
