"""Witnesses of one network: others who run it, and how their numbers stand to the interpreter's.

Each takes int8 windows and gives int8 tensors by the name of the operation that makes them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.errors import InputError
from hwmodels.integer import IntegerModel

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
    """The operations whose outputs a network file holds: all but the head."""
    return [op.name for op in model.graph if op.output_bytes]


def litert_tensors(
    content: bytes, windows: NDArray[np.int8], names: Iterable[str]
) -> dict[str, NDArray[np.int8]]:
    """The named tensors (n, length, channels) of a TFLite file by LiteRT's reference kernels.

    Raises InputError when LiteRT is not installed, does not take the file, or a tensor is not in it.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ModuleNotFoundError:
        raise InputError("LiteRT is not installed; pip install ai-edge-litert") from None
    try:
        interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
            experimental_preserve_all_tensors=True,
        )  # fmt: skip
        (given,) = interpreter.get_input_details()
        interpreter.resize_tensor_input(given["index"], (len(windows), *given["shape"][1:]))
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], windows[:, None])
        interpreter.invoke()
        places = {details["name"]: details["index"] for details in interpreter.get_tensor_details()}
        return {name: interpreter.get_tensor(places[name])[:, 0] for name in names}
    except (RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"LiteRT refuses the TFLite file: {str(error).splitlines()[0]}") from None
