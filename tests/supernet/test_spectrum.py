"""Spectra as networks read them: the definition, its twins in C and torch, the space over them, witnesses."""

import argparse
import ctypes

import numpy as np
import pytest
import torch

from benchmarks.hardware import integer
from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import compile_host, find_toolchain
from hwmodels.codegen.network_source import generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import load_device
from hwmodels.device.target import Target
from hwmodels.emulation.emulator import Emulator
from hwmodels.network.graph import GraphError, Op
from hwmodels.network.preparation import prepare_window
from hwmodels.schedule.step_graph import StreamingError, streaming_step
from hwmodels.signals import spectrum
from hwmodels.validation.network_check import random_model, run_preparation
from nas.assembly.hardware import cached_table
from nas.assembly.run_space import space_of
from nas.run.config import ConfigError, parse_config
from search.costs.cost_plan import compile_costs
from supernet.network.extract import extract
from supernet.network.supernet import SuperNet
from supernet.settings.augmentation import Augmentation
from supernet.space.search_space import SpaceError, load_space
from supernet.tasks.task import HeartRateTask
from supernet.training.teaching import Teaching
from supernet.windows.torch_spectrum import spectra_of
from supernet.windows.training_set import Draw, input_of
from tests.supernet.supernet_sets import sines

SPACE = load_space("spectral")


def sine(bpm: float, amplitude: float = 1.4) -> np.ndarray:
    time = np.arange(128) / spectrum.RATE_HZ
    return (amplitude * np.sin(2 * np.pi * bpm / 60 * time)).astype(np.float32)[None, :, None]


@pytest.mark.parametrize("position", [8, 40, 100])
def test_a_beat_stands_at_its_own_frequency(position: int) -> None:
    found = spectrum.spectra(sine(spectrum.position_bpm(position)), spectrum.POSITIONS)[0]
    for stretch in range(len(spectrum.STRETCHES)):
        assert found[:, spectrum.PLACES + 2 * stretch].argmax() == position


def test_powers_are_logarithms_of_the_periodogram() -> None:
    rng = np.random.default_rng(1)
    signals = rng.normal(size=(3, 128, 4)).astype(np.float32)
    found = spectrum.spectra(signals, 104)
    at = spectrum.FIRST_POSITION + np.arange(104)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    power = np.abs(np.fft.fft(signals[:, 32:96, 2].astype(float) * window * 2 / 64, 512)) ** 2
    octaves = np.log2(power[:, 2 * at] + spectrum.FLOOR)
    column = spectrum.PLACES + 2 * spectrum.FEATURES + 2 * 2 + 1
    # A straight line within an octave lies at most 0.0861 below the logarithm (Mitchell 1962).
    difference = (octaves + 6) / 4 - found[:, :, column]
    assert difference.min() > -1e-3 and difference.max() < 0.0862 / 4 + 1e-3


def test_training_reads_what_firmware_makes() -> None:
    signals = torch.randn(5, 4, 128, generator=torch.Generator().manual_seed(0))
    exact = spectrum.spectra(signals.permute(0, 2, 1).numpy(), spectrum.POSITIONS)
    assert spectra_of(signals).permute(0, 2, 1).numpy() == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize(("scale", "zero_point"), [(0.0142, 2), (0.0331, -20), (1.7, 0)])
def test_whole_numbers_put_spectra_onto_the_grid(scale: float, zero_point: int) -> None:
    signals = np.random.default_rng(2).normal(size=(20, 128, 4)).astype(np.float32)
    signals[3], signals[4] = 0.0, 1e6 * signals[4]
    steps = spectrum.spectra(signals, 112).astype(float) / scale + zero_point
    found = spectrum.spectra_on_grid(signals, 112, scale, zero_point)
    np.testing.assert_allclose(np.clip(steps, -128, 127), found, atol=0.505)


@pytest.mark.parametrize("sign", [1, -1])
def test_nan_is_the_lowest_step(sign: int) -> None:
    signals = np.full((1, 128, 1), sign * np.float32("nan"), np.float32)
    assert (spectrum.spectra_on_grid(signals, 104, 0.02, 0)[:, :, spectrum.PLACES :] == -128).all()


def test_a_grid_too_fine_for_whole_numbers_is_refused() -> None:
    with pytest.raises(InputError, match=r"scale above 0\.00195312, got 0\.001"):
        spectrum.spectra_on_grid(np.zeros((1, 128, 1), np.float32), 104, 0.001, 0)


@pytest.mark.parametrize("signals", [1, 4])
def test_every_frequency_of_every_stretch_is_that_of_a_plain_transform(signals: int) -> None:
    x = np.random.default_rng(6).normal(size=(4, 128, signals)).astype(np.float32)
    found = spectrum.spectra(x, spectrum.MOST_POSITIONS)[:, :, spectrum.PLACES :].reshape(4, -1, signals, 4, 2)
    at = spectrum.FIRST_POSITION + np.arange(spectrum.MOST_POSITIONS)
    for number, (start, quarters) in enumerate(spectrum.STRETCHES):
        length = 32 * quarters
        taper = (1 - np.cos(2 * np.pi * np.arange(length) / length)) / length
        stretch = x[:, 32 * start : 32 * start + length].astype(float) * taper[:, None]
        power = (np.abs(np.fft.rfft(stretch, 512, axis=1)) ** 2 + spectrum.FLOOR).astype(np.float32)
        octaves = power.view(np.int32) * 2.0**-23 - 127
        for harmonic in (1, 2):
            np.testing.assert_allclose(
                found[:, :, :, number, harmonic - 1], (octaves[:, harmonic * at] + 6) / 4, atol=1e-5
            )


