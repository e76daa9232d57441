"""The networks that come with the program: there at once, with an accelerometer and without, in doubt of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nas
from benchmarks.support.noises import noise
from hwmodels.device.device import load_device
from nas.assembly.graph_costs import graph_cost
from nas.cli import main
from nas.data.synthetic import simulate
from nas.predict.shipped import PULSE_ALONE, WITH_ACCELEROMETER, Shipped

STILL = simulate(3, 11, minutes=4.0, activities=("sitting",))
NAMES = (WITH_ACCELEROMETER, PULSE_ALONE)


@pytest.fixture(autouse=True)
def no_other_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that would come before the shipped networks."""
    monkeypatch.delenv("PPG_NAS_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_small_enough_and_described(name: str) -> None:
    shipped = Shipped(name)
    model, _ = shipped.load()
    assert (shipped.folder / "model.npz").stat().st_size < 100_000
    assert model.graph.remembered_steps > 0
    cost = graph_cost(model.graph, load_device("cortex-m7-64mhz").name)
    assert cost["flash_kb"] < 80 and cost["latency_ms"] < 50
    for heading in ("Trained of", "Valid", "Tested on real people", "Limits"):
        assert heading in shipped.card


@pytest.mark.parametrize("has_acceleration", [True, False])
def test_a_still_wrist_is_read_at_once(has_acceleration: bool) -> None:
    for recording in STILL:
        acc = (recording.acc, recording.acc_hz) if has_acceleration else (None, None)
        found = nas.infer_heart_rate(recording.ppg, recording.ppg_hz, *acc)
        error = np.abs(found.estimate - found_reference(found, recording))
        assert np.nanmedian(error) < 3.0
        # Of the pulse alone it hardly trusts itself: see its card.
        assert not has_acceleration or found.valid.mean() > 0.3


def found_reference(found: nas.predict.inference.Inference, recording: object) -> np.ndarray:
    """The label at each window's middle."""
    from nas.predict.inference import references_of

    return references_of(recording, found.time_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["white", "walk", "count"])
def test_noise_is_hardly_ever_valid(kind: str) -> None:
    light = noise(kind, 180.0, 64, 3)
    acc = np.array([[0.0], [0.0], [1.0]]) + 0.003 * np.random.default_rng(0).standard_normal((3, light.size))
    assert nas.infer_heart_rate(light, 64, acc, 64).valid.mean() <= 0.05
    assert nas.infer_heart_rate(light, 64).valid.mean() <= 0.05


def test_the_command_takes_it_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    time = np.arange(60 * 32) / 32
    rows = np.column_stack([time, 1000 + 50 * np.sin(2 * np.pi * 1.5 * time)])
    np.savetxt(tmp_path / "pulse.csv", rows, delimiter=",", header="time_s,ppg", comments="")
    assert main(["predict", "shipped", str(tmp_path / "pulse.csv")]) == 0
    assert "pulse" in capsys.readouterr().out
