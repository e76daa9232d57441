"""Five witnesses of one integer model: random networks of the default space, every element by all of them."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tflite")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("onnxruntime")

from benchmarks.hardware import integer
from hwmodels.c.toolchain import Toolchain, ToolchainError, find_toolchain, host_toolchain
from hwmodels.network.interpreter import run as interpret
from hwmodels.validation.tensors import Compiled, core_tensors, host_tensors
from nas.deploy.verification.runtimes import Agreement, agreement
from nas.deploy.verification.torch_runtime import qat_tensors
from supernet.space.search_space import load_space


def compilers() -> tuple[Toolchain, Toolchain]:
    try:
        return host_toolchain(), find_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.mark.arm
@pytest.mark.slow
def test_all_witnesses_agree_on_random_networks_of_the_default_space() -> None:
    compilers()
    found = integer.run(argparse.Namespace(archs=40, seed=11, space="default", config=None, workers=2))
    assert found["archs"] == 40
    assert found["windows"] == 40 * found["windows_per_arch"] and found["windows_per_arch"] >= 8 + 3
    assert found["mismatches"] == {"qat": 0, "c_host": 0, "c_m7": 0, "litert": 0}
    assert min(found["elements"].values()) > 40 * 11 * 1000
    assert found["onnx"]["exact_file_mismatches"] == 0
    assert found["onnx_max_ulp"] <= 1
    assert found["differing"] == []


@pytest.mark.arm
def test_all_witnesses_agree_on_networks_over_spectra() -> None:
    compilers()
    config = Path(__file__).parents[2] / "configs" / "full.yaml"
    found = integer.run(argparse.Namespace(archs=4, seed=3, config=config, workers=1))
    assert found["mismatches"] == {"qat": 0, "c_host": 0, "c_m7": 0, "litert": 0}
    assert found["onnx"]["exact_file_mismatches"] == 0 and found["onnx_max_ulp"] <= 1


@pytest.mark.arm
def test_each_witness_of_another_network_is_told() -> None:
    host, core = (Compiled.by(toolchain) for toolchain in compilers())
    space, rng = load_space("default"), np.random.default_rng(5)
    arch = space.decode(space.sample(1, rng))[0]
    network, model, windows = integer.random_network(space, arch, rng)
    expected = interpret(model, windows)
    given = model.parameters["stem"]
    wrong = dataclasses.replace(given, bias=given.bias + np.int32(1000))
    other = dataclasses.replace(model, parameters={**model.parameters, "stem": wrong})
    for found in (host_tensors(other, windows, host), core_tensors(other, windows, core)):
        assert set(found) == {op.name for op in list(model.graph)[1:]}
        assert agreement(expected, found).mismatches > 0
    network.ranges["stem"].widen(1.01)
    assert agreement(expected, qat_tensors(network, model, windows)).mismatches > 0


def test_windows_are_adversarial_too() -> None:
    low, high, alternating = integer.adversarial_windows((6, 2))
    assert (low == -128).all() and (high == 127).all()
    assert alternating[:, 0].tolist() == [-128, 127, -128, 127, -128, 127]


def test_agreement_counts_elements_and_their_largest_difference() -> None:
    expected = {"a": np.array([[1, 2, -128]], np.int8), "b": np.array([[5]], np.int8)}
    found = {"a": np.array([[1, 4, 127]], np.int8), "b": np.array([[5]], np.int8)}
    assert agreement(expected, found) == Agreement(elements=4, mismatches=2, max_ulp=255)
    with pytest.raises(ValueError, match="shape"):
        agreement(expected, {"a": np.zeros((1, 2), np.int8)})
