"""Every kernel on the emulated core equals the interpreter, bit for bit, over random shapes and scales."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import ToolchainError, find_toolchain, host_toolchain
from hwmodels.device.cortex_m7 import PipelineModel
from hwmodels.emulation.emulator import Emulator
from hwmodels.emulation.kernel_call import CORE_MEMORY, kernel_call, place_call
from hwmodels.kernels.constants import kernel_constants
from hwmodels.kernels.variants import (
    UnsupportedOpError,
    all_kernels,
    kernel_image,
    scratch_bytes,
    variant_of,
)
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.interpreter import (
    ClassSettings,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    IntegerParameters,
    Quantization,
    weight_shape,
)
from hwmodels.network.interpreter import run as interpret
from hwmodels.network.operation_kind import FastFormError, Operands
from hwmodels.network.operations.add import ADD_EXACT, add_constants, add_int8
from hwmodels.network.operations.weighted import EXACT
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier
from hwmodels.schedule.memory import may_write_over_input
from hwmodels.validation.kernel_trials import HostKernels, Trial, random_trial, run_trials

pytestmark = pytest.mark.arm

_EXPECTED_VARIANTS = {
    "conv": {"matrix_relu_3", "matrix_relu_any", "matrix_linear_4", "matrix_linear_any", "dense"},
    "depthwise": {
        *(f"depthwise_{form}_{taps}" for form in ("relu", "linear", "spaced") for taps in (3, 5, 7, 9)),
        "depthwise_any",
        "exact",
    },
    "fully_connected": {"dense"},
}


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    try:
        return Emulator(kernel_image(find_toolchain()))
    except ToolchainError as error:
        pytest.skip(str(error))


def random_op(rng: np.random.Generator, kind: str) -> Op:
    length = int(rng.integers(1, 70))
    channels = int(rng.choice([1, 3, 4, 6, 8, 12, 16, 20, 33]))
    outputs = int(rng.choice([1, 2, 3, 4, 5, 8, 14, 16, 32]))
    stride = int(rng.choice([1, 1, 2, 3]))
    if kind == "fully_connected":
        return Op("op", kind, 1, channels, 1, outputs, activation=str(rng.choice(["none", "relu"])))  # type: ignore[arg-type]
    return Op(
        "op",
        kind,  # type: ignore[arg-type]
        length,
        channels,
        -(-length // stride),
        channels if kind == "depthwise" else outputs,
        kernel=int(rng.integers(1, 10)),
        stride=stride,
        dilation=int(rng.choice([1, 1, 2, 3, 4, 8, 16])),
        padding=str(rng.choice(["causal", "centred"])),  # type: ignore[arg-type]
        activation=str(rng.choice(["none", "relu"])),  # type: ignore[arg-type]
    )


def random_grids(rng: np.random.Generator, op: Op) -> tuple[Quantization, Quantization]:
    zero_points = rng.integers(-128, 128, 2)
    if op.activation == "relu":
        zero_points[1] = -128
    return Quantization(0.1, int(zero_points[0])), Quantization(0.1, int(zero_points[1]))


def random_parameters(rng: np.random.Generator, op: Op, extreme: bool) -> IntegerParameters:
    """Weights, biases and multipliers; shifts that leave the outputs spread over the int8 range."""
    depth = op.weight_count // op.channels_out
    low = -127 if rng.random() < 0.5 else 100
    weight = rng.integers(low, 128, weight_shape(op)).astype(np.int8)
    natural = int(np.log2(128 * 60 * np.sqrt(depth) / 60)) + 1
    shift = rng.integers(1, 23, op.channels_out) if extreme else rng.integers(natural - 3, natural + 3, op.channels_out)
    bound = 1 << (29 if extreme else 14)
    multiplier = rng.integers(1 << 30, 1 << 31, op.channels_out)
    if extreme:
        multiplier[0] = (1 << 31) - 1
    return IntegerParameters(
        weight,
        rng.integers(-bound, bound, op.channels_out).astype(np.int32),
        multiplier.astype(np.int32),
        -shift.astype(np.int32),
    )


def expected_output(
    op: Op, parameters: IntegerParameters, grids: tuple[Quantization, Quantization], x: np.ndarray
) -> np.ndarray:
    """By plain loops over exact integers, apart from the interpreter's vectorised form."""
    weight = parameters.weight.astype(np.int64)
    centred = x.astype(np.int64) - grids[0].zero_point
    total = np.tile(parameters.bias.astype(np.int64), (op.length_out, 1))
    for position in range(op.length_out):
        for tap in range(op.kernel):
            time = position * op.stride + tap * op.dilation - op.padding_before
            if 0 <= time < op.length_in:
                if op.kind == "depthwise":
                    total[position] += weight[tap] * centred[time]
                else:
                    total[position] += weight.reshape(op.channels_out, op.kernel, -1)[:, tap] @ centred[time]
    scaled = multiply_by_quantized_multiplier(total, parameters.multiplier, parameters.shift)
    lowest = grids[1].zero_point if op.activation == "relu" else -128
    return clamp_int8(scaled + grids[1].zero_point, lowest)


