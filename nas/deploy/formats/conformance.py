"""What an operation kind holds in model files: LiteRT and onnxruntime compute what the interpreter computes.

Beside the checks of hwmodels.validation.conformance, of the same form; a kind without an operator in a format
passes when it says so.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import IntegerModel, run
from hwmodels.network.operation_kind import OperationKind
from hwmodels.validation.conformance import ConformanceError, networks
from hwmodels.validation.network_check import random_windows
from nas.deploy.formats.registry import require, written
from nas.deploy.verification.runtimes import activations, agreement, litert_tensors, onnx_tensors

_WINDOWS, _SEED = 3, 15
"""Networks drawn and windows run are the same at every call."""


def check_tflite(kind: OperationKind) -> None:
    """LiteRT's reference kernels equal the interpreter on every tensor. Raises ConformanceError."""
    _check(kind, "tflite", litert_tensors)


def check_onnx(kind: OperationKind) -> None:
    """onnxruntime equals the interpreter on every tensor of the exact file. Raises ConformanceError."""
    _check(kind, "onnx", onnx_tensors)


def _check(kind: OperationKind, file: str, tensors: Callable[..., dict[str, np.ndarray]]) -> None:
    require(file)
    for model in networks(kind):
        content = _content(file, model, kind)
        if content is None:
            continue
        windows = random_windows(model.graph, _WINDOWS, np.random.default_rng(_SEED))
        found = agreement(run(model, windows), tensors(content, windows, activations(model)))
        if found.mismatches:
            raise ConformanceError(f"{kind.name}: {found.mismatches} elements of the {file} file's differ")


def _content(file: str, model: IntegerModel, kind: OperationKind) -> bytes | None:
    try:
        return written(file, model)
    except InputError as error:
        if "--format" in str(error):
            return None
        raise ConformanceError(f"{kind.name}: {error}") from error


FILE_CHECKS: dict[str, Callable[[OperationKind], None]] = {"tflite": check_tflite, "onnx": check_onnx}
"""By name of the format."""
