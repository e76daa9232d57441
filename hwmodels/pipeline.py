"""Cycles of an execution on the Cortex-M7: an in-order dual-issue scoreboard over executed block edges.

Takes the emulator's exact edge counts and the linked image; look-up table and verification take the cycles.
Rules are the published measurements listed in docs/hardware-model.md (jnk0le's pipeline cycle test on an
STM32H743, quinapalus on an STM32H730, Arm's LLVM scheduling model); none was fitted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hwmodels import cortex_m4
from hwmodels.errors import InputError
from hwmodels.instructions import Decoder, Flow, Instruction, Stage, Unit

CORES = ("cortex-m7", "cortex-m4")
MISPREDICTION_CYCLES = 8
RETURN_CYCLES = 3
DIVIDE_CYCLES = 7
_SINGLE_ISSUE_CYCLES = 3
_FLOAT_CYCLES = {"vdiv": 16, "vsqrt": 14}
_FLOAT_RESULT = 4
_FLOAT_FUSED_RESULT = 7
_OFFSET = {
    Stage.EARLY: 0, Stage.LATE: 1, Stage.SLOW_LATE: 1, Stage.ACCUMULATE: 2, Stage.FLOAT_DATA: 3,
}  # fmt: skip


class UnknownCoreError(InputError):
    """A core without cycle rules."""


class CodeImage(Protocol):
    """What the cycle model needs of a linked image."""

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of code from `address`."""
        ...


class ExecutedBlocks(Protocol):
    """What the cycle model needs of an execution: counts per (source block, target block), block sizes."""

    @property
    def edges(self) -> Mapping[tuple[int, int], int]:
        """Executions of each (source block address, target block address)."""
        ...

    @property
    def blocks(self) -> Mapping[int, int]:
        """Bytes of each executed block."""
        ...


@dataclass
class _Scoreboard:
    """The pipeline between two instructions.

    `ready` holds, per register, the cycle from which late operands, late operands without the fast load
    path, and early operands can be read. `older` is an instruction still waiting for a partner in the
    group that issued at `group`; `free` is the first cycle at which a new group can issue.
    """

    free: int = 0
    group: int = -1
    older: Instruction | None = None
    ready: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def issue(self, instruction: Instruction) -> int:
        """Issue the next instruction in order; returns its cycle."""
        earliest = self._earliest(instruction)
        if self.older is not None and earliest <= self.group and can_pair(self.older, instruction):
            time, is_older = self.group, False
            self.older = None
        else:
            time, is_older = max(earliest, self.free), True
            occupied = _occupied_cycles(instruction)
            self.group, self.free = time, time + occupied
            self.older = None if _is_single(instruction) else instruction
        self._write(instruction, time, is_older)
        return time

    def redirect(self) -> None:
        """A taken branch: nothing at the target joins the group of the branch."""
        self.older = None

    def _earliest(self, instruction: Instruction) -> int:
        earliest = 0
        for register, stage in instruction.reads:
            ready = self.ready.get(register)
            if ready is not None:
                which = 2 if stage is Stage.EARLY else 1 if stage is Stage.SLOW_LATE else 0
                earliest = max(earliest, ready[which] - _OFFSET[stage])
        return earliest

    def _write(self, instruction: Instruction, time: int, is_older: bool) -> None:
        for register in instruction.base_writes:
            self.ready[register] = (time + 1,) * 3
        unit, name = instruction.unit, instruction.mnemonic
        for index, register in enumerate(instruction.writes):
            if unit is Unit.LOAD and not instruction.has_narrow_load:
                ready = (time + 2, time + 3, time + 3)
            elif unit is Unit.MULTIPLE:
                moved = time + index // 2
                ready = (moved + 2, moved + 3, moved + 3)
            elif unit in (Unit.LOAD, Unit.MULTIPLY) or name.startswith(("ssat", "usat", "q", "uq")):
                ready = (time + 3,) * 3
            elif name.startswith(("rev", "rbit")):
                ready = (time + 1, time + 1, time + 2)
            elif unit is Unit.FLOAT:
                ready = (time + _float_result(instruction, register),) * 3
            elif unit is Unit.DIVIDE:
                ready = (time + DIVIDE_CYCLES + 1,) * 3
            elif self._is_early(instruction, time, is_older):
                ready = (time + 1,) * 3
            else:
                ready = (time + 2,) * 3
            self.ready[register] = ready

    def _is_early(self, instruction: Instruction, time: int, is_older: bool) -> bool:
        """Whether a simple operation runs in the early ALU: older slot (shifts: either), operands there."""
        if not instruction.can_be_early or not (is_older or instruction.unit is Unit.SHIFT):
            return False
        return all(self.ready.get(register, (0, 0, 0))[2] <= time for register, _ in instruction.reads)


def _float_result(instruction: Instruction, register: str) -> int:
    """Cycles from issue until a late operand can read the result of a floating-point instruction."""
    name = instruction.mnemonic
    if name.startswith(("vmla", "vmls", "vfma", "vfms", "vfnma", "vfnms")):
        return _FLOAT_FUSED_RESULT
    if name in _FLOAT_CYCLES:
        return _FLOAT_CYCLES[name] + 1
    is_to_core = name.startswith("vmov") and not register.startswith("s")
    return 2 if is_to_core or name == "vmrs" else _FLOAT_RESULT