def test_places_differ_between_positions() -> None:
    places = spectrum.place_channels(spectrum.POSITIONS)
    assert len(np.unique(places, axis=0)) == spectrum.POSITIONS and np.abs(places).max() < 2


@pytest.mark.parametrize(("rate", "window", "positions"), [(32, 8, 104), (16, 4, 104), (16, 8, 200)])
def test_what_has_no_spectrum_is_refused(rate: float, window: float, positions: int) -> None:
    with pytest.raises(InputError):
        spectrum.require_readable(rate, window, positions)


def test_only_inputs_read_spectra_and_heads_take_positions_for_bins() -> None:
    with pytest.raises(GraphError, match="only an input reads"):
        Op("a", "add", 4, 4, 4, 4, reads="spectrum")
    graph = SPACE.lower(SPACE.smallest())
    assert graph.output.channels_in == graph["logits"].length_out == spectrum.POSITIONS


@pytest.mark.arm
@pytest.mark.parametrize("sensors", [0, 1])
def test_firmware_makes_the_same_spectra_to_the_bit(sensors: int) -> None:
    genes = SPACE.sample(1, np.random.default_rng(0))
    genes[:, 1] = sensors
    model = random_model(SPACE.lower(SPACE.decode(genes)[0]), np.random.default_rng(2))
    image = find_toolchain().link(generate(model))
    assert run_preparation(model, Emulator(image), Target()).mismatches == 0


def test_the_host_makes_them_too_even_of_nothing(tmp_path) -> None:
    model = random_model(SPACE.lower(SPACE.largest()), np.random.default_rng(3))
    rng = np.random.default_rng(4)
    ppg = rng.normal(size=(4, 128)).astype(np.float32)
    acc = rng.normal(size=(4, 128, 3)).astype(np.float32)
    ppg[1], acc[2] = 0.0, 0.0
    ppg[3] = np.nan
    expected = prepare_window(model.input, model.quantization[model.graph.input.name], ppg, acc)
    library = ctypes.CDLL(str(compile_host(generate(model), tmp_path / "model.so")))
    for number in range(4):
        got = np.empty_like(expected[0])
        library.ppgnet_prepare(
            *(ctypes.c_void_p(a.ctypes.data) for a in (got, ppg[number], np.ascontiguousarray(acc[number])))
        )
        assert (got == expected[number]).all(), number


def test_subnets_are_the_supernets_members() -> None:
    supernet = SuperNet(SPACE, np.random.default_rng(0))
    spectra = spectra_of(torch.randn(6, 4, 128))
    for arch in SPACE.decode(SPACE.sample(3, np.random.default_rng(5))):
        x = spectra[:, : arch.channels]
        subnet = extract(supernet, arch).train()
        assert torch.allclose(supernet(x, arch), subnet(x), atol=1e-4), arch


def test_a_network_over_spectra_can_teach() -> None:
    training = sines(12)
    arch = SPACE.smallest()
    network = extract(SuperNet(SPACE, np.random.default_rng(0)), arch)
    task = HeartRateTask(bins=SPACE.outputs)
    draw = Draw(training, Augmentation(), task, 0, 0)
    teaching = Teaching(network, arch.rate_hz, arch.channels, reads="spectrum")
    with torch.no_grad():
        expected = network.eval()(input_of(draw.inputs(np.arange(12), (arch.rate_hz,)), arch))
    assert torch.equal(teaching.of(draw).logits, expected)
    assert teaching.of_window(8.0).logits.shape == (2, SPACE.outputs)


@pytest.mark.arm
def test_gathered_costs_are_those_of_the_graph() -> None:
    model = CostModel(cached_table(SPACE, load_device("cortex-m7-64mhz").target), load_device("cortex-m7-64mhz"))
    genes = SPACE.sample(40, np.random.default_rng(6))
    costs = compile_costs(SPACE, model).costs(genes)
    for index, arch in enumerate(SPACE.decode(genes)):
        cost = model.cost(SPACE.lower(arch))
        assert costs.row(index) == {name: getattr(cost, name) for name in costs.row(index)}


def test_spectra_do_not_stream() -> None:
    with pytest.raises(StreamingError, match="whole windows"):
        streaming_step(SPACE.lower(SPACE.smallest()), 32)


@pytest.mark.arm
@pytest.mark.slow
def test_all_witnesses_agree_over_spectra() -> None:
    parser = argparse.ArgumentParser()
    integer.add_arguments(parser)
    found = integer.run(parser.parse_args(["--archs", "2", "--space", "spectral", "--workers", "1"]))
    assert found["mismatches"] == {"qat": 0, "c_host": 0, "c_m7": 0, "litert": 0}
    assert found["onnx_max_ulp"] <= 1


def test_a_task_that_does_not_fit_is_told() -> None:
    content = {"name": "a", "space": "spectral", "data": {"sources": [{"kind": "synthetic"}]}}
    with pytest.raises(SpaceError, match=r"bins: 104, first_bpm: 30, last_bpm: 223\.125"):
        space_of(parse_config(content, "a.yaml"))
    with pytest.raises(ConfigError, match=r"from 30 to 223\.125"):
        space_of(parse_config({**content, "task": {"bins": 104}}, "a.yaml"))
