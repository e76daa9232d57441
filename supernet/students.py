"""Hand-made students, as members of the default space: what a person would deploy without a search."""

from __future__ import annotations

from supernet.arch import Arch, Block, Sensors, Stage


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


STUDENTS = {"mobilenet-1d": mobilenet_1d, "tcn": temporal_convolutions}
"""Name -> maker of the student's architecture."""
