"""IntegerModel -> TFLite: the same integers for TFLite Micro, X-CUBE-AI and others that read .tflite files.

Layers over time become (1 x T) ones. A causal layer is a PAD, which pads with the zero point, and a VALID
convolution with explicit dilation; a centred one is SAME. The head is left to the caller (description.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import tflite
from numpy.typing import ArrayLike, NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Op
from hwmodels.network.interpreter import IntegerModel, Quantization
from hwmodels.network.operation_kind import kind_of
from nas.deploy.formats.description import INPUT, METADATA, OUTPUT, describe, logits_of

PADDED = ".padded"
"""What the name of a layer's padded input ends with."""
_IDENTIFIER = b"TFL3"
_SCHEMA = 3
_BUFFER_ALIGNMENT = 16
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3}
"""The oldest versions of these operators that take int8; of others it is the second."""
_ENUMERATIONS = {"Padding": tflite.Padding, "FusedActivationFunction": tflite.ActivationFunctionType}


def tflite_file(model: IntegerModel) -> bytes:
    """The file of a window network: int8 in (1, 1, length, channels), int8 logits out (1, 1, 1, outputs).

    Where positions are heart rates, the logits are (1, 1, positions, 1). Tensors carry the names of the
    operations that make them; equal models give equal bytes. A fully connected layer is written as a
    convolution over one position: older runtimes take one scale for all outputs of a FULLY_CONNECTED and
    silently compute other numbers.
    Raises InputError for a streaming step, which keeps rows between calls.
    """
    if model.graph.spans_windows:
        raise InputError("--format tflite: a TFLite file cannot hold what a network keeps between windows; export c")
    if model.graph.state_bytes:
        raise InputError("--format tflite: a TFLite file cannot hold a streaming step's histories; export c")
    writer = _Writer(model)
    tensors: dict[str, int] = {}
    for op, sources in model.graph.nodes():
        if op.output_bytes:
            grid = model.quantization[op.name]
            shape = (1, 1, op.length_out, op.channels_out)
            tensors[op.name] = writer.tensor(op.name, shape, tflite.TensorType.INT8, [grid.scale], grid)
            if sources:
                kind_of(op).write_tflite(writer, op, [tensors[name] for name in sources], tensors[op.name])
    return writer.finish(tensors[model.graph.input.name], tensors[logits_of(model).name], describe(model))


def _constants(writer: _Writer, model: IntegerModel, op: Op) -> tuple[int, int]:
    """Tensors of weights and biases; both have a scale of their own for each output channel."""
    parameters, scale = model.parameters[op.name], model.weight_scale(op)
    symmetric, int8 = Quantization(1.0, 0), tflite.TensorType.INT8
    if kind_of(op).is_channelwise:
        weight, axis = parameters.weight[None, None], 3
    else:
        weight, axis = parameters.weight.reshape(op.channels_out, 1, op.kernel, op.channels_in), 0
    weights = writer.tensor(f"{op.name}.weight", weight.shape, int8, scale, symmetric, weight, axis)
    bias = parameters.bias.astype("<i4")
    steps = scale * np.float32(model.input_quantization(op).scale)
    return weights, writer.tensor(f"{op.name}.bias", bias.shape, tflite.TensorType.INT32, steps, symmetric, bias)


