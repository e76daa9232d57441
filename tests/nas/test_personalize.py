"""Learning a wearer: C and Python agree, here and on the emulated core; what does not help is dropped."""

import ctypes
import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.accuracy_studies.personalization import means
from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import compile_host, find_toolchain
from hwmodels.codegen.network_source import default_plan
from hwmodels.device.device import load_device
from hwmodels.firmware.emulated_firmware import HostFirmware, blocks
from hwmodels.firmware.emulated_learner import LEARNER_ENTRIES, learn_on_core
from hwmodels.firmware.front_end import Front, Sensors, network_input, readings, signals
from hwmodels.firmware.front_end import windows as windows_of
from hwmodels.firmware.learner import PersonalSettings, last_features, learnt_form, personalize
from hwmodels.firmware.learner_source import generate_personal
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.interpreter import HeartRateSettings, InputSettings, IntegerModel, run
from hwmodels.validation.network_check import random_model, random_windows
from nas.cli import main
from nas.deploy.bundle import BundleError, Contents, read_bundle, write_bundle
from nas.deploy.example import STACK_BYTES
from nas.deploy.verification.verify import verify_bundle
from nas.predict.personalization import Protocol, learning_ram
from supernet.space.search_space import load_space
from tests.nas.tiny_run import benchmark, finished_run, without_arm_compiler

SPACE, DEFAULT, SPECTRAL = load_space("demo"), load_space("default"), load_space("spectral")
SETTINGS = PersonalSettings(iterations=12, rate=0.2)
TOO_FEW, STARTED, RANGE, NO_SAMPLES = 3, 5, 7, 32


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
            library.ppgnet_personal_run(personal, arena, window.tobytes(), 0, result)
            assert list(result) == row.tolist()


@pytest.mark.skipif(without_arm_compiler() is not None, reason=str(without_arm_compiler()))
def test_the_emulated_core_learns_what_python_learns(model: IntegerModel) -> None:
    windows, labels = calibration(model, 2)
    settings = PersonalSettings(iterations=4, rate=0.2)
    expected = personalize(model, last_features(model, windows), labels, settings)
    image = find_toolchain().link(generate_personal(model, settings), LEARNER_ENTRIES)
    found = learn_on_core(image, windows, labels, windows[-2:])
    wanted = run(expected.model, windows[-2:])[model.graph.output.name]
    np.testing.assert_array_equal(found.results, wanted)
    assert found.kept_iteration == expected.kept_iteration and found.learner_bytes < 50 * 1024


def sensing(model: IntegerModel) -> Front:
    """The front end of a random model, which says nothing of its input."""
    reads, samples = model.input.reads, model.input.window_samples
    rate = 16 if reads == "spectrum" else samples // 8
    own = InputSettings(rate, 8.0, model.input.sensors, (0.4, 8.0), 0.3)
    own = dataclasses.replace(own, reads=reads, positions=model.input.positions)
    return Front(Sensors(ppg_hz=50, acc_hz=50), own)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no host compiler")
@pytest.mark.parametrize("tracker", [None, Tracker((1000, 7000, 16000, 7000, 1000), 4, 0.6, 12.0)])
def test_firmware_learns_its_wearer_from_sensor_samples(model: IntegerModel, tracker: Tracker | None) -> None:
    front = sensing(model)
    model = dataclasses.replace(model, input=front.input)
    rng = np.random.default_rng(4)
    beat = 9000 * np.sin(2 * np.pi * 1.4 * np.arange(50 * 152) / 50)[:, None]
    ppg = (beat + rng.normal(0, 2500, beat.shape)).astype(np.int16)
    acc = rng.normal(0, 3000, (len(ppg), 3)).astype(np.int16) if front.reads_motion else None
    held = windows_of(front, signals(front, ppg, acc))
    inputs = network_input(front, model, held)
    said = run(model, inputs)[model.graph.output.name][:, 0] / 256
    labels = np.rint(256 * np.clip(said + rng.normal(4, 6, len(said)), 31, 219)).astype(int)
    taught = 66
    learnt = personalize(model, last_features(model, inputs[:taught]), labels[:taught] / 256, SETTINGS)
    assert learnt.kept_iteration > 0 and not held.invalid.any()
    plain = readings(front, model, ppg, acc, tracker)
    adapted = readings(front, learnt.model, ppg, acc)

    host = HostFirmware(front, model, tracker, learner=SETTINGS)
    assert host.start() == 0
    rows: list[list[int]] = []
    for sensor, frames in blocks(front, ppg, acc):
        assert host.push(sensor, frames) == 0
        while host.call("ppgnet_ready"):
            if not rows:
                assert host.reading(0) == (STARTED, [0, 0, NO_SAMPLES])
                host.learner_call("ppgnet_personal_reset")
                assert host.reading(256 * 20)[0] == host.reading(-1)[0] == RANGE
                assert host.learner_call("ppgnet_personal_train") == TOO_FEW
            status, row = host.reading(int(labels[len(rows)]) if len(rows) < taught else 0)
            assert status == 0
            rows.append(row)
            if len(rows) == taught:
                assert host.learner_call("ppgnet_personal_train") == 0
    np.testing.assert_array_equal(rows[:taught], plain[:taught])
    assert len(rows) == len(plain) > taught
    if tracker is None:
        np.testing.assert_array_equal(rows[taught:], adapted[taught:])
    else:
        assert rows[taught:] != plain[taught:].tolist()


