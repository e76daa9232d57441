"""The interpreter: what an IntegerModel computes, by TFLite's reference arithmetic, in NumPy.

It is the definition that the C kernels, the emulated core and the written model files must equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import Op
from hwmodels.network.heads import class_probabilities
from hwmodels.network.integer_model import (
    ClassSettings,
    FloatParameters,
    HeadSettings,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    IntegerParameters,
    Quantization,
    QuantizationError,
    quantize,
    quantize_parameters,
    weight_shape,
)
from hwmodels.network.model_file import ModelFileError, load_model, save_model
from hwmodels.network.operation_kind import Operands, kind_of
from hwmodels.network.preparation import prepare_window, quantize_input

__all__ = [
    "ClassSettings",
    "FloatParameters",
    "HeadSettings",
    "HeartRateSettings",
    "InputSettings",
    "IntegerModel",
    "IntegerParameters",
    "ModelFileError",
    "Quantization",
    "QuantizationError",
    "class_probabilities",
    "initial_states",
    "load_model",
    "prepare_window",
    "quantize",
    "quantize_input",
    "quantize_parameters",
    "run",
    "save_model",
    "weight_shape",
]


def initial_states(model: IntegerModel, streams: int) -> dict[str, NDArray[np.int8]]:
    """What each history holds before the first sample, int8 (streams, rows, channels): its zero point."""
    return {
        op.name: np.full(
            (streams, op.length_out - op.length_in, op.channels_in),
            model.quantization[op.name].zero_point,
            np.int8,
        )
        for op in model.graph
        if op.state_bytes
    }


def run(
    model: IntegerModel, x: NDArray[np.int8], states: MutableMapping[str, NDArray[np.int8]] | None = None
) -> dict[str, NDArray]:
    """Every op's output for windows x int8 (n, T, channels), by op name.

    Tensors are int8 (n, length, channels); the head's entry is int32 (n, 3) as hwmodels.network.heads describes.
    `states` holds what each history kept of the n streams (`initial_states` by default) and is brought
    up to date.
    Raises InputError when x does not fit the graph's input.
    """
    op = model.graph.input
    if x.dtype != np.int8 or x.ndim != 3 or x.shape[1:] != (op.length_in, op.channels_in):
        raise InputError(
            f"the network reads int8 windows (n, {op.length_in}, {op.channels_in}), got {x.dtype} {x.shape}"
        )
    states = initial_states(model, len(x)) if states is None else states
    outputs: dict[str, NDArray] = {op.name: x}
    for op in list(model.graph)[1:]:
        if op.state_bytes:
            rows = np.concatenate([states[op.name], outputs[model.graph.sources(op.name)[0]]], axis=1)
            outputs[op.name], states[op.name] = rows, rows[:, op.length_in :]
        else:
            outputs[op.name] = run_op(model, op, outputs)
    return outputs


def run_op(model: IntegerModel, op: Op, tensors: Mapping[str, NDArray]) -> NDArray:
    """One op's output from the outputs of its sources; of any op but a history, which has a state."""
    sources = model.graph.sources(op.name)
    grids = [model.quantization[name] for name in (*sources, op.name) if name in model.quantization]
    operands = [tensors[name] for name in sources]
    return compute(op, operands, grids, model.parameters.get(op.name), model.head)


def compute(
    op: Op,
    operands: Sequence[NDArray[np.int8]],
    grids: Sequence[Quantization],
    parameters: IntegerParameters | None = None,
    head: HeadSettings | None = None,
) -> NDArray:
    """The output of `op`, as `run` has it, on operands (n, length, channels).

    `grids` are those of the operands, then of the output, which a head has none of. Weighted ops take
    `parameters`, heads `head`.
    """
    return kind_of(op).compute(op, operands, Operands(tuple(grids), parameters, head))
