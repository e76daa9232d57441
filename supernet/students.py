"""Hand-made students, as members of the default space: what a person would deploy without a search."""

from __future__ import annotations

from supernet.arch import Arch, Block, Sensors, Stage


def mobilenet_1d(rate_hz: int = 32, sensors: Sensors = "ppg_acc") -> Arch:
    """Four inverted residuals after a stem of 16 channels: the usual small MobileNet over time.

    After Sandler et al. 2018 (arXiv 1801.04381), with dilation where its strides would have widened the view.
    """
    return Arch(
        rate_hz,
        sensors,
        16,
        (
            Stage(16, (Block("inverted_residual", 7, 2, 2),)),
            Stage(32, (Block("inverted_residual", 7, 2, 4),)),
            Stage(
                64,
                (Block("inverted_residual", 7, 2, 4), Block("inverted_residual", 7, 4, 4)),
            ),
        ),
    )


def temporal_convolutions(rate_hz: int = 32, sensors: Sensors = "ppg_acc") -> Arch:
    """A dilated causal TCN in the manner of TimePPG (arXiv 2203.16339): no depthwise layer at all."""
    return Arch(
        rate_hz,
        sensors,
        24,
        (
            Stage(24, (Block("dilated", 5, 1), Block("dilated", 5, 2), Block("dilated", 5, 4))),
            Stage(32, (Block("dilated", 5, 1), Block("dilated", 5, 2), Block("dilated", 5, 4))),
            Stage(48, (Block("dilated", 5, 2), Block("dilated", 5, 4), Block("dilated", 5, 4))),
        ),
    )


STUDENTS = {"mobilenet-1d": mobilenet_1d, "tcn": temporal_convolutions}
"""Name -> maker of the student's architecture."""
