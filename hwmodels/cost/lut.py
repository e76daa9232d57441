"""The look-up table: cycles and stack of every kernel call that a space can ask for.

`profiling` builds it from the real kernels on the emulated core; `cost` reads it. The file carries its
provenance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from hwmodels.basics.atomic_files import replace_file
from hwmodels.basics.documents import UndecodableError, read_json
from hwmodels.basics.errors import InputError
from hwmodels.kernels.variants import KernelVariant, kernel_hash, variant_of
from hwmodels.network.graph import Op
from hwmodels.schedule.striped_block import StripedBlock

FORMAT = 2
REBUILD = "run `ppg-nas lut build`"
_RULES = (
    "device/instructions.py",
    "device/cortex_m7.py",
    "device/cortex_m4.py",
    "cost/profiling.py",
    "device/target.py",
)

Origin = Literal["measured", "modelled", "scaled"]
"""Cycles measured on a board; by the cycle model; by that model scaled to what a board measured."""


class TableError(InputError):
    """A look-up table file that cannot be used; names the file and the remedy."""


class StaleTableError(TableError):
    """A table made from other kernels or cycle rules than those installed."""


class MissingEntryError(InputError):
    """A kernel call the table does not hold; nothing is ever costed as zero."""


@dataclass(frozen=True)
class Entry:
    """One kernel call: cycles, issued instructions, and the stack's high-water mark in bytes."""

    cycles: int
    instructions: int
    stack_bytes: int
    origin: Origin


@dataclass(frozen=True)
class Runner:
    """What surrounds the kernels of any network: cycles and instructions paid once and once per step.

    `stack_bytes` lie above every kernel's stack.
    """

    cycles: int
    step_cycles: int
    instructions: int
    step_instructions: int
    stack_bytes: int


@dataclass(frozen=True)
class Provenance:
    """Where a table comes from. `core` and `memory` are a target's (hwmodels.device.target).

    `source` says where cycles come from: the emulator's executions, or a board.
    """

    kernel_hash: str
    rules_hash: str
    compiler: str
    flags: tuple[str, ...]
    emulator: str
    core: str
    memory: str
    source: str
    date: str


@dataclass(frozen=True)
class LookUpTable:
    """Entries by key, code bytes by code unit, the runner, and the provenance."""

    provenance: Provenance
    runner: Runner
    code_bytes: Mapping[str, int]
    entries: Mapping[str, Entry]

    def entry(self, op: Op, variant: KernelVariant | None = None) -> Entry:
        """The entry of the kernel call that `op` becomes. Raises MissingEntryError naming its key."""
        key = entry_key(op, variant)
        found = self.entries.get(key)
        if found is None:
            raise MissingEntryError(
                f"op {op.name!r}: the look-up table has no entry {key}; {REBUILD} for a space with it"
            )
        return found

    def save(self, path: Path) -> None:
        """Write as sorted JSON, whole or not at all."""
        content = {
            "format": FORMAT,
            "provenance": asdict(self.provenance),
            "runner": asdict(self.runner),
            "code_bytes": dict(self.code_bytes),
            "entries": {key: asdict(entry) for key, entry in self.entries.items()},
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load(path: Path, remedy: str = REBUILD) -> LookUpTable:
    """Read a table. Raises TableError on a foreign file, StaleTableError when kernels or rules changed.

    `remedy` ends the message: the command that makes this very file anew.
    """
    try:
        content = read_json(path)
    except UndecodableError:
        raise TableError(f"look-up table {path}: not valid JSON; {remedy}") from None
    except InputError as error:
        reason = str(error) if path.exists() else f"{path}: no such file"
        raise TableError(f"look-up table {reason}; {remedy}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TableError(f"look-up table {path}: not a table of format {FORMAT}; {remedy}")
    try:
        table = LookUpTable(
            _provenance(content["provenance"]),
            Runner(**_integers(content["runner"])),
            _integers(content["code_bytes"]),
            {key: _entry(fields) for key, fields in content["entries"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TableError(f"look-up table {path}: a field is missing or wrong ({str(error)[:120]}); {remedy}") from None
    made_from = (table.provenance.kernel_hash, table.provenance.rules_hash)
    if made_from != (kernel_hash(), rules_hash()):
        raise StaleTableError(f"look-up table {path}: made from other kernels or cycle rules; {remedy}")
    return table


def _provenance(fields: Mapping[str, Any]) -> Provenance:
    flags = fields["flags"]
    texts = [value for name, value in fields.items() if name != "flags"]
    if not isinstance(flags, list) or not all(isinstance(value, str) for value in (*flags, *texts)):
        raise ValueError("provenance is no text")
    return Provenance(**{**fields, "flags": tuple(flags)})


def _integers(fields: Mapping[str, Any]) -> dict[str, int]:
    for name, value in fields.items():
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {value!r}")
    return dict(fields)


def _entry(fields: Mapping[str, Any]) -> Entry:
    if fields["origin"] not in get_args(Origin):
        raise ValueError(f"origin is {fields['origin']!r}")
    numbers = _integers({name: value for name, value in fields.items() if name != "origin"})
    return Entry(origin=fields["origin"], **numbers)


def entry_key(op: Op, variant: KernelVariant | None = None) -> str:
    """The name of the kernel call: its variant (by default the fast one) and what its cycles depend on.

    Of a block in stripes, that of the loop around its kernels' calls. Raises
    what `variants.variant_of` raises for an op without a kernel.
    """
    if isinstance(op, StripedBlock):
        return op.key
    fields: list[str | int] = [(variant or variant_of(op)).name]
    fields += [op.length_in, op.channels_in, op.length_out, op.channels_out]
    if op.kernel > 1 or op.stride > 1:
        fields += [op.kernel, op.stride, op.dilation, op.padding]
    fields += [op.remembers] if op.remembers else []
    return "|".join(map(str, fields))


@cache
def rules_hash() -> str:
    """SHA-256 over the sources that turn executions into cycles."""
    digest = hashlib.sha256()
    for name in _RULES:
        digest.update(name.encode() + b"\0" + (Path(__file__).parents[1] / name).read_bytes() + b"\0")
    return digest.hexdigest()
