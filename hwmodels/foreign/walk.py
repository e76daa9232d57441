"""The way through a TFLite file, operator by operator: what each reads in our memory's terms, and what it becomes.

Rules (`hwmodels.foreign.operators`) are given a `Site`: one operator, what it reads and makes, and where its
operations go. `tflite_layers` walks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.foreign.foreign_ops import PAD, ForeignCall, ForeignOp, lookup
from hwmodels.foreign.tflite_parameters import fallback_of
from hwmodels.foreign.tflite_reader import TFLiteFile, TFLiteOperator, TFLiteTensor
from hwmodels.kernels.variants import variant_of
from hwmodels.network.graph import Op

ACTIVATIONS = {0: "none", 1: "relu", 3: "relu6", 2: "relu_n1_to_1", 4: "tanh", 5: "sign_bit"}
_ELEMENT_BYTES = {"int8": 1, "uint8": 1, "bool": 1, "int16": 2, "float16": 2, "int64": 8, "float64": 8}


class UnsupportedError(InputError):
    """Why an operator has no kernel."""


@dataclass(frozen=True)
class Value:
    """A tensor as our memory holds it: made by operation `name`, (length, channels) in bytes.

    `padding` are rows before and after that exist in no memory yet; operator `pad` is to make them if no
    convolution takes them in.
    """

    name: str
    length: int
    channels: int
    padding: tuple[int, int] = (0, 0)
    pad: int = -1

    @property
    def shape(self) -> tuple[int, int]:
        """(length, channels), with its padding."""
        return self.length + sum(self.padding), self.channels


@dataclass
class Walk:
    """What is known on the way: values by tensor, the graph's nodes so far, and of each operator its operations."""

    file: TFLiteFile
    values: dict[int, Value] = field(default_factory=dict)
    nodes: list[tuple[Op, tuple[str, ...]]] = field(default_factory=list)
    ops: dict[int, list[Op]] = field(default_factory=dict)
    padded: dict[int, Value] = field(default_factory=dict)

    def emit(self, index: int, op: Op, sources: Sequence[str]) -> None:
        """Have operator `index` make `op`, which reads what operations `sources` made."""
        self.nodes.append((op, tuple(sources)))
        self.ops.setdefault(index, []).append(op)

    def whole(self, value: Value) -> Value:
        """The value with its padding in memory, copied there by the PAD that it came from, once."""
        if value.padding == (0, 0):
            return value
        if value.pad not in self.padded:
            before, after = value.padding
            op = padding_op(f"{value.pad} PAD", value, (before, after), (0, 0))
            self.emit(value.pad, op, [value.name])
            self.padded[value.pad] = Value(op.name, *value.shape)
        return self.padded[value.pad]


def padding_op(name: str, value: Value, rows: tuple[int, int], columns: tuple[int, int]) -> ForeignOp:
    """The copy of a value into a tensor with so many rows and bytes of each row before and after it."""
    width = value.channels + sum(columns)
    before, after = (count * width for count in rows)
    inside = (value.length, columns[0], value.channels, columns[1])
    if columns == (0, 0):
        inside = (1, 0, value.length * value.channels, 0)
    call = ForeignCall(PAD, (before, *inside, after, 0), loops=(value.length + sum(rows)) * width)
    made = value.length + sum(rows), width
    return ForeignOp.of(name, [(value.length, value.channels)], made, [call], label=f"pad -> {made}")


def rows_of(tensor: TFLiteTensor) -> tuple[int, int]:
    """(length, channels) in bytes: the last axis is channels, all others together are positions."""
    sizes = [max(1, int(size)) for size in tensor.shape] or [1]
    return prod(sizes[:-1]), sizes[-1] * _ELEMENT_BYTES.get(tensor.kind, 4)


def has_grid(tensor: TFLiteTensor) -> bool:
    """Whether a tensor has one scale and zero point."""
    is_scale = tensor.scales.size == 1 and bool(np.isfinite(tensor.scales).all() and tensor.scales[0] > 0)
    return is_scale and tensor.zero_points.size == 1


