"""Cycle rules of the single-issue Cortex-M4, for the same edge counts as the Cortex-M7's.

After the instruction timing tables of Arm's Cortex-M4 Technical Reference Manual; used by `pipeline`.
"""

from __future__ import annotations

from hwmodels.instructions import Flow, Instruction, Stage, Unit

REFILL_CYCLES = 2
DIVIDE_CYCLES = 7
_FLOAT_CYCLES = {"vdiv": 14, "vsqrt": 14, "vmla": 3, "vmls": 3, "vfma": 3, "vfms": 3, "vfnma": 3, "vfnms": 3}


def block_cycles(before: tuple[Instruction, ...], after: tuple[Instruction, ...], is_taken: bool) -> int:
    """Cycles of the block `after` when it follows `before`.

    The refill of a taken conditional branch is paid by its target's block, that of any other jump by
    the jump itself.
    """
    previous = before[-1] if before else None
    total = 0
    if is_taken and previous is not None:
        total += REFILL_CYCLES if previous.flow is Flow.CONDITIONAL else 0
        previous = None
    for instruction in after:
        total += _cycles(instruction, previous)
        previous = instruction
    return total


def _cycles(instruction: Instruction, previous: Instruction | None) -> int:
    """Cycles of one instruction after another; loads and stores overlap with an access before them."""
    jump = REFILL_CYCLES if instruction.flow in (Flow.JUMP, Flow.INDIRECT, Flow.RETURN) else 0
    if instruction.unit is Unit.MULTIPLE:
        return 1 + instruction.transfers + jump
    if instruction.unit is Unit.LOAD:
        addresses = {register for register, stage in instruction.reads if stage is Stage.EARLY}
        follows_access = previous is not None and previous.unit in (Unit.LOAD, Unit.STORE)
        waits = previous is not None and not addresses.isdisjoint(previous.writes)
        return (1 if follows_access and not waits else 2) + jump
    if instruction.unit is Unit.DIVIDE:
        return DIVIDE_CYCLES
    if instruction.unit is Unit.FLOAT:
        return _FLOAT_CYCLES.get(instruction.mnemonic, 1)
    return 1 + jump
