"""The cycle model against every published sequence, and its bookkeeping of edges, branches and returns."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hwmodels.device.cortex_m7 import (
    MISPREDICTION_CYCLES,
    RETURN_CYCLES,
    PipelineModel,
    UnknownCoreError,
    cycles,
    issue_cycles,
)
from hwmodels.device.instructions import Decoder, Unit
from hwmodels.validation.published_sequences import PublishedSequence, published_sequences

# 0: movs r0,#5  2: subs r0,#1  4: bne 2  6: bx lr
_LOOP = bytes.fromhex("0520 0138 fdd1 7047".replace(" ", ""))


@dataclass
class _Image:
    code: bytes

    def read(self, address: int, size: int) -> bytes:
        return self.code[address : address + size]


@dataclass
class _Run:
    edges: dict[tuple[int, int], int]
    blocks: dict[int, int]


@pytest.mark.parametrize("sequence", published_sequences(), ids=lambda sequence: f"{sequence.core} {sequence.name}")
def test_the_model_gives_the_published_cycles(sequence: PublishedSequence) -> None:
    assert sequence.model_cycles() == sequence.published_cycles


@pytest.mark.parametrize(
    ("code", "reads", "writes"),
    [
        ("82fb0301", {"r2", "r3"}, {"r0", "r1"}),  # smull r0,r1,r2,r3 has no accumulator
        ("e2fb0301", {"r0", "r1", "r2", "r3"}, {"r0", "r1"}),  # umlal accumulates into both
        ("21fb0230", {"r1", "r2", "r3"}, {"r0"}),  # smlad r0,r1,r2,r3
        ("c1ea0240", {"r1", "r2"}, {"r0"}),  # pkhbt r0,r1,r2,lsl #16
        ("21f3c700", {"r1"}, {"r0"}),  # ssat r0,#8,r1,asr #3
        ("61f3c600", {"r0", "r1"}, {"r0"}),  # bfi keeps the rest of its destination
        ("51f8040b", {"r1"}, {"r0"}),  # ldr r0,[r1],#4; r1 is a base write
        ("30bd", {"sp"}, {"r4", "r5", "pc"}),  # pop
    ],
)
def test_operands_follow_the_architecture_manual(code: str, reads: set[str], writes: set[str]) -> None:
    (instruction,) = Decoder().decode(bytes.fromhex(code))
    assert {register for register, _ in instruction.reads} == reads
    assert set(instruction.writes) - {"flags"} == writes


def test_edges_add_up_with_one_misprediction_per_loop_and_a_return() -> None:
    turns = 5
    edges = {(0xFFFFFFFF, 0): 1, (0, 2): 1, (2, 2): turns - 2, (2, 6): 1}
    run = _Run(edges, {0: 6, 2: 4, 6: 2})
    body = PipelineModel(_Image(_LOOP))
    # first block: movs, subs+bne; each turn: subs+bne in one cycle; the return pairs with nothing
    straight = 2 + (turns - 1) * 1 + 1
    expected = straight + MISPREDICTION_CYCLES + RETURN_CYCLES
    assert body.cycles(run) == expected == cycles(run, _Image(_LOOP))


def test_splitting_straight_code_into_blocks_costs_nothing() -> None:
    code = bytes.fromhex("d1f80000 02eb0301 22fb0300 d1f80440 04eb0500".replace(" ", ""))
    assert len(issue_cycles(code)) == 5
    whole = PipelineModel(_Image(code)).cycles(_Run({(0xFFFFFFFF, 0): 1}, {0: len(code)}))
    for cut in range(4, len(code), 4):
        run = _Run({(0xFFFFFFFF, 0): 1, (0, cut): 1}, {0: cut, cut: len(code) - cut})
        assert PipelineModel(_Image(code)).cycles(run) == whole


def test_a_branch_is_one_branch_however_many_blocks_end_in_it() -> None:
    # the first turn enters the loop from above in a block of its own, or from a block that ends before it
    joined = _Run({(0xFFFFFFFF, 0): 1, (0, 2): 1, (2, 2): 3, (2, 6): 1}, {0: 6, 2: 4, 6: 2})
    split = _Run({(0xFFFFFFFF, 0): 1, (0, 2): 1, (2, 2): 4, (2, 6): 1}, {0: 2, 2: 4, 6: 2})
    model = PipelineModel(_Image(_LOOP))
    assert model.misprediction_cycles(joined) == model.misprediction_cycles(split) == MISPREDICTION_CYCLES
    assert model.cycles(joined) == model.cycles(split)


def test_the_single_issue_core_never_takes_fewer_cycles_than_instructions() -> None:
    run = _Run({(0xFFFFFFFF, 0): 1, (0, 2): 1, (2, 2): 97, (2, 6): 1}, {0: 6, 2: 4, 6: 2})
    instructions = 3 + 98 * 2 + 1
    assert cycles(run, _Image(_LOOP), "cortex-m4") >= instructions
    assert cycles(run, _Image(_LOOP)) < instructions


def test_an_unknown_core_is_refused_by_name() -> None:
    with pytest.raises(UnknownCoreError, match="cortex-m0"):
        PipelineModel(_Image(b""), "cortex-m0")


def test_bytes_that_are_no_instruction_are_refused() -> None:
    with pytest.raises(ValueError, match="no instruction"):
        Decoder().decode(bytes.fromhex("00f8"))
    assert Decoder().decode(bytes.fromhex("00bf"))[0].unit is Unit.NONE
