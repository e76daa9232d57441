"""The front end: firmware in C, its NumPy twin and the training pipeline say the same of sensors' samples."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import run_compiler
from hwmodels.device.device import load_device
from hwmodels.emulation.emulator import Emulator
from hwmodels.firmware.emulated_firmware import HostFirmware, blocks, run_firmware
from hwmodels.firmware.front_end import (
    CONTACT,
    FLAT,
    MOTION,
    SATURATED,
    UNCERTAIN,
    Front,
    Sensors,
    readings,
    signals,
    windows,
)
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.firmware.sources import entry_points, generate_firmware
from hwmodels.firmware.tracker import Tracker
from hwmodels.network.interpreter import InputSettings, IntegerModel
from hwmodels.network.preparation import normalized_windows
from hwmodels.schedule.step_graph import streaming_model
from hwmodels.signals.filters import integer_resampler
from hwmodels.validation.network_check import random_model
from nas.data.synthetic import simulate
from nas.data.windows import make_windows
from nas.deploy.example import STACK_BYTES
from nas.predict.sensor_counts import Counts, continued, counts_of
from supernet.space.arch import Arch
from supernet.space.search_space import SearchSpace, load_space
from tests.hwmodels.test_codegen import toolchain

SPACE, SPECTRAL = load_space("default"), load_space("spectral")
TRACKER = Tracker((1000, 7000, 16000, 7000, 1000), 4, 0.6, 12.0)
needs_host_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no host compiler")
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-ffp-contract=off")
OK, NULL, ALIGNMENT, SIZE, SENSORS, STARTED, COUNT, RANGE, OVERRUN, NOT_READY = range(10)


def network(sensors: str, seed: int = 0, rate_hz: int | None = None, space: SearchSpace = SPACE) -> IntegerModel:
    """A random network of a space."""
    rng = np.random.default_rng(seed)

    def fits(arch: Arch) -> bool:
        return arch.sensors == sensors and rate_hz in (None, arch.rate_hz)

    arch = next(arch for arch in space.decode(space.sample(200, rng)) if fits(arch))
    model = random_model(space.lower(arch), rng)
    own = InputSettings(arch.rate_hz, 8.0, sensors, (0.4, 8.0), 0.3)
    return replace(model, input=replace(own, reads=model.input.reads, positions=model.input.positions))


def noise(front: Front, seconds: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sensors = front.sensors
    times = np.arange(int(seconds * sensors.ppg_hz)) / sensors.ppg_hz
    light = 9000 * np.sin(2 * np.pi * 1.4 * times)[:, None] + 4000
    ppg = light + rng.normal(0, 2500, (times.size, sensors.ppg_channels))
    acc = rng.normal(0, 3000, (int(seconds * sensors.acc_hz), 3)) + [0, 0, 4096]
    return ppg.astype(np.int16), acc.astype(np.int16)


CASES = [
    ("ppg_acc", Sensors(ppg_hz=125, ppg_channels=2, acc_hz=125), "windows", 32),
    ("ppg_acc", Sensors(ppg_hz=50, acc_hz=26), "steps", 32),
    ("ppg", Sensors(ppg_hz=64), "windows", 16),
    ("ppg_acc", Sensors(ppg_hz=100, ppg_channels=3, acc_hz=52, acc_counts_per_g=64), "steps", 16),
    ("ppg", Sensors(ppg_hz=25), "steps", 32),
    ("ppg_acc", Sensors(ppg_hz=32, acc_hz=16), "windows", 32),
    ("ppg_acc", Sensors(ppg_hz=50, ppg_channels=2, acc_hz=50), "spectra", 16),
    ("ppg", Sensors(ppg_hz=25), "spectra", 16),
]


@needs_host_compiler
@pytest.mark.parametrize("number", range(len(CASES)))
def test_firmware_reads_what_its_twin_reads(number: int) -> None:
    read, sensors, form, rate = CASES[number]
    model = network(read, number, rate, SPECTRAL if form == "spectra" else SPACE)
    if form == "steps":
        model = streaming_model(model, 2 * rate)
    tracker = TRACKER if number % 3 else None
    front = Front(sensors, model.input)
    host = HostFirmware(front, model, tracker)
    for seed in range(2):  # the second recording starts from what the first one left
        ppg, acc = noise(front, 31.7, seed)
        expected = readings(front, model, ppg, acc, tracker)
        assert len(expected) in (12, 13)
        np.testing.assert_array_equal(host.readings(ppg, acc), expected)


@needs_host_compiler
def test_extremes_neither_overflow_nor_differ() -> None:
    model = network("ppg_acc", 3)
    front = Front(Sensors(ppg_hz=50, acc_hz=50), model.input)
    host = HostFirmware(front, model)
    square = np.where(np.arange(50 * 20) // 17 % 2, 32767, -32768).astype(np.int16)
    for ppg in (
        square,
        np.where(np.arange(1000) % 2, 32767, -32768).astype(np.int16),
        np.full(1000, -32768, np.int16),
    ):
        acc = np.stack([ppg, -(ppg + 1), np.roll(ppg, 3)], axis=1)
        expected = readings(front, model, ppg[:, None], acc)
        np.testing.assert_array_equal(host.readings(ppg[:, None], acc), expected)
        assert (expected[:, 2] & SATURATED).all() and (expected[:, 2] & MOTION).all()


@pytest.mark.parametrize(("from_hz", "to_hz"), [(125, 32), (50, 32), (26, 32), (64, 16), (32, 32)])
def test_the_integer_resampler_is_scipys_up_to_rounding(from_hz: float, to_hz: float) -> None:
    model = network("ppg_acc", 1, 32)
    front = Front(Sensors(acc_hz=from_hz), replace(model.input, rate_hz=to_hz))
    counts = np.random.default_rng(0).normal(0, 2000, (int(30 * from_hz), 3)).astype(np.int16)
    got = signals(front, np.zeros((500, 1), np.int16), counts).motion
    made = integer_resampler(from_hz, to_hz)
    expected = resample_poly(counts / 4096, made.up, made.down, axis=0, padtype="edge")
    assert got is not None and 0 <= len(expected) - len(got) <= made.half / made.down + 1
    # Half a count of rounding, and the ripple that resample_poly leaves on what is slow: -60 dB.
    assert np.abs(got - expected[: len(got)]).max() < 2e-3 * np.abs(counts).max() / 4096


def test_the_networks_input_is_that_of_training() -> None:
    recording = simulate(1, minutes=1.0, seed=3)[0]
    for rate in (16, 32):
        counts = counts_of(recording)
        front = Front(counts.sensors, InputSettings(rate, 8.0, "ppg_acc", (0.4, 8.0), 0.3))
        counts = continued(counts, front.delay_s)
        held = windows(front, signals(front, counts.ppg, counts.acc))
        plain = replace(recording, label_times_s=None, heart_rate_bpm=None, activity=None, trusted=None)
        trained = make_windows([plain], rates=(rate,), margin_s=0.0).normalized(rate).transpose(0, 2, 1)
        assert len(held.pulse) == len(trained)
        difference = normalized_windows(held.pulse, held.motion, rate) - trained
        assert np.sqrt((difference**2).mean(axis=1)).max() < 0.03  # a step of the int8 grid
        assert np.median(np.sqrt((difference**2).mean(axis=1))) < 0.003


def test_every_reason_of_distrust_is_told() -> None:
    model = network("ppg_acc", 3)
    head = replace(model.head, max_spread_bpm=1000.0)
    model = replace(model, head=head)
    front = Front(Sensors(acc_hz=50, contact=(-20000, 20000)), model.input)
    ppg, acc = noise(front, 20)

    def reasons(light: np.ndarray, motion: np.ndarray, of: IntegerModel = model) -> int:
        return int(np.bitwise_or.reduce(readings(front, of, light, motion)[:, 2]))

    assert reasons(ppg, acc) == 0
    assert reasons(ppg, acc, replace(model, head=replace(head, max_spread_bpm=0.0))) == UNCERTAIN
    assert reasons(np.full_like(ppg, 77), acc) == FLAT
    assert reasons(np.where(ppg > 7000, 32767, ppg).astype(np.int16), acc) == SATURATED | CONTACT
    assert reasons(np.where(ppg > 7000, 25000, ppg).astype(np.int16), acc) == CONTACT
    assert reasons(ppg, np.where(acc > 3000, 32767, acc).astype(np.int16)) == MOTION
    # A dead photodiode beside a good one does no harm.
    two = Front(replace(front.sensors, ppg_channels=2), model.input)
    dead = np.concatenate([ppg, np.full_like(ppg, 5)], axis=1)
    np.testing.assert_array_equal(readings(two, model, dead, acc)[:, 2], readings(front, model, ppg, acc)[:, 2])


@needs_host_compiler
def test_each_misuse_has_its_status_and_changes_nothing() -> None:
    model = network("ppg_acc", 3)
    front = Front(Sensors(ppg_hz=50, acc_hz=50, ppg_range=(-30000, 30000)), model.input)
    host = HostFirmware(front, model)
    ppg, acc = noise(front, 30)
    ppg = np.clip(ppg, -30000, 30000)
    assert host.push("ppg", ppg[:10]) == STARTED and host.call("ppgnet_ready") == 0
    assert host.reading()[0] == STARTED and host.reading()[1][2] == 32
    library, sensors = host._library, (ctypes.c_uint32 * 4)(50000, 1, 50000, 4096)
    assert host.call("ppgnet_init", sensors, host._size - 4) == SIZE
    assert host.call("ppgnet_init", (ctypes.c_uint32 * 4)(25000, 1, 50000, 4096), host._size) == SENSORS
    assert host.call("ppgnet_init", None, host._size) == NULL
    assert library.ppgnet_init(None, sensors, host._size) == NULL
    shifted = ctypes.c_void_p(ctypes.addressof(host._context) + 2)
    assert library.ppgnet_init(shifted, sensors, host._size) == ALIGNMENT
    assert library.ppgnet_push_ppg(shifted, None, 1) == ALIGNMENT
    assert host.call("ppgnet_init", sensors, host._size) == OK
    expected = readings(front, model, ppg, acc)
    rows = []
    for name, frames in blocks(front, ppg, acc):
        assert host.call(f"ppgnet_push_{name}", None, 5) == NULL
        assert host.call(f"ppgnet_push_{name}", ctypes.c_void_p(frames.ctypes.data + 1), 1) == ALIGNMENT
        assert host.call(f"ppgnet_push_{name}", ctypes.c_void_p(frames.ctypes.data), 0) == COUNT
        assert host.call(f"ppgnet_push_{name}", ctypes.c_void_p(frames.ctypes.data), 101) == COUNT
        if name == "ppg":
            assert host.push(name, np.array([[0], [30001]], np.int16)) == RANGE
        if not host.call("ppgnet_ready"):
            assert host.reading() == (NOT_READY, [0, 0, 32])
        assert host.call("ppgnet_estimate", None) == NULL
        assert host.push(name, frames) == OK
        while host.call("ppgnet_ready"):
            rows.append(host.reading()[1])
    np.testing.assert_array_equal(np.array(rows), expected)
    # A sensor that runs on while the other has stopped is refused once there is no room, and not before.
    assert host.start() == OK
    taken = [host.push("ppg", ppg[at : at + 25]) for at in range(0, 600, 25)]
    assert taken == sorted(taken) and set(taken) == {OK, OVERRUN} and taken.count(OK) == 20
    assert host.call("ppgnet_restart") == OK and host.push("ppg", ppg[:25]) == OK


@needs_host_compiler
def test_a_network_of_ppg_alone_refuses_an_accelerometer() -> None:
    model = network("ppg", 5)
    front = Front(Sensors(), model.input)
    host = HostFirmware(front, model)
    assert host.call("ppgnet_init", (ctypes.c_uint32 * 4)(50000, 1, 50000, 4096), host._size) == SENSORS
    assert host.start() == OK
    assert host.push("acc", np.zeros((5, 3), np.int16)) == SENSORS


DRIVER = """
#include "ppgnet.h"
#include <stdio.h>

