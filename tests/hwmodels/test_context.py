"""Networks with context over windows: step by step, over a whole recording, on this machine and on the core."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import compile_host, run_compiler
from hwmodels.codegen.network_source import default_plan, entry_points, generate
from hwmodels.device.device import load_device
from hwmodels.emulation.emulator import RAM_BASE, Emulator
from hwmodels.firmware.emulated_firmware import HostFirmware, run_firmware
from hwmodels.firmware.front_end import Front, Sensors, readings
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.firmware.sources import entry_points as front_entry_points
from hwmodels.firmware.sources import generate_firmware
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.graph import GraphError, LayerGraph, Op
from hwmodels.network.interpreter import IntegerModel, initial_states, load_model, run, run_in_turn, save_model
from hwmodels.schedule.step_graph import StreamingError, streaming_step
from hwmodels.signals.spectrum import spectrum_channels
from hwmodels.validation.network_check import random_model
from tests.hwmodels.test_codegen import toolchain
from tests.hwmodels.test_front import DRIVER, SANITIZED, TRACKER, needs_host_compiler, noise

STEPS = 40


def graph(rng: np.random.Generator, positions: int = 26, width: int = 12, blocks: int = 4) -> LayerGraph:
    """A network over spectra: [context, convolution, depthwise convolution, convolution, sum] again and again."""
    channels = spectrum_channels(4)
    nodes: list[tuple[Op, tuple[str, ...]]] = []

    def add(name: str, kind: str, cin: int, cout: int, *sources: str, **fields: object) -> None:
        nodes.append((Op(name, kind, positions, cin, positions, cout, **fields), sources))  # type: ignore[arg-type]

    add("input", "input", channels, channels, reads="spectrum")
    add("stem", "conv", channels, width, "input", activation="relu", kernel=3, padding="centred")
    last = "stem"
    for block in range(blocks):
        taps, steps = int(rng.integers(2, 6)), int(rng.integers(1, 5))
        remembers = 4 * int(rng.integers(1, width // 4 + 1))
        add(f"{block}.context", "context", width, width, last, kernel=taps, dilation=steps,
            remembers=remembers)  # fmt: skip
        add(f"{block}.wide", "conv", width, 2 * width, f"{block}.context", activation="relu")
        add(f"{block}.depthwise", "depthwise", 2 * width, 2 * width, f"{block}.wide", kernel=5, padding="centred",
            activation="relu")  # fmt: skip
        add(f"{block}.narrow", "conv", 2 * width, width, f"{block}.depthwise")
        add(f"{block}.sum", "add", width, width, last, f"{block}.narrow")
        last = f"{block}.sum"
    add("logits", "conv", width, 1, last)
    nodes.append((Op("head", "heart_rate_head", 1, positions, 1, positions), ("logits",)))
    return LayerGraph(nodes)


def models(count: int, seed: int) -> Iterator[tuple[IntegerModel, np.ndarray, np.ndarray]]:
    """Random networks, each with a recording (steps, positions, channels) and how far back its steps may look."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        model = random_model(graph(rng), rng)
        shape = (STEPS, model.graph.input.length_in, model.graph.input.channels_in)
        starts = np.flatnonzero(rng.random(STEPS) < 0.15)
        yield model, rng.integers(-128, 128, shape).astype(np.int8), since_start(starts)


def since_start(starts: np.ndarray) -> np.ndarray:
    """Steps between each and the last start, (STEPS,)."""
    past = np.arange(STEPS)
    for start in starts:
        past[start:] = np.arange(STEPS - start)
    return past