def _is_single(instruction: Instruction) -> bool:
    """Whether an instruction never shares its cycle."""
    return instruction.unit in (Unit.MULTIPLE, Unit.DIVIDE, Unit.OTHER) or instruction.mnemonic == "vmrs"


def _occupied_cycles(instruction: Instruction) -> int:
    """Cycles during which no later group can issue."""
    if instruction.unit is Unit.MULTIPLE:
        return max(1, -(-instruction.transfers // 2))
    if instruction.unit is Unit.DIVIDE:
        return DIVIDE_CYCLES
    if instruction.unit is Unit.OTHER:
        return _SINGLE_ISSUE_CYCLES
    return _FLOAT_CYCLES.get(instruction.mnemonic, 1)


def can_pair(older: Instruction, younger: Instruction) -> bool:
    """Whether two neighbours may issue in one cycle, data dependences apart."""
    if _is_single(younger) or younger.unit is Unit.DSP:
        return False
    units = {older.unit, younger.unit}
    if len(units) == 1 and older.unit in (Unit.MULTIPLY, Unit.STORE, Unit.BRANCH, Unit.FLOAT):
        return False
    if units == {Unit.MULTIPLY, Unit.STORE}:
        return False
    if older.unit is Unit.LOAD and younger.unit is Unit.LOAD:
        return _other_bank(older, younger)
    return not (younger.uses_shifter and (older.uses_shifter or older.unit is Unit.SHIFT))


def _other_bank(older: Instruction, younger: Instruction) -> bool:
    """Whether two loads surely touch banks of different parity; an unknown address counts as a conflict."""
    if older.access is None or younger.access is None or older.access[0] != younger.access[0]:
        return False
    if older.transfers > 1 or younger.transfers > 1:
        return False
    return bool((older.access[1] ^ younger.access[1]) & 4)


class PipelineModel:
    """Cycles on one core for executions of one image; decodes each block and costs each edge once.

    Raises UnknownCoreError for a core without rules.
    """

    def __init__(self, image: CodeImage, core: str = "cortex-m7") -> None:
        if core not in CORES:
            raise UnknownCoreError(f"core {core!r} has no cycle rules; known are {', '.join(CORES)}")
        self._image = image
        self._is_dual_issue = core == "cortex-m7"
        self._decoder = Decoder()
        self._blocks: dict[tuple[int, int], tuple[Instruction, ...]] = {}
        self._edge_costs: dict[tuple[int, int, int, int], int] = {}

    def cycles(self, execution: ExecutedBlocks) -> int:
        """Cycles of one execution: edge costs times counts, mispredictions and returns."""
        sizes = execution.blocks
        total = 0
        leaving: dict[int, list[int]] = {}
        entering: dict[int, int] = {}
        for (source, target), count in execution.edges.items():
            total += count * self._edge_cost(source, sizes.get(source, 0), target, sizes[target])
            entering[target] = entering.get(target, 0) + count
            if source in sizes:
                falls_through = target == source + sizes[source]
                leaving.setdefault(source, [0, 0])[falls_through] += count
        if not self._is_dual_issue:
            return total
        for address, executed in entering.items():
            last = self._block(address, sizes[address])[-1]
            if last.flow is Flow.CONDITIONAL:
                total += MISPREDICTION_CYCLES * min(leaving.get(address, [0, 0]))
            elif last.flow is Flow.INDIRECT:
                total += MISPREDICTION_CYCLES * executed
            elif last.flow is Flow.RETURN:
                total += RETURN_CYCLES * executed
        return total

    def _block(self, address: int, size: int) -> tuple[Instruction, ...]:
        block = self._blocks.get((address, size))
        if block is None:
            block = self._decoder.decode(self._image.read(address, size), address)
            self._blocks[address, size] = block
        return block

    def _edge_cost(self, source: int, source_size: int, target: int, target_size: int) -> int:
        """Cycles that `target` adds when it follows `source` (size 0: nothing precedes it)."""
        key = (source, source_size, target, target_size)
        cost = self._edge_costs.get(key)
        if cost is None:
            before = self._block(source, source_size) if source_size else ()
            is_taken = bool(source_size) and target != source + source_size
            after = self._block(target, target_size)
            if self._is_dual_issue:
                cost = _dual_issue_cost(before, after, is_taken)
            else:
                cost = cortex_m4.block_cycles(before, after, is_taken)
            self._edge_costs[key] = cost
        return cost


def _dual_issue_cost(before: tuple[Instruction, ...], after: tuple[Instruction, ...], is_taken: bool) -> int:
    board = _Scoreboard()
    for instruction in before:
        board.issue(instruction)
    if is_taken:
        board.redirect()
    start = board.free
    for instruction in after:
        board.issue(instruction)
    return board.free - start


def cycles(execution: ExecutedBlocks, image: CodeImage, core: str = "cortex-m7") -> int:
    """Cycles of one execution of `image` on `core`; use PipelineModel for many executions of one image."""
    return PipelineModel(image, core).cycles(execution)


def issue_cycles(code: bytes) -> list[int]:
    """Issue cycle on the Cortex-M7 of each instruction of straight-line `code`, from an idle pipeline."""
    board = _Scoreboard()
    return [board.issue(instruction) for instruction in Decoder().decode(code)]
