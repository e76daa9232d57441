"""The network as it will be deployed: a graph of operations with fixed integer shapes.

Lowering writes it; the cost model, memory plan, code generator, integer interpreter and the torch
subnet all read it. Nothing else describes a deployed network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import networkx as nx

from hwmodels.network.operation_kind import KINDS, kind_of

Kind = str
"""The name of a record of hwmodels.network.operation_kind."""
Padding = Literal["causal", "centred", "valid"]
Activation = Literal["none", "relu"]
Reads = Literal["samples", "spectrum"]
Code = Literal["fast", "compact", "smallest"]

_SIZES = ("length_in", "channels_in", "length_out", "channels_out", "kernel", "stride", "dilation")


class GraphError(ValueError):
    """A graph whose operations do not fit together; the message names the operation."""


@dataclass(frozen=True)
class Op:
    """One operation: reads tensors of (length_in, channels_in), makes one of (length_out, channels_out).

    `kind` names a record of hwmodels.network.operation_kind, which says what shapes it takes and what it computes.
    Layout is time-major: element (t, c) of a tensor lies at t * channels + c, one byte each.
    `conv` with kernel 1 is the pointwise convolution. Padding is with the input's zero point:
    causal pads (kernel - 1) * dilation before the first sample and nothing after the last;
    centred splits the same total as TFLite's SAME does, the smaller half first.
    Both give length_out = ceil(length_in / stride). Valid pads nothing and makes the outputs whose taps all
    lie inside. `average_pool` averages each of length_out equal segments. `history` puts the rows that came
    last in earlier executions before the new ones (hwmodels.schedule.step_graph). `context` filters its first
    `remembers` channels along earlier executions, `dilation` of them from tap to tap. Heads read (1, bins)
    logits, or those of a convolution of one channel at as many positions, and end the graph. `reads` is for the
    input alone: samples in time, or spectra at `length_in` frequencies (hwmodels.signals.spectrum). How it is built
    is not said here (hwmodels.network.build_form). Operations of kind `stripes` stand in schedules alone, those of kind
    `foreign` in other people's networks (hwmodels.foreign).
    """

    name: str
    kind: Kind
    length_in: int
    channels_in: int
    length_out: int
    channels_out: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: Padding = "causal"
    activation: Activation = "none"
    reads: Reads = "samples"
    remembers: int = 0

    def __post_init__(self) -> None:
        def require(holds: bool, what: str) -> None:
            if not holds:
                raise GraphError(f"op {self.name!r} ({self.kind}): {what}")

        kind = KINDS.get(self.kind)
        if kind is None:
            raise GraphError(f"op {self.name!r}: {KINDS.unknown(self.kind)}")
        require(not kind.only_as or type(self) is not Op, kind.only_as)
        for field in _SIZES:
            value = getattr(self, field)
            is_size = isinstance(value, int) and value >= 1
            require(is_size, f"{field} must be a positive integer, got {value!r}")
        require(self.padding in get_args(Padding), f"unknown padding {self.padding!r}")
        require(self.activation in ("none", "relu"), f"unknown activation {self.activation!r}")
        is_known = self.reads == "samples" or (self.reads == "spectrum" and kind.fan_in == 0)
        require(is_known, f"only an input reads, samples or a spectrum, got {self.reads!r}")
        require(kind.spans_windows or self.remembers == 0, "remembers must be 0")
        complaint = kind.complaint(self)
        require(not complaint, complaint)
        require(not kind.keeps_channels or self.channels_in == self.channels_out, "must keep its channels")
        has_no_taps = self.kernel == self.stride == self.dilation == 1
        require(kind.has_taps or has_no_taps, "kernel, stride and dilation must be 1")

    @property
    def code(self) -> Code:
        """How much code its kernel links: the fastest, but for a `BuiltOp` of a schedule."""
        return "fast"

    @property
    def reach(self) -> int:
        """Samples between the first and the last tap."""
        return (self.kernel - 1) * self.dilation

    @property
    def padding_before(self) -> int:
        """Zero-point samples before the first input sample."""
        if self.padding == "causal":
            return self.reach
        total = max(0, (self.length_out - 1) * self.stride + self.reach + 1 - self.length_in)
        return total // 2

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one execution (the additions of sums and pooling are not MACs)."""
        return kind_of(self).macs(self)

    @property
    def weight_count(self) -> int:
        """Elements of the weight array, biases not counted."""
        shape = kind_of(self).weight_shape(self)
        return prod(shape) if shape else 0

    @property
    def filters(self) -> int:
        """Output channels that have weights, and a bias and a multiplier each, of an operation that owns any."""
        return self.remembers or self.channels_out

    @property
    def has_parameters(self) -> bool:
        """Whether the operation owns weights and biases."""
        return self.weight_count > 0

    @property
    def operand_shapes(self) -> tuple[tuple[int, int], ...]:
        """(length, channels) of each tensor that the operation reads, in argument order."""
        return ((self.length_in, self.channels_in),) * kind_of(self).fan_in

    @property
    def may_write_over_operand(self) -> bool:
        """Whether each output element follows from operands' elements of the same place alone."""
        return kind_of(self).is_elementwise

    @property
    def input_bytes(self) -> int:
        """Bytes of one int8 input tensor."""
        return self.length_in * self.channels_in

    @property
    def output_bytes(self) -> int:
        """Bytes of the int8 output tensor; a head writes its result elsewhere."""
        return 0 if kind_of(self).is_head else self.length_out * self.channels_out

    @property
    def state_bytes(self) -> int:
        """Bytes that the operation keeps from one execution to the next."""
        return kind_of(self).state_bytes(self)

    @property
    def shape(self) -> tuple[str | int, ...]:
        """Everything but the name: equal shapes run the same kernel in the same number of cycles."""
        return (
            self.kind,
            self.length_in,
            self.channels_in,
            self.length_out,
            self.channels_out,
            self.kernel,
            self.stride,
            self.dilation,
            self.padding,
            self.activation,
            self.reads,
            *((self.remembers,) if self.remembers else ()),
        )


