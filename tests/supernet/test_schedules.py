"""Each schedule trains the subnets that it says, and all of them resume exactly (test_supernet_train.py)."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy_studies import schedules
from supernet.network.supernet import SuperNet
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch
from supernet.tasks.task import HeartRateTask
from supernet.training.methods import Sandwich
from supernet.training.shrinking import ProgressiveShrinking
from supernet.training.trainer import fit
from tests.nas.tiny_run import benchmark, copy_of, finished_run
from tests.supernet.supernet_sets import sines, small_space

SPACE = small_space()
TASK = HeartRateTask(bins=24, sigma_bpm=8.0)
SETTINGS = TrainSettings(epochs=20, batch=16, random_subnets=3)


def drawn(method: Sandwich, settings: TrainSettings, epoch: int) -> list[Arch]:
    """The random subnets of many steps of an epoch."""
    return [arch for step in range(40) for arch in method._randoms(settings, epoch, step)]


def test_dimensions_open_one_after_the_other() -> None:
    method = ProgressiveShrinking(SuperNet(SPACE), TASK)
    kernels, depths, widths = [], [], []
    for epoch in (0, 4, 7, 15):
        archs = drawn(method, SETTINGS, epoch)
        blocks = [block for arch in archs for stage in arch.stages for block in stage.blocks]
        kernels.append(len({block.kernel for block in blocks if block.kind == "inverted_residual"}))
        depths.append({len(stage.blocks) for arch in archs for stage in arch.stages})
        widths.append({stage.width for arch in archs for stage in arch.stages[:1]})
        assert {arch.sensors for arch in archs} == {"ppg", "ppg_acc"}
    assert kernels[0] == 1 and min(kernels[1:]) > 1
    assert depths[:2] == [{2}, {2}] and 1 in depths[2] and 1 in depths[3]
    assert [len(held) for held in widths] == [1, 1, 1, 2]
    assert not method._has_smallest(SETTINGS, 9) and method._has_smallest(SETTINGS, 10)


def test_cost_bins_draw_a_cheap_and_a_dear_subnet_in_every_step() -> None:
    method = Sandwich(SuperNet(SPACE), TASK)
    settings = SETTINGS.with_changes(sampling="cost_bins")
    macs = [[SPACE.lower(arch).macs for arch in method._randoms(settings, 3, step)] for step in range(30)]
    low, middle, high = np.array(macs).T
    # Sensors are drawn afterwards, so that ranges overlap a little.
    assert np.median(low) < np.median(middle) < np.median(high) and (low < high).mean() > 0.95


@pytest.mark.parametrize("kind", [Sandwich, ProgressiveShrinking])
def test_every_schedule_trains_to_its_end_alike(kind: type[Sandwich]) -> None:
    losses = []
    for _ in range(2):
        method = kind(SuperNet(SPACE, np.random.default_rng(0)), TASK)
        losses.append([record.loss for record in fit(method, sines(48), TASK, SETTINGS.with_changes(epochs=4))])
    assert losses[0] == losses[1] and np.isfinite(losses[0]).all()


def test_the_comparison_is_made_once(
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = finished_run(tmp_path_factory)
    run: Path = copy_of(found, found.parent / "schedules")
    given = [
        "schedules",
        str(run),
        "--epochs",
        "2",
        "--way",
        "sandwich",
        "--way",
        "progressive shrinking",
    ]
    assert benchmark(*given) == 0
    printed = capsys.readouterr().out
    assert "sandwich, largest_bpm" in printed and "progressive shrinking, random_ppg_bpm" in printed
    monkeypatch.setattr(schedules, "fit", None)
    assert benchmark(*given) == 0 and capsys.readouterr().out == printed
