"""Incremental networks equal the same network over the whole recording, at every step."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import compile_host
from hwmodels.codegen.network_source import default_plan, generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.profiling import build
from hwmodels.device.device import load_device
from hwmodels.emulation.emulator import RAM_BASE, Emulator
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.heads import heart_rate_head
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel, prepare_window, run
from hwmodels.schedule.memory import MemoryPlanError
from hwmodels.schedule.step_graph import StreamingError, run_steps, streaming_model, streaming_step, whole_recording
from hwmodels.validation.network_check import check_image
from nas.data.windows import WindowSet
from nas.evaluation.estimates import integer_estimates, integer_inputs
from nas.evaluation.streamed_windows import streamed, streaming_estimates, streams
from supernet.space.search_space import load_space
from tests.hwmodels.random_networks import random_graph, random_model
from tests.hwmodels.test_codegen import together, toolchain

_SPACE = load_space("default")


def streamable(seed: int, count: int) -> list[tuple[IntegerModel, int]]:
    """Window models and the new samples of their steps: archs of the default space, and any causal graphs."""
    rng = np.random.default_rng(seed)
    found: list[tuple[IntegerModel, int]] = []
    while len(found) < count:
        if len(found) % 2:
            graph = random_graph(rng, blocks=int(rng.integers(1, 6)), lengths=(144,), paddings=("causal",))
        else:
            graph = _SPACE.lower(_SPACE.decode(_SPACE.sample(1, rng))[0])
        new_samples = graph.input.length_in // 4
        try:
            streaming_step(graph, new_samples)
        except StreamingError:
            continue
        found.append((random_model(rng, graph), new_samples))
    return found


def recording(rng: np.random.Generator, model: IntegerModel, samples: int) -> np.ndarray:
    return rng.integers(-128, 128, (samples, model.graph.input.channels_in)).astype(np.int8)


def test_steps_equal_the_whole_recording() -> None:
    rng = np.random.default_rng(1)
    for model, new_samples in streamable(0, 16):
        samples = recording(rng, model, 9 * new_samples)
        expected = whole_recording(model, samples, new_samples)
        assert (run_steps(streaming_model(model, new_samples), samples) == expected).all()


def test_the_first_whole_window_equals_window_mode() -> None:
    rng = np.random.default_rng(2)
    for model, new_samples in streamable(3, 8):
        samples = recording(rng, model, 4 * new_samples)
        window = run(model, samples[None])[model.graph.output.name]
        assert (whole_recording(model, samples, new_samples)[-1] == window[0]).all()


@pytest.mark.arm
def test_steps_on_the_emulated_core_equal_the_whole_recording() -> None:
    rng = np.random.default_rng(4)
    pairs = streamable(5, 8)
    models = [streaming_model(model, new_samples) for model, new_samples in pairs]
    plans = [default_plan(model) for model in models]
    keep = tuple(f"ppgnet_{name}_{i}" for i in range(len(models)) for name in ("run", "stream_reset"))
    emulator = Emulator(toolchain().link(together(models, plans), keep))
    result, arena = RAM_BASE, RAM_BASE + 64
    for index, (model, new_samples) in enumerate(pairs):
        plan = plans[index]
        plan.verify(models[index].graph)
        samples = recording(rng, model, 6 * new_samples)
        emulator.call(f"ppgnet_stream_reset_{index}", (arena,), [(arena, rng.bytes(plan.arena_bytes))])
        guard = arena + plan.arena_bytes
        emulator.write(guard, b"\x5c" * 64)
        transient = min(plan.state_offsets.values())
        counts = set()
        for step, expected in enumerate(whole_recording(model, samples, new_samples)):
            chunk = samples[step * new_samples :][:new_samples]
            place = arena + plan.offsets[model.graph.input.name]
            writes = [(arena, rng.bytes(transient)), (place, chunk.tobytes())]
            done = emulator.call(f"ppgnet_run_{index}", (arena, place, result), writes)
            counts.add(done.instructions)
            assert np.frombuffer(emulator.read(result, 12), "<i4").tolist() == expected.tolist()
        assert emulator.read(guard, 64) == b"\x5c" * 64, "wrote past the arena"
        assert len(counts) == 1, "instructions depend on the data or the step"


def test_steps_on_this_machine_equal_the_whole_recording(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    pairs = streamable(7, 10)
    models = [streaming_model(model, new_samples) for model, new_samples in pairs]
    plans = [default_plan(model) for model in models]
    library = ctypes.CDLL(str(compile_host(together(models, plans), tmp_path / "steps.so")))
    for index, (model, new_samples) in enumerate(pairs):
        samples = recording(rng, model, 6 * new_samples)
        arena = np.frombuffer(rng.bytes(plans[index].arena_bytes), np.uint8).copy()
        got = np.zeros(3, np.int32)
        getattr(library, f"ppgnet_stream_reset_{index}")(ctypes.c_void_p(arena.ctypes.data))
        for step, expected in enumerate(whole_recording(model, samples, new_samples)):
            chunk = np.ascontiguousarray(samples[step * new_samples :][:new_samples])
            places = (ctypes.c_void_p(array.ctypes.data) for array in (arena, chunk, got))
            getattr(library, f"ppgnet_run_{index}")(*places)
            assert got.tolist() == expected.tolist()


def test_a_step_is_normalized_over_the_window_before_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    model, new_samples = next(pair for pair in streamable(9, 8) if pair[0].graph.input.channels_in == 4)
    step = streaming_model(model, new_samples)
    window = model.graph.input.length_in
    ppg = rng.normal(3, 50, (2, window)).astype(np.float32)
    acc = rng.normal(0, 0.3, (2, window, 3)).astype(np.float32)
    grid = model.quantization[model.graph.input.name]
    expected = prepare_window(model.input, grid, ppg, acc)[:, -new_samples:]
    assert (prepare_window(step.input, grid, ppg, acc) == expected).all()
    library = ctypes.CDLL(str(compile_host(generate(step), tmp_path / "step.so")))
    got = np.zeros((new_samples, 4), np.int8)
    library.ppgnet_prepare(*(ctypes.c_void_p(array.ctypes.data) for array in (got, ppg, acc)))
    assert (got == expected[0]).all()


def test_a_plan_that_overwrites_a_history_is_refused() -> None:
    model, new_samples = streamable(10, 1)[0]
    step = streaming_model(model, new_samples)
    plan = default_plan(step)
    name, place = next(iter(plan.state_offsets.items()))
    assert place >= 4
    moved = replace(plan, state_offsets={**plan.state_offsets, name: 0})
    with pytest.raises(MemoryPlanError):
        moved.verify(step.graph)


def followed_windows(rng: np.random.Generator) -> WindowSet:
    """Two recordings of windows 2 s apart, out of order; the second has a gap after its third window."""
    starts = np.array([0.0, 2, 4, 6, 8, 0, 2, 4, 10, 12])
    recording = np.repeat([0, 1], 5)
    order = rng.permutation(10)
    signals = rng.normal(0, 1, (10, 4, 256)).astype(np.float32)
    names = np.array(["a"] * 10)
    return WindowSet(
        {32: signals, 16: np.ascontiguousarray(signals[:, :, ::2])},
        8.0,
        0.0,
        np.ones(10, bool),
        np.full(10, 80, np.float32),
        np.full(10, -1),
        names,
        names,
        names,
        starts[order],
        recording[order],
        np.ones(10, bool),
        ("first", "second"),
    )


def test_estimates_follow_each_unbroken_stretch_of_windows() -> None:
    rng = np.random.default_rng(12)
    windows = followed_windows(rng)
    stretches = streams(windows, 2.0)
    assert sorted(map(len, stretches)) == [2, 3, 5]
    for stretch in stretches:
        assert (np.diff(windows.start_s[stretch]) == 2).all()
    model = next(m for m, _ in streamable(14, 9)[::2] if m.graph.input.length_in == 256)
    inputs, new_samples = integer_inputs(model, windows), round(2 * model.input.rate_hz)
    found = streaming_estimates(model, windows)
    for stretch in stretches:
        later = inputs[stretch[1:], -new_samples:].reshape(-1, inputs.shape[2])
        expected = whole_recording(model, np.concatenate([inputs[stretch[0]], later]), new_samples)[3:]
        assert (found.estimate[stretch] * 256 == expected[:, 0]).all()
        assert (found.valid[stretch] == expected[:, 2]).all()
    # The logits are those of the same steps: the head makes of them what was estimated.
    rows, logits = streamed(model, windows, 2.0)
    head = model.head
    assert isinstance(head, HeartRateSettings)
    assert (heart_rate_head(logits, model.input_quantization(model.graph.output).scale, head) == rows).all()
    assert (rows[:, 0] == found.estimate * 256).all()
    first = [stretch[0] for stretch in stretches]
    assert (found.estimate[first] == integer_estimates(model, windows).estimate[first]).all()


@pytest.mark.arm
def test_the_price_of_a_step_is_what_it_takes() -> None:
    chain = toolchain()
    graphs = [_SPACE.lower(_SPACE.smallest()), *(model.graph for model, _ in streamable(13, 3)[::2])]
    steps = [streaming_step(graph, graph.input.length_in // 4) for graph in graphs]
    device = load_device("cortex-m7-64mhz")
    prices = CostModel(build([op for graph in (*graphs, *steps) for op in graph], chain, ""), device)
    for graph in graphs:
        new_samples = graph.input.length_in // 4
        model = random_model(np.random.default_rng(0), graph)
        step = streaming_model(model, new_samples)
        image = chain.link(generate(step), ("ppgnet_run", "ppgnet_prepare", "ppgnet_stream_reset"))
        chunks = np.random.default_rng(1).integers(-128, 128, (2, new_samples, graph.input.channels_in))
        found = check_image(step, prices, image, chunks.astype(np.int8))
        assert found.predicted == prices.streaming_cost(graph, new_samples)
        assert found.ram_matches
        assert found.output_mismatches == 0
        if not found.fallback_ops:
            # A branch that goes one way in a call and both in the network may pair up one instruction less.
            assert found.predicted.cycles == pytest.approx(found.measured_cycles, rel=1e-4)
            assert found.predicted.flash_bytes == found.measured_flash_bytes
        assert found.predicted.cycles < 0.35 * prices.cost(graph).cycles


def test_networks_that_cannot_stream_say_why() -> None:
    def window(padding: str, stride: int) -> LayerGraph:
        length = -(-64 // stride)
        return LayerGraph(
            [
                (Op("input", "input", 64, 4, 64, 4), ()),
                (Op("stem", "conv", 64, 4, length, 8, 5, stride, padding=padding), ("input",)),  # type: ignore[arg-type]
                (Op("pool", "average_pool", length, 8, 1, 8), ("stem",)),
                (Op("head", "heart_rate_head", 1, 8, 1, 8), ("pool",)),
            ]
        )

    with pytest.raises(StreamingError, match=r"'stem'.*looks ahead"):
        streaming_step(window("centred", 1), 16)
    with pytest.raises(StreamingError, match=r"'stem'.*stride of 3 does not divide the 16"):
        streaming_step(window("causal", 3), 16)
    with pytest.raises(StreamingError, match="65 new samples"):
        streaming_step(window("causal", 1), 65)
    rng = np.random.default_rng(0)
    model, new_samples = streamable(11, 1)[0]
    with pytest.raises(InputError, match="multiple of"):
        run_steps(streaming_model(model, new_samples), recording(rng, model, new_samples + 1))
