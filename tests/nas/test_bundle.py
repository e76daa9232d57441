"""A bundle is whole, builds on this machine too, and says there what the interpreter says."""

import ctypes
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.c.toolchain import compile_host, run_compiler
from hwmodels.codegen.network_source import entry_points, generate
from hwmodels.device.device import load_device
from hwmodels.firmware.sources import context_parts
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.build_form import BuildForm
from hwmodels.network.interpreter import IntegerModel, prepare_window, run
from hwmodels.schedule.step_graph import streaming_model
from hwmodels.signals.spectrum import POSITIONS
from hwmodels.validation.network_check import random_model, random_windows
from nas.deploy.bundle import BundleError, Contents, read_bundle, write_bundle
from nas.deploy.example import build_example, example_files
from nas.deploy.verification.verify import verify_bundle
from supernet.space.search_space import load_space
from tests.hwmodels.test_codegen import toolchain

SPACE = load_space("demo")
PREDICTED = {"latency_ms": 1.0, "cycles": 64000, "flash_kb": 8.0, "ram_kb": 2.0, "energy_mj": 0.1}
needs_host_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no host compiler")


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    arch = SPACE.decode(SPACE.sample(4, np.random.default_rng(8)))[1]
    return random_model(SPACE.lower(arch), np.random.default_rng(1))


def written(model: IntegerModel, path: Path, tracker: Tracker | None = None) -> Path:
    windows = random_windows(model.graph, 5, np.random.default_rng(2))
    facts = {"id": "x", "arch": "a", "predicted": PREDICTED}
    write_bundle(path, Contents(model, windows, facts, load_device(), tracker))
    return path