static ppgnet wearer;
#if PPGNET_HAS_PERSONAL
static ppgnet_personal own;
enum { BLOCKS = 210 };
#else
enum { BLOCKS = 60 };
#endif

int main(void)
{
    ppgnet_reading reading = {0, 0, 0};
    uint32_t state = 1, readings = 0;
    int16_t light[PPGNET_PPG_CHANNELS * 25], axes[3 * 25];
    if (ppgnet_init(&wearer, PPGNET_DECLARED_SENSORS, sizeof wearer) != PPGNET_OK)
        return 1;
#if PPGNET_HAS_PERSONAL
    ppgnet_personal_reset(&own);
#endif
    for (uint32_t block = 0; block < BLOCKS; block++) {
        for (uint32_t at = 0; at < PPGNET_PPG_CHANNELS * 25; at++)
            light[at] = (int16_t)((state = state * 1664525u + 1013904223u) >> 16);
        for (uint32_t at = 0; at < 75; at++)
            axes[at] = (int16_t)((state = state * 1664525u + 1013904223u) >> 16);
        if (ppgnet_push_ppg(&wearer, light, 25) != PPGNET_OK)
            return 2;
#if PPGNET_AXES
        if (ppgnet_push_acc(&wearer, axes, 25) != PPGNET_OK)
            return 3;
#endif
        while (ppgnet_ready(&wearer)) {
#if PPGNET_HAS_PERSONAL
            int32_t label = (int32_t)(60 + readings) * 256;
            if (ppgnet_estimate_personal(&wearer, &own, label, &reading) != PPGNET_OK)
                return 4;
#else
            if (ppgnet_estimate(&wearer, &reading) != PPGNET_OK)
                return 4;
#endif
#if PPGNET_HAS_TRACKER
            if (ppgnet_track(&wearer, &reading) != PPGNET_OK)
                return 5;
#endif
            readings++;
        }
    }
#if PPGNET_HAS_PERSONAL
    if (own.given < PPGNET_PERSONAL_FEWEST || ppgnet_personal_train(&own) != PPGNET_PERSONAL_DONE)
        return 6;
#endif
    printf("%u\\n", readings);
    return 0;
}
"""


@pytest.mark.parametrize(("cc", "form"), [("gcc", "windows"), ("clang", "steps"), ("clang", "spectra")])
def test_firmware_is_clean_under_sanitizers(cc: str, form: str, tmp_path: Path) -> None:
    if shutil.which(cc) is None or sys.platform != "linux":
        pytest.skip(f"no {cc}")
    model = network("ppg_acc", 4, 16, SPECTRAL if form == "spectra" else SPACE)
    if form == "steps":
        model = streaming_model(network("ppg_acc", 4, 32), 64)
    front = Front(Sensors(ppg_hz=50, ppg_channels=2, acc_hz=50), model.input)
    # A learner too, where it fits: over spectra.
    learner = PersonalSettings(fewest=46, iterations=8) if form == "spectra" else None
    sources = generate_firmware(front, model, TRACKER, learner) | {"driver.c": DRIVER}
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    units = sorted(name for name in sources if name.endswith(".c"))
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *SANITIZED]
    run_compiler([cc, *flags, *units, "-lm", "-o", "driver"], tmp_path)
    done = subprocess.run([tmp_path / "driver"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "49\n" if learner else "11\n", "")


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
def test_one_header_serves_cpp(tmp_path: Path) -> None:
    model = network("ppg_acc", 3)
    front = Front(Sensors(), model.input)
    for name, text in generate_firmware(front, model, TRACKER, PersonalSettings()).items():
        (tmp_path / name).write_text(text)
    program = """
    #include "ppgnet.h"
    static ppgnet wearer;
    static ppgnet_personal own;
    int main()
    {
        ppgnet_personal_reset(&own);
        return ppgnet_init(&wearer, PPGNET_DECLARED_SENSORS, sizeof wearer);
    }
    """
    (tmp_path / "main.cpp").write_text(program)
    run_compiler(["c++", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-c", "main.cpp"], tmp_path)
    run_compiler(["cc", "-std=c11", "-O1", "-c", *[p.name for p in tmp_path.glob("ppgnet_*.c")]], tmp_path)
    run_compiler(["c++", *[p.name for p in tmp_path.glob("*.o")], "-o", "main"], tmp_path)
    assert subprocess.run([tmp_path / "main"], check=False).returncode == OK


@pytest.mark.arm
@pytest.mark.parametrize("form", ["windows", "steps", "spectra"])
def test_the_emulated_core_reads_the_same(form: str) -> None:
    model = network("ppg_acc", 6, 16, SPECTRAL) if form == "spectra" else network("ppg_acc", 6, 32)
    if form == "steps":
        model = streaming_model(model, 64)
    front = Front(Sensors(ppg_hz=50, acc_hz=50), model.input)
    image = toolchain().link(generate_firmware(front, model, TRACKER), entry_points(TRACKER))
    ppg, acc = noise(front, 15)
    found = run_firmware(front, Emulator(image), load_device("cortex-m7-64mhz").target, ppg, acc, tracks=True)
    np.testing.assert_array_equal(found.readings, readings(front, model, ppg, acc, TRACKER))
    assert 0 < found.push_cycles < found.estimate_cycles and found.track_cycles > 0
    ratio = found.first_cycles / found.estimate_cycles
    assert ratio > 1.5 if form == "steps" else abs(ratio - 1) < 0.02
    assert found.stack_bytes <= STACK_BYTES


def test_sensors_that_cannot_be_served_are_named() -> None:
    model = network("ppg_acc", 3)
    with pytest.raises(InputError, match="ppg_hz"):
        Sensors(ppg_hz=1)
    with pytest.raises(InputError, match="contact"):
        Sensors(contact=(5, 5))
    with pytest.raises(InputError, match=r"acc_hz: 99\.9 Hz .* coefficients"):
        generate_firmware(Front(Sensors(acc_hz=99.9), model.input), model)
    with pytest.raises(InputError, match="whole number of samples"):
        Front(Sensors(), model.input, step_s=0.3)
    front = Front(Sensors(), model.input)
    with pytest.raises(InputError, match="expected int16"):
        signals(front, np.zeros((10, 1)), None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="acc: is missing"):
        signals(front, np.zeros((10, 1), np.int16), None)
    assert isinstance(Counts(front.sensors, np.zeros((3, 1), np.int16), None), Counts)
