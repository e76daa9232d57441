"""A TFLite file as plain records: its tensors and operators, checked against the file's own bounds.

`tflite_layers` makes operations of them. A flatbuffer is read in place and proves nothing about itself, so
every count is held against the file's size before anything is read that many times.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.documents import refuse_lfs_pointer
from hwmodels.basics.errors import InputError

_IDENTIFIER = b"TFL3"
_LARGEST_BYTES = 64 << 20
_MOST_OPERATORS = 20_000
_MOST_TENSORS = 100_000
_MOST_OPERANDS = 4096
_MOST_AXES = 8
_LARGEST_CONSTANT = 1 << 12
_DAMAGE = (struct.error, ValueError, IndexError, TypeError, OverflowError, AttributeError)
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
_FIELDS = (
    "Padding",
    "StrideW",
    "StrideH",
    "DilationWFactor",
    "DilationHFactor",
    "FilterWidth",
    "FilterHeight",
    "DepthMultiplier",
    "FusedActivationFunction",
    "WeightsFormat",
    "Axis",
)


class TFLiteFileError(InputError):
    """A file that is missing, cut, foreign, or no TFLite model."""


@dataclass(frozen=True, eq=False)
class TFLiteTensor:
    """A tensor: `kind` is its element type's name; `scales` and `zero_points` are empty without a grid.

    `constant` holds the integers of a small int32 or int64 constant (axes, paddings), `data` the bytes of any
    constant, a view of the file; None where the file gives no value.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    constant: NDArray[np.int64] | None
    data: NDArray[np.uint8] | None

    @property
    def is_constant(self) -> bool:
        """Whether the file gives a value."""
        return self.data is not None


@dataclass(frozen=True)
class TFLiteOperator:
    """An operator: indices of the tensors it reads (-1: none given) and makes, and its options by name."""

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int]


