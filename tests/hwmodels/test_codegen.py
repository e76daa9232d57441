"""Generated C: whole networks, emulated and on this machine, equal the interpreter; flash as predicted."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.c.toolchain import Toolchain, ToolchainError, compile_host, find_toolchain
from hwmodels.codegen.network_source import default_plan, fallbacks, generate, predicted_flash_bytes
from hwmodels.emulation.emulator import RAM_BASE, Emulator
from hwmodels.kernels.variants import code_unit_bytes, kernel_hash, kernel_sources
from hwmodels.network.build_form import BuildForm
from hwmodels.network.graph import Code, LayerGraph, Op
from hwmodels.network.interpreter import IntegerModel, Quantization, prepare_window, run
from hwmodels.schedule.memory import MemoryPlan
from hwmodels.validation.tensors import spread_plan
from tests.hwmodels.random_networks import random_graph, random_model, random_windows

_MODEL_FILES = ("ppgnet_model.c", "ppgnet_model.h")
_SANITIZERS = {
    "gcc": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "clang": ("-fsanitize=undefined", "-fsanitize-trap=all"),
}
_WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")


def toolchain(cc: str | None = None) -> Toolchain:
    try:
        return find_toolchain(cc)
    except ToolchainError as error:
        pytest.skip(str(error))


def make_models(seed: int, count: int) -> list[IntegerModel]:
    rng = np.random.default_rng(seed)
    return [random_model(rng, random_graph(rng, blocks=int(rng.integers(1, 7)))) for _ in range(count)]


def together(models: list[IntegerModel], plans: list[MemoryPlan]) -> dict[str, str]:
    """Sources of several networks side by side: every public name and the header get the network's number."""
    sources = kernel_sources()
    for index, (model, plan) in enumerate(zip(models, plans, strict=True)):
        made = generate(model, plan)
        for name in _MODEL_FILES:
            text = re.sub(
                r"\b(ppgnet_run|ppgnet_prepare|ppgnet_stream_reset|PPGNET_MODEL_H)\b",
                rf"\1_{index}",
                made[name],
            )
            sources[name.replace("model", f"model_{index}")] = text.replace("ppgnet_model.h", f"ppgnet_model_{index}.h")
    return sources


def check_on_emulator(models: list[IntegerModel], chain: Toolchain, rng: np.random.Generator) -> None:
    plans = [spread_plan(model) if index % 2 else default_plan(model) for index, model in enumerate(models)]
    keep = tuple(f"ppgnet_run_{index}" for index in range(len(models)))
    emulator = Emulator(chain.link(together(models, plans), keep))
    result, arena = RAM_BASE, RAM_BASE + 64
    for index, (model, plan) in enumerate(zip(models, plans, strict=True)):
        windows = random_windows(rng, model.graph, 4)
        outputs = run(model, windows)
        counts = set()
        for number, window in enumerate(windows):
            place = arena + plan.offsets[model.graph.input.name]
            writes = [(arena, rng.bytes(plan.arena_bytes)), (place, window.tobytes())]
            emulator.write(arena + plan.arena_bytes, b"\x5c" * 64)
            done = emulator.call(f"ppgnet_run_{index}", (arena, place, result), writes)
            counts.add(done.instructions)
            got = np.frombuffer(emulator.read(result, 12), "<i4")
            assert got.tolist() == outputs[model.graph.output.name][number].tolist()
            assert emulator.read(arena + plan.arena_bytes, 64) == b"\x5c" * 64, "wrote past the arena"
            for op in model.graph:
                if index % 2 and op.output_bytes:
                    tensor = emulator.read(arena + plan.offsets[op.name], op.output_bytes)
                    assert tensor == outputs[op.name][number].tobytes(), op
        assert len(counts) == 1, "instructions depend on the data"


@pytest.mark.arm
def test_networks_on_the_emulated_core_equal_the_interpreter_on_every_op() -> None:
    check_on_emulator(make_models(100, 16), toolchain(), np.random.default_rng(1))


@pytest.mark.arm
def test_the_fallback_compiler_makes_equal_networks() -> None:
    chain = toolchain("zig")
    check_on_emulator(make_models(200, 4), chain, np.random.default_rng(2))
    model = make_models(200, 1)[0]
    assert chain.link(generate(model)).flash_bytes == predicted_flash_bytes(model, code_unit_bytes(chain))


