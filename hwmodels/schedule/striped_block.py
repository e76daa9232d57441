"""A block of a network that runs in stripes, as one operation of a schedule: which rows each stripe takes in
and makes, where they lie in the block's scratch, and the proof that nothing is overwritten too early.

The C twin is hwmodels/c/stripes. Which blocks are made of a graph's operations is said in hwmodels.schedule.stripes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import groupby

import numpy as np

from hwmodels.basics.errors import MemoryPlanError
from hwmodels.c.text import C_FOLDER, sources_in
from hwmodels.kernels.variants import STEP_BYTES, KernelVariant, code_units, data_bytes, record_bytes, scratch_bytes
from hwmodels.network.build_form import BuiltOp
from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import kind_of

SOURCES = C_FOLDER / "stripes"
STRIPES = KernelVariant("stripes", "ppgnet_stripes")
CODE_UNITS = frozenset({"ppgnet_stripes", "ppgnet_move_rows"})
BLOCK_BYTES = 28
STRIPE_BYTES = 28


@cache
def source_hash() -> str:
    """SHA-256 over the C sources of the loop over stripes."""
    return hashlib.sha256(repr(sources_in(SOURCES)).encode()).hexdigest()


@dataclass(frozen=True)
class Stripe:
    """`repeats` stripes alike: each takes in `rows_in` new rows of the block's input, has `rows_filled` rows
    of padding behind them, and makes `rows_out`.
    """

    repeats: int
    rows_in: int
    rows_filled: int
    rows_out: int


@dataclass(frozen=True)
class Places:
    """Offsets into a block's scratch: of what operations make that is not held, of their kernels' scratch.

    What is held, the input of the convolution over time, lies at 0.
    """

    outputs: dict[str, int]
    scratch: dict[str, int]
    bytes: int


@dataclass(frozen=True)
class StripedBlock(BuiltOp):
    """`chain` in stripes of `rows` outputs: [pointwise convolution that expands], a convolution over time,
    depthwise or not, [pointwise convolution that projects], [add of the block's input]; channels in fours.

    Named as the last of the chain, whose output it makes.
    """

    chain: tuple[Op, ...] = ()
    rows: int = 0

    @classmethod
    def of(cls, chain: tuple[Op, ...], rows: int) -> StripedBlock:
        """The operation that stands for `chain` in a schedule."""
        first, last = chain[0], chain[-1]
        return cls(
            last.name,
            "stripes",
            first.length_in,
            first.channels_in,
            last.length_out,
            last.channels_out,
            code=last.code,
            chain=chain,
            rows=rows,
        )

    @property
    def over_time(self) -> Op:
        """The convolution that reaches over rows: what it reads is held from stripe to stripe."""
        return next(op for op in self.chain if op.reach)

    @property
    def copies(self) -> bool:
        """Whether the rows held are copies of the block's input, as no convolution comes before."""
        return self.over_time is self.chain[0]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the chain; none are made twice."""
        return sum(op.macs for op in self.chain)

    @property
    def shape(self) -> tuple[str | int, ...]:
        """As of any op; equal shapes run the same calls."""
        return (*super().shape, self.rows, *(field for op in self.chain for field in op.shape))

    @cached_property
    def stripes(self) -> tuple[Stripe, ...]:
        """The stripes in order, equal neighbours together."""
        over, rows_held = self.over_time, 0
        found = []
        for start in range(0, self.length_out, self.rows):
            made = min(self.rows, self.length_out - start)
            end = (start + made) * over.stride + over.reach - over.padding_before
            taken = min(end, over.length_in) - min(rows_held, over.length_in)
            found.append((taken, end - rows_held - taken, made))
            rows_held = end
        return tuple(Stripe(len(list(alike)), *key) for key, alike in groupby(found))

    def ops(self, stripe: Stripe) -> tuple[Op, ...]:
        """The operations of one stripe, named as those of the chain."""
        over = self.over_time
        found = []
        for op in self.chain:
            if op is over:
                held = over.reach + stripe.rows_out * over.stride
                found.append(replace(op, length_in=held, length_out=stripe.rows_out, padding="valid"))
                continue
            rows = stripe.rows_in if not found else stripe.rows_out
            if rows:
                found.append(replace(op, length_in=rows, length_out=rows))
        return tuple(found)

    def places(self, filters_in_place: bool = True) -> Places:
        """Where everything lies in scratch. A depthwise kernel without scratch cannot write over what it
        reads; `filters_in_place` False says that the trained scales ask for such a one.
        """
        over = self.over_time
        calls = [op for stripe in self.stripes for op in self.ops(stripe)]
        needs = {name: max(scratch_bytes(op) for op in calls if op.name == name) for name in self._names}
        end = (over.reach + self.rows * over.stride) * over.channels_in
        outputs = {}
        for index, op in enumerate(self.chain[:-1]):
            if op is self.chain[0] and not self.copies:
                continue  # into the rows held, behind those kept: see `new_rows_at`
            if op is over and kind_of(op).keeps_input_in_scratch and filters_in_place and needs[op.name]:
                outputs[op.name] = 0
                continue
            outputs[op.name] = end
            if len(self.chain[index + 1].operand_shapes) == 1:
                end += self.rows * op.channels_out
        added = self.rows * self.channels_out if len(self.chain[-1].operand_shapes) == 2 else 0
        scratch = {op.name: end + (added if outputs.get(op.name) == end else 0) for op in self.chain if needs[op.name]}
        return Places(outputs, scratch, max([end + added, *(scratch[name] + needs[name] for name in scratch)]))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(op.name for op in self.chain)

    def new_rows_at(self, stripe: Stripe) -> int:
        """Offset into scratch of the rows that a stripe takes in."""
        over = self.over_time
        rows = over.reach + stripe.rows_out * over.stride - stripe.rows_in - stripe.rows_filled
        return rows * over.channels_in

    def moved_bytes(self, stripe: Stripe) -> tuple[int, int, int, int]:
        """Of its record: input taken in, padding behind it, held rows passed, output made."""
        width = self.over_time.channels_in
        return (
            stripe.rows_in * self.channels_in,
            stripe.rows_filled * width,
            stripe.rows_out * self.over_time.stride * width,
            stripe.rows_out * self.channels_out,
        )

    @cached_property
    def scratch_bytes(self) -> int:
        """Bytes that the block works in beyond its input and output."""
        return self.places().bytes

    @property
    def data_bytes(self) -> int:
        """Flash for its constants: weights once, steps of each kind of stripe, a record of each shape."""
        calls = [op for stripe in self.stripes for op in self.ops(stripe)]
        streams = {op.name: data_bytes(op) - STEP_BYTES - record_bytes(op) for op in calls}
        records = sum(record_bytes(op) for op in set(calls))
        steps = STEP_BYTES * (1 + len(calls))
        return steps + sum(streams.values()) + records + BLOCK_BYTES + STRIPE_BYTES * len(self.stripes)

    @property
    def settled_bytes(self) -> int:
        """Bytes of the output that are moved to their place when it is whole: of one that is smaller than the
        input, made over it. It may then lie at either end of the input's place, and free bytes are one gap.
        """
        return self.output_bytes if self.output_bytes < self.input_bytes else 0

    @property
    def code_units(self) -> frozenset[str]:
        """C functions that are linked for it, shared with others."""
        return CODE_UNITS.union(*(code_units(op) for stripe in self.stripes for op in self.ops(stripe)))

    @property
    def key(self) -> str:
        """What the cycles of the loop over the stripes depend on but for its kernels' own; and its source."""
        over = self.over_time
        fields = [over.padding_before * over.channels_in, over.reach * over.channels_in, int(self.copies)]
        for stripe in self.stripes:
            filled, passed = stripe.rows_filled, stripe.rows_out * over.stride
            fields += [len(self.ops(stripe)), stripe.repeats]
            fields += [stripe.rows_in * self.channels_in if self.copies else 0]
            fields += [filled * over.channels_in, passed * over.channels_in]
        fields.append(self.settled_bytes)
        return "|".join(map(str, ["stripes", source_hash()[:12], *fields]))

    def prove(self, input_at: int, output_at: int, scratch_at: int, scratch: int) -> None:
        """Execute all stripes on owners instead of values: each byte is owned by the row last written there.

        `input_at`, `output_at` and `scratch_at`, of `scratch` bytes, are places in one arena. Raises
        MemoryPlanError naming the operation that would read a row that is not there any more.
        """
        over, places = self.over_time, self.places(scratch < self.places(False).bytes)
        if scratch < places.bytes:
            raise MemoryPlanError(f"op {self.name!r}: works in {places.bytes} bytes, its scratch has fewer")
        size = max(input_at + self.input_bytes, output_at + self.output_bytes, scratch_at + places.bytes)
        arena = np.full((size, 2), -1)
        tensors = {"input": 0, "held": 1} | {name: index + 2 for index, name in enumerate(self._names)}

        def owned(tensor: str, first: int, rows: int, width: int) -> np.ndarray:
            numbers = np.repeat(np.arange(first, first + rows), width)
            return np.stack([np.full(len(numbers), tensors[tensor]), numbers], axis=1)

        def write(at: int, tensor: str, first: int, rows: int, width: int) -> None:
            arena[at : at + rows * width] = owned(tensor, first, rows, width)

        def read(name: str, at: int, tensor: str, first: int, rows: int, width: int) -> None:
            if not np.array_equal(arena[at : at + rows * width], owned(tensor, first, rows, width)):
                raise MemoryPlanError(f"op {name!r}: rows of its {tensor} from {first} on were overwritten")

        width = over.channels_in
        write(input_at, "input", 0, self.length_in, self.channels_in)
        write(scratch_at, "held", -over.padding_before, over.padding_before, width)
        taken = made = passed = 0
        for stripe in (one for alike in self.stripes for one in [alike] * alike.repeats):
            kept = arena[scratch_at + passed :][: over.reach * width].copy()
            if passed:
                arena[scratch_at : scratch_at + len(kept)] = kept
            passed = stripe.rows_out * over.stride * width
            first_held = made * over.stride - over.padding_before
            new_at = scratch_at + self.new_rows_at(stripe)
            filled_at = new_at + stripe.rows_in * width
            first_new = first_held + self.new_rows_at(stripe) // width
            write(filled_at, "held", first_new + stripe.rows_in, stripe.rows_filled, width)
            new_rows = (input_at + taken * self.channels_in, "input", taken, stripe.rows_in, self.channels_in)
            if self.copies:
                read(self.name, *new_rows)
                write(new_at, "held", first_new, stripe.rows_in, width)
            before = ""
            ops = self.ops(stripe)
            for op in ops:
                if op.name in places.scratch:
                    start = scratch_at + places.scratch[op.name]
                    arena[start : start + scratch_bytes(op)] = -1
                rows = (made, op.length_out, op.channels_out)
                at = output_at + made * self.channels_out
                if op is not ops[-1]:
                    at = scratch_at + places.outputs.get(op.name, 0)
                if op.name == self.chain[0].name and not self.copies:
                    read(op.name, *new_rows)
                    write(new_at, "held", first_new, stripe.rows_in, width)
                    continue
                if op.name == over.name:
                    read(op.name, scratch_at, "held", first_held, op.length_in, width)
                else:
                    held_at = scratch_at + places.outputs[before]
                    read(op.name, held_at, before, made, op.length_in, op.channels_in)
                if len(op.operand_shapes) == 2:
                    beside = input_at + made * self.channels_in
                    read(op.name, beside, "input", made, op.length_in, op.channels_in)
                write(at, op.name, *rows)
                before = op.name
            taken, made = taken + stripe.rows_in, made + stripe.rows_out
        read(self.name, output_at, self.name, 0, self.length_out, self.channels_out)


def with_calls(ops: Iterable[Op]) -> list[Op]:
    """`ops` of a schedule, behind each block in stripes what it calls, each kind of stripe once."""
    found = []
    for op in ops:
        found.append(op)
        if isinstance(op, StripedBlock):
            found += [call for stripe in op.stripes for call in op.ops(stripe)]
    return found