@dataclass(frozen=True)
class TFLiteFile:
    """What a file holds: tensors, operators in execution order, the graph's inputs and outputs."""

    tensors: tuple[TFLiteTensor, ...]
    operators: tuple[TFLiteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_tflite(path: Path) -> TFLiteFile:
    """Read a file. Raises TFLiteFileError naming it, what is wrong, and the remedy."""
    refuse_lfs_pointer(path)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise TFLiteFileError(f"{path}: larger than {_LARGEST_BYTES >> 20} MB, no model for this device")
        content = path.read_bytes()
    except OSError as error:
        raise TFLiteFileError(f"{path}: {error.strerror}; give the path of a .tflite file") from None
    try:
        return parse_tflite(content)
    except TFLiteFileError as error:
        raise TFLiteFileError(f"{path}: {error}") from None


def parse_tflite(content: bytes) -> TFLiteFile:
    """The records of a file's bytes. Raises TFLiteFileError."""
    try:
        import tflite
    except ImportError:
        raise TFLiteFileError("reading it needs the export extra: pip install 'ppg-nas[export]'") from None
    if len(content) < 8 or content[4:8] != _IDENTIFIER:
        raise TFLiteFileError("not a TFLite model (it lacks the mark TFL3); convert the model to .tflite")
    try:
        return _Parser(tflite, content).file()
    except _DAMAGE as error:
        if isinstance(error, TFLiteFileError):
            raise
        raise TFLiteFileError("cut off or damaged; copy or convert the model again") from None


@cache
def _names(module: type) -> dict[int, str]:
    """Names of an enumeration's values."""
    return {value: name for name, value in vars(module).items() if isinstance(value, int)}


class _Parser:
    """Walks one flatbuffer once."""

    def __init__(self, schema: Any, content: bytes) -> None:
        self._schema = schema
        self._size = len(content)
        self._model = schema.Model.GetRootAs(content, 0)

    def file(self) -> TFLiteFile:
        if self._model.SubgraphsLength() < 1:
            raise TFLiteFileError("holds no graph")
        # the first is what runs; others are called by its operators, which then have no kernel
        graph = self._model.Subgraphs(0)
        codes = self._each(self._model.OperatorCodesLength(), _MOST_OPERATORS, self._code)
        tensors = self._each(graph.TensorsLength(), _MOST_TENSORS, lambda at: self._tensor(graph.Tensors(at)))
        operators = self._each(
            graph.OperatorsLength(),
            _MOST_OPERATORS,
            lambda at: self._operator(at, graph.Operators(at), codes, len(tensors)),
        )
        if not operators:
            raise TFLiteFileError("holds no operators")
        ends = [
            self._indices(graph.InputsLength(), graph.Inputs, len(tensors)),
            self._indices(graph.OutputsLength(), graph.Outputs, len(tensors)),
        ]
        return TFLiteFile(tensors, operators, *ends)

    def _each(self, count: int, most: int, read: Callable[[int], Any]) -> tuple[Any, ...]:
        """`read` of every index, if there are no more than can be: each takes 4 bytes of the file."""
        if not 0 <= count <= min(most, self._size // 4):
            raise TFLiteFileError(f"cut off or damaged (it claims {count} entries in one list)")
        return tuple(read(at) for at in range(count))

    def _indices(self, count: int, read: Callable[[int], int], tensors: int) -> tuple[int, ...]:
        found: tuple[int, ...] = self._each(count, _MOST_OPERANDS, read)
        if any(not -1 <= index < tensors for index in found):
            raise TFLiteFileError("damaged: an operator reads a tensor that is not there")
        return found

    def _code(self, at: int) -> str:
        code = self._model.OperatorCodes(at)
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        if number == self._schema.BuiltinOperator.CUSTOM:
            return f"CUSTOM {(code.CustomCode() or b'?').decode(errors='replace')[:40]!r}"
        return _names(self._schema.BuiltinOperator).get(number, f"OPERATOR {number}")

    def _tensor(self, tensor: Any) -> TFLiteTensor:
        shape = self._each(tensor.ShapeLength(), _MOST_AXES, tensor.Shape)
        kind = _names(self._schema.TensorType).get(tensor.Type(), f"type {tensor.Type()}").lower()
        scales, zero_points = np.zeros(0, np.float32), np.zeros(0, np.int64)
        grid = tensor.Quantization()
        if grid is not None and grid.ScaleLength():
            scales = np.array(grid.ScaleAsNumpy(), np.float32)
            zero_points = np.zeros(1, np.int64)
            if grid.ZeroPointLength():
                zero_points = np.array(grid.ZeroPointAsNumpy(), np.int64)
        data = self._data(tensor.Buffer())
        constant = None
        if data is not None and kind in ("int32", "int64") and data.nbytes <= _LARGEST_CONSTANT:
            constant = np.frombuffer(data.tobytes(), "<i4" if kind == "int32" else "<i8").astype(np.int64)
        name = (tensor.Name() or b"").decode(errors="replace")[:80]
        return TFLiteTensor(name, kind, shape, scales, zero_points, constant, data)

    def _data(self, index: int) -> NDArray[np.uint8] | None:
        """A buffer's bytes, a view; None for the empty ones, which stand for values computed later."""
        if not 0 <= index < self._model.BuffersLength():
            raise TFLiteFileError("damaged: a tensor's buffer is not there")
        buffer = self._model.Buffers(index)
        if buffer is None or buffer.DataLength() == 0:
            return None
        data: NDArray[np.uint8] = buffer.DataAsNumpy()
        return data

    def _operator(self, index: int, operator: Any, codes: tuple[str, ...], tensors: int) -> TFLiteOperator:
        name = codes[operator.OpcodeIndex()]
        return TFLiteOperator(
            index,
            name,
            self._indices(operator.InputsLength(), operator.Inputs, tensors),
            self._indices(operator.OutputsLength(), operator.Outputs, tensors),
            self._options(name, operator.BuiltinOptions()),
        )

    def _options(self, name: str, table: Any) -> dict[str, int]:
        kind = _OPTIONS.get(name)
        if kind is None or table is None:
            return {}
        options = getattr(self._schema, kind)()
        options.Init(table.Bytes, table.Pos)
        return {field: getattr(options, field)() for field in _FIELDS if hasattr(options, field)}
