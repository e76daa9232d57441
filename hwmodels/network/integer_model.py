"""IntegerModel: a layer graph with int8 weights, int32 biases and fixed-point multipliers.

`quantize` makes it of float parameters; the interpreter, the code generator and the writers read it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.build_form import DEFAULT_FORM, BuildForm
from hwmodels.network.graph import LayerGraph, Op, Reads
from hwmodels.network.operation_kind import kind_of
from hwmodels.network.rounding import quantized_multiplier
from hwmodels.signals.spectrum import require_readable, spectrum_channels

_SMALLEST_REAL_MULTIPLIER = 2.0**-22


class QuantizationError(InputError):
    """Parameters or ranges that cannot become an integer network; names the operation."""


@dataclass(frozen=True)
class Quantization:
    """An int8 grid: real = scale * (q - zero_point), q in [-128, 127].

    The scale is held in single precision, as model files hold it: multipliers follow from it exactly.
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        with np.errstate(over="ignore", under="ignore"):
            object.__setattr__(self, "scale", float(np.float32(self.scale)))
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise QuantizationError(f"scale must be a positive number, got {self.scale!r}")
        if not -128 <= self.zero_point <= 127:
            raise QuantizationError(f"zero_point must lie in [-128, 127], got {self.zero_point!r}")


@dataclass(frozen=True, eq=False)
class FloatParameters:
    """Weights of one operation in the shape `weight_shape` says, and biases (cout,)."""

    weight: NDArray[np.floating]
    bias: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class IntegerParameters:
    """int8 weights (shape as `weight_shape`), int32 bias, and per-channel multiplier and shift (cout,).

    The multiplier is Q31 and a positive shift goes left, as in TFLite.
    """

    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.int32]
    shift: NDArray[np.int32]


_Q8, _Q15 = 256.0, 32768.0
"""One BPM, and a probability of one, in what a head returns."""


