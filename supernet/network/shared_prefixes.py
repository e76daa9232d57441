"""Many subnets on the same windows: what their first blocks have in common is computed once and kept.

Statistics of a block's norms depend on the blocks before it alone, so a prefix is shared with them. Ask for
architectures in the order of search/loop/prefix_tree.py: then little memory serves a generation, and the rest of it
keeps what one generation has in common with the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import torch
import torch.nn.functional as functional
from torch import Tensor

from hwmodels.network.graph import LayerGraph, Op
from supernet.network.context import filter_steps, is_rectified, with_passing
from supernet.network.convolution import NORM_EPSILON, convolve
from supernet.network.subnet import OnTensor, execute_part
from supernet.network.supernet import SuperNet
from supernet.space.arch import Arch
from supernet.space.lowering import lowered
from supernet.windows.training_set import Inputs, input_of

Path = tuple[tuple[object, ...], ...]
Nodes = list[tuple[Op, tuple[str, ...]]]
_WRITTEN = 8.0  # what writing one element costs, in multiply-accumulates


def work_of(op: Op) -> float:
    """Work of a convolution on one window: multiply-accumulates, and some for each element written."""
    return op.macs + _WRITTEN * op.length_out * op.channels_out if _is_normed(op) else 0.0


@dataclass(frozen=True)
class Features:
    """What a prefix makes of the calibration windows and of those to evaluate, batch by batch."""

    calibration: tuple[Tensor, ...]
    evaluation: tuple[Tensor, ...]

    @property
    def bytes(self) -> int:
        """Memory of all of them."""
        return sum(x.numel() * x.element_size() for x in (*self.calibration, *self.evaluation))


class SharedPrefixes:
    """Logits of subnets of `supernet` on fixed windows, with norms calibrated for each.

    `calibration` are batches of normalized windows, `windows` those to evaluate; both as `calibrate` and
    `logits_of` use them. Features of prefixes are kept in up to `memory_bytes`; 0 keeps none. Those go first
    that spared least per byte: uses times work, counted from what was dropped last, so that what served
    long ago ages (Cherkasova, HPL-98-69: GreedyDual-Size-Frequency). What is kept changes the time and
    nothing else: equal architectures give the same bits, alone or with others, in any order.
    """

    def __init__(
        self,
        supernet: SuperNet,
        calibration: Sequence[Inputs],
        windows: Inputs,
        *,
        memory_bytes: int = 1 << 30,
        batch: int = 256,
    ) -> None:
        self._supernet = supernet.eval()
        self._calibration, self._windows = calibration, windows
        self._past = [part.past for part in calibration], _split(windows, batch)
        self._memory_bytes, self._batch = memory_bytes, batch
        self._held: dict[Path, Features] = {}
        self._held_bytes = 0
        self._uses: Counter[Path] = Counter()
        self._worth: dict[Path, float] = {}
        self._age = 0.0

    def logits(self, arch: Arch) -> Tensor:
        """Logits (n, outputs) of the windows to evaluate. Raises SpaceError outside the space."""
        space, path = self._supernet.space, arch.path
        space.encode([arch])
        graph, banks = lowered(space, arch)
        parts = _parts(graph)
        with torch.no_grad():
            known = max((end for end in range(1, len(path) + 1) if path[:end] in self._held), default=0)
            features = self._held[path[:known]] if known else self._inputs(arch)
            for end, nodes in enumerate(parts[:-1], 1):
                if end > known:
                    features = self._next(graph, banks, nodes, features)
                self._used(path[:end], sum(work_of(op) for op, _ in nodes), features if end > known else None)
            ended = self._next(graph, banks, parts[-1], features)
            return torch.cat([x.flatten(1) for x in ended.evaluation])

    def _inputs(self, arch: Arch) -> Features:
        calibration = tuple(input_of(batch, arch) for batch in self._calibration)
        return Features(calibration, input_of(self._windows, arch).split(self._batch))

    def _next(self, graph: LayerGraph, banks: Mapping[str, str], nodes: Nodes, before: Features) -> Features:
        """Calibrate the norms of one part of the network and run it; as `calibrate`, then `Layer.fold` do."""
        convolutions = {op.name: self._supernet.weights(op, banks) for op, _ in nodes if _is_normed(op)}
        means = {name: torch.zeros_like(held.shift) for name, held in convolutions.items()}
        variances = {name: torch.ones_like(held.shift) for name, held in convolutions.items()}
        momentum = 1.0

        def calibrated(past: Tensor | None, op: Op, x: Tensor) -> Tensor:
            if not _is_normed(op):
                return self._connected(op, x)
            weight, scale, shift = convolutions[op.name]
            y = functional.batch_norm(
                filter_steps(x, weight, op, past) if op.remembers else convolve(x, weight, op),
                means[op.name],
                variances[op.name],
                scale,
                shift,
                training=True,
                momentum=momentum,
                eps=NORM_EPSILON,
            )
            y = functional.relu_(y) if is_rectified(graph, op) else y
            return with_passing(y, x) if op.remembers else y

        calibration = []
        for number, (x, past) in enumerate(zip(before.calibration, self._past[0], strict=True), 1):
            momentum = 1.0 / number
            calibration.append(_run(nodes, x, partial(calibrated, past)))
        folded = {}
        for name, (weight, scale, shift) in convolutions.items():
            factor = scale / torch.sqrt(variances[name] + NORM_EPSILON)
            folded[name] = (weight * factor[:, None, None, None], shift - means[name] * factor)

        def evaluated(past: Tensor | None, op: Op, x: Tensor) -> Tensor:
            if not _is_normed(op):
                return self._connected(op, x)
            weight, bias = folded[op.name]
            y = filter_steps(x, weight, op, past, bias) if op.remembers else convolve(x, weight, op, bias)
            y = functional.relu_(y) if is_rectified(graph, op) else y
            return with_passing(y, x) if op.remembers else y

        evaluation = []
        for x, past in zip(before.evaluation, self._past[1], strict=True):
            evaluation.append(_run(nodes, x, partial(evaluated, past)))
        return Features(tuple(calibration), tuple(evaluation))

    def _connected(self, op: Op, x: Tensor) -> Tensor:
        """The fully connected logits of pooled features."""
        weight = self._supernet.logits_weight[:, : op.channels_in]
        return functional.linear(x.flatten(1), weight, self._supernet.logits_bias)[:, :, None, None]

    def _used(self, path: Path, work: float, features: Features | None) -> None:
        """Count one more use of a prefix, and keep its features, where there are new ones."""
        self._uses[path] += 1
        if features is not None:
            self._held[path] = features
            self._held_bytes += features.bytes
        if path in self._held:
            self._worth[path] = self._age + self._uses[path] * work / self._held[path].bytes
        while self._held_bytes > self._memory_bytes:
            least = min(self._held, key=self._worth.__getitem__)
            self._age = self._worth.pop(least)
            self._held_bytes -= self._held.pop(least).bytes


def _split(windows: Inputs, batch: int) -> list[Tensor | None]:
    """Steps before each window, batch by batch."""
    count = len(next(iter(windows.values())))
    return [None] * -(-count // batch) if windows.past is None else list(windows.past.split(batch))


def _is_normed(op: Op) -> bool:
    return op.has_parameters and op.kind != "fully_connected"


def _parts(graph: LayerGraph) -> list[Nodes]:
    """The nodes of input and stem, of each block, and of pooling and logits."""

    def part(node: tuple[Op, tuple[str, ...]]) -> str:
        block, _, inner = node[0].name.rpartition(".")
        return block if inner and block else "stem" if node[0].name in ("input", "stem") else "head"

    found = [list(nodes) for _, nodes in groupby(graph.nodes(), part)]
    return [*found[:-1], found[-1][:-1]]


def _run(nodes: Nodes, x: Tensor, layer: OnTensor) -> Tensor:
    """One part of a network on windows (n, channels, samples), or on features (n, channels, 1, length)."""
    first, sources = nodes[0]
    if first.kind == "input":
        return execute_part(nodes, {}, x, layer)
    return execute_part(nodes, {sources[0]: x}, None, layer)
