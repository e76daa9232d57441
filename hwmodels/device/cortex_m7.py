"""Cycles of an execution on the Cortex-M7: an in-order dual-issue scoreboard over executed block edges.

Takes the emulator's exact edge counts and the linked image; look-up table and verification take the cycles.
Rules are the published measurements listed in docs/explanation/hardware-model.md (jnk0le's pipeline cycle test on an
STM32H743, quinapalus on an STM32H730, Arm's LLVM scheduling model); none was fitted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hwmodels.basics.errors import InputError
from hwmodels.device import cortex_m4
from hwmodels.device.instructions import Decoder, Flow, Instruction, Stage, Unit

CORES = ("cortex-m7", "cortex-m4")
MISPREDICTION_CYCLES = 8
RETURN_CYCLES = 3
DIVIDE_CYCLES = 7
_SINGLE_ISSUE_CYCLES = 3
_FLOAT_CYCLES = {"vdiv": 16, "vsqrt": 14}
_FLOAT_RESULT = 4
_FLOAT_FUSED_RESULT = 7
_OFFSET = {
    Stage.EARLY: 0,
    Stage.LATE: 1,
    Stage.SLOW_LATE: 1,
    Stage.ACCUMULATE: 2,
    Stage.FLOAT_DATA: 3,
}

_Span = tuple[int, int]


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
        return self.issue_cycles(execution) + self.misprediction_cycles(execution)

    def issue_cycles(self, execution: ExecutedBlocks) -> int:
        """Edge costs times counts, and returns: everything but mispredicted branches."""
        total = 0
        for before, after, count in self._joined_edges(execution):
            total += count * self._edge_cost(before, after)
        if self._is_dual_issue:
            for (_, target), count in execution.edges.items():
                is_return = self._block(target, execution.blocks[target])[-1].flow is Flow.RETURN
                total += RETURN_CYCLES * count * is_return
        return total

    def _joined_edges(self, execution: ExecutedBlocks) -> Iterator[tuple[_Span, _Span, int]]:
        """Edges as (code before, code after, count), with blocks that the emulator split put together again.

        A block may end without a branch, at a page's end; where that falls depends on where the code was
        linked, and must not change its cycles. Such a block and the one behind it are costed as one. An
        empty span stands for nothing executed before.
        """
        sizes = execution.blocks
        is_split = {at: self._block(at, size)[-1].flow is Flow.NEXT for at, size in sizes.items()}
        origins: dict[int, set[int]] = {}
        for source, target in execution.edges:
            origins.setdefault(target, set()).add(source)
        for (source, target), count in execution.edges.items():
            if is_split.get(source):
                continue
            last, stop = target, target + sizes[target]
            while is_split[last] and stop in sizes:
                last, stop = stop, stop + sizes[stop]
            start = source
            while start in sizes and len(origins[start]) == 1:
                (only,) = origins[start]
                if not is_split.get(only):
                    break
                start = only
            before = (start, source + sizes[source]) if source in sizes else (0, 0)
            yield before, (target, stop), count

    def misprediction_cycles(self, execution: ExecutedBlocks, within: range | None = None) -> int:
        """Cycles of mispredicted branches: each conditional one goes its rarer way unpredicted, each
        indirect one always. `within` restricts the count to branches at these addresses.

        The rarer way is that of one execution: give each kernel call its own, because a predictor follows
        when a branch goes one way in a layer and the other way in the next.
        """
        if not self._is_dual_issue:
            return 0
        sizes = execution.blocks
        # Blocks that start elsewhere can end in the same branch: it is known by the address behind it.
        executed: dict[int, int] = {}
        fell_through: dict[int, int] = {}
        flows: dict[int, Flow] = {}
        for (source, target), count in execution.edges.items():
            end = target + sizes[target]
            flows[end] = self._block(target, sizes[target])[-1].flow
            executed[end] = executed.get(end, 0) + count
            if source in sizes and target == source + sizes[source]:
                fell_through[target] = fell_through.get(target, 0) + count
        mispredicted = 0
        for end, flow in flows.items():
            if within is not None and end - 1 not in within:
                continue
            if flow is Flow.CONDITIONAL:
                missed = fell_through.get(end, 0)
                mispredicted += min(missed, executed[end] - missed)
            elif flow is Flow.INDIRECT:
                mispredicted += executed[end]
        return MISPREDICTION_CYCLES * mispredicted

    def loop_cycles(self, address: int, size: int) -> int:
        """Cycles of one turn of a block that branches to its own start."""
        span = (address, address + size)
        return self._edge_cost(span, span)

    def _block(self, address: int, size: int) -> tuple[Instruction, ...]:
        block = self._blocks.get((address, size))
        if block is None:
            block = self._decoder.decode(self._image.read(address, size), address)
            self._blocks[address, size] = block
        return block

    def _edge_cost(self, before: _Span, after: _Span) -> int:
        """Cycles that the code `after` adds when it follows the code `before`."""
        key = (*before, *after)
        cost = self._edge_costs.get(key)
        if cost is None:
            earlier = self._block(before[0], before[1] - before[0]) if before[1] else ()
            is_taken = bool(before[1]) and after[0] != before[1]
            later = self._block(after[0], after[1] - after[0])
            if self._is_dual_issue:
                cost = _dual_issue_cost(earlier, later, is_taken)
            else:
                cost = cortex_m4.block_cycles(earlier, later, is_taken)
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