@pytest.mark.parametrize("kind", ["conv", "depthwise", "fully_connected"])
@pytest.mark.parametrize("forced", ["fast", "exact"])
def test_weighted_kernels_equal_plain_loops(emulator: Emulator, kind: str, forced: str) -> None:
    rng = np.random.default_rng(11)
    seen: set[str] = set()
    for case in range({"exact": 40}.get(forced, 400 if kind == "depthwise" else 120)):
        op = random_op(rng, kind)
        grids = random_grids(rng, op)
        parameters = random_parameters(rng, op, extreme=case % 4 == 0)
        x = rng.integers(-128, 128, (op.length_in, op.channels_in)).astype(np.int8)
        if case % 5 == 0:
            x[:] = rng.choice([-128, 127])
        variant = EXACT if forced == "exact" else variant_of(op)
        try:
            call = place_call(op, parameters, grids, [x], variant=variant)
        except FastFormError:
            assert case % 4 == 0 or op.weight_count // op.channels_out > 128
            continue
        seen.add(variant.name)
        emulator.write(call.output - 8, b"\x77" * (op.output_bytes + 24))
        emulator.call(call.function, call.arguments, call.writes)
        got = np.frombuffer(emulator.read(call.output, op.output_bytes), np.int8)
        expected = expected_output(op, parameters, grids, x)
        assert (got.reshape(expected.shape) == expected).all(), (op, grids)
        beyond = emulator.read(call.output + op.output_bytes, 8)
        assert beyond[-op.output_bytes % 4 :][:4] == b"\x77" * 4, f"{op} wrote past its output"
    if forced == "fast":
        assert seen >= _EXPECTED_VARIANTS[kind]


