"""TFLite operators as operations that kernels execute, or the reason why one cannot be.

Reads the records of `tflite_reader`; `model_cost` prices what comes out. What an operator becomes is said in
`hwmodels.foreign.operators`, a rule each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwmodels.basics.errors import InputError
from hwmodels.foreign.foreign_ops import ForeignOp
from hwmodels.foreign.operators import RULES
from hwmodels.foreign.tflite_reader import TFLiteFile, TFLiteOperator
from hwmodels.foreign.walk import Site, UnsupportedError, Value, Walk, rows_of
from hwmodels.network.graph import GraphError, LayerGraph, Op

_STATE = "keeps values between calls; give a model that reads whole windows"
_DILATION = "spells a dilated convolution; convert with a converter that writes dilation"
_REMEDIES = dict.fromkeys(("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"), _STATE)
_REMEDIES |= dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), _DILATION)


@dataclass(frozen=True)
class TFLiteLayer:
    """One operator of a file: the operations that execute it, none for views and what `reason` refuses.

    `fallback` says why its scales or weights need the exact, slow kernel; empty where the fast one serves.
    """

    index: int
    name: str
    ops: tuple[Op, ...] = ()
    reason: str = ""
    note: str = ""
    fallback: str = ""

    @property
    def op(self) -> Op | None:
        """The first of its operations; the others requantize or clamp what it makes."""
        return self.ops[0] if self.ops else None

    @property
    def is_bound(self) -> bool:
        """Whether its cost is that of simple code, which a tuned kernel would undercut."""
        return any(isinstance(op, ForeignOp) and op.is_bound for op in self.ops)


@dataclass(frozen=True)
class TFLiteModel:
    """All operators of a file, and the graph of their operations; an operator without a kernel takes no time there.

    `problem` says why there is no graph.
    """

    layers: tuple[TFLiteLayer, ...]
    graph: LayerGraph | None
    problem: str = ""


def layers_of(file: TFLiteFile) -> TFLiteModel:
    """The operations of a file's operators, in execution order; operators without a kernel keep a reason."""
    walk = Walk(file)
    _read_inputs(walk)
    sites = [_visit(walk, operator) for operator in file.operators]
    try:
        graph: LayerGraph | None = LayerGraph(_closed(walk), views=True)
        problem = ""
    except GraphError as error:
        graph, problem = None, str(error)
    layers = [replace(layer, ops=tuple(() if layer.reason else walk.ops.get(layer.index, ()))) for layer in sites]
    return TFLiteModel(tuple(layers), graph, problem)


def _read_inputs(walk: Walk) -> None:
    """A node for each input of the file; one of no consequence where there is none."""
    for index in dict.fromkeys(index for index in walk.file.inputs if index >= 0):
        shape = rows_of(walk.file.tensors[index])
        if not walk.nodes:
            value = Value("input", *shape)
            walk.nodes.append((Op("input", "input", *shape, *shape), ()))
        else:
            value = Value(f"input {len(walk.nodes) + 1}", *shape)
            walk.nodes.append((ForeignOp.of(value.name, [], shape), ()))
        walk.values[index] = value
    if not walk.nodes:
        walk.nodes.append((Op("input", "input", 1, 1, 1, 1), ()))


def _visit(walk: Walk, operator: TFLiteOperator) -> TFLiteLayer:
    site, reason = Site(walk, operator), ""
    try:
        rule = RULES.get(operator.name)
        if rule is None:
            raise UnsupportedError(_REMEDIES.get(operator.name, "no kernel computes it"))
        rule(site)
    except (GraphError, InputError) as error:
        reason = str(error)
        _take_back(site)
    return TFLiteLayer(operator.index, operator.name, (), reason, "; ".join(site.notes), site.fallback)


def _take_back(site: Site) -> None:
    """An operator that is refused becomes operations of no cost, so that what it reads and makes keeps its memory."""
    walk, index = site.walk, site.operator.index
    dropped = {op.name for op in walk.ops.pop(index, [])}
    walk.nodes[:] = [node for node in walk.nodes if node[0].name not in dropped]
    site.notes.clear()
    site.fallback = ""
    reads = [walk.whole(walk.values[at]) for at in dict.fromkeys(site.operator.inputs) if at in walk.values]
    for place, at in enumerate(site.operator.outputs):
        if at >= 0:
            made = rows_of(walk.file.tensors[at])
            op = ForeignOp.of(site.name_of(place), [value.shape for value in reads], made, label="not supported")
            site.put(op, [value.name for value in reads], place)


def _closed(walk: Walk) -> list[tuple[Op, tuple[str, ...]]]:
    """The graph's nodes; a caller who reads several tensors is one more."""
    outputs = [walk.whole(walk.values[index]) for index in walk.file.outputs if index in walk.values]
    read = {source for _, sources in walk.nodes for source in sources}
    loose = [op.name for op, _ in walk.nodes if op.name not in read]
    names = list(dict.fromkeys([*(value.name for value in outputs), *loose]))
    if names == [walk.nodes[-1][0].name]:
        return walk.nodes
    shapes = {op.name: (op.length_out, op.channels_out) for op, _ in walk.nodes}
    end = ForeignOp.of("end", [shapes[name] for name in names], (1, 1))
    return [*walk.nodes, (replace(end, is_end=True), tuple(names))]