@dataclass(frozen=True)
class HeartRateSettings:
    """Meaning of heart-rate logits: bin centres from first_bpm to last_bpm, evenly spaced.

    A window whose expected error (`spread`) exceeds max_spread_bpm is invalid; None lets every window pass.
    """

    first_bpm: float
    last_bpm: float
    max_spread_bpm: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.first_bpm < self.last_bpm <= 1000:
            raise QuantizationError(f"first_bpm {self.first_bpm} and last_bpm {self.last_bpm} must ascend below 1000")
        if self.max_spread_bpm is not None and not 0 <= self.max_spread_bpm <= 1000:
            raise QuantizationError(f"max_spread_bpm must lie in [0, 1000], got {self.max_spread_bpm}")

    def decoded(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the head's rows (n, 3) say: heart rates and expected errors in BPM, each (n,)."""
        return rows[:, 0] / _Q8, rows[:, 1] / _Q8


@dataclass(frozen=True)
class ClassSettings:
    """Meaning of class logits; a window whose best probability is below min_probability is invalid.

    None lets every window pass.
    """

    names: tuple[str, ...]
    min_probability: float | None = None

    def __post_init__(self) -> None:
        if self.min_probability is not None and not 0 <= self.min_probability <= 1:
            raise QuantizationError(f"min_probability must lie in [0, 1], got {self.min_probability}")

    def decoded(self, rows: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What the head's rows (n, 3) say: class indices and probabilities of another class, each (n,)."""
        return rows[:, 0].astype(np.float64), 1.0 - rows[:, 1] / _Q15


HeadSettings = HeartRateSettings | ClassSettings


@dataclass(frozen=True)
class InputSettings:
    """What the input stands for: the pulse, and with an accelerometer the three signals of `preparation`.

    A streaming network reads the last `step_s` of a window alone, normalized over the whole window. One that
    reads spectra is given those of the signals at `positions` frequencies (hwmodels.signals.spectrum). One with
    context is given windows `context_step_s` apart, as it was trained on.
    """

    rate_hz: float
    window_s: float
    sensors: str
    band_hz: tuple[float, float]
    acc_scale_g: float
    step_s: float | None = None
    reads: Reads = "samples"
    positions: int | None = None
    context_step_s: float | None = None

    def __post_init__(self) -> None:
        if self.sensors not in ("ppg", "ppg_acc"):
            raise QuantizationError(f"sensors must be ppg or ppg_acc, got {self.sensors!r}")
        if not (self.rate_hz > 0 and self.window_s > 0 and self.acc_scale_g > 0):
            raise QuantizationError("rate_hz, window_s and acc_scale_g must be positive")
        if self.context_step_s is not None and not (0 < self.context_step_s <= self.window_s and self.step_s is None):
            raise QuantizationError(
                f"context_step_s must lie in (0, {self.window_s:g}], without step_s, got {self.context_step_s}"
            )
        if self.step_s is not None and not 0 < self.step_s <= self.window_s:
            raise QuantizationError(f"step_s must lie in (0, {self.window_s:g}], got {self.step_s}")
        if (self.reads == "spectrum") != (self.positions is not None):
            raise QuantizationError("positions are the frequencies of a spectrum, and only of a spectrum")
        if self.positions is not None:
            require_readable(self.rate_hz, self.window_s, self.positions)
            if self.step_s is not None:
                raise QuantizationError("a network that reads spectra reads whole windows, not steps")

    @property
    def window_samples(self) -> int:
        """Samples that normalization looks at."""
        return round(self.rate_hz * self.window_s)

    @property
    def samples(self) -> int:
        """Samples that the network reads at a time."""
        return round(self.rate_hz * (self.step_s or self.window_s))

    @property
    def length(self) -> int:
        """Positions of the network's input: samples, or frequencies."""
        return self.samples if self.positions is None else self.positions

    @property
    def signals(self) -> int:
        """Signals that are made of the sensors."""
        return 1 if self.sensors == "ppg" else 4

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        return spectrum_channels(self.signals) if self.reads == "spectrum" else self.signals


@dataclass(frozen=True, eq=False)
class IntegerModel:
    """The integer network: a grid for every op with an output tensor, parameters for every op with weights.

    `form` says how it is built where it is deployed; what it computes does not depend on it.

    Raises QuantizationError when the parts do not fit together.
    """

    graph: LayerGraph
    quantization: Mapping[str, Quantization]
    parameters: Mapping[str, IntegerParameters]
    head: HeadSettings
    input: InputSettings
    form: BuildForm = DEFAULT_FORM

    def __post_init__(self) -> None:
        for op in self.graph:
            _check_op(op, self)
        _check_head(self.graph.output, self.head)
        if self.graph.spans_windows != (self.input.context_step_s is not None):
            raise QuantizationError("context_step_s must be given for networks with context, and for no others")
        op, said = self.graph.input, (self.input.reads, self.input.length, self.input.channels)
        if (op.reads, op.length_in, op.channels_in) != said:
            raise QuantizationError(
                f"the graph's input is {op.reads} of ({op.length_in}, {op.channels_in}), its settings say "
                f"{said[0]} of ({said[1]}, {said[2]})"
            )

    def input_quantization(self, op: Op, operand: int = 0) -> Quantization:
        """The grid of the tensor that `op` reads as its operand."""
        return self.quantization[self.graph.sources(op.name)[operand]]

    def weight_scale(self, op: Op) -> NDArray[np.float32]:
        """The steps of the weights' grids, one an output channel (channels_out,), in single precision.

        A multiplier has more digits than the scale that `quantize` made it of, so it tells that scale.
        Raises QuantizationError when no scale in single precision gives exactly these multipliers.
        """
        parameters = self.parameters[op.name]
        scale_in, scale_out = self.input_quantization(op).scale, self.quantization[op.name].scale
        real = parameters.multiplier.astype(np.float64) * 2.0 ** (parameters.shift - 31.0)
        scale = (real * scale_out / scale_in).astype(np.float32)
        made = [quantized_multiplier(_real_multiplier(scale_in, float(s), scale_out)) for s in scale]
        if made != list(zip(parameters.multiplier.tolist(), parameters.shift.tolist(), strict=True)):
            raise QuantizationError(
                f"op {op.name!r}: its multipliers follow from no scale in single precision; "
                "quantize the network again (delete the subnet's int8/model.npz, then export)"
            )
        return scale

    def lowest_output(self, op: Op) -> int:
        """The clamp's lower end: the zero point after ReLU, else -128."""
        return lowest_output(op, self.quantization[op.name])


def lowest_output(op: Op, grid: Quantization) -> int:
    """The clamp's lower end on the output's grid: the zero point after ReLU, else -128."""
    return grid.zero_point if op.activation == "relu" else -128


def weight_shape(op: Op) -> tuple[int, ...]:
    """The plain layout of an op's weights: (cout, kernel, cin), (kernel, channels) or (cout, cin)."""
    return kind_of(op).weight_shape(op)


def _check_op(op: Op, model: IntegerModel) -> None:
    if op.output_bytes and op.name not in model.quantization:
        raise QuantizationError(f"op {op.name!r}: no quantization given")
    if kind_of(op).keeps_grid and model.quantization[op.name] != model.input_quantization(op):
        raise QuantizationError(f"op {op.name!r}: {op.kind} must keep the quantization of its input")
    if not op.has_parameters:
        return
    if op.name not in model.parameters:
        raise QuantizationError(f"op {op.name!r}: no parameters given")
    parameters = model.parameters[op.name]
    if parameters.weight.dtype != np.int8 or parameters.weight.shape != weight_shape(op):
        raise QuantizationError(f"op {op.name!r}: weights must be int8 of shape {weight_shape(op)}")
    if parameters.weight.size and int(parameters.weight.min()) < -127:
        raise QuantizationError(f"op {op.name!r}: weights must lie in [-127, 127]")
    for field in ("bias", "multiplier", "shift"):
        value = getattr(parameters, field)
        if value.dtype != np.int32 or value.shape != (op.filters,):
            raise QuantizationError(f"op {op.name!r}: {field} must be int32 of shape ({op.filters},)")


def _check_head(op: Op, head: HeadSettings) -> None:
    expected = kind_of(op).head_settings
    if expected is None:
        raise QuantizationError(f"op {op.name!r}: an integer network must end in a head, not {op.kind}")
    if not isinstance(head, expected):
        raise QuantizationError(f"op {op.name!r}: {op.kind} needs {expected.__name__}")
    if isinstance(head, ClassSettings) and len(head.names) != op.channels_in:
        raise QuantizationError(f"op {op.name!r}: {op.channels_in} logits, {len(head.names)} class names")
    if not 2 <= op.channels_in <= 256:
        raise QuantizationError(f"op {op.name!r}: heads take 2 to 256 logits, got {op.channels_in}")


def quantize(
    graph: LayerGraph,
    float_parameters: Mapping[str, FloatParameters],
    quantization: Mapping[str, Quantization],
    head: HeadSettings,
    input: InputSettings,
) -> IntegerModel:
    """The integer network of float parameters (batch norms folded) and activation grids.

    Scales and weights are taken in single precision, the precision of training and of model files.
    Weights are symmetric per output channel in [-127, 127] (TFLite int8 specification). A channel of nearly
    no weight gets a coarser scale, so that its bias and requantization stay inside the kernels' fast form.
    Raises QuantizationError naming the op when something is missing, misshapen or not finite.
    """
    parameters = quantize_parameters(graph, float_parameters, quantization)
    return IntegerModel(graph, dict(quantization), parameters, head, input)


def quantize_parameters(
    graph: LayerGraph,
    float_parameters: Mapping[str, FloatParameters],
    quantization: Mapping[str, Quantization],
) -> dict[str, IntegerParameters]:
    """The integer parameters of every op that has some; see `quantize`."""
    parameters = {}
    for op in graph:
        if not op.has_parameters:
            continue
        source = graph.sources(op.name)[0]
        if op.name not in float_parameters:
            raise QuantizationError(f"op {op.name!r}: no float parameters given")
        for name in (source, op.name):
            if name not in quantization:
                raise QuantizationError(f"op {name!r}: no quantization given")
        parameters[op.name] = _quantize_op(
            op, float_parameters[op.name], quantization[source].scale, quantization[op.name].scale
        )
    return parameters


def _quantize_op(op: Op, given: FloatParameters, scale_in: float, scale_out: float) -> IntegerParameters:
    weight = np.asarray(given.weight, np.float32)
    bias = np.asarray(given.bias, np.float64)
    if weight.shape != weight_shape(op) or bias.shape != (op.filters,):
        raise QuantizationError(
            f"op {op.name!r}: expects weights {weight_shape(op)} and biases ({op.filters},), "
            f"got {weight.shape} and {bias.shape}"
        )
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise QuantizationError(f"op {op.name!r}: weights or biases are not finite")
    kind = kind_of(op)
    by_channel = weight if kind.is_channelwise else weight.reshape(op.filters, -1).T
    scale = np.abs(by_channel).max(axis=0) / np.float32(127)
    scale = np.maximum(scale, np.float32(_SMALLEST_REAL_MULTIPLIER * scale_out / scale_in))
    if kind.largest_bias is not None:
        scale = np.maximum(scale, (np.abs(bias) / (kind.largest_bias * scale_in)).astype(np.float32))
    grid = np.clip(np.rint(by_channel / scale), -127, 127).astype(np.int8)
    pairs = [quantized_multiplier(_real_multiplier(scale_in, float(s), scale_out)) for s in scale]
    return IntegerParameters(
        weight=np.ascontiguousarray(grid if kind.is_channelwise else grid.T.reshape(weight.shape)),
        bias=np.rint(bias / (scale_in * scale.astype(np.float64))).astype(np.int32),
        multiplier=np.array([m for m, _ in pairs], np.int32),
        shift=np.array([s for _, s in pairs], np.int32),
    )


def _real_multiplier(scale_in: float, scale_of_weights: float, scale_out: float) -> float:
    """What a product of input and weight steps is in output steps, in TFLite's order of operations."""
    return scale_in * scale_of_weights / scale_out
