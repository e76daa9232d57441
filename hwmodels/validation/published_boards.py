"""Whole networks on real boards as others published them, and the one of them that our kernels can run.

What this kind of scoreboard said of them was found when its rules were gathered: those networks are 2-D and
cannot be rebuilt here, so their distances are quoted, not computed. MLPerf Tiny's autoencoder is fully
connected throughout; it is costed here, as a comparison of kernels, not as a check of the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from hwmodels.c.toolchain import Toolchain
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import Device, load_device
from hwmodels.foreign.model_cost import profiled
from hwmodels.network.graph import LayerGraph, Op

_AUTOENCODER = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)


@dataclass(frozen=True)
class PublishedBoard:
    """Latency of a network on a board, and how far a scoreboard of these rules was from it, in percent."""

    network: str
    board: str
    clock_mhz: int
    published_ms: str
    distance_pct: str
    source: str
    note: str


_TINYENGINE = "TinyEngine README"
_MICRONETS = "MicroNets, arXiv 2010.11267"
_CACHES = "CMSIS-NN; interpreter and cache misses not counted"
BOARDS = (
    PublishedBoard("mcunet-vww1", "STM32H743", 480, "51", "+1.5", _TINYENGINE, "its own kernels, -Ofast"),
    PublishedBoard("mbv2-w0.3-r64", "STM32H743", 480, "23", "+1.3", _TINYENGINE, "its own kernels, -Ofast"),
    PublishedBoard("mcunet-vww1", "STM32H743", 480, "97", "-17.1", _TINYENGINE, _CACHES),
    PublishedBoard("mbv2-w0.3-r64", "STM32H743", 480, "43", "-20.5", _TINYENGINE, _CACHES),
    PublishedBoard("CIFAR-10 CNN", "STM32F746", 216, "99.1", "-6.4", "CMSIS-NN paper, from memory", ""),
    PublishedBoard(
        "KWS-S/M/L, AD-S/M/L",
        "STM32F767",
        216,
        "108/181/596, 194/567/614",
        "-1.0 to +5.3",
        _MICRONETS,
        "if built with -Os",
    ),
    PublishedBoard(
        "KWS-S/M/L, AD-S/M/L",
        "STM32F767",
        216,
        "108/181/596, 194/567/614",
        "-20 to -23",
        _MICRONETS,
        "if built with -O3",
    ),
)


@dataclass(frozen=True)
class EngineComparison:
    """Cycles per MAC of a network: published for another engine on a board, and our kernels in the model."""

    network: str
    board: str
    engine: str
    published_cycles_per_mac: float
    our_cycles_per_mac: float | None
    why_not: str


_PLUMERAI, _CUBE = "Plumerai (MLPerf Tiny v1.1)", "X-CUBE-AI 8.1 (MLPerf Tiny v1.1)"
_IS_2D = "2-D convolutions, which our kernels do not compute"
_TOO_LARGE = "its 265 KB of weights do not fit the tightly coupled memory that our device file places them in"
_ENGINES = (
    ("KWS", "stm32f746", _PLUMERAI, 1.44, _IS_2D),
    ("AD", "stm32f746", _PLUMERAI, 1.40, ""),
    ("IC", "stm32f746", _PLUMERAI, 1.09, _IS_2D),
    ("VWW", "stm32f746", _PLUMERAI, 0.98, _IS_2D),
    ("KWS", "stm32h7a3", _CUBE, 1.62, _IS_2D),
    ("AD", "stm32h7a3", _CUBE, 1.93, _TOO_LARGE),
    ("IC", "stm32h7a3", _CUBE, 1.16, _IS_2D),
    ("VWW", "stm32h7a3", _CUBE, 1.11, _IS_2D),
)


def autoencoder() -> LayerGraph:
    """MLPerf Tiny's anomaly detector: ten fully connected layers, 264,192 MACs."""
    nodes: list[tuple[Op, tuple[str, ...]]] = [(Op("input", "input", 1, 640, 1, 640), ())]
    for place, (width_in, width_out) in enumerate(pairwise(_AUTOENCODER)):
        name, before = f"layer {place}", nodes[-1][0].name
        is_last = place == len(_AUTOENCODER) - 2
        op = Op(name, "fully_connected", 1, width_in, 1, width_out, activation="none" if is_last else "relu")
        nodes.append((op, (before,)))
    return LayerGraph(nodes)


def engine_comparisons(toolchain: Toolchain) -> list[EngineComparison]:
    """Every published figure of a closed engine, beside our kernels where they can run the network."""
    rows = []
    for network, name, engine, published, why_not in _ENGINES:
        device = load_device(name)
        ours = None if why_not else _cycles_per_mac(autoencoder(), device, toolchain)
        rows.append(EngineComparison(f"MLPerf Tiny {network}", name, engine, published, ours, why_not))
    return rows


def _cycles_per_mac(graph: LayerGraph, device: Device, toolchain: Toolchain) -> float:
    table = profiled(list(graph)[1:], device.target, toolchain)
    return CostModel(table, device).cost(graph).cycles / graph.macs