@pytest.mark.arm
def test_a_bundle_with_a_learner_is_verified_and_says_what_it_takes(model: IntegerModel, tmp_path: Path) -> None:
    model = dataclasses.replace(model, input=sensing(model).input)
    facts: dict[str, object] = {
        "id": "x",
        "arch": "a",
        "predicted": {"latency_ms": 1.0, "cycles": 64000, "flash_kb": 8.0, "ram_kb": 2.0, "energy_mj": 0.1},
    }
    given = random_windows(model.graph, 5, np.random.default_rng(2))
    write_bundle(
        tmp_path / "bundle", Contents(model, given, facts, load_device(), learner=PersonalSettings(iterations=8))
    )
    found = verify_bundle(tmp_path / "bundle", toolchain=find_toolchain())
    assert found["mismatches"] == found["learner"]["mismatches"] == 0
    assert 4000 < found["learner"]["ram_bytes"] < 50 * 1024
    text = (tmp_path / "bundle" / "README.md").read_text()
    assert "ppgnet_estimate_personal(&wearer, &own, label_q8, &reading);" in text
    assert "| RAM of learning the wearer, besides | - |" in text
    manifest = tmp_path / "bundle" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"fewest": 60', '"fewest": "sixty"'))
    with pytest.raises(BundleError, match=r"personal\.fewest"):
        read_bundle(tmp_path / "bundle")


@pytest.mark.arm
def test_learning_fits_fifty_kilobytes_of_a_linked_firmware(model: IntegerModel) -> None:
    for network in (model, random_model(DEFAULT.lower(DEFAULT.largest()), np.random.default_rng(0))):
        ram, whole = learning_ram(network, PersonalSettings(), find_toolchain())
        form = learnt_form(network.graph, PersonalSettings())
        kept = PersonalSettings().windows // form.every
        assert kept * form.rows * form.logits.channels_in < ram < 50 * 1024
        assert whole >= ram + default_plan(network).arena_bytes + STACK_BYTES


def test_a_window_over_spectra_is_kept_near_its_label_and_where_logits_are_large() -> None:
    network = random_model(SPECTRAL.lower(SPECTRAL.largest()), np.random.default_rng(1))
    form = learnt_form(network.graph, SETTINGS)
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


def test_recordings_too_short_to_learn_from_are_told(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["personalize", str(finished)]) == 2
    said = capsys.readouterr().err
    assert "no recording leaves 60 labelled windows to learn from" in said
    # 60 windows of 8 s, one every 2 s, twice, and the gap; the tiny run's recordings last a minute.
    assert "takes 4.5 labelled minutes (2.1 to learn from, 20 s between, 2.1 to judge): " in said
    assert "synthetic-000 has 0.9" in said
    assert main(["personalize", str(finished), "--minutes", "2"]) == 2
    assert "--minutes: 2 is too little, 60 labelled windows take 2.1 minutes" in capsys.readouterr().err
    assert benchmark("personalization", finished) == 2
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


@pytest.mark.parametrize("gap_s", [8.0, 20.0, 60.0])
@pytest.mark.parametrize("fewest", [46, 60, 100])
def test_what_learning_is_said_to_need_is_what_it_takes(fewest: int, gap_s: float) -> None:
    protocol = Protocol(gap_s=gap_s)
    _, needed = protocol.needed_minutes(fewest, 8.0, 2.0)
    for spare_s, is_enough in ((0.0, True), (-4.0, False)):
        starts = np.arange(0.0, 60 * needed + spare_s - 8.0 + 1e-6, 2.0)
        teaches, judged = protocol.split(starts, 8.0)
        assert (int(teaches.sum()) >= fewest) == is_enough and judged.any()


def test_halves_keep_the_gap_where_a_recording_is_short() -> None:
    starts = np.arange(0.0, 290.0, 2.0)
    teaches, judged = Protocol().split(starts, 8.0)
    assert starts[judged].min() - (starts[teaches].max() + 8.0) >= 20.0
    assert abs(int(teaches.sum()) - int(judged.sum())) <= 2
