"""The causal tracker: C and Python agree at every step, it resets, it bridges what one window gets wrong."""

import ctypes
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.c.toolchain import compile_host, find_toolchain
from hwmodels.codegen.network_source import generate
from hwmodels.emulation.emulator import RAM_BASE, Emulator
from hwmodels.firmware.tracker import Tracker, TrackerError, generate_tracker, load_tracker, save_tracker, track
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel
from hwmodels.validation.network_check import random_model
from supernet.space.search_space import load_space
from tests.nas.tiny_run import without_arm_compiler

SPACE = load_space("demo")
MODEL = random_model(SPACE.lower(SPACE.decode(SPACE.sample(4, np.random.default_rng(8)))[1]), np.random.default_rng(1))
BINS = MODEL.graph.output.channels_in
TRACKER = Tracker((1000, 7000, 16000, 6000, 2000), 2, 0.6, 20.0, 0.7)


def logits_around(bins: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Logits (n, BINS) that peak at the bins (n,), with noise."""
    distance = np.abs(np.arange(BINS)[None] - bins[:, None])
    return np.clip(100 - 12 * distance + rng.normal(0, 3, distance.shape), -128, 127).astype(np.int8)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("cc") is None:
        pytest.skip("no host compiler")
    out = tmp_path_factory.mktemp("tracker") / "tracker.so"
    return ctypes.CDLL(str(compile_host(generate(MODEL) | generate_tracker(TRACKER, MODEL), out)))


@given(seed=st.integers(0, 10_000), extreme=st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_host_tracks_as_python_does(library: ctypes.CDLL, seed: int, extreme: bool) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.choice([-128, 127], (40, BINS)) if extreme else rng.integers(-128, 128, (40, BINS))
    starts = rng.random(40) < 0.1
    starts[0] = True
    expected = track(TRACKER, MODEL, logits.astype(np.int8), starts)
    tracker, result = ctypes.create_string_buffer(4 + 2 * BINS), (ctypes.c_int32 * 3)()
    for row, start, wanted in zip(logits.astype(np.int8), starts, expected, strict=True):
        if start:
            library.ppgnet_tracker_reset(tracker)
        library.ppgnet_tracker_update(tracker, row.tobytes(), result)
        assert list(result) == wanted.tolist()


@pytest.mark.skipif(without_arm_compiler() is not None, reason=str(without_arm_compiler()))
def test_the_emulated_core_tracks_as_python_does() -> None:
    logits = np.random.default_rng(5).integers(-128, 128, (12, BINS)).astype(np.int8)
    expected = track(TRACKER, MODEL, logits, np.arange(12) == 0)
    sources = generate(MODEL) | generate_tracker(TRACKER, MODEL)
    emulator = Emulator(find_toolchain().link(sources, ("ppgnet_tracker_reset", "ppgnet_tracker_update")))
    tracker, given_, result = RAM_BASE, RAM_BASE + 0x1000, RAM_BASE + 0x2000
    emulator.call("ppgnet_tracker_reset", (tracker,))
    for row, wanted in zip(logits, expected, strict=True):
        emulator.call("ppgnet_tracker_update", (tracker, given_, result), [(given_, row.tobytes())])
        assert np.frombuffer(emulator.read(result, 12), "<i4").tolist() == wanted.tolist()


def sure_of_its_bins(model: IntegerModel) -> IntegerModel:
    """The same network with logits on a grid on which a peak stands out."""
    name = model.graph.sources(model.graph.output.name)[0]
    grid = replace(model.quantization[name], scale=0.05)
    return replace(model, quantization={**model.quantization, name: grid})


def test_a_single_wild_window_is_bridged_and_a_reset_forgets() -> None:
    bins = np.full(20, BINS // 4)
    bins[12] = BINS * 3 // 4
    model = sure_of_its_bins(MODEL)
    logits = logits_around(bins, np.random.default_rng(0))
    starts = np.arange(20) == 0
    tracked = track(TRACKER, model, logits, starts)[:, 0] / 256
    assert np.ptp(tracked) < 8
    fresh = track(TRACKER, model, logits, starts | (np.arange(20) == 12))[12, 0] / 256
    assert fresh - tracked[11] > 40


def test_a_lead_makes_up_for_lag_and_changes_nothing_at_rest() -> None:
    model = sure_of_its_bins(MODEL)
    starts = np.arange(30) == 0
    bins = BINS // 4 + np.maximum(0, np.arange(30) - 10) // 2
    logits = logits_around(bins, np.random.default_rng(3))
    lagging, leading = (track(replace(TRACKER, lead=lead), model, logits, starts)[:, 0] / 256 for lead in (0, 0.7))
    head = model.head
    assert isinstance(head, HeartRateSettings)
    truth = head.first_bpm + bins * (head.last_bpm - head.first_bpm) / (BINS - 1)
    assert (truth - lagging)[15:].mean() > (truth - leading)[15:].mean() + 0.5
    assert np.abs(leading - lagging)[:10].max() < 1
    assert (track(replace(TRACKER, lead=4), model, logits, starts)[:, 0] <= head.last_bpm * 256).all()


def test_files_are_read_back_and_damaged_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "tracker.json"
    save_tracker(TRACKER, path)
    assert load_tracker(path) == TRACKER
    path.write_text(path.read_text()[:40])
    with pytest.raises(TrackerError, match=r"tracker\.json: not a tracker's constants"):
        load_tracker(path)
    with pytest.raises(TrackerError, match="transition_q15: must sum"):
        replace(TRACKER, transition_q15=(1, 2, 3))
    with pytest.raises(TrackerError, match="floor"):
        replace(TRACKER, floor=0)
    with pytest.raises(TrackerError, match="lead"):
        replace(TRACKER, lead=-1)