@pytest.fixture(scope="module")
def bundle(model: IntegerModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(model, tmp_path_factory.mktemp("bundle") / "export")


@pytest.fixture(scope="module")
def spectral_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = load_space("spectral")
    model = random_model(space.lower(space.smallest()), np.random.default_rng(3))
    tracker = Tracker((1000, 7000, 16000, 7000, 1000), 4, 0.6, 12.0)
    return written(model, tmp_path_factory.mktemp("spectral") / "export", tracker)


def library(bundle: Path, tmp_path: Path, extra: str) -> ctypes.CDLL:
    sources = {path.name: path.read_text() for path in bundle.iterdir() if path.suffix in (".c", ".h")}
    return ctypes.CDLL(str(compile_host(sources | {"extra.c": extra}, tmp_path / "bundle.so")))


def test_golden_vectors_are_the_interpreters_and_include_extremes(bundle: Path, model: IntegerModel) -> None:
    found = read_bundle(bundle)
    assert len(found.golden_inputs) == 8
    assert (found.golden_inputs[-3] == -128).all() and (found.golden_inputs[-2] == 127).all()
    expected = run(model, found.golden_inputs)[model.graph.output.name]
    np.testing.assert_array_equal(found.golden_outputs, expected)


@needs_host_compiler
def test_the_self_test_passes_on_this_machine_and_notices_a_wrong_output(bundle: Path, tmp_path: Path) -> None:
    loaded = library(bundle, tmp_path, "")
    arena = (ctypes.c_int8 * (1 << 18))()
    assert loaded.ppgnet_selftest(arena, None, None) == 0
    text = (bundle / "ppgnet_selftest.c").read_text()
    head, tail = text.split("expected[VECTORS][3] = {\n    {")
    wrong = {path.name: path.read_text() for path in bundle.iterdir() if path.suffix in (".c", ".h")}
    wrong["ppgnet_selftest.c"] = f"{head}expected[VECTORS][3] = {{\n    {{1{tail}"
    altered = ctypes.CDLL(str(compile_host(wrong, tmp_path / "wrong.so")))
    assert altered.ppgnet_selftest(arena, None, None) == 1


@needs_host_compiler
def test_a_streaming_bundle_passes_its_self_test_twice(model: IntegerModel, tmp_path: Path) -> None:
    new_samples = model.graph.input.length_in // 4
    step = streaming_model(model, new_samples)
    written(step, tmp_path / "step")
    assert read_bundle(tmp_path / "step").model.input == step.input
    loaded = library(tmp_path / "step", tmp_path, "")
    arena = (ctypes.c_int8 * (1 << 18))()
    assert loaded.ppgnet_selftest(arena, None, None) == loaded.ppgnet_selftest(arena, None, None) == 0
    assert "streaming steps" in (tmp_path / "step" / "README.md").read_text()


@needs_host_compiler
def test_a_bundle_over_spectra_passes_its_self_test(spectral_bundle: Path, tmp_path: Path) -> None:
    found = read_bundle(spectral_bundle)
    assert found.front.input.reads == "spectrum" and found.golden_inputs.shape[1] == POSITIONS
    loaded = library(spectral_bundle, tmp_path, "")
    arena = (ctypes.c_int8 * (1 << 18))()
    assert loaded.ppgnet_selftest(arena, None, None) == loaded.ppgnet_selftest(arena, None, None) == 0


@pytest.mark.arm
def test_a_bundle_over_spectra_is_verified_and_its_stack_suffices(spectral_bundle: Path) -> None:
    found = verify_bundle(spectral_bundle, toolchain=toolchain())
    firmware = found["firmware"]
    assert found["mismatches"] == 0 and firmware["readings"] >= 3
    assert found["preparation"]["stack_bytes"] < firmware["stack_bytes"] and firmware["stack_fits"]
    assert "8.0 KB kept" in (spectral_bundle / "README.md").read_text()


@pytest.mark.arm
def test_a_bundle_of_compact_code_is_costed_as_it_runs(model: IntegerModel, tmp_path: Path) -> None:
    compact = replace(model, form=BuildForm("compact"))
    found = verify_bundle(written(compact, tmp_path / "export"), toolchain=toolchain())
    assert found["mismatches"] == 0
    predicted, measured = found["predicted"], found["measured"]
    assert (predicted["flash_kb"], predicted["ram_kb"]) == (measured["flash_kb"], measured["ram_kb"])
    assert measured["cycles"] == pytest.approx(predicted["cycles"], rel=0.005)
    assert found["fallback_pct"] == 100 * len(found["fallbacks"]) / len(found["layers"])
    fast = toolchain().link(generate(model), entry_points(model)).flash_bytes / 1024
    assert measured["flash_kb"] < fast - 1


@needs_host_compiler
def test_one_call_goes_from_sensor_samples_to_what_the_interpreter_says(
    bundle: Path, model: IntegerModel, tmp_path: Path
) -> None:
    entry = """
    #include "ppgnet_model.h"
    void infer(int8_t *arena, const float *pulse, const float *acceleration, ppgnet_result *result)
    { ppgnet_infer(arena, pulse, acceleration, result); }
    """
    loaded = library(bundle, tmp_path, entry)
    rng = np.random.default_rng(5)
    samples = model.graph.input.length_in
    pulse = rng.normal(40.0, 7.0, (3, samples)).astype(np.float32)
    acceleration = rng.normal(0.0, 0.4, (3, samples, 3)).astype(np.float32)
    grid = model.quantization[model.graph.input.name]
    expected = run(model, prepare_window(model.input, grid, pulse, acceleration))[model.graph.output.name]
    arena = (ctypes.c_int8 * (1 << 18))()
    for window in range(3):
        result = (ctypes.c_int32 * 3)()
        loaded.infer(
            arena,
            pulse[window].ctypes.data_as(ctypes.c_void_p),
            acceleration[window].ctypes.data_as(ctypes.c_void_p),
            result,
        )
        assert list(result) == expected[window].tolist()


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_the_header_can_be_included_from_cpp(bundle: Path, tmp_path: Path) -> None:
    source, program = tmp_path / "main.cpp", tmp_path / "main"
    source.write_text('#include "ppgnet_model.h"\nint main() { return PPGNET_SAMPLES % 100; }\n')
    flags = ["-Wall", "-Wextra", "-Werror", "-I", str(bundle), "-O2"]
    run_compiler(["c++", *flags, str(source), "-o", str(program)], tmp_path)
    samples = read_bundle(bundle).golden_inputs.shape[1]
    assert subprocess.run([program], check=False).returncode == samples % 100


def test_an_altered_or_missing_file_is_named(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    (copy / "ppgnet_model.c").write_text("int x;\n")
    with pytest.raises(BundleError, match=r"ppgnet_model\.c: altered"):
        read_bundle(copy)
    (copy / "ppgnet_model.c").unlink()
    with pytest.raises(BundleError, match=r"ppgnet_model\.c: missing"):
        read_bundle(copy)


def test_a_folder_that_holds_something_else_is_left_alone(model: IntegerModel, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(BundleError, match="holds something else"):
        written(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.arm
@pytest.mark.parametrize("kind", ["bundle", "spectral_bundle"])
def test_the_example_firmware_boots_and_passes_its_self_test(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("no qemu-system-arm")
    found = read_bundle(request.getfixturevalue(kind))
    product = build_example(found.sources, example_files(load_device()), toolchain())
    tested = build_example(found.sources, example_files(load_device()), toolchain(), self_test=True)
    context = product.by_symbol["wearer"]
    parts = context_parts(found.front, found.model, found.tracker)
    assert sum(parts.values()) <= context <= sum(parts.values()) + 64
    assert context < product.ram_bytes < 256 << 10 and product.flash_bytes < 80 << 10
    (tmp_path / "selftest.elf").write_bytes(tested.elf)
    command = [
        "qemu-system-arm",
        "-machine",
        "mps2-an500",
        "-nographic",
        "-monitor",
        "none",
        "-serial",
        "none",
    ]
    command += ["-semihosting-config", "enable=on,target=native"]
    command += ["-kernel", str(tmp_path / "selftest.elf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0 and "selftest 0\n" in done.stdout + done.stderr
