"""Random integer networks for the tests: every op of a layer graph, any shape, scale and zero point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.interpreter import (
    ClassSettings,
    FloatParameters,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    Quantization,
    quantize,
    weight_shape,
)


def random_graph(
    rng: np.random.Generator,
    blocks: int = 5,
    lengths: Sequence[int] = range(6, 80),
    paddings: Sequence[str] = ("causal", "centred"),
) -> LayerGraph:
    """A graph with convolutions, depthwise convolutions, residual adds, pooling and a head."""
    length, channels = int(rng.choice(lengths)), int(rng.choice([1, 4]))
    nodes: list[tuple[Op, tuple[str, ...]]] = []
    nodes.append((Op("input", "input", length, channels, length, channels), ()))

    def append(kind: str, channels_out: int, source: str, **fields: object) -> str:
        before = next(op for op, _ in nodes if op.name == source)
        name = f"{kind}.{len(nodes)}"
        length_out = fields.pop("length_out", -(-before.length_out // int(fields.get("stride", 1))))  # type: ignore[call-overload]
        op = Op(name, kind, before.length_out, before.channels_out, length_out, channels_out, **fields)  # type: ignore[arg-type]
        nodes.append((op, (source,)))
        return name

    def window() -> dict[str, object]:
        return {
            "kernel": int(rng.integers(1, 10)),
            "dilation": int(rng.choice([1, 1, 2, 3, 4, 8])),
            "padding": str(rng.choice(paddings)),
            "activation": str(rng.choice(["none", "relu"])),
        }

    def width() -> int:
        return int(rng.choice([4, 8, 12, 16, 24])) if rng.random() < 0.8 else int(rng.integers(1, 20))

    last = append("conv", width(), "input", stride=int(rng.integers(1, 4)), **window())
    for _ in range(blocks):
        shape = nodes[-1][0]
        choice = rng.integers(4)
        if choice == 0:
            last = append("conv", width(), last, activation=str(rng.choice(["none", "relu"])))
        elif choice == 1:
            last = append("depthwise", shape.channels_out, last, stride=int(rng.choice([1, 1, 2, 3])), **window())
        elif choice == 2:
            last = append("conv", width(), last, stride=int(rng.choice([1, 1, 2])), **window())
        else:
            inner = append("conv", shape.channels_out, last, **window())
            inside = nodes[-1][0]
            op = Op(
                f"add.{len(nodes)}",
                "add",
                inside.length_out,
                inside.channels_out,
                inside.length_out,
                inside.channels_out,
            )
            nodes.append((op, (last, inner) if rng.random() < 0.5 else (inner, last)))
            last = op.name
    shape = nodes[-1][0]
    if rng.random() < 0.3:
        divisors = [d for d in range(1, shape.length_out + 1) if shape.length_out % d == 0]
        last = append("average_pool", shape.channels_out, last, length_out=int(rng.choice(divisors)))
    last = append("average_pool", shape.channels_out, last, length_out=1)
    outputs = int(rng.integers(2, 40))
    last = append("fully_connected", outputs, last)
    append(str(rng.choice(["heart_rate_head", "class_head"])), outputs, last)
    return LayerGraph(nodes)


def random_model(rng: np.random.Generator, graph: LayerGraph) -> IntegerModel:
    """Random weights and grids; ReLU outputs have zero point -128, as a converter gives them."""
    grids: dict[str, Quantization] = {}
    parameters: dict[str, FloatParameters] = {}
    for op in graph:
        if not op.output_bytes:
            continue
        zero_point = -128 if op.activation == "relu" else int(rng.integers(-60, 61))
        if op.kind == "input":
            scale = float(rng.uniform(0.01, 0.05))
        elif op.kind == "average_pool":
            grids[op.name] = grids[graph.sources(op.name)[0]]
            continue
        elif op.kind == "add":
            scales = [grids[name].scale for name in graph.sources(op.name)]
            scale = float(max(scales) * rng.uniform(0.7, 1.6))
        else:
            depth = op.weight_count // op.channels_out
            weight = rng.normal(0, 1 / np.sqrt(depth), weight_shape(op)) * rng.uniform(0.2, 2, op.channels_out).reshape(
                (1, -1) if op.kind == "depthwise" else (-1,) + (1,) * (len(weight_shape(op)) - 1)
            )
            source = grids[graph.sources(op.name)[0]].scale
            parameters[op.name] = FloatParameters(weight, rng.normal(0, 20 * source, op.channels_out))
            scale = float(source * rng.uniform(0.5, 2.0))
        grids[op.name] = Quantization(scale, zero_point)
    channels, samples = graph.input.channels_in, graph.input.length_in
    head: HeartRateSettings | ClassSettings = HeartRateSettings(30, 220, float(rng.uniform(1, 40)))
    if graph.output.kind == "class_head":
        head = ClassSettings(tuple(f"class {i}" for i in range(graph.output.channels_in)), float(rng.uniform(0, 1)))
    settings = InputSettings(32.0, samples / 32.0, "ppg" if channels == 1 else "ppg_acc", (0.4, 8.0), 0.3)
    return quantize(graph, parameters, grids, head, settings)


def random_windows(rng: np.random.Generator, graph: LayerGraph, count: int) -> np.ndarray:
    """int8 windows: random, all lowest, all highest, alternating."""
    shape = (count, graph.input.length_in, graph.input.channels_in)
    windows = rng.integers(-128, 128, shape).astype(np.int8)
    adversarial = [np.full(shape[1:], -128), np.full(shape[1:], 127)]
    adversarial.append(np.where(np.arange(shape[1])[:, None] % 2, 127, -128) * np.ones(shape[1:], int))
    for index, window in enumerate(adversarial[: count - 1]):
        windows[index] = window
    return windows
