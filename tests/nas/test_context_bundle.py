"""A bundle with context: its golden vectors are successive steps, and every implementation agrees on them."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import IntegerModel, run
from hwmodels.validation.network_check import random_model
from nas.deploy.bundle import read_bundle
from nas.deploy.formats.registry import written as file_of
from nas.deploy.golden import golden_past
from nas.deploy.verification.verify import verify_bundle
from tests.hwmodels.test_codegen import toolchain
from tests.hwmodels.test_context import graph
from tests.nas.test_bundle import library, needs_host_compiler, written


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


@pytest.mark.parametrize("file", ["tflite", "onnx"])
def test_files_that_keep_nothing_between_calls_are_refused(file: str, model: IntegerModel) -> None:
    with pytest.raises(InputError, match="what a network keeps between windows; export c"):
        file_of(file, model)
