"""Cycle rules of the single-issue Cortex-M4, for the same edge counts as the Cortex-M7's.

After the tables of instruction timing and the rules of pairing in Arm's Cortex-M4 Technical Reference Manual
(sections 3.3 and 7.2); `published` holds sequences that it states. Used by `pipeline`.
"""

from __future__ import annotations

from hwmodels.device.instructions import Flow, Instruction, Stage, Unit

REFILL_CYCLES = 2
"""The manual's P: 1 to 3, by alignment and width of the target."""
DIVIDE_CYCLES = 7
"""The middle of the manual's 2 to 12."""
_LOAD_PC_CYCLES = 5
_TABLE_BRANCH_CYCLES = 6
_FLOAT_CYCLES = {"vdiv": 14, "vsqrt": 14, "vmla": 3, "vmls": 3, "vfma": 3, "vfms": 3, "vfnma": 3, "vfnms": 3}
_ACCESSES = (Unit.LOAD, Unit.STORE, Unit.MULTIPLE)
_NO_RESULT_YET = (Unit.ALU, Unit.SHIFT, Unit.DSP, Unit.MULTIPLY, Unit.DIVIDE)


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
    """Cycles of one instruction after another."""
    if instruction.mnemonic in ("tbb", "tbh"):
        return _TABLE_BRANCH_CYCLES
    if instruction.unit in _ACCESSES:
        return _access_cycles(instruction, previous)
    if instruction.unit is Unit.DIVIDE:
        return DIVIDE_CYCLES
    if instruction.unit is Unit.FLOAT:
        waits = previous is not None and previous.unit is Unit.FLOAT and _reads(instruction, previous)
        return _FLOAT_CYCLES.get(instruction.mnemonic, 1) + waits
    jumps = instruction.flow in (Flow.JUMP, Flow.INDIRECT, Flow.RETURN)
    return 1 + (REFILL_CYCLES if jumps else 0)


def _access_cycles(instruction: Instruction, previous: Instruction | None) -> int:
    """A load overlaps with the load before it, a store with one too; nothing overlaps with a store before.

    A store to base and constant is done in a cycle. An address that the instruction before has just
    calculated costs one more.
    """
    addresses = {register for register, stage in instruction.reads if stage is Stage.EARLY}
    needs_previous = previous is not None and not addresses.isdisjoint(previous.writes)
    calculated = needs_previous and previous is not None and previous.unit in _NO_RESULT_YET
    if instruction.unit is Unit.MULTIPLE:
        leaves = REFILL_CYCLES if instruction.flow in (Flow.INDIRECT, Flow.RETURN) else 0
        return 1 + instruction.transfers + leaves + calculated
    if instruction.flow in (Flow.INDIRECT, Flow.RETURN):
        return _LOAD_PC_CYCLES + calculated
    overlaps = previous is not None and previous.unit is Unit.LOAD and not needs_previous
    if instruction.unit is Unit.STORE and instruction.access is not None and instruction.mnemonic[0] != "v":
        overlaps = True
    return (1 if overlaps else 2) + calculated


def _reads(instruction: Instruction, previous: Instruction) -> bool:
    """Whether an instruction needs the result before it at once; an addend is needed a cycle later."""
    return any(register in previous.writes and stage is not Stage.FLOAT_DATA for register, stage in instruction.reads)