class _Writer:
    """A flatbuffer in the making. Offsets of finished parts are kept until `finish` ties them together."""

    def __init__(self, model: IntegerModel) -> None:
        self._model = model
        self._builder = flatbuffers.Builder(1 << 16)
        self._buffers = [self._table("Buffer")]
        self._tensors: list[int] = []
        self._operators: list[int] = []
        self._codes: dict[str, int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: int,
        scale: ArrayLike | None = None,
        grid: Quantization | None = None,
        content: NDArray[Any] | None = None,
        axis: int = 0,
    ) -> int:
        """Add a tensor, constant when it has content; returns its index. Zero points are those of `grid`."""
        fields: dict[str, int] = {}
        if grid is not None:
            steps = np.asarray(scale, np.float32)
            zero_points = np.full(steps.size, grid.zero_point, np.int64)
            fields["Quantization"] = self._table(
                "QuantizationParameters",
                Scale=self._vector(steps),
                ZeroPoint=self._vector(zero_points),
                QuantizedDimension=axis,
            )
        made = self._table(
            "Tensor",
            Name=self._builder.CreateString(name),
            Shape=self._vector(np.array(shape, np.int32)),
            Type=kind,
            Buffer=self._buffer(content.tobytes()) if content is not None else 0,
            **fields,
        )
        self._tensors.append(made)
        return len(self._tensors) - 1

    def weighted(self, op: Op, source: int, output: int) -> None:
        """Add a convolution, after the PAD of a causal one."""
        if op.padding == "causal" and op.reach:
            source = self._padded(op, source)
        inputs = [source, *_constants(self, self._model, op)]
        is_same = op.padding == "centred" and op.reach > 0
        options = {
            "Padding": "SAME" if is_same else "VALID",
            "StrideH": 1,
            "StrideW": op.stride,
            "DilationHFactor": 1,
            "DilationWFactor": op.dilation,
            "FusedActivationFunction": op.activation.upper(),
        }
        if kind_of(op).is_channelwise:
            self.operator("DEPTHWISE_CONV_2D", inputs, output, "DepthwiseConv2D", DepthMultiplier=1, **options)
        else:
            self.operator("CONV_2D", inputs, output, "Conv2D", **options)

    def _padded(self, op: Op, source: int) -> int:
        """Pad the input of `op` at its beginning, with the zero point; returns the padded tensor."""
        before = np.array([[0, 0], [0, 0], [op.reach, 0], [0, 0]], "<i4")
        amounts = self.tensor(f"{op.name}.padding", before.shape, tflite.TensorType.INT32, content=before)
        grid = self._model.input_quantization(op)
        shape = (1, 1, op.length_in + op.reach, op.channels_in)
        made = self.tensor(op.name + PADDED, shape, tflite.TensorType.INT8, [grid.scale], grid)
        self.operator("PAD", [source, amounts], made, "Pad")
        return made

    def operator(self, code: str, inputs: list[int], output: int, options: str, **fields: int | str) -> None:
        """Add an operator with its options table (`fields` of it by name, members of enumerations by theirs)."""
        numbers = {
            field: getattr(_ENUMERATIONS[field], value) if isinstance(value, str) else value
            for field, value in fields.items()
        }
        made = self._table(
            "Operator",
            OpcodeIndex=self._codes.setdefault(code, len(self._codes)),
            Inputs=self._indices(inputs),
            Outputs=self._indices([output]),
            BuiltinOptionsType=getattr(tflite.BuiltinOptions, f"{options}Options"),
            BuiltinOptions=self._table(f"{options}Options", **numbers),
        )
        self._operators.append(made)

    def finish(self, source: int, output: int, description: dict[str, Any]) -> bytes:
        """The file, with names for its input and output and the description as metadata."""
        create, offsets = self._builder.CreateString, self._offsets
        graph = self._table(
            "SubGraph",
            Tensors=offsets(self._tensors),
            Inputs=self._indices([source]),
            Outputs=self._indices([output]),
            Operators=offsets(self._operators),
            Name=create("main"),
        )
        ends = [
            offsets([self._table("TensorMap", Name=create(name), TensorIndex=index)])
            for name, index in ((INPUT, source), (OUTPUT, output))
        ]
        signature = self._table(
            "SignatureDef",
            Inputs=ends[0],
            Outputs=ends[1],
            SignatureKey=create("serving_default"),
            SubgraphIndex=0,
        )
        text = json.dumps(description, sort_keys=True).encode()
        metadata = self._table("Metadata", Name=create(METADATA), Buffer=self._buffer(text))
        model = self._table(
            "Model",
            Version=_SCHEMA,
            OperatorCodes=offsets([self._code(name) for name in self._codes]),
            Subgraphs=offsets([graph]),
            Description=create("ppg-nas"),
            Buffers=offsets(self._buffers),
            Metadata=offsets([metadata]),
            SignatureDefs=offsets([signature]),
        )
        self._builder.Finish(model, file_identifier=_IDENTIFIER)
        return bytes(self._builder.Output())

    def _code(self, name: str) -> int:
        code = getattr(tflite.BuiltinOperator, name)
        return self._table("OperatorCode", DeprecatedBuiltinCode=code, BuiltinCode=code, Version=_VERSIONS.get(name, 2))

    def _table(self, name: str, **fields: int) -> int:
        """A table of the schema from the functions generated for it."""
        getattr(tflite, f"{name}Start")(self._builder)
        for field, value in fields.items():
            getattr(tflite, f"{name}Add{field}")(self._builder, value)
        made: int = getattr(tflite, f"{name}End")(self._builder)
        return made

    def _indices(self, values: list[int]) -> int:
        return self._vector(np.array(values, np.int32))

    def _vector(self, values: NDArray[Any]) -> int:
        made: int = self._builder.CreateNumpyVector(values)
        return made

    def _offsets(self, parts: Sequence[int]) -> int:
        self._builder.StartVector(4, len(parts), 4)
        for part in reversed(parts):
            self._builder.PrependUOffsetTRelative(part)
        made: int = self._builder.EndVector()
        return made

    def _buffer(self, content: bytes) -> int:
        """Add a buffer, aligned as runtimes that map the file need it; returns its index."""
        builder = self._builder
        builder.StartVector(1, len(content), _BUFFER_ALIGNMENT)
        start = builder.Head() - len(content)
        builder.head = start
        builder.Bytes[start : start + len(content)] = content
        data = builder.EndVector()
        self._buffers.append(self._table("Buffer", Data=data))
        return len(self._buffers) - 1
