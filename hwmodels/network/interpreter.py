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
    "run_in_turn",
    "save_model",
    "weight_shape",
]


def initial_states(model: IntegerModel, streams: int) -> dict[str, NDArray[np.int8]]:
    """What each operation keeps before the first execution, int8 (streams, ...): its zero point."""
    return {
        op.name: kind_of(op).initial_state(op, model.quantization[op.name], streams)
        for op in model.graph
        if op.state_bytes
    }


def run(
    model: IntegerModel,
    x: NDArray[np.int8],
    states: MutableMapping[str, NDArray[np.int8]] | None = None,
    past: NDArray[np.integer] | None = None,
) -> dict[str, NDArray]:
    """Every op's output for windows x int8 (n, T, channels), by op name.

    Tensors are int8 (n, length, channels); the head's entry is int32 (n, 3) as hwmodels.network.heads describes.
    `states` holds what was kept of the n streams (`initial_states` by default) and is brought up to date. With
    `past`, x is n successive windows instead, all at once: past (n,) says how many rows directly before each
    row are the steps directly before it, 0 at a start and after a gap; what lies before the first row is not known.
    Raises InputError when x does not fit the graph's input, or past does not fit x.
    """
    op = model.graph.input
    if x.dtype != np.int8 or x.ndim != 3 or x.shape[1:] != (op.length_in, op.channels_in):
        raise InputError(
            f"the network reads int8 windows (n, {op.length_in}, {op.channels_in}), got {x.dtype} {x.shape}"
        )
    if past is not None:
        _require_past(past, len(x), states)
    elif states is None:
        states = initial_states(model, len(x))
    outputs: dict[str, NDArray] = {op.name: x}
    for op in list(model.graph)[1:]:
        if not op.state_bytes:
            outputs[op.name] = run_op(model, op, outputs)
            continue
        given, taken = _given(model, op), outputs[model.graph.sources(op.name)[0]]
        if past is not None:
            outputs[op.name] = kind_of(op).in_turn(op, taken, past, given)
        elif states is not None:
            outputs[op.name], states[op.name] = kind_of(op).step(op, taken, states[op.name], given)
    return outputs


def run_in_turn(
    model: IntegerModel, x: NDArray[np.int8], past: NDArray[np.integer], names: Sequence[str], batch: int = 256
) -> dict[str, NDArray]:
    """As `run` with `past`, of any number of windows in little memory: the outputs of the ops `names` alone."""
    _require_past(past, len(x), None)
    made: dict[str, list[NDArray]] = {name: [] for name in names}
    for at in range(0, len(x), batch):
        first = max(0, at - model.graph.remembered_steps)
        windows = x[first : at + batch]
        found = run(model, windows, past=past[first : at + batch])
        for name in names:
            made[name].append(found[name][at - first :])
    return {name: np.concatenate(parts) for name, parts in made.items()}


def _require_past(past: NDArray[np.integer], count: int, states: object) -> None:
    if states is not None:
        raise InputError("past and states: give one of them, as each says what came before")
    is_whole = isinstance(past, np.ndarray) and past.shape == (count,) and np.issubdtype(past.dtype, np.integer)
    if not is_whole or (past < 0).any():
        raise InputError(f"past: expected {count} whole numbers from 0 on, one a window")


def _given(model: IntegerModel, op: Op) -> Operands:
    names = (*model.graph.sources(op.name), op.name)
    grids = tuple(model.quantization[name] for name in names if name in model.quantization)
    return Operands(grids, model.parameters.get(op.name), model.head)


def run_op(model: IntegerModel, op: Op, tensors: Mapping[str, NDArray]) -> NDArray:
    """One op's output from the outputs of its sources; of any op that keeps nothing between executions."""
    operands = [tensors[name] for name in model.graph.sources(op.name)]
    return kind_of(op).compute(op, operands, _given(model, op))


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
