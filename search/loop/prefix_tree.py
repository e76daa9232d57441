"""What architectures have in common from the input on: a tree over their blocks, and its fair division.

supernet/network/shared_prefixes.py computes shared prefixes once; this says in which order to ask, and how to share out
a generation among workers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import networkx as nx
import numpy as np

from supernet.space.arch import Arch
from supernet.space.search_space import Genes, SearchSpace

Work = Callable[[Arch], Sequence[float]]
"""Work of each part of `Arch.path`, in any unit."""


def depth_first(genes: Genes) -> Genes:
    """Canonical genes (n, genes) in the order of a walk through their tree of prefixes, branch by branch."""
    return genes[np.lexsort(genes.T[::-1])]


def block_work(space: SearchSpace) -> Work:
    """Work of all convolutions of a part, as `work_of` counts it; head and input apart."""
    from supernet.network.shared_prefixes import work_of  # torch, which nothing else here needs

    known: dict[tuple[object, ...], float] = {}

    def work(arch: Arch) -> list[float]:
        path = arch.path
        ends = [path[: end + 1] for end in range(len(path))]
        if any(end not in known for end in ends):
            totals: dict[str, float] = {}
            for op in space.lower(arch):
                if op_work := work_of(op):
                    block = op.name.rpartition(".")[0]
                    totals[block] = totals.get(block, 0.0) + op_work
            known.update(zip(ends, totals.values(), strict=True))
        return [known[end] for end in ends]

    return work


def even_work(arch: Arch) -> list[float]:
    """Every block is as much work as any other."""
    return [1.0] * len(arch.path)


def prefix_tree(archs: Sequence[Arch], work: Work = even_work) -> nx.DiGraph:
    """The tree of all prefixes: nodes are beginnings of `Arch.path`, the root (), with their `work`.

    A node's `ends` counts the architectures that end there.
    """
    tree: nx.DiGraph = nx.DiGraph()
    tree.add_node((), work=0.0, ends=0)
    for arch in archs:
        path = arch.path
        for end, part_work in enumerate(work(arch), 1):
            if path[:end] not in tree:
                tree.add_node(path[:end], work=part_work, ends=0)
                tree.add_edge(path[: end - 1], path[:end])
        tree.nodes[path]["ends"] += 1
    return tree


def shared_factor(archs: Sequence[Arch], work: Work = even_work) -> float:
    """How many times as much work it is to compute every architecture by itself as the whole tree once."""
    nodes = prefix_tree(archs, work).nodes
    return float(sum(sum(work(arch)) for arch in archs) / sum(nodes[node]["work"] for node in nodes))


def split(archs: Sequence[Arch], parts: int, work: Work = even_work) -> list[slice]:
    """Cut a sequence in depth-first order into at most `parts` runs whose largest work is as small as can be.

    A run pays for its first architecture whole, so cuts fall between branches rather than within. Where
    there are as many parts as architectures, each is a run of its own.
    """
    if parts >= len(archs):
        return [slice(index, index + 1) for index in range(len(archs))]
    whole = [sum(work(arch)) for arch in archs]
    further = [0.0, *(_beyond(before, arch, work) for before, arch in pairwise(archs))]

    def runs(limit: float) -> list[slice]:
        cut, start, load = [], 0, 0.0
        for index in range(len(archs)):
            load += further[index] if index > start else whole[index]
            if load > limit and index > start:
                cut.append(slice(start, index))
                start, load = index, whole[index]
        return [*cut, slice(start, len(archs))] if archs else []

    low, high = max(whole, default=0.0), sum(whole)
    for _ in range(40):
        middle = (low + high) / 2
        if len(runs(middle)) <= max(parts, 1):
            high = middle
        else:
            low = middle
    return runs(high)


def _beyond(before: Arch, arch: Arch, work: Work) -> float:
    """The work of `arch` beyond what it has in common with `before`."""
    first, second = before.path, arch.path
    common = next(
        (i for i, (one, other) in enumerate(zip(first, second, strict=False)) if one != other),
        min(len(first), len(second)),
    )
    return float(sum(work(arch)[common:]))
