"""Small TFLite files for tests of the reader, written through the schema alone: no writer of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite

INT8, INT32, FLOAT32 = tflite.TensorType.INT8, tflite.TensorType.INT32, tflite.TensorType.FLOAT32
SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID
RELU, RELU6, TANH = (getattr(tflite.ActivationFunctionType, name) for name in ("RELU", "RELU6", "TANH"))
_OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "ADD": "AddOptions",
    "SUB": "SubOptions",
    "MUL": "MulOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "CONCATENATION": "ConcatenationOptions",
}


class Net:
    """A file in the making: tensors by number, operators in order."""

    def __init__(self) -> None:
        self.tensors: list[dict[str, Any]] = []
        self.operators: list[tuple[str, list[int], int, dict[str, int]]] = []

    def tensor(
        self,
        *shape: int,
        kind: int = INT8,
        scale: float | Sequence[float] | None = 0.05,
        zero_point: int = -128,
        content: Any = None,
    ) -> int:
        """Add a tensor; returns its number."""
        fields = {"shape": shape, "kind": kind, "scale": scale, "zero_point": zero_point, "content": content}
        self.tensors.append(fields)
        return len(self.tensors) - 1

    def weights(self, *shape: int, **fields: Any) -> int:
        """A constant int8 tensor."""
        return self.tensor(*shape, zero_point=0, content=np.ones(shape, np.int8), **fields)

    def constant(self, values: Sequence[Any]) -> int:
        """A constant int32 tensor without a grid."""
        array = np.array(values, "<i4")
        return self.tensor(*array.shape, kind=INT32, scale=None, content=array)

    def add(
        self,
        name: str,
        inputs: Sequence[int],
        *shape: int,
        out: dict[str, Any] | None = None,
        **options: int,
    ) -> int:
        """Append an operator; returns its output tensor."""
        made = self.tensor(*shape, **(out or {}))
        if name.endswith("CONV_2D"):
            options = {"StrideW": 1, "StrideH": 1, "DilationWFactor": 1, "DilationHFactor": 1} | options
        self.operators.append((name, list(inputs), made, options))
        return made

    def conv(
        self,
        source: int,
        shape: Sequence[int],
        kernel: int,
        dilation: int = 1,
        stride: int = 1,
        padding: int = VALID,
        **options: int,
    ) -> int:
        """A CONV_2D along the width, of the output's shape (1, 1, T, C)."""
        cin = self.tensors[source]["shape"][-1]
        inputs = [source, self.weights(shape[-1], 1, kernel, cin)]
        return self.add("CONV_2D", inputs, *shape, Padding=padding, StrideW=stride, DilationWFactor=dilation, **options)

    def bytes(self, inputs: Sequence[int] = (0,), outputs: Sequence[int] | None = None) -> bytes:
        """The finished file."""
        builder = flatbuffers.Builder(1024)

        def table(name: str, **fields: int) -> int:
            getattr(tflite, f"{name}Start")(builder)
            for field, value in fields.items():
                getattr(tflite, f"{name}Add{field}")(builder, value)
            return int(getattr(tflite, f"{name}End")(builder))

        def vector(values: Sequence[int] | np.ndarray, dtype: str = "<i4") -> int:
            return int(builder.CreateNumpyVector(np.array(values, dtype)))

        def tables(offsets: Sequence[int]) -> int:
            builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                builder.PrependUOffsetTRelative(offset)
            return int(builder.EndVector())

        buffers, tensors = [table("Buffer")], []
        for fields in self.tensors:
            extra, number = {}, 0
            if fields["content"] is not None:
                data = np.frombuffer(np.ascontiguousarray(fields["content"]).tobytes(), np.uint8)
                number = len(buffers)
                buffers.append(table("Buffer", Data=vector(data, "u1")))
            if fields["scale"] is not None:
                scales = np.atleast_1d(fields["scale"])
                scale, zero = vector(scales, "<f4"), vector([fields["zero_point"]] * len(scales), "<i8")
                extra["Quantization"] = table("QuantizationParameters", Scale=scale, ZeroPoint=zero)
            name, shape = builder.CreateString("t"), vector(fields["shape"])
            tensors.append(table("Tensor", Name=name, Shape=shape, Type=fields["kind"], Buffer=number, **extra))
        names = sorted({name for name, *_ in self.operators})
        codes = []
        for name in names:
            number = getattr(tflite.BuiltinOperator, name)
            codes.append(table("OperatorCode", BuiltinCode=number, DeprecatedBuiltinCode=min(number, 127)))
        operators = []
        for name, sources, made, options in self.operators:
            reads, makes, extra = vector(sources), vector([made]), {}
            if name in _OPTIONS:
                kind = _OPTIONS[name]
                extra["BuiltinOptions"] = table(kind, **options)
                extra["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, kind)
            operators.append(table("Operator", OpcodeIndex=names.index(name), Inputs=reads, Outputs=makes, **extra))
        ends = vector(inputs), vector(outputs or [self.operators[-1][2]])
        parts = tables(tensors), tables(operators)
        graph = table("SubGraph", Tensors=parts[0], Inputs=ends[0], Outputs=ends[1], Operators=parts[1])
        lists = tables(codes), tables([graph]), tables(buffers)
        builder.Finish(table("Model", Version=3, OperatorCodes=lists[0], Subgraphs=lists[1], Buffers=lists[2]), b"TFL3")
        return bytes(builder.Output())


def small_net() -> Net:
    """Convolutions of all paddings, depthwise, residual, pooling, a classifier and its softmax."""
    net = Net()
    x = net.tensor(1, 64, 4)
    x = net.add("RESHAPE", [x, net.constant([1, 1, 64, 4])], 1, 1, 64, 4)
    padded = net.add("PAD", [x, net.constant([[0, 0], [0, 0], [8, 0], [0, 0]])], 1, 1, 72, 4)
    x = net.conv(padded, (1, 1, 64, 8), kernel=3, dilation=4, FusedActivationFunction=RELU)
    y = net.add(
        "DEPTHWISE_CONV_2D",
        [x, net.weights(1, 1, 5, 8)],
        1,
        1,
        64,
        8,
        out={"scale": 6 / 255},
        Padding=SAME,
        DepthMultiplier=1,
        FusedActivationFunction=RELU6,
    )
    y = net.conv(y, (1, 1, 64, 8), kernel=1)
    x = net.add("ADD", [x, y], 1, 1, 64, 8)
    x = net.conv(x, (1, 1, 32, 12), kernel=4, stride=2, padding=SAME)
    x = net.add(
        "AVERAGE_POOL_2D",
        [x],
        1,
        1,
        4,
        12,
        FilterHeight=1,
        FilterWidth=8,
        StrideW=8,
        StrideH=1,
        Padding=VALID,
    )
    x = net.add("MEAN", [x, net.constant([1, 2])], 1, 12)
    x = net.add("FULLY_CONNECTED", [x, net.weights(5, 12)], 1, 5)
    net.add("SOFTMAX", [x], 1, 5)
    return net