class LayerGraph:
    """A validated, immutable graph of operations in execution order.

    `nodes` are pairs (op, names of the ops whose outputs it reads, in order). The first must be the
    only `input`; the last must be the only operation that nothing reads. Operations execute in the
    order given. With `views` an operation may read a tensor in another shape of as many bytes than it was made in.
    Raises GraphError when a name is unknown or repeated, or shapes do not fit.
    """

    def __init__(self, nodes: Iterable[tuple[Op, Sequence[str]]], views: bool = False) -> None:
        self._views = views
        self._graph: nx.DiGraph = nx.DiGraph()
        self._order: list[Op] = []
        for op, sources in nodes:
            self._insert(op, tuple(sources))
        if not self._order:
            raise GraphError("a graph needs at least an input")
        loose = [op.name for op in self._order[:-1] if self._graph.out_degree(op.name) == 0]
        if loose:
            raise GraphError(f"op {loose[0]!r}: nothing reads its output")

    def _insert(self, op: Op, sources: tuple[str, ...]) -> None:
        if op.name in self._graph:
            raise GraphError(f"op {op.name!r}: name used twice")
        if (kind_of(op).fan_in == 0) != (not self._order):
            raise GraphError(f"op {op.name!r}: the graph has exactly one input, and it comes first")
        shapes = op.operand_shapes
        if len(sources) != len(shapes):
            raise GraphError(f"op {op.name!r}: reads {len(shapes)} tensors, {len(sources)} given")
        for source, (length, channels) in zip(sources, shapes, strict=True):
            if source not in self._graph:
                raise GraphError(f"op {op.name!r}: reads unknown op {source!r}")
            before = self[source]
            made = before.length_out, before.channels_out
            if kind_of(op).is_head and before.channels_out == 1:
                made = made[::-1]
            is_view = self._views and length * channels == before.length_out * before.channels_out
            if made != (length, channels) and not is_view:
                raise GraphError(
                    f"op {op.name!r}: expects ({length}, {channels}), but {source!r} makes "
                    f"({before.length_out}, {before.channels_out})"
                )
            if kind_of(before).is_head:
                raise GraphError(f"op {op.name!r}: reads the head {source!r}, which ends a graph")
        self._graph.add_node(op.name, op=op, sources=sources)
        self._graph.add_edges_from((source, op.name) for source in sources)
        self._order.append(op)

    def __iter__(self) -> Iterator[Op]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, name: str) -> Op:
        op: Op = self._graph.nodes[name]["op"]
        return op

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LayerGraph) and self.nodes() == other.nodes()

    def __hash__(self) -> int:
        return hash(tuple(self.nodes()))

    def nodes(self) -> list[tuple[Op, tuple[str, ...]]]:
        """The pairs (op, source names) that rebuild this graph."""
        return [(op, self.sources(op.name)) for op in self._order]

    def sources(self, name: str) -> tuple[str, ...]:
        """Names of the ops whose outputs `name` reads, in argument order."""
        found: tuple[str, ...] = self._graph.nodes[name]["sources"]
        return found

    def readers(self, name: str) -> tuple[str, ...]:
        """Names of the ops that read the output of `name`, in execution order."""
        return tuple(self._graph.successors(name))

    @property
    def input(self) -> Op:
        """The input operation."""
        return self._order[0]

    @property
    def output(self) -> Op:
        """The operation that ends the graph."""
        return self._order[-1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(op.macs for op in self._order)

    @property
    def state_bytes(self) -> int:
        """Bytes kept between executions; 0 for a network that makes each result of one whole window alone."""
        return sum(op.state_bytes for op in self._order)

    @property
    def spans_windows(self) -> bool:
        """Whether it reads whole windows, and with each what it kept of those directly before."""
        return any(kind_of(op).spans_windows for op in self._order)

    @property
    def remembered_steps(self) -> int:
        """Steps before the newest that its contexts look back to, all in all."""
        return sum(op.reach for op in self._order if op.remembers)

    @property
    def parameter_count(self) -> int:
        """Weights and biases."""
        return sum(op.weight_count + op.filters for op in self._order if op.has_parameters)

    def networkx(self) -> nx.DiGraph:
        """A copy as a networkx graph; node attribute `op` holds the operation."""
        return self._graph.copy()