@pytest.mark.arm
@pytest.mark.parametrize("code", ["compact", "smallest"])
def test_networks_of_less_code_equal_the_interpreter_on_every_op(code: Code) -> None:
    models = [replace(model, form=BuildForm(code)) for model in make_models(400, 6)]
    check_on_emulator(models, toolchain(), np.random.default_rng(5))


@pytest.mark.arm
@pytest.mark.parametrize("code", ["fast", "compact", "smallest"])
def test_predicted_flash_is_the_linked_flash(code: Code) -> None:
    chain = toolchain()
    units = code_unit_bytes(chain)
    checked = 0
    for model in make_models(300, 4):
        model = replace(model, form=BuildForm(code))
        if not fallbacks(model):
            assert chain.link(generate(model)).flash_bytes == predicted_flash_bytes(model, units)
            checked += 1
    assert checked >= 3


@pytest.mark.arm
def test_the_smallest_code_of_a_small_network_stays_below_four_kilobytes() -> None:
    channels = 8
    nodes: list[tuple[Op, tuple[str, ...]]] = [
        (Op("input", "input", 128, 1, 128, 1), ()),
        (Op("stem", "conv", 128, 1, 64, channels, kernel=5, stride=2, activation="relu"), ("input",)),
        (Op("d1", "conv", 64, channels, 64, channels, kernel=3, dilation=4, activation="relu"), ("stem",)),
        (Op("pool", "average_pool", 64, channels, 1, channels), ("d1",)),
        (Op("logits", "fully_connected", 1, channels, 1, 48), ("pool",)),
        (Op("head", "heart_rate_head", 1, 48, 1, 48), ("logits",)),
    ]
    model = random_model(np.random.default_rng(0), LayerGraph(nodes))
    model = replace(model, form=BuildForm("smallest"))
    assert toolchain().link(generate(model)).flash_bytes < 4096


