"""A causal network as an incremental one: a step reads only the new samples, histories hold what came before.

A streaming step is itself a LayerGraph, so that interpreter, kernels, code generation, memory plan and costs
serve it as they do a window. `whole_recording` is the definition that the steps must equal, bit for bit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph, Op, Padding
from hwmodels.network.integer_model import IntegerModel
from hwmodels.network.interpreter import initial_states, run, run_op
from hwmodels.network.operation_kind import kind_of

Node = tuple[Op, tuple[str, ...]]


class StreamingError(InputError):
    """A network that cannot run incrementally; names the operation."""


def streaming_step(graph: LayerGraph, new_samples: int) -> LayerGraph:
    """The graph of one step: `new_samples` input rows in, one result out.

    Before each convolution that reaches back, and before the pooling over the window, a `history` puts the
    rows that the step does not make anew. Raises StreamingError for a centred convolution, or where a
    stride does not divide the new rows.
    """
    return LayerGraph(streaming_nodes(graph.nodes(), new_samples))


def streaming_nodes(nodes: list[Node], new_samples: int) -> list[Node]:
    """As `streaming_step`, of the nodes of a graph or of a part of one that starts with an input."""
    if any(kind_of(op).spans_windows for op, _ in nodes):
        raise StreamingError("a network with context reads whole windows in turn; it does not stream samples")
    made: list[Node] = []
    new_rows: dict[str, int] = {}
    # Names of tensors of one row a window: past the pooling, nothing of them is worth keeping.
    whole: set[str] = set()
    if not 1 <= new_samples <= nodes[0][0].length_in:
        raise StreamingError(f"a step of {new_samples} new samples does not fit a window of {nodes[0][0].length_in}")

    def with_history(op: Op, source: str, rows: int) -> str:
        new = new_rows[source]
        name = f"{op.name}.history"
        made.append((Op(name, "history", new, op.channels_in, new + rows, op.channels_in), (source,)))
        return name

    for op, sources in nodes:
        kind = kind_of(op)
        if not sources:
            if op.reads == "spectrum":
                raise StreamingError(f"op {op.name!r}: spectra are made of whole windows; only samples stream")
            new_rows[op.name] = new_samples
            made.append((replace(op, length_in=new_samples, length_out=new_samples), sources))
            continue
        if any(name in whole for name in sources):
            whole.add(op.name)
            made.append((op, sources))
            continue
        new = new_rows[sources[0]]
        if kind.reads_whole_window(op):
            missing = op.length_in - new
            made.append((op, (with_history(op, sources[0], missing) if missing else sources[0],)))
            whole.add(op.name)
            continue
        per_output = kind.rows_per_output(op)
        if per_output is None:
            raise StreamingError(f"op {op.name!r} ({op.kind}): cannot run on a part of the window")
        if op.padding != "causal" and op.reach:
            raise StreamingError(f"op {op.name!r}: {op.padding} padding looks ahead; only causal ones stream")
        if new % per_output:
            raise StreamingError(
                f"op {op.name!r}: its stride of {per_output} does not divide the {new} new rows of a step"
            )
        new_rows[op.name] = new // per_output
        source, length = sources[0], new
        if op.reach:
            source, length = with_history(op, source, op.reach), new + op.reach
        padding: Padding = "valid" if kind.has_taps else op.padding
        changed = replace(op, length_in=length, length_out=new_rows[op.name], padding=padding)
        made.append((changed, (source, *sources[1:])))
    return made


def streaming_model(model: IntegerModel, new_samples: int) -> IntegerModel:
    """The integer network of `streaming_step`, with the parameters and grids of `model`."""
    step = streaming_step(model.graph, new_samples)
    grids = dict(model.quantization)
    for op in step:
        if op.state_bytes:
            grids[op.name] = grids[step.sources(op.name)[0]]
    settings = replace(model.input, step_s=new_samples / model.input.rate_hz)
    return IntegerModel(step, grids, model.parameters, model.head, settings, model.form)


def run_steps(model: IntegerModel, samples: NDArray[np.int8]) -> NDArray[np.int32]:
    """The results (steps, 3) of a streaming model over one recording (T, channels), step after step."""
    states = initial_states(model, 1)
    chunks = _chunks(samples, model.graph.input.length_in)
    return np.concatenate([run(model, chunk[None], states)[model.graph.output.name] for chunk in chunks])


def whole_recording(model: IntegerModel, samples: NDArray[np.int8], new_samples: int) -> NDArray[np.int32]:
    """The definition: the layers of a window model over a whole recording (T, channels) at once.

    Causal padding lies before the recording's first sample alone. After every `new_samples` samples the last
    window's features are pooled and the head reads them; what lies before the recording counts as zero.
    Returns (steps, 3). T must be a multiple of `new_samples`.
    """
    steps = len(_chunks(samples, new_samples))
    tensors: dict[str, NDArray] = {}
    for op, sources in model.graph.nodes():
        if not sources:
            tensors[op.name] = samples[None]
        elif len(tensors[sources[0]]) == steps > 1:
            tensors[op.name] = run_op(model, op, tensors)
        elif kind_of(op).reads_whole_window(op):
            features = tensors[sources[0]][0]
            zeros = np.full((op.length_in, op.channels_in), model.input_quantization(op).zero_point, np.int8)
            padded = np.concatenate([zeros, features])
            ends = op.length_in + len(features) // steps * np.arange(1, steps + 1)
            windows = np.stack([padded[end - op.length_in : end] for end in ends])
            tensors[op.name] = run_op(model, op, {sources[0]: windows})
        else:
            length = tensors[sources[0]].shape[1]
            tensors[op.name] = run_op(model, kind_of(op).over(op, length), tensors)
    return tensors[model.graph.output.name]


def lengthened(graph: LayerGraph, samples: int) -> LayerGraph:
    """The graph over `samples` input rows: the same layers, and a pooling over all their features."""
    nodes: list[Node] = []
    lengths: dict[str, int] = {}
    for op, sources in graph.nodes():
        length = lengths[sources[0]] if sources else samples
        changed = op
        if kind_of(op).reads_whole_window(op):
            changed = replace(op, length_in=length)
        elif length != op.length_in:
            changed = kind_of(op).over(op, length)
        lengths[op.name] = changed.length_out
        nodes.append((changed, sources))
    return LayerGraph(nodes)


def _chunks(samples: NDArray[np.int8], new_samples: int) -> list[NDArray[np.int8]]:
    if samples.ndim != 2 or len(samples) == 0 or len(samples) % new_samples:
        raise InputError(
            f"a recording must be (T, channels), T a multiple of {new_samples} samples; got {samples.shape}"
        )
    return np.split(samples, len(samples) // new_samples)
