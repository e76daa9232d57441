"""Hand-made students, most of them members of a shipped space: what one deploys without a search."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from hwmodels.network.graph import LayerGraph, Op
from supernet.space.arch import SENSOR_CHANNELS, Arch, Block, Sensors, Stage
from supernet.space.block_kind import Node
from supernet.space.lowering import head_nodes, pairs
from supernet.space.search_space import SearchSpace, SpaceError


def mobilenet_1d(rate_hz: int = 32, sensors: Sensors = "ppg_acc") -> Arch:
    """Four inverted residuals after the stem: the usual small MobileNet over time.

    After Sandler et al. 2018 (arXiv 1801.04381).
    """
    stages = (
        Stage(16, (Block("inverted_residual", 7, 1, 3),)),
        Stage(32, (Block("inverted_residual", 7, 1, 3),)),
        Stage(64, (Block("inverted_residual", 7, 1, 3), Block("inverted_residual", 7, 2, 3))),
    )
    return Arch(rate_hz, sensors, 20, stages)


def temporal_convolutions(rate_hz: int = 32, sensors: Sensors = "ppg_acc") -> Arch:
    """A dilated causal TCN in the manner of TimePPG (arXiv 2203.16339): no depthwise layer at all."""
    blocks = tuple(Block("dilated", 5, dilation) for dilation in (1, 2, 4))
    return Arch(rate_hz, sensors, 12, tuple(Stage(width, blocks) for width in (16, 32, 48)))


def spectral_cnn(rate_hz: int = 16, sensors: Sensors = "ppg_acc") -> Arch:
    """Three inverted residuals over spectra: peaks compared with their neighbourhood, signal by signal."""
    block = Block("inverted_residual", 7, 1, 2)
    return Arch(rate_hz, sensors, 20, (Stage(16, (block,)), Stage(20, (block, block))), "spectrum")


def narrowed(arch: Arch, share: float) -> Arch:
    """The same network with `share` of its channels everywhere, in fours; seldom a member of a space."""
    stages = tuple(replace(stage, width=_fours(stage.width * share)) for stage in arch.stages)
    return replace(arch, stem_width=_fours(arch.stem_width * share), stages=stages)


def _fours(channels: float) -> int:
    return max(4, round(channels / 4) * 4)


def convolutional(space: SearchSpace, share: float = 1.0, sensors: Sensors = "ppg_acc") -> LayerGraph:
    """Two wide convolutions and a third in place of what reads their rhythm: a CorNET without its LSTM.

    After Biswas et al. (IEEE TBioCAS 13(2), 2019), whose recurrent layers no kernel here runs, and whose
    pooling strides stand for. Member of no space; it reads the space's highest rate. `share` is as for
    `narrowed`.
    """
    rate, channels = max(space.rates), SENSOR_CHANNELS[sensors]
    length = rate * space.window_s
    nodes = [Node(Op("input", "input", length, channels, length, channels), ())]
    for name, width, kernel, stride in (("first", 32, 16, 4), ("second", 32, 8, 2), ("third", 48, 8, 2)):
        before = nodes[-1].op
        conv = Op(
            name,
            "conv",
            before.length_out,
            before.channels_out,
            -(-before.length_out // stride),
            _fours(width * share),
            kernel=kernel,
            stride=stride,
            padding=space.padding,
            activation="relu",
        )
        nodes.append(Node(conv, (before.name,)))
    last = nodes[-1].op
    return LayerGraph(pairs(nodes + head_nodes(space, last.name, last.length_out, last.channels_out)))


STUDENTS = {"mobilenet-1d": mobilenet_1d, "tcn": temporal_convolutions}
"""Name -> maker of the student's architecture, in the default space."""
NAMES = (*STUDENTS, "spectral-cnn", "largest", "smallest")
"""What `student_in` knows."""


def handmade(space: SearchSpace) -> dict[str, Arch]:
    """The hand-made students that are members of a space, by name."""
    found = {}
    for name, make in (*STUDENTS.items(), ("spectral-cnn", spectral_cnn)):
        with suppress(SpaceError):
            space.encode([make()])
            found[name] = make()
    return found


def student_in(space: SearchSpace, name: str | None) -> Arch:
    """The student of that name, the space's largest or smallest, or the first hand-made one without a name.

    Raises SpaceError naming those that the space holds.
    """
    extremes = {"largest": space.largest, "smallest": space.smallest}
    if name in extremes:
        return extremes[name]()
    held = handmade(space)
    if not held or (name is not None and name not in held):
        there = ", ".join((*held, *extremes))
        raise SpaceError(f"space {space.name!r} holds no student {name or 'made by hand'}; there are {there}")
    return held[name] if name is not None else next(iter(held.values()))
