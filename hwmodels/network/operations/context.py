"""Filters along time over successive windows: what a network remembers of the steps before.

The first `remembers` channels of a tensor are filtered place by place, over what the same place held `dilation`
steps apart; the others pass. What came before a start counts as the grid's zero point, which is real 0.

The C keeps a ring: the slot of the oldest step (a word), then a slot for each of the (kernel - 1) * dilation steps
before, words of four channels at one place, all places of the first four channels first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.c_records import CArray, CRecord
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import Quantization, lowest_output
from hwmodels.network.operation_kind import STEP_BYTES, FastFormError, KernelVariant, Operands, OperationKind, register
from hwmodels.network.operations.weighted import LAYER_BYTES, exact_record, requantization
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier

MOST_TAPS, MOST_STEPS = 8, 16
_WORD_BYTES = 4
_ORDER = [0, 2, 1, 3]
_HELPERS = frozenset({"ppgnet_forget_contexts", "ppgnet_stream_reset"})
_UNROLLED = {
    taps: KernelVariant(
        f"context_{taps}",
        f"ppgnet_context_{taps}",
        _HELPERS | {"ppgnet_copy_words", "ppgnet_context", f"ppgnet_context_four_{taps}"},
    )
    for taps in (2, 3, 4)
}
CONTEXT_EXACT = KernelVariant("context_exact", "ppgnet_context_exact", _HELPERS)
Int8s = NDArray[np.int8]


class Context(OperationKind):
    """Depthwise along the steps; reads a window of the newest step and makes one.

    Output and input lie on one grid, which after a ReLU ends at zero: there the filtered channels do as well.
    """

    name = "context"
    has_taps = True
    is_channelwise = True
    keeps_grid = True
    spans_windows = True
    forgets = "ppgnet_forget_contexts"
    largest_bias = (1 << 30) - 1
    kernels = (*_UNROLLED.values(), CONTEXT_EXACT)

    # Shapes

    def complaint(self, op: Op) -> str:
        """It keeps its length, has taps in time, and remembers channels in fours."""
        if op.length_in != op.length_out or op.stride != 1:
            return "must keep its length, with a stride of 1"
        if not 2 <= op.kernel <= MOST_TAPS or op.dilation > MOST_STEPS:
            return f"takes 2 to {MOST_TAPS} taps, up to {MOST_STEPS} steps apart; got {op.kernel} and {op.dilation}"
        if op.remembers % 4 or not 4 <= op.remembers <= op.channels_in:
            return f"remembers channels in fours, from 4 to all {op.channels_in}; got {op.remembers}"
        return "" if (op.activation, op.padding) == ("none", "causal") else "must be causal, without a relu"

    def weight_shape(self, op: Op) -> tuple[int, ...]:
        """Tap first, the newest last."""
        return (op.kernel, op.remembers)

    def state_bytes(self, op: Op) -> int:
        """The ring."""
        return _WORD_BYTES + op.reach * op.length_in * op.remembers

    # State

    def initial_state(self, op: Op, grid: Quantization, streams: int) -> Int8s:
        """Zero points (streams, steps, length, remembers)."""
        return np.full((streams, op.reach, op.length_in, op.remembers), grid.zero_point, np.int8)

    def step(self, op: Op, x: Int8s, state: Int8s, given: Operands) -> tuple[Int8s, Int8s]:
        """Every tap reads one step; the newest takes the oldest's place."""
        steps = np.concatenate([state, x[:, None, :, : op.remembers]], axis=1)
        taken = (steps[:, tap * op.dilation] for tap in range(op.kernel))
        return self._filtered(op, x, taken, given), steps[:, 1:]

    def state_image(self, op: Op, state: Int8s) -> bytes:
        """A ring whose oldest slot is the first."""
        slots = state.reshape(op.reach, op.length_in, op.remembers // 4, 4).transpose(0, 2, 1, 3)
        return bytes(_WORD_BYTES) + slots.tobytes()

    def in_turn(self, op: Op, x: Int8s, past: NDArray[np.integer], given: Operands) -> Int8s:
        """Taps that reach further back than there is a past read zero points."""
        newest, taken = x[:, :, : op.remembers], []
        past = np.minimum(past, np.arange(len(x)))
        for tap in range(op.kernel):
            lag = (op.kernel - 1 - tap) * op.dilation
            earlier = newest[np.maximum(np.arange(len(x)) - lag, 0)]
            taken.append(np.where((past >= lag)[:, None, None], earlier, np.int8(given.grids[0].zero_point)))
        return self._filtered(op, x, iter(taken), given)

    def compute(self, op: Op, operands: Sequence[Int8s], given: Operands) -> Int8s:
        """With nothing before: each window a start of its own."""
        if given.parameters is None:
            return super().compute(op, operands, given)
        return self.in_turn(op, operands[0], np.zeros(len(operands[0]), np.int64), given)

    def _filtered(self, op: Op, x: Int8s, taken: Iterator[Int8s], given: Operands) -> Int8s:
        parameters, grid = given.parameters, given.grids[0]
        if parameters is None:
            raise FastFormError(f"op {op.name!r} (context): needs parameters")
        total = np.zeros((*x.shape[:2], op.remembers), np.int64) + parameters.bias
        for weight, earlier in zip(parameters.weight.astype(np.int64), taken, strict=True):
            total += weight * (earlier.astype(np.int64) - grid.zero_point)
        scaled = multiply_by_quantized_multiplier(total, parameters.multiplier, parameters.shift)
        made = clamp_int8(scaled + grid.zero_point, lowest_output(op, grid))
        return np.concatenate([made, x[:, :, op.remembers :]], axis=2)

    # Kernels

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """Unrolled for a few taps, of channels in fours."""
        fast = _UNROLLED.get(op.kernel) if op.channels_in % 4 == 0 and op.code != "smallest" else None
        return (fast, CONTEXT_EXACT) if fast else (CONTEXT_EXACT,)

    def record_bytes(self, op: Op) -> int:
        """That of any layer."""
        return LAYER_BYTES

    def data_bytes(self, op: Op) -> int:
        """Two bytes a weight, and for each channel bias, multiplier, offset and shift."""
        if self.variants(op)[0] == CONTEXT_EXACT:
            return self.exact_data_bytes(op)
        return STEP_BYTES + LAYER_BYTES + op.remembers * (2 * op.kernel + 16)

    def exact_data_bytes(self, op: Op) -> int:
        """Weights as bytes, and three words for each channel."""
        return STEP_BYTES + LAYER_BYTES + 24 + op.weight_count + 12 * op.remembers

    def constants(self, op: Op, variant: KernelVariant, given: Operands) -> CRecord:
        """Sizes, and the stream or TFLite's own form that it points to."""
        assert given.parameters is not None
        grid = given.grids[0]
        if variant == CONTEXT_EXACT:
            data: CArray | CRecord = exact_record(given.parameters, lowest_output(op, grid), True)
        else:
            data = CArray("uint32_t", "data", self._packed(op, given))
        sizes = (op.length_in, op.channels_in, op.remembers, op.dilation, op.reach, op.kernel)
        return CRecord("ppgnet_context_parameters", "HHHHHHiP", (*sizes, grid.zero_point, data))

    def _packed(self, op: Op, given: Operands) -> NDArray[np.uint32]:
        """For every four channels, in the order first, third, second, fourth: twice the bias, for each tap twice the
        weights in pairs of int16, and of each channel multiplier, offset and shift less one. Raises FastFormError.
        """
        assert given.parameters is not None
        made = requantization(op, given.parameters, given.parameters.weight.T.astype(np.int64), given.grids)
        offset = (2 * given.grids[1].zero_point + 1) * (np.int64(1) << made.shift)
        pairs = 2 * made.rows.T.reshape(op.kernel, -1, 4)[:, :, _ORDER].transpose(1, 0, 2)
        weights = np.ascontiguousarray(pairs, "<i2").view("<u4").reshape(-1, 2 * op.kernel)
        last = np.stack([made.multiplier, offset, made.shift], axis=1).reshape(-1, 4, 3)[:, _ORDER]
        numbers = np.concatenate([made.bias.reshape(-1, 4)[:, _ORDER], last.reshape(-1, 12)], axis=1)
        words = (numbers & 0xFFFFFFFF).astype("<u4")
        return np.concatenate([words[:, :4], weights, words[:, 4:]], axis=1).ravel()

    def kernel_gap(self, op: Op) -> str:
        """Channels in fours, few taps."""
        if op.channels_in % 4:
            return "channels are no multiple of 4"
        return (
            "" if op.kernel in _UNROLLED else f"{op.kernel} taps, kernels are made for {', '.join(map(str, _UNROLLED))}"
        )

    # Examples

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Few places and channels, any taps."""
        length, remembers = int(rng.integers(1, 40)), 4 * int(rng.integers(1, 4))
        channels = remembers + int(rng.choice([0, 1, 4, 7, 8, 12, 16]))
        taps = int(rng.integers(2, 5 if rng.random() < 0.8 else MOST_TAPS + 1))
        steps = int(rng.integers(1, 5 if rng.random() < 0.8 else MOST_STEPS + 1))
        shape = (length, channels, length, channels, taps, 1, steps)
        return Op("op", self.name, *shape, remembers=remembers)


register(Context())