def test_c_on_the_core_and_on_this_machine_is_the_interpreter(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = HostKernels(host_toolchain())
    for number, kernel in enumerate(all_kernels()):
        found = run_trials(kernel, 5, np.random.default_rng([31, number]), emulator, host)
        assert (found.cases, found.core_mismatches, found.host_mismatches) == (5, 0, 0), found
    monkeypatch.setattr(Trial, "expected", lambda trial: bytes(trial.op.output_bytes))
    found = run_trials(EXACT, 5, np.random.default_rng(32), emulator, host)
    assert found.core_mismatches == found.host_mismatches > 0 and found.first


@pytest.mark.parametrize("activation", ["relu", "none"])
def test_depthwise_kernels_of_10_to_33_taps_are_exact_and_no_slower_a_mac_than_8(
    emulator: Emulator, activation: Literal["relu", "none"]
) -> None:
    pipeline, cycles, rng = PipelineModel(kernel_image(find_toolchain())), {}, np.random.default_rng(43)
    for taps in (8, *range(10, 34)):
        for dilation, length in ((1, 128), (4, 37), (16, 9)):
            op = Op("op", "depthwise", length, 8, length, 8, taps, 1, dilation, activation=activation)
            grids = (Quantization(0.05, int(rng.integers(-128, 128))), Quantization(0.04, -128))
            parameters = random_parameters(rng, op, extreme=False)
            x = rng.integers(-128, 128, (length, 8)).astype(np.int8)
            call = place_call(op, parameters, grids, [x])
            done = emulator.call(call.function, call.arguments, call.writes)
            got = np.frombuffer(emulator.read(call.output, op.output_bytes), np.int8).reshape(x.shape)
            assert (got == expected_output(op, parameters, grids, x)).all(), op
            if dilation == 1:
                cycles[taps] = pipeline.cycles(done) / op.macs
    assert max(cycles.values()) == cycles[8]


def test_depthwise_kernels_may_write_over_their_input(emulator: Emulator) -> None:
    host = HostKernels(host_toolchain())
    kernels = [kernel for kernel in all_kernels() if kernel.name.startswith("depthwise")]
    assert len(kernels) == 37
    for number, kernel in enumerate(kernels):
        rng, checked = np.random.default_rng([41, number]), 0
        while checked < 6:
            trial = random_trial(kernel, rng)
            expected = trial.expected()
            try:
                calls = [trial.call(memory, len(expected)) for memory in (CORE_MEMORY, host.memory)]
            except FastFormError:
                continue
            if not may_write_over_input(trial.op, scratch_bytes(trial.op)):
                continue
            checked += 1
            on_core, on_host = (
                replace(call, arguments=(*call.arguments[:3], place, call.arguments[4]), output=place)
                for call in calls
                for place in call.arguments[1:2]
            )
            emulator.call(on_core.function, on_core.arguments, on_core.writes)
            assert emulator.read(on_core.output, len(expected)) == expected, trial.op
            assert host.output(on_host, len(expected)) == expected, trial.op


@pytest.mark.parametrize("forced", ["fast", "exact"])
def test_add_is_tflites_on_all_pairs(emulator: Emulator, forced: str) -> None:
    rng = np.random.default_rng(2)
    values = np.arange(-128, 128)
    first, second = (v.astype(np.int8).reshape(256, 256) for v in np.meshgrid(values, values, indexing="ij"))
    op = Op("op", "add", 256, 256, 256, 256)
    proven = 0
    for case in range(12 if forced == "fast" else 2):
        scales = rng.uniform(0.01, 0.1, 2)
        scales[1] = scales[0] if case % 3 == 0 else scales[1]
        third = 2 * scales[0] if case % 6 == 0 else max(scales) * rng.uniform(0.5, 2)
        grids = tuple(Quantization(float(scale), int(rng.integers(-128, 128))) for scale in (*scales, third))
        try:
            call = place_call(op, None, grids, [first, second], variant=ADD_EXACT if forced == "exact" else None)
        except FastFormError:
            continue
        proven += 1
        emulator.call(call.function, call.arguments, call.writes)
        got = np.frombuffer(emulator.read(call.output, 1 << 16), np.int8).reshape(256, 256)
        assert (got == add_int8(first, second, (grids[0], grids[1], grids[2]), -128)).all()
    assert proven >= (11 if forced == "fast" else 2)


def test_add_constants_are_found_for_almost_all_scales() -> None:
    rng = np.random.default_rng(4)
    failed = 0
    for _ in range(100):
        scales = rng.uniform(0.005, 0.1, 2)
        grids = [Quantization(float(s), int(rng.integers(-128, 128))) for s in scales]
        grids.append(Quantization(float(max(scales) * rng.uniform(0.6, 2)), int(rng.integers(-128, 128))))
        try:
            add_constants((grids[0], grids[1], grids[2]))
        except FastFormError:
            failed += 1
    assert failed <= 1


def head_model(kind: str, logits: int, head: HeartRateSettings | ClassSettings, scale: float) -> IntegerModel:
    nodes = [
        (Op("input", "input", 1, 1, 1, 1), ()),
        (Op("logits", "conv", 1, 1, 1, logits), ("input",)),
        (Op("head", kind, 1, logits, 1, logits), ("logits",)),  # type: ignore[arg-type]
    ]
    zeros = np.zeros(logits, np.int32)
    parameters = IntegerParameters(np.zeros((logits, 1, 1), np.int8), zeros, zeros + (1 << 30), zeros - 5)
    grids = {"input": Quantization(0.1, 0), "logits": Quantization(scale, 3)}
    return IntegerModel(LayerGraph(nodes), grids, {"logits": parameters}, head, InputSettings(1, 1, "ppg", (0.1, 1), 1))


@pytest.mark.parametrize("kind", ["heart_rate_head", "class_head"])
def test_heads_equal_the_interpreter(emulator: Emulator, kind: str) -> None:
    from hwmodels.network.interpreter import run_op

    rng = np.random.default_rng(6)
    for case in range(60):
        logits = int(rng.integers(2, 257))
        head: HeartRateSettings | ClassSettings = HeartRateSettings(
            float(rng.uniform(20, 60)), float(rng.uniform(100, 300)), float(rng.uniform(0, 60))
        )
        if kind == "class_head":
            head = ClassSettings(tuple(map(str, range(logits))), float(rng.uniform(0, 1)))
        model = head_model(kind, logits, head, float(rng.uniform(0.001, 0.3)))
        op = model.graph.output
        q = rng.integers(-128, 128, (1, logits)).astype(np.int8)
        if case % 3 == 0:
            q[:] = rng.choice([-128, 127, 0])
        elif case % 3 == 1:
            q[0] = np.clip(127 - 2 * np.abs(np.arange(logits) - rng.integers(logits)), -128, 127)
        call = place_call(op, None, (model.quantization["logits"],), [q], head)
        emulator.call(call.function, call.arguments, call.writes)
        got = np.frombuffer(emulator.read(call.output, 12), "<i4")
        assert got.tolist() == run_op(model, op, {"logits": q[None]})[0].tolist()


def test_average_pool_rounds_half_away_from_zero(emulator: Emulator) -> None:
    rng = np.random.default_rng(7)
    for _ in range(30):
        count, segments, channels = (int(v) for v in (rng.integers(1, 60), rng.integers(1, 5), rng.integers(1, 13)))
        op = Op("op", "average_pool", count * segments, channels, segments, channels)
        x = rng.integers(-128, 128, (op.length_in, channels)).astype(np.int8)
        grid = Quantization(0.1, int(rng.integers(-128, 128)))
        call = place_call(op, None, (grid, grid), [x])
        emulator.call(call.function, call.arguments, call.writes)
        got = np.frombuffer(emulator.read(call.output, op.output_bytes), np.int8).reshape(segments, channels)
        total = x.astype(int).reshape(segments, count, channels).sum(axis=1)
        assert (got == np.sign(total) * ((2 * np.abs(total) + count) // (2 * count))).all()


def test_instructions_depend_on_the_shape_alone(emulator: Emulator) -> None:
    shapes = [
        Op("op", "conv", 33, 8, 33, 16),
        Op("op", "conv", 33, 1, 17, 8, kernel=7, stride=2),
        Op("op", "conv", 3, 8, 3, 16, kernel=3),
        Op("op", "depthwise", 50, 8, 50, 8, kernel=5, dilation=4),
        Op("op", "depthwise", 50, 8, 25, 8, kernel=5, stride=2, padding="centred"),
        Op("op", "add", 20, 8, 20, 8),
        Op("op", "average_pool", 20, 8, 1, 8),
        Op("op", "fully_connected", 1, 16, 1, 9),
        Op("op", "heart_rate_head", 1, 70, 1, 70),
        Op("op", "class_head", 1, 5, 1, 5),
    ]
    for op in shapes:
        seen = set()
        for seed in range(4):
            call = kernel_call(op, np.random.default_rng(seed))
            done = emulator.call(call.function, call.arguments, call.writes)
            seen.add((done.instructions, tuple(sorted(done.edges.items()))))
        assert len(seen) == 1, op


def test_instructions_per_mac_stay_within_what_was_reached(emulator: Emulator) -> None:
    goals = [
        (Op("op", "conv", 128, 32, 128, 64), 1.38),
        (Op("op", "conv", 128, 64, 128, 64), 1.2),
        (Op("op", "conv", 64, 32, 64, 32, kernel=3, dilation=4), 1.2),
        (Op("op", "depthwise", 128, 32, 128, 32, kernel=5), 3.5),
        (Op("op", "fully_connected", 1, 128, 1, 64), 1.8),
    ]
    for op, most in goals:
        call = kernel_call(op, np.random.default_rng(0))
        done = emulator.call(call.function, call.arguments, call.writes)
        assert done.instructions / op.macs <= most, op


def test_parameters_outside_the_fast_form_are_refused_with_the_reason() -> None:
    op = Op("op", "conv", 8, 4, 8, 4, activation="relu")
    grids = (Quantization(0.1, 0), Quantization(0.1, -128))
    zeros = np.zeros(4, np.int32)
    weight = np.ones((4, 1, 4), np.int8)

    def chosen(bias: int, shift: int, zero_point: int = -128) -> tuple[str, str]:
        parameters = IntegerParameters(weight, zeros + bias, zeros + (1 << 30), zeros + shift)
        made = kernel_constants(op, Operands((grids[0], Quantization(0.1, zero_point)), parameters))
        return made.variant.name, made.reason

    assert chosen(0, -5) == ("matrix_relu_3", "")
    # each bias lies between two outputs, so that inputs decide which of them comes out
    name, reason = chosen(1 << 16, -16)
    assert name == "matrix_linear_4" and "16 exceeds 15" in reason
    for bias, shift, zero_point, why in (
        (0, -5, 5, "zero point 5"),
        (0, 0, -128, "leave 1 to 22"),
        (0, 1, -128, "leave 1 to 22"),
        (1 << 23, -23, -128, "leave 1 to 22"),
        ((1 << 30) + (1 << 22), -22, -128, "reach 2\\^30"),
        ((1 << 22) + (1 << 14), -14, -128, "reach 2\\^22"),
    ):
        name, reason = chosen(bias, shift, zero_point)
        assert name == "exact" and re.search(why, reason), reason


def test_an_op_without_a_kernel_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedOpError, match="'wide'"):
        variant_of(Op("wide", "conv", 8, 70000, 8, 4))
    with pytest.raises(InputError, match="2 to 256 logits"):
        variant_of(Op("many", "class_head", 1, 300, 1, 300))


def test_the_interpreter_equals_plain_loops() -> None:
    rng = np.random.default_rng(13)
    for _ in range(40):
        op = random_op(rng, str(rng.choice(["conv", "depthwise"])))
        grids = random_grids(rng, op)
        parameters = random_parameters(rng, op, extreme=False)
        tail = [
            (Op("pool", "average_pool", op.length_out, op.channels_out, 1, op.channels_out), ("op",)),
            (Op("logits", "fully_connected", 1, op.channels_out, 1, 2), ("pool",)),
            (Op("head", "class_head", 1, 2, 1, 2), ("logits",)),
        ]
        if op.channels_in not in (1, 4):
            continue
        source = Op("input", "input", op.length_in, op.channels_in, op.length_in, op.channels_in)
        zeros = np.zeros(2, np.int32)
        logits = IntegerParameters(np.ones((2, op.channels_out), np.int8), zeros, zeros + (1 << 30), zeros - 5)
        model = IntegerModel(
            LayerGraph([(source, ()), (op, ("input",)), *tail]),
            {"input": grids[0], "op": grids[1], "pool": grids[1], "logits": grids[1]},
            {"op": parameters, "logits": logits},
            ClassSettings(("a", "b"), 0.5),
            InputSettings(1, op.length_in, "ppg" if op.channels_in == 1 else "ppg_acc", (0.1, 1), 1),
        )
        x = rng.integers(-128, 128, (2, op.length_in, op.channels_in)).astype(np.int8)
        for window, got in zip(x, interpret(model, x)["op"], strict=True):
            assert (got == expected_output(op, parameters, grids, window)).all()
