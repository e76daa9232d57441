"""IntegerModel -> ONNX in QDQ form: int8 weights and activations between QuantizeLinear and DequantizeLinear.

Two files of one network. The exact one spells TFLite's double rounding out before each QuantizeLinear and
equals the integer model wherever ONNX runs. The plain one leaves rounding to the runtime, as vendors' int8
converters expect; docs/explanation/integer.md says where it differs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Op
from hwmodels.network.interpreter import IntegerModel
from hwmodels.network.operation_kind import kind_of
from hwmodels.network.operations.add import add_exact_fields, add_int8
from hwmodels.network.rounding import multiply_by_quantized_multiplier
from nas.deploy.formats.description import METADATA, describe, logits_of

OPSET = 21
_IR_VERSION = 10
_BATCH = "windows"
_ADD_LEFT_SHIFT = 20
_LARGEST_EXACT_FLOAT = 1 << 24
_AWAY = 1 + 2.0**-40
"""Moves a tie, which Round would make even, just beyond, and nothing else to another integer."""


def onnx_file(model: IntegerModel, exact: bool = True) -> bytes:
    """The file of a window network: int8 (windows, channels, length) in, int8 logits out.

    Logits are (windows, outputs, 1), or (windows, 1, positions) where positions are heart rates.

    Tensors on int8 grids carry the names of the operations that make them; equal models give equal bytes.
    In the exact file real values are steps of the tensor's grid, so that single precision holds every sum
    of products; in the plain one they are what the steps stand for.
    Raises InputError for a streaming step, and for an exact file that cannot be proven exact.
    """
    if model.graph.spans_windows:
        raise InputError("--format onnx: an ONNX file cannot hold what a network keeps between windows; export c")
    if model.graph.state_bytes:
        raise InputError("--format onnx: an ONNX file cannot hold a streaming step's histories; export c")
    writer = _ExactWriter(model) if exact else _PlainWriter(model)
    for op, sources in list(model.graph.nodes())[1:]:
        if op.output_bytes:
            writer.operation(op, [writer.dequantized(name, op) for name in sources])
    return writer.finish()


class _PlainWriter:
    """A graph in the making. Constants of a tensor's grid are shared between its readers."""

    def __init__(self, model: IntegerModel) -> None:
        self.model = model
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def operation(self, op: Op, operands: list[str]) -> None:
        """Add the nodes of one operation, from operands in real values to an int8 tensor."""
        self.quantized(op, kind_of(op).write_onnx(self, op, operands))

    def weighted(self, op: Op, source: str) -> str:
        """A convolution with weights and biases in real values."""
        steps = self.model.weight_scale(op) * np.float32(self.model.input_quantization(op).scale)
        bias = self._parameter(f"{op.name}.bias", self.model.parameters[op.name].bias, steps)
        return self.convolution(op, [source, self.weight(op, self.model.weight_scale(op)), bias])

    def total(self, op: Op, operands: Sequence[str]) -> str:
        """The sum."""
        return self.node("Add", operands, f"{op.name}.sum")

    def grid(self, op: Op) -> list[str]:
        """Constants of scale and zero point of an operation's output."""
        grid = self.model.quantization[op.name]
        scale = self.constant(f"{op.name}.scale", np.float32(grid.scale))
        return [scale, self.constant(f"{op.name}.zero_point", np.int8(grid.zero_point))]

    def dequantized(self, name: str, reader: Op) -> str:
        """A tensor in real values, for one reader."""
        inputs = [name, *self.grid(self.model.graph[name])]
        return self.node("DequantizeLinear", inputs, f"{reader.name}.{name}.real")

    def quantized(self, op: Op, made: str) -> None:
        """Real values onto the grid of the output, after its activation."""
        if op.activation == "relu":
            made = self.node("Relu", [made], f"{op.name}.relu")
        self.node("QuantizeLinear", [made, *self.grid(op)], op.name)

    def mean(self, op: Op, source: str) -> str:
        """The mean of each segment."""
        count = op.length_in // op.length_out
        return self.node("AveragePool", [source], f"{op.name}.mean", kernel_shape=[count], strides=[count])

    def convolution(self, op: Op, inputs: list[str]) -> str:
        """A convolution; a fully connected layer is one over a single position."""
        needed = (op.length_out - 1) * op.stride + op.reach + 1
        after = max(0, needed - op.padding_before - op.length_in)
        return self.node(
            "Conv",
            inputs,
            f"{op.name}.sum",
            kernel_shape=[op.kernel],
            strides=[op.stride],
            dilations=[op.dilation],
            pads=[op.padding_before, after],
            group=op.channels_out if kind_of(op).is_channelwise else 1,
        )

    def weight(self, op: Op, scale: NDArray[np.float32]) -> str:
        """The weights in real values."""
        weight = self.model.parameters[op.name].weight
        if kind_of(op).is_channelwise:
            return self._parameter(f"{op.name}.weight", weight.T[:, None], scale)
        plain = weight.reshape(op.channels_out, op.kernel, op.channels_in)
        return self._parameter(f"{op.name}.weight", plain.transpose(0, 2, 1), scale)

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Any) -> str:
        """Add a constant; returns its name."""
        self._constants[name] = numpy_helper.from_array(np.array(values, order="C"), name)
        return name

    def finish(self) -> bytes:
        """The file, with its description as metadata."""
        given, logits = self.model.graph.input, logits_of(self.model)
        ends = [
            helper.make_tensor_value_info(op.name, TensorProto.INT8, [_BATCH, op.channels_out, op.length_out])
            for op in (given, logits)
        ]
        graph = helper.make_graph(self._nodes, METADATA, ends[:1], ends[1:], list(self._constants.values()))
        file = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="ppg-nas",
        )
        helper.set_model_props(file, {METADATA: json.dumps(describe(self.model), sort_keys=True)})
        return file.SerializeToString(deterministic=True)

    def _parameter(self, name: str, values: NDArray[Any], scale: NDArray[np.float32]) -> str:
        """Integer weights or biases in real values, with a scale for each output channel."""
        zeros = np.zeros(scale.size, values.dtype)
        inputs = [
            self.constant(name, values),
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero_point", zeros),
        ]
        return self.node("DequantizeLinear", inputs, f"{name}.real", axis=0)