def step_by_step(model: IntegerModel, windows: np.ndarray, past: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor of single steps, with fresh states at each start."""
    made: list[dict[str, np.ndarray]] = []
    states = initial_states(model, 1)
    for window, before in zip(windows, past, strict=True):
        if before == 0:
            states = initial_states(model, 1)
        made.append(run(model, window[None], states))
    return {name: np.concatenate([tensors[name] for tensors in made]) for name in made[0]}


def test_a_recording_run_whole_equals_its_steps_after_any_restarts() -> None:
    for model, windows, past in models(6, 1):
        whole, stepped = run(model, windows, past=past), step_by_step(model, windows, past)
        for name, values in whole.items():
            assert np.array_equal(values, stepped[name]), name
        cold = run(model, windows)
        assert any((cold[name] != whole[name]).any() for name in cold), "the past changes nothing"
        assert all((cold[name][past == 0] == whole[name][past == 0]).all() for name in cold)


def test_a_tap_reads_as_many_steps_back_as_its_dilation_says() -> None:
    """An impulse in one step comes out of each tap once, (kernel - 1 - tap) * dilation steps later."""
    rng = np.random.default_rng(2)
    model = random_model(graph(rng, blocks=1), rng)
    context = model.graph["0.context"]
    states = initial_states(model, 1)
    assert sum(state.size for state in states.values()) == context.reach * context.length_in * context.remembers
    shape = (STEPS, model.graph.input.length_in, model.graph.input.channels_in)
    windows = np.full(shape, model.quantization["input"].zero_point, np.int8)
    changed = windows.copy()
    changed[7] = rng.integers(-128, 128, shape[1:])
    past = np.arange(STEPS)
    name = "0.context"
    differs = (run(model, windows, past=past)[name] != run(model, changed, past=past)[name]).any(axis=(1, 2))
    lags = [tap * context.dilation for tap in range(context.kernel)]
    assert set(np.flatnonzero(differs) - 7) <= set(lags) and differs[7]


def test_steps_on_this_machine_equal_the_interpreter_after_any_restarts(tmp_path: Path) -> None:
    for number, (model, windows, past) in enumerate(models(4, 3)):
        plan = default_plan(model)
        plan.verify(model.graph)
        library = ctypes.CDLL(str(compile_host(generate(model), tmp_path / f"{number}.so")))
        arena = np.full(-(-plan.arena_bytes // 4), 0xA5A5A5A5, np.uint32)
        kept = min(plan.state_offsets.values())
        expected, result = run(model, windows, past=past)["head"], np.zeros(3, np.int32)
        for window, before, row in zip(windows, past, expected, strict=True):
            if before == 0:
                library.ppgnet_stream_reset(ctypes.c_void_p(arena.ctypes.data))
            arena.view(np.uint8)[:kept] = 0x5A
            given = np.ascontiguousarray(window)
            library.ppgnet_run(*(ctypes.c_void_p(held.ctypes.data) for held in (arena, given, result)))
            assert result.tolist() == row.tolist()


@pytest.mark.arm
def test_steps_on_the_emulated_core_equal_the_interpreter_and_take_the_same_instructions() -> None:
    rng = np.random.default_rng(4)
    for model, windows, past in models(3, 5):
        plan = default_plan(model)
        emulator = Emulator(toolchain().link(generate(model), entry_points(model)))
        arena, result = RAM_BASE, RAM_BASE + (1 << 20)
        emulator.write(arena, rng.bytes(plan.arena_bytes + 64))
        guard = emulator.read(arena + plan.arena_bytes, 64)
        kept, counts = min(plan.state_offsets.values()), set()
        for window, before, row in zip(windows, past, run(model, windows, past=past)["head"], strict=True):
            if before == 0:
                emulator.call("ppgnet_stream_reset", (arena,))
            place = arena + plan.offsets["input"]
            writes = [(arena, rng.bytes(kept)), (place, window.tobytes())]
            counts.add(emulator.call("ppgnet_run", (arena, place, result), writes).instructions)
            assert np.frombuffer(emulator.read(result, 12), "<i4").tolist() == row.tolist()
        assert emulator.read(arena + plan.arena_bytes, 64) == guard, "wrote past the arena"
        assert len(counts) == 1, "instructions depend on the data or the step"


def test_a_recording_in_batches_equals_the_same_run_whole() -> None:
    for model, windows, past in models(2, 8):
        for names, batch in ((["head"], 7), (["head", "logits"], 40)):
            found = run_in_turn(model, windows, past, names, batch)
            whole = run(model, windows, past=past)
            assert list(found) == names and all((found[name] == whole[name]).all() for name in names)


def watch(channels: int) -> tuple[IntegerModel, Front]:
    """A network over spectra of a watch's pulse and motion, and its front end."""
    rng = np.random.default_rng(channels)
    model = random_model(graph(rng), rng)
    return model, Front.of(Sensors(ppg_hz=50, ppg_channels=channels, acc_hz=50), model.input)


@needs_host_compiler
@pytest.mark.parametrize("tracker", [None, TRACKER])
def test_firmware_reads_what_its_twin_reads_from_each_start(tracker: Tracker | None) -> None:
    for channels in (1, 2):
        model, front = watch(channels)
        host = HostFirmware(front, model, tracker)
        for seed in range(3):  # each recording but the first is a restart
            ppg, acc = noise(front, 60, seed)
            np.testing.assert_array_equal(host.readings(ppg, acc), readings(front, model, ppg, acc, tracker))
        kept = host.readings(ppg, acc)
        assert host.call("ppgnet_restart") == 0
        late = len(ppg) // 2
        np.testing.assert_array_equal(
            host.readings(ppg[late:], acc[late:]), readings(front, model, ppg[late:], acc[late:], tracker)
        )
        assert len(kept) == 26


@pytest.mark.parametrize("cc", ["gcc", "clang"])
def test_firmware_is_clean_under_sanitizers(cc: str, tmp_path: Path) -> None:
    if shutil.which(cc) is None or sys.platform != "linux":
        pytest.skip(f"no {cc}")
    model, front = watch(2)
    sources = generate_firmware(front, model, TRACKER) | {"driver.c": DRIVER}
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    units = sorted(name for name in sources if name.endswith(".c"))
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *SANITIZED]
    run_compiler([cc, *flags, *units, "-lm", "-o", "driver"], tmp_path)
    done = subprocess.run([tmp_path / "driver"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "11\n", "")


@pytest.mark.arm
def test_firmware_on_the_emulated_core_reads_the_same_and_each_reading_takes_as_long() -> None:
    model, front = watch(1)
    image = toolchain().link(generate_firmware(front, model), front_entry_points())
    ppg, acc = noise(front, 40)
    found = run_firmware(front, Emulator(image), load_device("cortex-m7-64mhz").target, ppg, acc, tracks=False)
    np.testing.assert_array_equal(found.readings, readings(front, model, ppg, acc))
    assert abs(found.first_cycles / found.estimate_cycles - 1) < 0.02


def test_windows_of_another_step_than_trained_on_are_refused() -> None:
    model, front = watch(1)
    with pytest.raises(InputError, match="2 s apart, as it was trained on, and cannot step by 1 s"):
        Front(front.sensors, model.input, 1.0)
    with pytest.raises(InputError, match="context_step_s must be given"):
        replace(model, input=replace(model.input, context_step_s=None))
    with pytest.raises(InputError, match="personalization does not learn"):
        generate_firmware(front, model, learner=PersonalSettings())


def test_a_model_file_keeps_it(tmp_path: Path) -> None:
    model, windows, past = next(models(1, 9))
    save_model(model, tmp_path / "model.npz")
    read = load_model(tmp_path / "model.npz")
    assert read.graph == model.graph and read.input == model.input
    assert (run(read, windows, past=past)["head"] == run(model, windows, past=past)["head"]).all()


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    rng = np.random.default_rng(6)
    model, windows, past = next(models(1, 7))
    with pytest.raises(InputError, match="past: expected 40 whole numbers"):
        run(model, windows, past=past - 1)
    with pytest.raises(InputError, match="give one of them"):
        run(model, windows, initial_states(model, STEPS), past)
    with pytest.raises(StreamingError, match="reads whole windows in turn"):
        streaming_step(graph(rng), 2)
    for fields, reason in (
        ({"remembers": 6}, "in fours"),
        ({"remembers": 0}, "in fours"),
        ({"remembers": 4, "kernel": 1}, "taps"),
        ({"remembers": 4, "activation": "relu"}, "relu"),
    ):
        with pytest.raises(GraphError, match=reason):
            Op("c", "context", 4, 8, 4, 8, **{"kernel": 3, **fields})  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="remembers must be 0"):
        Op("c", "conv", 4, 8, 4, 8, remembers=4)
