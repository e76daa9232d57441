"""A bundle with context: its golden vectors are successive steps, and every implementation agrees on them."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
import torch

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import HeartRateSettings, InputSettings, IntegerModel, quantize_input, run
from hwmodels.validation.network_check import random_model
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.deploy.bundle import read_bundle
from nas.deploy.formats.registry import written as file_of
from nas.deploy.golden import golden_past
from nas.deploy.verification.torch_runtime import qat_tensors
from nas.deploy.verification.verify import verify_bundle
from supernet.network.subnet import Subnet
from supernet.space.search_space import load_space
from supernet.windows.steps import Windows
from tests.hwmodels.test_codegen import toolchain
from tests.hwmodels.test_context import graph
from tests.nas.test_bundle import library, needs_host_compiler, written

SPACE = Path(__file__).parents[2] / "configs" / "spaces" / "context.yaml"


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    rng = np.random.default_rng(1)
    return random_model(graph(rng), rng)


@pytest.fixture(scope="module")
def bundle(model: IntegerModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(model, tmp_path_factory.mktemp("context") / "export")


def test_golden_vectors_are_steps_with_one_restart(bundle: Path, model: IntegerModel) -> None:
    found = read_bundle(bundle)
    past = golden_past(model, len(found.golden_inputs))
    assert past.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    outputs = run(model, found.golden_inputs, past=past)["head"]
    np.testing.assert_array_equal(found.golden_outputs, outputs)
    assert (outputs != run(model, found.golden_inputs)["head"]).any(), "the past changes nothing"
    assert found.front.step_s == 2.0 and "ppgnet_restart forgets" in (bundle / "README.md").read_text()


@needs_host_compiler
def test_its_self_test_passes_twice_on_this_machine(bundle: Path, tmp_path: Path) -> None:
    loaded = library(bundle, tmp_path, "")
    arena = (ctypes.c_int8 * (1 << 18))()
    assert loaded.ppgnet_selftest(arena, None, None) == loaded.ppgnet_selftest(arena, None, None) == 0


@pytest.mark.arm
def test_it_is_verified_by_every_implementation(bundle: Path) -> None:
    found = verify_bundle(bundle, toolchain=toolchain(), full=True)
    assert found["mismatches"] == 0 and found["firmware"]["mismatches"] == 0
    compared = {row["witness"] for row in found["witnesses"] if row["elements"]}
    assert {"C on this machine", "C on the emulated core", "the bundle's C on the emulated core"} <= compared


def test_the_quantized_module_computes_what_the_interpreter_does_after_any_restart() -> None:
    space, rng = load_space(str(SPACE)), np.random.default_rng(3)
    graph = next(g for g in map(space.lower, space.decode(space.sample(30, rng))) if g.spans_windows)
    x = torch.from_numpy(rng.normal(0, 1, (40, graph.input.channels_in, graph.input.length_in)).astype(np.float32))
    past = np.where(np.arange(40) < 17, np.arange(40), np.arange(40) - 17)
    network = FakeQuantNetwork(Subnet(graph, rng).eval())
    network.calibrate([Windows(x, torch.from_numpy(past))])
    settings = InputSettings(16, 8, "ppg_acc", (0.4, 8.0), 0.3, reads="spectrum", positions=graph.input.length_in)
    model = network.eval().export(HeartRateSettings(30, 220, 20), settings)
    assert model.input.context_step_s == 2.0
    windows = quantize_input(model, x.numpy().transpose(0, 2, 1))
    expected = run(model, windows, past=past)
    for name, values in qat_tensors(network, model, windows, past).items():
        np.testing.assert_array_equal(values, expected[name], name)


@pytest.mark.parametrize("file", ["tflite", "onnx"])
def test_files_that_keep_nothing_between_calls_are_refused(file: str, model: IntegerModel) -> None:
    with pytest.raises(InputError, match="what a network keeps between windows; export c"):
        file_of(file, model)
