"""The integer interpreter against independent oracles, and its file format."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.heads import exponential_table, heart_rate_constants, heart_rate_head, min_probability_q15
from hwmodels.network.interpreter import (
    ClassSettings,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    Quantization,
    QuantizationError,
    load_model,
    prepare_window,
    quantize,
    run,
    save_model,
)
from hwmodels.network.preparation import normalized_windows
from hwmodels.network.rounding import (
    multiply_by_quantized_multiplier,
    quantized_multiplier,
    rounding_divide_by_power_of_two,
    saturating_rounding_doubling_high_multiply,
)
from tests.hwmodels.random_networks import random_graph, random_model, random_windows


def truncated(fraction: Fraction) -> int:
    return int(fraction)


def test_high_multiply_is_gemmlowps_by_exact_fractions() -> None:
    rng = np.random.default_rng(0)
    edge = [-(1 << 31), (1 << 31) - 1, 0, 1, -1, 1 << 30, -(1 << 30)]
    pairs = [(a, b) for a in edge for b in edge]
    pairs += [tuple(map(int, pair)) for pair in rng.integers(-(1 << 31), 1 << 31, (300, 2))]
    for a, b in pairs:
        nudge = (1 << 30) if a * b >= 0 else 1 - (1 << 30)
        expected = truncated(Fraction(a * b + nudge, 1 << 31))
        expected = (1 << 31) - 1 if a == b == -(1 << 31) else expected
        assert saturating_rounding_doubling_high_multiply(a, b) == expected


def test_division_rounds_half_away_from_zero() -> None:
    for exponent in range(6):
        for x in range(-200, 200):
            exact = Fraction(abs(x), 1 << exponent) + Fraction(1, 2)
            expected = (exact.numerator // exact.denominator) * (1 if x >= 0 else -1)
            assert rounding_divide_by_power_of_two(x, exponent) == expected


def test_multiplier_and_shift_stand_for_the_real_factor() -> None:
    for real in (1e-6, 0.001, 0.3, 0.5, 0.99999999999, 1.0, 1.7, 30.0):
        multiplier, shift = quantized_multiplier(real)
        assert 1 << 30 <= multiplier < 1 << 31
        assert multiplier / 2**31 * 2.0**shift == pytest.approx(real, rel=1e-9)
        assert multiply_by_quantized_multiplier(1000, multiplier, shift) == pytest.approx(1000 * real, abs=1)


def test_both_roundings_at_once_are_those_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    ends = np.array([-(1 << 31), (1 << 31) - 1, -1, 0, 1, -(1 << 30), 1 << 30])
    x = np.concatenate([ends, rng.integers(-(1 << 31), 1 << 31, 5000), rng.integers(-300, 300, 5000)])[:, None]
    multiplier = np.array([0, 1 << 30, (1 << 31) - 1, *rng.integers(1 << 30, 1 << 31, 40)])
    for shift in (*range(-31, 1), 3):
        shifted = ((x << max(shift, 0)) + (1 << 31) & 0xFFFFFFFF) - (1 << 31)
        high = saturating_rounding_doubling_high_multiply(shifted, multiplier)
        expected = rounding_divide_by_power_of_two(high, max(-shift, 0))
        assert (multiply_by_quantized_multiplier(x, multiplier, np.full(len(multiplier), shift)) == expected).all()


def float_outputs(model: IntegerModel, x: np.ndarray) -> dict[str, torch.Tensor]:
    """The same network in torch's double precision, fed with the dequantized integer inputs of every op."""
    integers = run(model, x)
    found: dict[str, torch.Tensor] = {}

    def real(name: str) -> torch.Tensor:
        grid = model.quantization[name]
        return torch.from_numpy((integers[name].astype(np.float64) - grid.zero_point) * grid.scale).transpose(1, 2)

    for op in list(model.graph)[1:]:
        sources = [real(name) for name in model.graph.sources(op.name)]
        if op.kind == "add":
            y = sources[0] + sources[1]
        elif op.kind == "average_pool":
            y = torch.nn.functional.avg_pool1d(sources[0], op.length_in // op.length_out)
        elif op.has_parameters:
            parameters = model.parameters[op.name]
            scale_in = model.input_quantization(op).scale
            steps = parameters.multiplier / 2.0**31 * 2.0**parameters.shift
            scale = steps * model.quantization[op.name].scale / scale_in
            weight = torch.from_numpy(parameters.weight.astype(np.float64))
            bias = torch.from_numpy(parameters.bias * scale * scale_in)
            if op.kind == "depthwise":
                weight = weight.T[:, None]
            else:
                weight = weight.reshape(op.channels_out, op.kernel, -1).transpose(1, 2)
            weight = weight * torch.from_numpy(scale)[:, None, None]
            reach = (op.kernel - 1) * op.dilation + 1
            after = max(0, (op.length_out - 1) * op.stride + reach - op.padding_before - op.length_in)
            padded = torch.nn.functional.pad(sources[0], (op.padding_before, after))
            groups = op.channels_in if op.kind == "depthwise" else 1
            y = torch.nn.functional.conv1d(padded, weight, bias, stride=op.stride, dilation=op.dilation, groups=groups)[
                ..., : op.length_out
            ]
        else:
            continue
        found[op.name] = y.clamp(min=0) if op.activation == "relu" else y
    return found


@pytest.mark.parametrize("seed", range(12))
def test_every_op_is_within_one_step_of_double_precision(seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = random_model(rng, random_graph(rng))
    x = random_windows(rng, model.graph, 3)
    outputs = run(model, x)
    for name, exact in float_outputs(model, x).items():
        grid = model.quantization[name]
        ideal = np.clip(exact.transpose(1, 2).numpy() / grid.scale + grid.zero_point, -128, 127)
        assert np.abs(outputs[name] - ideal).max() <= 1.01, name


def heart_rate_model_logits(belief: np.ndarray, scale: float) -> np.ndarray:
    logits = np.log(np.maximum(belief, 1e-9)) / scale
    return np.clip(np.rint(logits - logits.max() + 127), -128, 127).astype(np.int8)


def test_heart_rate_is_the_median_and_spread_its_expected_error() -> None:
    rng = np.random.default_rng(5)
    settings, scale, bins = HeartRateSettings(30, 220, 20), 0.05, 96
    centres = np.linspace(30, 220, bins)
    step = centres[1] - centres[0]
    for _ in range(50):
        middle, width = rng.uniform(50, 200), rng.uniform(2, 25)
        q = heart_rate_model_logits(np.exp(-(np.abs((centres - middle) / width) ** 1.5)), scale)
        estimate, spread, valid = heart_rate_head(q[None], scale, settings)[0]
        p = np.exp(scale * (q.astype(float) - q.max()))
        p /= p.sum()
        edges = np.concatenate([[0], p.cumsum()])
        median = np.interp(0.5, edges, 30 - step / 2 + step * np.arange(bins + 1))
        assert estimate / 256 == pytest.approx(median, abs=0.05)
        expected_error = float((p * np.abs(centres - median)).sum())
        assert spread / 256 == pytest.approx(expected_error, rel=0.006, abs=0.02)
        assert valid == (spread <= 20 * 256)


def test_a_limit_that_is_not_set_lets_every_window_pass_and_is_the_largest_that_kernels_know() -> None:
    assert heart_rate_constants(HeartRateSettings(30, 220), 96) == heart_rate_constants(
        HeartRateSettings(30, 220, 1000), 96
    )
    flat = np.zeros((1, 96), np.int8)
    assert heart_rate_head(flat, 0.05, HeartRateSettings(30, 220))[0, 2] == 1
    assert heart_rate_head(flat, 0.05, HeartRateSettings(30, 220, 5))[0, 2] == 0
    names = ("a", "b", "c")
    assert min_probability_q15(ClassSettings(names)) == min_probability_q15(ClassSettings(names, 0.0)) == 0


def test_what_a_head_returns_is_decoded_by_its_own_units() -> None:
    rows = np.array([[72 * 256 + 128, 640, 1], [2, 8192, 0]], np.int32)
    bpm, error = HeartRateSettings(30, 220).decoded(rows[:1])
    assert (float(bpm[0]), float(error[0])) == (72.5, 2.5)
    index, wrong = ClassSettings(("a", "b", "c")).decoded(rows[1:])
    assert (float(index[0]), float(wrong[0])) == (2.0, 0.75)


@pytest.mark.parametrize("limit_bpm", [None, 12.5])
def test_a_model_file_keeps_whether_a_limit_is_set(limit_bpm: float | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    model = random_model(rng, random_graph(rng))
    head = model.head
    if isinstance(head, HeartRateSettings):
        head = dataclasses.replace(head, max_spread_bpm=limit_bpm)
    else:
        head = dataclasses.replace(head, min_probability=None if limit_bpm is None else 0.5)
    save_model(dataclasses.replace(model, head=head), tmp_path / "model.npz")
    assert load_model(tmp_path / "model.npz").head == head


def test_belief_table_falls_from_full_scale() -> None:
    table = exponential_table(0.05)
    assert table[0] == 65535
    assert (np.diff(table.astype(int)) <= 0).all()


@pytest.mark.parametrize("sensors", ["ppg", "ppg_acc"])
def test_prepared_windows_are_normalized_per_window(sensors: str) -> None:
    rng = np.random.default_rng(3)
    settings = InputSettings(32.0, 8.0, sensors, (0.4, 8.0), 0.3)
    grid = Quantization(0.03, -7)
    ppg = (rng.normal(0, 1, (5, 256)) * rng.uniform(0.01, 1e4, (5, 1)) + 300).astype(np.float32)
    acc = rng.normal(0, 0.2, (5, 256, 3)).astype(np.float32) + np.float32(1)
    got = prepare_window(settings, grid, ppg, acc).astype(float)
    normal = normalized_windows(ppg, acc, 32.0)[:, :, : settings.channels]
    np.testing.assert_allclose(normal[:, :, 0].std(axis=1), 1, rtol=1e-4)
    assert np.abs(got - np.clip(normal / 0.03 - 7, -128, 127)).max() <= 0.52


def test_constant_and_broken_windows_do_not_raise() -> None:
    settings, grid = InputSettings(32.0, 8.0, "ppg", (0.4, 8.0), 0.3), Quantization(0.03, 0)
    assert (prepare_window(settings, grid, np.full((1, 256), 7, np.float32), None) == 0).all()
    prepare_window(settings, grid, np.full((1, 256), np.nan, np.float32), None)


def test_a_saved_model_loads_equal_and_saves_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    model = random_model(rng, random_graph(rng))
    save_model(model, tmp_path / "a.npz")
    loaded = load_model(tmp_path / "a.npz")
    save_model(loaded, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert loaded.graph == model.graph
    x = random_windows(rng, model.graph, 2)
    before, after = run(model, x), run(loaded, x)
    assert all((before[name] == after[name]).all() for name in before)


@pytest.mark.parametrize("kept", [0, 10, 200, -1, -100])
def test_a_cut_model_file_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    rng = np.random.default_rng(8)
    path = tmp_path / "model.npz"
    save_model(random_model(rng, random_graph(rng)), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"model\.npz") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


def test_a_missing_model_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_model(tmp_path / "absent.npz")


def test_parts_that_do_not_fit_are_refused_by_name() -> None:
    rng = np.random.default_rng(9)
    model = random_model(rng, random_graph(rng))
    first = next(op for op in model.graph if op.has_parameters)
    missing = {name: p for name, p in model.parameters.items() if name != first.name}
    with pytest.raises(QuantizationError, match=first.name):
        dataclasses.replace(model, parameters=missing)
    with pytest.raises(QuantizationError, match="no float parameters"):
        quantize(model.graph, {}, model.quantization, model.head, model.input)
    with pytest.raises(InputError, match="reads int8 windows"):
        run(model, np.zeros((1, 2, 3), np.int8))
    bare = LayerGraph([(Op("input", "input", 256, 1, 256, 1), ())])
    with pytest.raises(QuantizationError, match="must end in a head"):
        IntegerModel(bare, {"input": Quantization(0.1, 0)}, {}, model.head, model.input)