_RUNNER = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
{includes}
static void write_all(const void *data, size_t size) {{ if (fwrite(data, 1, size, stdout) != size) exit(3); }}
int main(void)
{{
{body}
    return 0;
}}
"""
_RUNNER_BODY = """
    for (int window = 0; window < {windows}; window++) {{
        int8_t *input = malloc({input_bytes}), *arena = aligned_alloc(4, {arena_bytes});
        ppgnet_result result;
        if (!input || !arena || fread(input, 1, {exact_bytes}, stdin) != {exact_bytes}) return 2;
        ppgnet_run_{index}(arena, input, &result);
        write_all(&result, sizeof result);
        write_all(arena, {arena_bytes});
        free(input);
        free(arena);
    }}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_networks_on_this_machine_equal_the_interpreter_and_are_clean(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    rng = np.random.default_rng(3)
    models = make_models(400, 14)
    plans = [spread_plan(model) for model in models]
    sources = together(models, plans)
    windows = [random_windows(rng, model.graph, 3) for model in models]
    body = ""
    for index, (model, plan) in enumerate(zip(models, plans, strict=True)):
        size = model.graph.input.output_bytes
        sizes = {"input_bytes": -(-size // 4) * 4, "exact_bytes": size, "arena_bytes": plan.arena_bytes}
        body += _RUNNER_BODY.format(index=index, windows=3, **sizes)
    declared = "\n".join(
        f"void ppgnet_run_{i}(int8_t *arena, const int8_t *input, ppgnet_result *result);" for i in range(len(models))
    )
    sources["main.c"] = _RUNNER.format(includes='#include "ppgnet_kernels.h"\n' + declared, body=body)
    flags = ("-O1", "-g", "-ffp-contract=off", *_SANITIZERS[compiler], *_WARNINGS)
    program = compile_host(sources, tmp_path / "runner", compiler, shared=False, flags=flags)
    stream = b"".join(w.tobytes() for w in windows)
    done = subprocess.run([program], input=stream, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[:2000]
    position = 0
    for model, plan, x in zip(models, plans, windows, strict=True):
        outputs = run(model, x)
        for number in range(len(x)):
            got = np.frombuffer(done.stdout, "<i4", 3, position)
            assert got.tolist() == outputs[model.graph.output.name][number].tolist()
            arena = done.stdout[position + 12 :]
            for op in list(model.graph)[1:]:
                if op.output_bytes:
                    start = plan.offsets[op.name]
                    assert arena[start : start + op.output_bytes] == outputs[op.name][number].tobytes(), op
            position += 12 + plan.arena_bytes
    assert position == len(done.stdout)


def sensor_windows(rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
    ppg = rng.normal(0, 1, (6, samples)) * 10.0 ** rng.uniform(-4, 5, (6, 1)) + rng.normal(0, 1000, (6, 1))
    ppg[0] = 5.0
    acc = rng.normal(0, 0.3, (6, samples, 3)) + [0, 0, 1]
    return ppg.astype(np.float32), acc.astype(np.float32)


def model_with_input(channels: int) -> IntegerModel:
    rng = np.random.default_rng(17 + channels)
    while True:
        graph = random_graph(rng)
        if graph.input.channels_in == channels:
            return random_model(rng, graph)


@pytest.mark.parametrize("channels", [1, 4])
def test_prepared_windows_equal_numpy_on_this_machine(channels: int, tmp_path: Path) -> None:
    model = model_with_input(channels)
    library = ctypes.CDLL(str(compile_host(generate(model), tmp_path / "model.so")))
    samples = model.graph.input.length_in
    ppg, acc = sensor_windows(np.random.default_rng(1), samples)
    grid = model.quantization[model.graph.input.name]
    for acc_given in (acc, None):
        expected = prepare_window(model.input, grid, ppg, acc_given)
        for number in range(len(ppg)):
            got = np.zeros((samples, channels), np.int8)
            axes = acc[number].ctypes.data if acc_given is not None else None
            library.ppgnet_prepare(
                ctypes.c_void_p(got.ctypes.data),
                ctypes.c_void_p(ppg[number].ctypes.data),
                ctypes.c_void_p(axes),
            )
            assert (got == expected[number]).all()


@pytest.mark.arm
@pytest.mark.parametrize("channels", [1, 4])
def test_prepared_windows_equal_numpy_on_the_emulated_core(channels: int) -> None:
    model = model_with_input(channels)
    emulator = Emulator(toolchain().link(generate(model)))
    samples = model.graph.input.length_in
    ppg, acc = sensor_windows(np.random.default_rng(2), samples)
    expected = prepare_window(model.input, model.quantization[model.graph.input.name], ppg, acc)
    places = (RAM_BASE, RAM_BASE + 0x10000, RAM_BASE + 0x20000)
    for number in range(len(ppg)):
        writes = [(places[1], ppg[number].tobytes()), (places[2], acc[number].tobytes())]
        emulator.call("ppgnet_prepare", places, writes)
        got = np.frombuffer(emulator.read(places[0], samples * channels), np.int8).reshape(samples, channels)
        assert (got == expected[number]).all()


@pytest.mark.arm
def test_a_layer_outside_the_fast_form_still_computes_the_same() -> None:
    model = make_models(500, 1)[0]
    first = next(op for op in model.graph if op.has_parameters)
    quantization = dict(model.quantization)
    old = quantization[first.name]
    changed = dict(model.parameters)
    given = changed[first.name]
    changed[first.name] = type(given)(given.weight, given.bias, given.multiplier, np.full_like(given.shift, 1))
    quantization[first.name] = Quantization(old.scale, old.zero_point)
    forced = IntegerModel(model.graph, quantization, changed, model.head, model.input)
    assert list(fallbacks(forced)) == [first.name]
    check_on_emulator([forced, forced], toolchain(), np.random.default_rng(4))


@pytest.mark.arm
def test_depthwise_layers_that_fall_back_leave_their_input_alone() -> None:
    models = []
    for model in make_models(600, 16):
        names = [op.name for op in model.graph if op.kind == "depthwise"]
        given = model.parameters
        outside = {name: replace(given[name], shift=np.full_like(given[name].shift, 1)) for name in names}
        if set(names) & set(fallbacks(replaced := replace(model, parameters={**given, **outside}))):
            models += [replaced] * 2
    assert len(models) >= 8
    check_on_emulator(models, toolchain(), np.random.default_rng(4))


def test_the_kernel_hash_is_of_the_sources() -> None:
    assert re.fullmatch("[0-9a-f]{64}", kernel_hash())
    assert {"ppgnet_kernels.h", "ppgnet_shim.h", "ppgnet_matrix.c"} <= set(kernel_sources())
