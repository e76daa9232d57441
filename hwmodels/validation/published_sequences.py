"""Instruction sequences with published cycles: measured on Cortex-M7 silicon, or stated for the Cortex-M4.

The rules of `pipeline` are held to them by test; `ppg-nas hw validate` prints them beside the model.
Sources, Cortex-M7: jnk0le's pipeline cycle test (STM32H743), quinapalus.com (STM32H730), Arm's model in LLVM.
Cortex-M4: Arm's Technical Reference Manual, with a refill of 2 where it says 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwmodels.device import cortex_m4
from hwmodels.device.cortex_m7 import issue_cycles
from hwmodels.device.instructions import Decoder

_REPEATS = 32


@dataclass(frozen=True)
class PublishedSequence:
    """A sequence (Thumb-2 bytes in hexadecimal) and its published cycles.

    `steady`: cycles of one repetition of the whole sequence when it repeats endlessly; `latency`: cycles
    from the issue of its first instruction to the issue of its second; `once`: of the sequence by itself.
    """

    name: str
    code: str
    published_cycles: int
    kind: Literal["steady", "latency", "once"]
    core: str = "cortex-m7"

    def model_cycles(self) -> float:
        """The model's figure for the same sequence."""
        code = bytes.fromhex(self.code)
        if self.kind == "once":
            return cortex_m4.block_cycles((), Decoder().decode(code), is_taken=False)
        if self.kind == "latency":
            first, second = issue_cycles(code)[:2]
            return second - first
        length = len(Decoder().decode(code))
        issued = issue_cycles(code * (2 * _REPEATS + 1))
        return (issued[2 * _REPEATS * length] - issued[_REPEATS * length]) / _REPEATS


def published_sequences() -> tuple[PublishedSequence, ...]:
    """All sequences the model is held to."""
    steady = tuple(PublishedSequence(name, code, cycles, "steady") for name, code, cycles in _STEADY)
    latency = tuple(PublishedSequence(name, code, cycles, "latency") for name, code, cycles in _LATENCY)
    once = tuple(PublishedSequence(name, code, cycles, "once", "cortex-m4") for name, code, cycles in _ONCE)
    return steady + latency + once


_STEADY = (
    ("8 independent adds", "00f1010001f1010102f1010203f1010304f1010405f1010506f1010607f10107", 4),
    ("8 dependent eors", "80ea010080ea010080ea010080ea010080ea010080ea010080ea010080ea0100", 8),
    ("ldr + independent add", "d1f8000003eb0402", 1),
    ("ldr + ldr, same bank", "d2f80000d2f80810", 2),
    ("ldr + ldr, other bank", "d2f80000d2f80410", 1),
    ("4 independent smlad", "28fb090028fb091128fb092228fb0933", 4),
    ("4 accumulating smlad", "28fb090028fb090028fb090028fb0900", 4),
    ("smlad + ldr", "28fb0900d2f80010", 1),
    ("sxtb16 older + smlad", "2ffa82f128fb0900", 1),
    ("sxtb16 + sxtb16", "2ffa81f02ffa83f2", 2),
    ("smlad + add", "28fb090002eb0301", 1),
    ("two vadd", "30ee810a72ee221a", 2),
    ("umlal chain", "e2fb0301", 1),
    ("smlad + str", "28fb0900c2f80010", 2),
    ("mul feeding add feeding mul", "00fb01f000eb0200", 3),
    ("str + str", "c1f80000c3f80020", 2),
    ("ldr + str", "d1f80000c3f80020", 1),
    ("ldrd, ldrd", "d2e90001d2e90234", 2),
    ("ldm of 4", "98e80f00", 2),
    ("two adds with shifted operand", "01ebc20004ebc503", 2),
    ("pointer chase", "d0f80000", 3),
    ("vmul chain", "20ee200a", 3),
    ("ldr feeding str", "d1f80000c3f80000", 1),
    ("add feeding smlad accumulate", "01eb020024fb0533", 1),
    ("two multiplies", "01fb02f004fb05f3", 2),
)
_LATENCY = (
    ("ldr feeding smlad", "d1f8000020fb0322", 2),
    ("ldr feeding add", "d1f8000000eb0302", 1),
    ("ldr feeding an address", "d1f80000d0f80020", 3),
    ("ldrb feeding add", "91f8000000eb0302", 2),
    ("mul feeding add", "01fb02f000eb0403", 2),
    ("smlad feeding the accumulator", "21fb020021fb0200", 1),
    ("add feeding a shifted operand", "81ea020004eb8003", 2),
    ("sxtb16 feeding an address", "2ffa81f0d0f80020", 2),
    ("early add feeding late eor", "01eb020080ea0403", 0),
    ("post-increment feeding an address", "51f8040bd1f80020", 1),
    ("ssat feeding add", "21f3c70000eb0302", 2),
    ("smlad feeding ssat", "21fb020020f3c703", 3),
)
_ONCE = (
    ("two loads", "08681168", 3),
    ("load, store to a constant offset", "51f80200c3f81400", 3),
    ("load, store to a register offset", "51f8020043f80210", 3),
    ("three loads", "51f8050011685a68", 4),
    ("store to a constant offset", "4860", 1),
    ("store to a register offset", "8850", 2),
    ("load behind a store", "48601a68", 3),
    ("load from a loaded address", "08680268", 4),
    ("load from a calculated address", "89180868", 4),
    ("load of a pair", "d2e90001", 3),
    ("load of four", "98e80f00", 5),
    ("push of three", "30b5", 4),
    ("smlad, smmlar, ssat, sxtb16", "21fb023050fb123000f307002ffa82f1", 4),
    ("long multiply-accumulate", "c2fb0301", 1),
    ("dependent adds", "30ee810a70ee021a", 3),
    ("multiply-accumulate", "a0ee810a", 3),
    ("addend of a multiply-accumulate", "20ee810aa1ee820a", 4),
    ("divide", "80ee810a", 14),
    ("return", "7047", 3),
    ("table branch", "dfe800f0", 6),
)
