"""Learning a wearer: C and Python agree, here and on the emulated core; what does not help is dropped."""

import ctypes
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from hwmodels.check import random_model, random_windows
from hwmodels.codegen import default_plan
from hwmodels.emulator import RAM_BASE, Emulator
from hwmodels.errors import InputError
from hwmodels.integer import HeartRateSettings, IntegerModel, run
from hwmodels.personal_source import generate_personal
from hwmodels.personalize import PersonalSettings, last_features, learnt_form, personalize
from hwmodels.toolchain import compile_host, find_toolchain
from nas.bench.personalization import means
from nas.cli import main
from nas.deploy.example import STACK_BYTES
from nas.personal import Protocol, learning_ram
from supernet.space import load_space
from tests.tiny_run import finished_run, without_arm_compiler

SPACE, DEFAULT, SPECTRAL = load_space("demo"), load_space("default"), load_space("spectral")
SETTINGS = PersonalSettings(iterations=12, rate=0.2)
KEEP = ("ppgnet_personal_reset", "ppgnet_personal_add", "ppgnet_personal_train", "ppgnet_personal_run")
KEEP += ("ppgnet_personal_bytes",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture(scope="module", params=["samples", "spectrum"])
def model(request: pytest.FixtureRequest) -> IntegerModel:
    if request.param == "spectrum":
        return random_model(SPECTRAL.lower(SPECTRAL.largest()), np.random.default_rng(1))
    arch = SPACE.decode(SPACE.sample(4, np.random.default_rng(8)))[1]
    return random_model(SPACE.lower(arch), np.random.default_rng(1))


def calibration(model: IntegerModel, seed: int) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Windows, and labels that lean on what the network says, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    windows = random_windows(model.graph, 70, rng)
    said = run(model, windows)[model.graph.output.name][:, 0] / 256
    return windows, np.clip(said + rng.normal(4, 6, len(said)), 31, 219)


def test_learning_lowers_the_held_out_error_or_changes_nothing(model: IntegerModel) -> None:
    changed = 0
    for seed in range(6):
        windows, labels = calibration(model, seed)
        found = personalize(model, last_features(model, windows), labels, SETTINGS)
        before, after = found.held_out_bpm
        logits = list(model.graph)[-2].name
        same = np.array_equal(found.model.parameters[logits].weight, model.parameters[logits].weight)
        if found.kept_iteration:
            changed += 1
            assert after < before
        else:
            assert same and after == before
    assert changed > 0


@pytest.mark.skipif(shutil.which("cc") is None, reason="no host compiler")
def test_the_host_learns_what_python_learns(model: IntegerModel, tmp_path: Path) -> None:
    library = ctypes.CDLL(str(compile_host(generate_personal(model, SETTINGS), tmp_path / "personal.so")))
    size = ctypes.c_uint32.in_dll(library, "ppgnet_personal_bytes").value
    assert size <= 50 * 1024
    for seed in range(3):
        windows, labels = calibration(model, seed)
        expected = personalize(model, last_features(model, windows), labels, SETTINGS)
        personal, arena = ctypes.create_string_buffer(size), ctypes.create_string_buffer(1 << 17)
        library.ppgnet_personal_reset(personal)
        for window, label in zip(windows, np.rint(labels * 256).astype(int).tolist(), strict=True):
            assert library.ppgnet_personal_add(personal, arena, window.tobytes(), label) == 0
        assert library.ppgnet_personal_train(personal) == 0
        assert np.frombuffer(personal, "<u4", 2).tolist() == [70, expected.kept_iteration]
        wanted = run(expected.model, windows[:20])[model.graph.output.name]
        for window, row in zip(windows[:20], wanted, strict=True):
            result = (ctypes.c_int32 * 3)()
            library.ppgnet_personal_run(personal, arena, window.tobytes(), result)
            assert list(result) == row.tolist()


@pytest.mark.skipif(without_arm_compiler() is not None, reason=str(without_arm_compiler()))
def test_the_emulated_core_learns_what_python_learns(model: IntegerModel) -> None:
    windows, labels = calibration(model, 2)
    settings = PersonalSettings(iterations=4, rate=0.2)
    expected = personalize(model, last_features(model, windows), labels, settings)
    emulator = Emulator(find_toolchain().link(generate_personal(model, settings), KEEP))
    personal, arena, given, result = (RAM_BASE + (place << 17) for place in range(4))
    emulator.call("ppgnet_personal_reset", (personal,))
    for window, label in zip(windows, np.rint(labels * 256).astype(int).tolist(), strict=True):
        emulator.call("ppgnet_personal_add", (personal, arena, given, label), [(given, window.tobytes())])
    emulator.call("ppgnet_personal_train", (personal,))
    assert np.frombuffer(emulator.read(personal, 8), "<u4").tolist() == [70, expected.kept_iteration]
    emulator.call("ppgnet_personal_run", (personal, arena, given, result))
    wanted = run(expected.model, windows[-1:])[model.graph.output.name][0]
    assert np.frombuffer(emulator.read(result, 12), "<i4").tolist() == wanted.tolist()


@pytest.mark.arm
def test_learning_fits_fifty_kilobytes_of_a_linked_firmware(model: IntegerModel) -> None:
    for network in (model, random_model(DEFAULT.lower(DEFAULT.largest()), np.random.default_rng(0))):
        ram, whole = learning_ram(network, PersonalSettings(), find_toolchain())
        form = learnt_form(network, PersonalSettings())
        kept = PersonalSettings().windows // form.every
        assert kept * form.rows * form.logits.channels_in < ram < 50 * 1024
        assert whole >= ram + default_plan(network).arena_bytes + STACK_BYTES


def test_a_window_over_spectra_is_kept_near_its_label_and_where_logits_are_large() -> None:
    network = random_model(SPECTRAL.lower(SPECTRAL.largest()), np.random.default_rng(1))
    form = learnt_form(network, SETTINGS)
    assert (form.positions, form.rows, form.outputs, form.every) == (104, 24, 1, 3)
    windows, labels = calibration(network, 0)
    features, logits = last_features(network, windows), run(network, windows)[form.logits.name][0, :, 0]
    head = network.head
    assert isinstance(head, HeartRateSettings)
    bins = np.linspace(head.first_bpm, head.last_bpm, form.bins)
    near = np.flatnonzero(np.abs(bins - labels[0]) < 2 * SETTINGS.sigma_bpm - 0.5)
    far = np.setdiff1d(logits.argsort(kind="stable")[:40], near)

    def gains(altered: NDArray[np.int8]) -> NDArray[np.int64]:
        return personalize(network, altered, labels, SETTINGS).gain_q16

    ignored, seen = features.copy(), features.copy()
    ignored[0, far] = features[0, far[0]]
    ignored[1::3], ignored[2::3] = 0, 0
    seen[0, near] = features[0, far[0]]
    assert not np.array_equal(ignored, features)
    np.testing.assert_array_equal(gains(ignored), gains(features))
    assert not np.array_equal(gains(seen), gains(features))


def test_bad_calibrations_are_refused(model: IntegerModel) -> None:
    windows, labels = calibration(model, 0)
    features = last_features(model, windows)
    with pytest.raises(InputError, match="takes 60 to 160 windows, got 20"):
        personalize(model, features[:20], labels[:20])
    with pytest.raises(InputError, match="outside of the network's 30 to 220 BPM"):
        personalize(model, features, labels + 300)
    with pytest.raises(InputError, match="keeps 46 to 200 windows"):
        PersonalSettings(fewest=10)


def test_recordings_too_short_to_learn_from_are_told(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["personalize", str(finished)]) == 2
    assert "no recording leaves 60 labelled windows to learn from" in capsys.readouterr().err
    assert main(["bench", "personalization", str(finished)]) == 2
    assert "no recording is long enough to learn from" in capsys.readouterr().err
    assert main(["personalize", str(finished), "--recording", "nobody"]) == 2
    assert "--recording nobody: not among" in capsys.readouterr().err
    assert main(["personalize", str(finished), "--gap", "1"]) == 2
    assert "--gap in [8, 3600]" in capsys.readouterr().err


def test_means_of_a_set_are_over_its_people_and_count_who_gained() -> None:
    rows = [
        {"subject": f"a/{number}", "before_bpm": 2.0, "after_bpm": 2.0 - change}
        for number, change in enumerate((0.5, -0.1, 0.004, 0.0))
    ]
    found = means([*rows, {"subject": "b/0", "before_bpm": 9.0, "after_bpm": 8.0}], "a")
    assert (found["subjects"], found["better"], found["worse"]) == (4, 1, 1)
    assert found["before_bpm"]["value"] == 2.0 and found["change_bpm"]["value"] == pytest.approx(-0.101)
    assert found["change_bpm"]["low"] < -0.101 < found["change_bpm"]["high"]


def test_halves_keep_the_gap_where_a_recording_is_short() -> None:
    starts = np.arange(0.0, 290.0, 2.0)
    teaches, judged = Protocol().split(starts, 8.0)
    assert starts[judged].min() - (starts[teaches].max() + 8.0) >= 20.0
    assert abs(int(teaches.sum()) - int(judged.sum())) <= 2
