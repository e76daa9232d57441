"""Thumb-2 instructions as the pipeline sees them: unit, operands and the stage reading them, slot rules.

Decoded once by capstone; `pipeline` and `cortex_m4` turn them into cycles. Operand directions are decided
here by mnemonic, because capstone's own are wrong for several DSP and multiply instructions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

import capstone
from capstone import arm


class Unit(Enum):
    """Which part of the core executes an instruction."""

    ALU = "alu"
    SHIFT = "shift"
    DSP = "dsp"
    MULTIPLY = "multiply"
    LOAD = "load"
    STORE = "store"
    MULTIPLE = "multiple"
    BRANCH = "branch"
    FLOAT = "float"
    DIVIDE = "divide"
    NONE = "none"
    OTHER = "other"


class Stage(IntEnum):
    """When an operand is needed after issue; SLOW_LATE is LATE without the fast path from a load."""

    EARLY = 0
    LATE = 1
    SLOW_LATE = 2
    ACCUMULATE = 3
    FLOAT_DATA = 4


class Flow(Enum):
    """How an instruction ends a block."""

    NEXT = "next"
    JUMP = "jump"
    CONDITIONAL = "conditional"
    INDIRECT = "indirect"
    RETURN = "return"


@dataclass(frozen=True)
class Instruction:
    """One decoded instruction.

    `reads` pairs registers with the stage that needs them; `writes` are results, `base_writes` addresses
    updated by the load/store unit. `access` is (base register, byte offset) where the parity of the word
    address is known up to the base. `transfers` counts registers moved by load/store multiple.
    """

    mnemonic: str
    unit: Unit
    flow: Flow
    reads: tuple[tuple[str, Stage], ...]
    writes: tuple[str, ...]
    base_writes: tuple[str, ...] = ()
    uses_shifter: bool = False
    can_be_early: bool = False
    has_narrow_load: bool = False
    access: tuple[str, int] | None = None
    transfers: int = 0
    is_conditional: bool = False


_MULTIPLY = (
    "mul",
    "mla",
    "mls",
    "smla",
    "smls",
    "smmul",
    "smmla",
    "smmls",
    "smul",
    "smuad",
    "smusd",
    "umull",
    "umlal",
    "umaal",
    "smull",
)
_LONG_ACCUMULATE = ("umlal", "umaal", "smlal", "smlsld")
_LONG = (*_LONG_ACCUMULATE, "umull", "smull")
_DSP = (
    "sxt",
    "uxt",
    "pkh",
    "ssat",
    "usat",
    "ubfx",
    "sbfx",
    "bfi",
    "bfc",
    "rev",
    "rbit",
    "clz",
    "qadd",
    "qsub",
    "qdadd",
    "qdsub",
    "qasx",
    "qsax",
    "sadd",
    "ssub",
    "sasx",
    "ssax",
    "shadd",
    "shsub",
    "shasx",
    "shsax",
    "uadd",
    "usub",
    "uasx",
    "usax",
    "uhadd",
    "uhsub",
    "uhasx",
    "uhsax",
    "uqadd",
    "uqsub",
    "uqasx",
    "uqsax",
    "sel",
    "usad",
)
_EARLY_SOURCE = ("ubfx", "sbfx", "rev", "rbit", "ssat", "usat", "qdadd", "qdsub")
_EARLY_LAST = ("sxta", "uxta", "pkh", "bfi")
_DSP_SHIFTER = (*_EARLY_SOURCE, *_EARLY_LAST, "bfc")
_SHIFTS = ("lsl", "lsr", "asr", "ror")
_COMPARES = ("cmp", "cmn", "tst", "teq")
_MULTIPLES = ("ldm", "stm", "push", "pop", "ldrd", "strd", "vldm", "vstm", "vpush", "vpop", "tbb", "tbh")
_READS_DESTINATION = ("bfi", "bfc", "movt", "vmla", "vmls", "vfma", "vfms", "vfnma", "vfnms")
_FLAGS = "flags"


class Decoder:
    """Thumb-2 bytes to instructions."""

    def __init__(self) -> None:
        self._engine = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
        self._engine.detail = True

    def decode(self, code: bytes, address: int = 0) -> tuple[Instruction, ...]:
        """All instructions of a block of `code` at `address`. Raises ValueError on bytes that are none."""
        raw = list(self._engine.disasm(code, address))
        if sum(item.size for item in raw) != len(code):
            at = address + sum(item.size for item in raw)
            raise ValueError(f"no instruction of the Cortex-M7 at {at:#x}: {code[at - address :][:4].hex()}")
        return tuple(_instruction(item) for item in raw)


def _registers(item: Any, identifier: int) -> tuple[str, ...]:
    """Names of a register; a double counts as its two singles."""
    name = str(item.reg_name(identifier))
    if name[0] == "d" and name[1:].isdigit() and int(name[1:]) < 16:
        number = 2 * int(name[1:])
        return (f"s{number}", f"s{number + 1}")
    return (_FLAGS,) if name in ("cpsr", "apsr", "apsr_nzcv", "fpscr_nzcv", "fpscr") else (name,)


def _is_shifted_constant(value: int, mnemonic: str) -> bool:
    """Whether an immediate needs the shifter: not 8 bits, nor a repeated byte, nor a 12- or 16-bit form."""
    value &= 0xFFFFFFFF
    if value <= 0xFF or mnemonic in ("addw", "subw", "movw", "movt"):
        return False
    low, high = value & 0xFF, value >> 8 & 0xFF
    return value not in (low * 0x00010001, high * 0x01000100, low * 0x01010101)


def _instruction(item: Any) -> Instruction:
    name = item.insn_name()
    conditional = item.cc not in (arm.ARM_CC_AL, arm.ARM_CC_INVALID) and name != "it"
    condition = ((_FLAGS, Stage.LATE),) if conditional else ()
    flow = _flow(item, name, conditional)
    writes_flags = (_FLAGS,) if item.update_flags or name in _COMPARES or name in ("vcmp", "vmrs") else ()
    if name in ("nop", "hint", "it"):
        return Instruction(name, Unit.NONE, flow, (), ())
    if name.startswith(_MULTIPLES):
        return _multiple(item, name, flow, condition)
    if name.startswith(("ldr", "str", "vldr", "vstr", "pld")):
        return _access(item, name, flow, condition)
    if flow is not Flow.NEXT or name in ("b", "bl", "blx", "bx", "cbz", "cbnz"):
        return Instruction(name, Unit.BRANCH, flow, (), (), is_conditional=flow is Flow.CONDITIONAL)
    operands = [(_registers(item, o.reg), o) for o in item.operands if o.type == arm.ARM_OP_REG]
    reads_flags = ((_FLAGS, Stage.LATE),) if name in ("adc", "sbc", "sel", "rrx") else ()
    if name.startswith("v"):
        return _float(name, operands, condition + reads_flags, writes_flags)
    results = 0 if name in _COMPARES else 2 if name.startswith(_LONG) else 1
    written = tuple(r for registers, _ in operands[:results] for r in registers)
    sources = [registers[0] for registers, _ in operands[results:]]
    if name.startswith(_READS_DESTINATION) or (len(item.operands) == 2 and item.operands[0].access == 3):
        sources.insert(0, written[0])
    shifted = any(o.shift.type != 0 and o.shift.value != 0 for _, o in operands)
    constant = [o.imm for o in item.operands if o.type == arm.ARM_OP_IMM]
    unit, stages, uses_shifter, early = Unit.ALU, [Stage.LATE] * len(sources), shifted, False
    if name.startswith(_MULTIPLY):
        unit, uses_shifter = Unit.MULTIPLY, False
        stages = [Stage.SLOW_LATE] * len(sources)
        if name.startswith(_LONG_ACCUMULATE):
            sources += list(written)
            stages += [Stage.ACCUMULATE] * 2
        elif len(sources) == 3:
            stages[2] = Stage.ACCUMULATE
    elif name in ("udiv", "sdiv"):
        unit = Unit.DIVIDE
    elif name.startswith(_DSP):
        unit, uses_shifter = Unit.DSP, name.startswith(_DSP_SHIFTER)
        if name.startswith(_EARLY_SOURCE):
            stages = [Stage.EARLY] * len(sources)
        elif name.startswith(_EARLY_LAST) and sources:
            stages = [Stage.EARLY if name == "pkhtb" else Stage.SLOW_LATE] * len(sources)
            stages[-1] = Stage.EARLY
    elif name in _SHIFTS:
        unit, uses_shifter, early = Unit.SHIFT, False, True
    elif name in ("mrs", "msr", "dmb", "dsb", "isb", "svc", "cps", "bkpt", "udf", "wfi", "wfe"):
        unit = Unit.OTHER
    else:
        uses_shifter = shifted or any(_is_shifted_constant(value, name) for value in constant)
        early = name in ("add", "addw", "sub", "subw", "mov", "movw", "adr") and not uses_shifter
        if shifted:
            stages = [Stage.SLOW_LATE] * len(sources)
            stages[-1] = Stage.EARLY
    reads = tuple(zip(sources, stages, strict=True)) + condition + reads_flags
    return Instruction(name, unit, flow, reads, written + writes_flags, uses_shifter=uses_shifter, can_be_early=early)


def _flow(item: Any, name: str, conditional: bool) -> Flow:
    writes_pc = any(
        o.type == arm.ARM_OP_REG and o.reg == arm.ARM_REG_PC and index >= (name.startswith("ldm"))
        for index, o in enumerate(item.operands)
    )
    if name in ("cbz", "cbnz") or (name == "b" and conditional):
        return Flow.CONDITIONAL
    if name in ("b", "bl"):
        return Flow.JUMP
    if name == "bx" and item.operands[0].reg == arm.ARM_REG_LR:
        return Flow.RETURN
    if name in ("pop", "ldm") and writes_pc:
        return Flow.RETURN
    if name == "ldr" and item.operands[0].reg == arm.ARM_REG_PC:
        is_return = item.operands[1].mem.base == arm.ARM_REG_SP
        return Flow.RETURN if is_return else Flow.INDIRECT
    if name in ("bx", "blx", "tbb", "tbh") or (name in ("mov", "add") and item.operands[0].reg == arm.ARM_REG_PC):
        return Flow.INDIRECT
    return Flow.NEXT


def _access(item: Any, name: str, flow: Flow, condition: tuple[tuple[str, Stage], ...]) -> Instruction:
    """A load or store of one register."""
    is_store = name.startswith(("str", "vstr"))
    memory = next(o for o in item.operands if o.type == arm.ARM_OP_MEM)
    data = [r for o in item.operands if o.type == arm.ARM_OP_REG for r in _registers(item, o.reg)]
    addresses = [item.reg_name(r) for r in (memory.mem.base, memory.mem.index) if r]
    reads = [(register, Stage.EARLY) for register in addresses if register != "pc"]
    if is_store:
        stage = Stage.FLOAT_DATA if name.startswith("v") else Stage.ACCUMULATE
        reads += [(register, stage) for register in data]
    base = item.reg_name(memory.mem.base)
    offset = 0 if item.post_index else memory.mem.disp
    if base == "pc":
        offset += (item.address + 4) & ~3
    return Instruction(
        name,
        Unit.STORE if is_store else Unit.LOAD,
        flow,
        tuple(reads) + condition,
        () if is_store else tuple(data),
        base_writes=(base,) if item.writeback else (),
        has_narrow_load=name.startswith(("ldrb", "ldrh", "ldrsb", "ldrsh")),
        access=None if memory.mem.index else (base, offset),
        transfers=max(1, len(data)),
    )


def _multiple(item: Any, name: str, flow: Flow, condition: tuple[tuple[str, Stage], ...]) -> Instruction:
    """A load or store of several registers, or a table branch: never paired."""
    is_load = name.startswith(("ldm", "pop", "ldrd", "vldm", "vpop"))
    registers = [r for o in item.operands if o.type == arm.ARM_OP_REG for r in _registers(item, o.reg)]
    memory = [o for o in item.operands if o.type == arm.ARM_OP_MEM]
    if memory:
        addresses = [item.reg_name(r) for o in memory for r in (o.mem.base, o.mem.index) if r]
    elif name in ("push", "pop", "vpush", "vpop"):
        addresses = ["sp"]
    else:
        addresses = [registers.pop(0)]
    updates = item.writeback or name in ("push", "pop", "vpush", "vpop")
    reads = [(register, Stage.EARLY) for register in addresses if register != "pc"]
    if not is_load:
        reads += [(register, Stage.ACCUMULATE) for register in registers]
    transfers = 4 if name in ("tbb", "tbh") else len(registers)
    return Instruction(
        name,
        Unit.MULTIPLE,
        flow,
        tuple(reads) + condition,
        tuple(registers) if is_load else (),
        base_writes=tuple(addresses[:1]) if updates else (),
        transfers=transfers,
    )


def _float(
    name: str,
    operands: list[tuple[tuple[str, ...], Any]],
    condition: tuple[tuple[str, Stage], ...],
    writes_flags: tuple[str, ...],
) -> Instruction:
    """A floating-point instruction that does not access memory."""
    results = 0 if name in ("vcmp", "vcmpe", "vmrs", "vmsr") else 1
    writes = tuple(r for registers, _ in operands[:results] for r in registers)
    reads = [(r, Stage.LATE) for registers, _ in operands[results:] for r in registers]
    if name.startswith(_READS_DESTINATION):
        reads += [(r, Stage.FLOAT_DATA) for r in writes]
    return Instruction(name, Unit.FLOAT, Flow.NEXT, tuple(reads) + condition, writes + writes_flags)
