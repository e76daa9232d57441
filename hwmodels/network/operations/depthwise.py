"""Depthwise convolutions over time.

In fours of channels they take a kernel unrolled for their taps; where outputs lie two samples of a dilation phase
apart, one for any taps; where more, or without channels in fours, the exact one. The smallest code has the one for
any taps alone.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwmodels.network.build_form import CODES, built
from hwmodels.network.graph import Op
from hwmodels.network.operation_kind import STEP_BYTES, KernelVariant, Operands, PartInStripes, register
from hwmodels.network.operations.convolution import example_over_time
from hwmodels.network.operations.weighted import EXACT, LAYER_BYTES, OverTime, requantization


def _named(tail: str) -> KernelVariant:
    helpers = {f"ppgnet_series_{tail}", "ppgnet_depthwise", "ppgnet_gather_series", "ppgnet_mend_pair"}
    return KernelVariant(f"depthwise_{tail}", f"ppgnet_depthwise_{tail}", frozenset(helpers))


_NEIGHBOURS_TAPS, _SPACED_TAPS = range(3, 34, 2), range(3, 10, 2)
_UNROLLED = {(form, taps): _named(f"{form}_{taps}") for form in ("relu", "linear") for taps in _NEIGHBOURS_TAPS}
_UNROLLED |= {("spaced", taps): _named(f"spaced_{taps}") for taps in _SPACED_TAPS}
_MANY_TAPS = {variant: taps for (_, taps), variant in _UNROLLED.items() if taps not in _SPACED_TAPS}
_ANY = _named("any")
_FEWEST_TAPS = 2


def series_spacing(op: Op) -> int:
    """Samples of one dilation phase between neighbouring outputs."""
    return op.stride // math.gcd(op.stride, op.dilation)


def series_classes(op: Op) -> int:
    """Classes of outputs that share no sample."""
    return op.dilation * series_spacing(op) // op.stride


class Depthwise(OverTime):
    """Each output reads its own channel alone."""

    name = "depthwise"
    is_channelwise = True
    keeps_input_in_scratch = True
    largest_bias = (1 << 30) - 1
    slow_cycles_per_mac = 6.0
    kernels = (*_UNROLLED.values(), _ANY, EXACT)

    def weight_shape(self, op: Op) -> tuple[int, ...]:
        """Tap first."""
        return (op.kernel, op.channels_out)

    def products(self, taken: NDArray[np.float64], weight: NDArray[np.float64], tap: int) -> NDArray[np.float64]:
        """Channel by channel."""
        return taken * weight[tap]

    def variants(self, op: Op) -> tuple[KernelVariant, ...]:
        """One unrolled for its taps if there is one."""
        spacing = series_spacing(op)
        if op.channels_out % 4 != 0 or spacing > 2:
            return (EXACT,)
        form = "relu" if op.activation == "relu" else "linear"
        if spacing == 2:
            form = "spaced" if op.activation == "relu" else ""
        fast = _UNROLLED.get((form, op.kernel // 2 * 2 + 1))
        return (fast, EXACT) if fast and op.code != "smallest" else (_ANY, EXACT)

    def scratch_bytes(self, op: Op) -> int:
        """The samples of four channels, class by class, before their outputs are written."""
        if self.variants(op)[0] == EXACT:
            return 0
        classes = series_classes(op)
        groups = -(-op.length_out // (4 * classes))
        classes = min(classes, op.length_out)
        samples = 16 * (2 * series_spacing(op) * groups + op.kernel // 2)
        return classes * (samples + 8 * groups + 8 + 12 + 16) + 16

    def data_bytes(self, op: Op) -> int:
        """Shape, layout, and a record for each channel."""
        if self.variants(op)[0] == EXACT:
            return self.exact_data_bytes(op)
        return STEP_BYTES + LAYER_BYTES + 4 + op.channels_out * (8 + 4 * (op.kernel // 4 + 1))

    def packed(self, op: Op, variant: KernelVariant, given: Operands) -> NDArray[np.uint32]:
        """The layout, then of each channel bias, multiplier, shift and weights as bytes."""
        assert given.parameters is not None
        made = requantization(op, given.parameters, given.parameters.weight.T.astype(np.int64), given.grids)
        quads = np.zeros((op.channels_out, 4 * (op.kernel // 4 + 1)), np.uint8)
        quads[:, : op.kernel] = made.rows & 0xFF
        quads = np.ascontiguousarray(quads.reshape(-1, 4)[:, [0, 2, 1, 3]]).reshape(len(quads), -1)
        quads[:, -1] = made.shift
        head = np.stack([made.bias, made.multiplier], axis=1) & 0xFFFFFFFF
        records = np.concatenate([head.astype("<u4"), quads.view("<u4")], axis=1).ravel()
        layout = series_classes(op) | series_spacing(op) << 16
        return np.concatenate([np.array([layout], "<u4"), records])

    def kernel_gap(self, op: Op) -> str:
        """Channels in fours, taps that a kernel is unrolled for, neighbouring samples."""
        variant = self.variants(op)[0]
        if variant == EXACT:
            return "channels are no multiple of 4" if op.channels_out % 4 else "its stride jumps over samples"
        if variant != _ANY:
            return ""
        most = max(_NEIGHBOURS_TAPS if series_spacing(op) == 1 else _SPACED_TAPS)
        if not _FEWEST_TAPS <= op.kernel <= most:
            return f"{op.kernel} taps, kernels are made for {_FEWEST_TAPS} to {most}"
        return f"a stride of {series_spacing(op)} samples without a ReLU"

    def part_in_stripes(self, op: Op) -> PartInStripes | None:
        """The convolution over time."""
        return "channelwise over time" if op.reach and op.padding != "valid" else None

    def example(self, rng: np.random.Generator, variant: KernelVariant | None = None) -> Op | None:
        """Any taps; for a kernel of more than the examples have, its own; for the kernel of any taps, any code."""
        op = example_over_time(self.name, rng)
        if op is not None and variant == _ANY:
            return built(op, CODES[int(rng.integers(len(CODES)))])
        if op is not None and variant in _MANY_TAPS:
            taps = _MANY_TAPS[variant] - int(rng.integers(2))
            inside = op.length_in - ((taps - 1) * op.dilation if op.padding == "valid" else 0)
            return replace(op, kernel=taps, length_out=-(-inside // op.stride)) if inside > 0 else None
        return op


register(Depthwise())