class _ExactWriter(_PlainWriter):
    """The graph in steps of its grids: sums are whole numbers, and rounding is TFLite's."""

    def mean(self, op: Op, source: str) -> str:
        """Ties go away from zero; whatever is none lies at least 1 / (2 * count) from one."""
        made, count = super().mean(op, source), op.length_in // op.length_out
        away = self.constant(f"{op.name}.away", np.float32(1 + min(2.0**-16, 1 / (1024 * count))))
        return self.node("Mul", [made, away], f"{op.name}.mean.away")

    def dequantized(self, name: str, reader: Op) -> str:
        """A tensor in steps from its zero point; pooling takes the stored values themselves."""
        inputs = [name, *self._steps(self.model.graph[name], kind_of(reader).keeps_grid)]
        return self.node("DequantizeLinear", inputs, f"{reader.name}.{name}.steps")

    def grid(self, op: Op) -> list[str]:
        """Where the result of an operation is rounded to."""
        return self._steps(op, kind_of(op).keeps_grid)

    def _steps(self, op: Op, are_stored: bool) -> list[str]:
        one = self.constant("one", np.float32(1))
        if are_stored:
            return [one, self.constant("zero", np.int8(0))]
        zero_point = np.int8(self.model.quantization[op.name].zero_point)
        return [one, self.constant(f"{op.name}.zero_point", zero_point)]

    def weighted(self, op: Op, source: str) -> str:
        """A convolution in whole steps, with the rounding of hwmodels.network.rounding spelled out."""
        parameters = self.model.parameters[op.name]
        multiplier, shift = parameters.multiplier, parameters.shift
        self._prove_layer(op)
        ones = np.ones(op.channels_out, np.float32)
        total = self._wide(op.name, self.convolution(op, [source, self.weight(op, ones)]))
        bias = self.constant(f"{op.name}.bias", parameters.bias.astype(np.float64)[:, None])
        total = self.node("Add", [total, bias], f"{op.name}.biased")
        return self._narrow(op.name, self._rounded(op.name, total, multiplier[:, None], shift[:, None]))

    def total(self, op: Op, operands: Sequence[str]) -> str:
        """The sum, with all of its roundings."""
        _, multipliers, shifts = self._prove_sum(op)
        parts = []
        for index, operand in enumerate(operands):
            name = f"{op.name}.{index}"
            scale = multipliers[index] << _ADD_LEFT_SHIFT
            parts.append(self._rounded(name, self._wide(name, operand), scale, shifts[index]))
        total = self.node("Add", parts, f"{op.name}.sum")
        return self._narrow(op.name, self._rounded(op.name, total, multipliers[2], shifts[2]))

    def _rounded(self, name: str, total: str, multiplier: ArrayLike, shift: ArrayLike) -> str:
        """TFLite's MultiplyByQuantizedMultiplier of whole numbers in double precision."""
        first, second = _factors(multiplier, shift)
        half = self.constant("half", np.float64(0.5))
        made = self.node("Mul", [total, self.constant(f"{name}.multiplier", first)], f"{name}.scaled")
        made = self.node("Add", [made, half], f"{name}.raised")
        made = self.node("Floor", [made], f"{name}.high")
        made = self.node("Mul", [made, self.constant(f"{name}.shift", second)], f"{name}.shifted")
        return self.node("Round", [made], f"{name}.rounded")

    def _wide(self, name: str, source: str) -> str:
        return self.node("Cast", [source], f"{name}.wide", to=TensorProto.DOUBLE)

    def _narrow(self, name: str, source: str) -> str:
        return self.node("Cast", [source], f"{name}.narrow", to=TensorProto.FLOAT)

    def _prove_layer(self, op: Op) -> None:
        """Raise InputError unless this layer's nodes give the integer model's output for every sum.

        Both are steps that only rise, so that they are equal where they agree on both sides of each step.
        """
        parameters = self.model.parameters[op.name]
        rows = parameters.weight.T if kind_of(op).is_channelwise else parameters.weight
        reach = 255 * np.abs(rows.reshape(op.channels_out, -1).astype(np.int64)).sum(axis=1)
        first, second = _factors(parameters.multiplier, parameters.shift)
        edges = (np.arange(-256, 257)[:, None] - 0.5) / np.maximum(np.abs(first * second), 2.0**-60)
        near = np.rint(edges)[:, None] + np.arange(-2, 3)[:, None]
        limit = reach + np.abs(parameters.bias.astype(np.int64))
        near = np.clip(near, -limit, limit).astype(np.int64)
        truth = multiply_by_quantized_multiplier(near, parameters.multiplier, parameters.shift)
        if reach.max() > _LARGEST_EXACT_FLOAT or (_spelled_out(near, first, second) != truth).any():
            raise InputError(f"--format onnx: op {op.name!r}: sums too large for single precision; export c")

    def _prove_sum(self, op: Op) -> tuple[tuple[int, ...], ...]:
        """The residual sum's factors, after the same proof over all pairs of inputs."""
        grids = (
            self.model.input_quantization(op, 0),
            self.model.input_quantization(op, 1),
            self.model.quantization[op.name],
        )
        _, multipliers, shifts = fields = add_exact_fields(grids)
        stored = np.arange(-128, 128)
        total = np.zeros((256, 256))
        for index, values in enumerate((stored[:, None], stored[None])):
            factors = _factors(multipliers[index] << _ADD_LEFT_SHIFT, shifts[index])
            total = total + _spelled_out(values - grids[index].zero_point, *factors)
        found = _spelled_out(total, *_factors(multipliers[2], shifts[2])) + grids[2].zero_point
        one, other = np.meshgrid(stored.astype(np.int8), stored.astype(np.int8), indexing="ij")
        if (np.clip(found, -128, 127) != add_int8(one, other, grids, -128)).any():
            raise InputError(f"--format onnx: op {op.name!r}: its scales leave double precision; export c")
        return fields


def _factors(multiplier: ArrayLike, shift: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the high multiplication and the division by a power of two multiply with."""
    left, right = np.maximum(shift, 0), np.maximum(-np.asarray(shift), 0)
    first = np.asarray(multiplier, np.float64) * 2.0 ** (left - 31.0)
    return np.asarray(first), np.asarray(2.0**-right * _AWAY)


def _spelled_out(total: ArrayLike, first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the nodes of `_rounded` compute."""
    return np.asarray(np.rint(np.floor(np.asarray(total, np.float64) * first + 0.5) * second))
