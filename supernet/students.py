"""Hand-made students, two of them members of the default space: what one deploys without a search."""

from __future__ import annotations

from hwmodels.graph import LayerGraph, Op
from supernet.arch import SENSOR_CHANNELS, Arch, Block, Sensors, Stage
from supernet.lowering import Node, head_nodes
from supernet.space import SearchSpace


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


def convolutional(space: SearchSpace, sensors: Sensors = "ppg_acc") -> LayerGraph:
    """Two wide convolutions and a third in place of what reads their rhythm: a CorNET without its LSTM.

    After Biswas et al. (IEEE TBioCAS 13(2), 2019), whose recurrent layers no kernel here runs, and whose
    pooling strides stand for. Member of no space; it reads the space's highest rate.
    """
    rate, channels = max(space.rates), SENSOR_CHANNELS[sensors]
    length = rate * space.window_s
    nodes: list[Node] = [(Op("input", "input", length, channels, length, channels), ())]
    for name, width, kernel, stride in (("first", 32, 16, 4), ("second", 32, 8, 2), ("third", 48, 8, 2)):
        before = nodes[-1][0]
        conv = Op(
            name, "conv", before.length_out, before.channels_out, -(-before.length_out // stride), width,
            kernel=kernel, stride=stride, padding=space.padding, activation="relu",
        )  # fmt: skip
        nodes.append((conv, (before.name,)))
    last = nodes[-1][0]
    return LayerGraph(nodes + head_nodes(space, last.name, last.length_out, last.channels_out))


STUDENTS = {"mobilenet-1d": mobilenet_1d, "tcn": temporal_convolutions}
"""Name -> maker of the student's architecture."""
