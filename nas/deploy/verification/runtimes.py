"""Witnesses of one network: others who run it, and how their numbers stand to the interpreter's.

Each takes int8 windows and gives int8 tensors by the name of the operation that makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import IntegerModel
from nas.deploy.formats.registry import MissingPackageError

Tensors = Mapping[str, NDArray]


@dataclass(frozen=True)
class Agreement:
    """Elements compared, how many differ, and the largest difference in units of the last place."""

    elements: int = 0
    mismatches: int = 0
    max_ulp: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.elements + other.elements,
            self.mismatches + other.mismatches,
            max(self.max_ulp, other.max_ulp),
        )


def agreement(expected: Tensors, found: Tensors) -> Agreement:
    """Compare every tensor that a witness gives, by name; their shapes must be the interpreter's."""
    total = Agreement()
    for name, values in found.items():
        if values.shape != expected[name].shape:
            raise ValueError(f"{name}: shape {values.shape}, the interpreter's is {expected[name].shape}")
        difference = np.abs(values.astype(np.int64) - expected[name])
        largest = int(difference.max(initial=0))
        total += Agreement(difference.size, int(np.count_nonzero(difference)), largest)
    return total


def activations(model: IntegerModel) -> list[str]:
    """The operations whose outputs a network file computes: all but the head."""
    return [op.name for op in list(model.graph)[1:] if op.output_bytes]


def litert_tensors(content: bytes, windows: NDArray[np.int8], names: Iterable[str]) -> dict[str, NDArray[np.int8]]:
    """The named tensors (n, length, channels) of a TFLite file by LiteRT's reference kernels.

    Raises InputError when LiteRT is not installed, does not take the file, or a tensor is not in it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ModuleNotFoundError:
        raise MissingPackageError("LiteRT is not installed; pip install ai-edge-litert") from None
    try:
        interpreter = Interpreter(
            model_content=content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )
        (given,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(given["index"], (len(windows), *given["shape"][1:]))
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], windows[:, None])
        interpreter.invoke()
        places = {details["name"]: details["index"] for details in interpreter.get_tensor_details()}
        return {name: interpreter.get_tensor(places[name])[:, 0] for name in names}
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"LiteRT refuses the TFLite file: {_first_line(error)}") from None


def onnx_tensors(content: bytes, windows: NDArray[np.int8], names: Iterable[str]) -> dict[str, NDArray[np.int8]]:
    """The named tensors (n, length, channels) of an ONNX file by onnxruntime with its default settings.

    Raises InputError when it is not installed or does not take the file.
    """
    onnx = _onnx()
    try:
        model = onnx.load_from_string(content)
        wanted = list(names)
        _ask_for(model, wanted)
        return _run_onnx(model, {model.graph.input[0].name: windows}, wanted)
    except _onnx_errors() as error:
        raise InputError(f"onnxruntime refuses the ONNX file: {_first_line(error)}") from None


def onnx_operations(content: bytes, tensors: Tensors, names: Iterable[str]) -> dict[str, NDArray[np.int8]]:
    """As `onnx_tensors`, but every operation reads the given `tensors` instead of what was made before it."""
    onnx = _onnx()
    try:
        model = onnx.load_from_string(content)
        wanted, read = list(names), {}
        for node in model.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in tensors:
                read[f"{node.input[0]}.given"] = tensors[node.input[0]]
                node.input[0] += ".given"
        del model.graph.input[:]
        model.graph.input.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, [None, values.shape[2], values.shape[1]])
            for name, values in read.items()
        )
        _ask_for(model, wanted)
        return _run_onnx(model, read, wanted)
    except _onnx_errors() as error:
        raise InputError(f"onnxruntime refuses the ONNX file: {_first_line(error)}") from None


def _onnx() -> Any:
    try:
        import onnx
        import onnxruntime  # noqa: F401
    except ModuleNotFoundError:
        raise MissingPackageError("onnxruntime is not installed; pip install onnx onnxruntime") from None
    return onnx


def _onnx_errors() -> tuple[type[Exception], ...]:
    from google.protobuf.message import DecodeError
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (
        state.Fail,
        state.InvalidGraph,
        state.InvalidArgument,
        state.InvalidProtobuf,
        state.NotImplemented,
    )
    return (DecodeError, ValueError, *kinds)


def _ask_for(model: Any, names: list[str]) -> None:
    """Make tensors outputs of the graph."""
    onnx = _onnx()
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.INT8, None) for name in names)


def _run_onnx(model: Any, given: Tensors, names: list[str]) -> dict[str, NDArray[np.int8]]:
    """Feed and fetch tensors (n, length, channels), which lie channels first in the file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {name: np.ascontiguousarray(values.transpose(0, 2, 1)) for name, values in given.items()}
    return {name: values.transpose(0, 2, 1) for name, values in zip(names, session.run(names, feeds), strict=True)}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["unreadable"])[0]