@dataclass
class Site:
    """One operator on the way. Its rule asks for operands and emits operations; each raises UnsupportedError.

    `notes` are said beside its cost; `fallback` is why its scales or weights need the exact, slow kernel.
    """

    walk: Walk
    operator: TFLiteOperator
    notes: list[str] = field(default_factory=list)
    fallback: str = ""

    @property
    def name(self) -> str:
        """The operator's name in the graph."""
        return f"{self.operator.index} {self.operator.name}"

    def name_of(self, place: int) -> str:
        """The name of what makes its output at a place."""
        return self.name if place == 0 else f"{self.name} {place}"

    @property
    def output(self) -> TFLiteTensor:
        """The tensor that it makes, the first of them."""
        if not self.operator.outputs or self.operator.outputs[0] < 0:
            raise UnsupportedError("makes no tensor")
        return self.walk.file.tensors[self.operator.outputs[0]]

    def option(self, name: str, default: int = 0) -> int:
        """An option's value."""
        return self.operator.options.get(name, default)

    def tensor(self, place: int) -> TFLiteTensor:
        """What it reads at a place, as the file has it."""
        if place >= len(self.operator.inputs) or self.operator.inputs[place] < 0:
            raise UnsupportedError(f"lacks its input {place}")
        return self.walk.file.tensors[self.operator.inputs[place]]

    def lazy(self, place: int = 0) -> Value:
        """The value that it reads at a place, in the rows of its tensor; padding may be no more than known of."""
        tensor = self.tensor(place)
        if tensor.is_constant:
            raise UnsupportedError(f"its input {place} ({tensor.name!r}) is a constant; none may be")
        value = self.walk.values.get(self.operator.inputs[place])
        if value is None:
            raise UnsupportedError(f"its input {place} ({tensor.name!r}) is made by no operator before it")
        if value.shape == rows_of(tensor):
            return value
        return self._reshaped(self.walk.whole(value), tensor)

    def read(self, place: int = 0) -> Value:
        """The same with all of it in memory."""
        return self._reshaped(self.walk.whole(self.lazy(place)), self.tensor(place))

    def _reshaped(self, value: Value, tensor: TFLiteTensor) -> Value:
        shape = rows_of(tensor)
        if prod(shape) != prod(value.shape):
            raise UnsupportedError(f"reads {prod(value.shape)} bytes as a tensor of shape {tensor.shape}")
        return replace(value, length=shape[0], channels=shape[1])

    def require_int8(self, *tensors: TFLiteTensor) -> None:
        """Raise unless all are int8 tensors of one grid each, of one window."""
        for tensor in tensors:
            if tensor.kind != "int8":
                told = f"tensor {tensor.name!r} is {tensor.kind}; quantize the model to int8 throughout"
                raise UnsupportedError(told)
            if not has_grid(tensor):
                raise UnsupportedError(f"tensor {tensor.name!r} has no single quantization scale")
            if not -128 <= tensor.zero_points[0] <= 127:
                raise UnsupportedError(f"tensor {tensor.name!r} has no int8 zero point")
            self.require_window(tensor)

    def require_window(self, tensor: TFLiteTensor) -> None:
        """Raise unless a tensor belongs to one window."""
        if any(size < 1 for size in tensor.shape) or (len(tensor.shape) > 1 and tensor.shape[0] != 1):
            raise UnsupportedError(f"tensor {tensor.name!r} has shape {tensor.shape}; the batch must be 1")

    def require_made(self, length: int, channels: int) -> None:
        """Raise unless its output has such rows, or as many elements in others."""
        if prod(rows_of(self.output)) != length * channels:
            raise UnsupportedError(f"makes {self.output.shape}, which its inputs and options do not")

    def same_grid(self) -> bool:
        """Whether its output has the grid of its first input."""
        first, last = self.tensor(0), self.output
        return first.scales[0] == last.scales[0] and first.zero_points[0] == last.zero_points[0]

    def emit(self, op: Op, sources: Sequence[str]) -> None:
        """An operation that is ours: refused where no kernel serves it, with its fallback where only the exact does."""
        variant_of(op)
        tensors = [self.walk.file.tensors[at] for at in self.operator.inputs if at >= 0]
        self.fallback = fallback_of(op, tensors, self.output)
        self.put(op, sources)

    def emit_calls(
        self,
        label: str,
        reads: Sequence[Value],
        calls: Sequence[ForeignCall],
        *,
        is_elementwise: bool = False,
        place: int = 0,
    ) -> None:
        """An operation that only foreign networks have, which makes the operator's output at a place."""
        tensor = self.walk.file.tensors[self.operator.outputs[place]]
        op = ForeignOp.of(
            self.name_of(place),
            [value.shape for value in reads],
            rows_of(tensor),
            calls,
            label=f"{label} -> ({prod(tensor.shape[:-1])}, {tensor.shape[-1] if tensor.shape else 1})",
            is_elementwise=is_elementwise,
        )
        self.put(op, [value.name for value in reads], place)

    def look_up_after(self, what: str) -> None:
        """A table look-up in the place of what the operator made so far: any function of each element."""
        last = self.walk.ops[self.operator.index][-1]
        shape = last.length_out, last.channels_out
        call = lookup(prod(shape))
        op = ForeignOp.of(f"{last.name} {what}", [shape], shape, [call], label=what, is_elementwise=True)
        self.put(op, [last.name])

    def put(self, op: Op, sources: Sequence[str], place: int = 0) -> None:
        """An operation, which makes the operator's output at a place unless another follows."""
        self.walk.emit(self.operator.index, op, sources)
        made = self.operator.outputs[place]
        self.walk.values[made] = Value(op.name, *rows_of(self.walk.file.tensors[made]))

    def activation(self) -> str:
        """The fused activation's name; a RELU6 that the grid's upper end makes a RELU is one."""
        number = self.option("FusedActivationFunction")
        name = ACTIVATIONS.get(number, f"activation {number}")
        if name == "relu6" and round(6 / float(self.output.scales[0])) + int(self.output.zero_points[0]) >= 127:
            return "relu"
        return name

    def clamp_after(self, activation: str) -> None:
        """What the kernel before leaves out of a fused activation: a clamp, which after saturation is exact."""
        if activation not in ("relu", "relu6", "relu_n1_to_1"):
            raise UnsupportedError(f"has a fused {activation}; kernels have none or relu")
        self.look_up_after(activation)


Rule = Callable[[Site], None]
RULES: dict[str, Rule] = {}
"""What makes operations of an operator, by the operator's name."""


def operator(*names: str) -> Callable[[Rule], Rule]:
    """Register a rule for operators of such names."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, rule))
        return rule

    return register
