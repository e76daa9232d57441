"""Disturbed training windows are disturbed as they should be, deterministically, and only where asked for."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nas.assembly.task_setup import train_settings
from nas.run.config import Config
from supernet.settings.augmentation import Augmentation
from supernet.settings.training import TrainSettings
from supernet.tasks.task import HeartRateTask
from supernet.windows.disturbances import Disturbances
from supernet.windows.training_set import NO_AUGMENTATION, Draw, normalize_windows
from tests.supernet.supernet_sets import sines

TASK, TRAINING = HeartRateTask(), sines(40)
ALL = np.arange(40)
PLAIN = Draw(TRAINING, NO_AUGMENTATION, TASK, 0, 0).inputs(ALL)


def drawn(**changes: float) -> dict[int, torch.Tensor]:
    """All windows, varied only by `changes`."""
    return dict(Draw(TRAINING, NO_AUGMENTATION.with_changes(**changes), TASK, 0, 0).inputs(ALL))


@pytest.mark.parametrize(
    "changes", [{"motion_share": 0.5}, {"contact_share": 0.5}, {"gain": 0.5}, {"silence_share": 0.5}]
)
def test_windows_are_disturbed_in_the_same_way_however_they_are_batched(changes: dict[str, float]) -> None:
    draw = Draw(TRAINING, NO_AUGMENTATION.with_changes(**changes), TASK, 3, 1)
    whole, again = draw.inputs(ALL), drawn(**changes)
    for rate, x in whole.items():
        part = draw.inputs(ALL[10:20][::-1].copy())[rate]
        assert torch.allclose(part.flip(0), x[10:20], atol=1e-3) and torch.isfinite(x).all()
        moved = (again[rate] - PLAIN[rate]).abs().amax(dim=(1, 2)) > 1e-3
        share = 1.0 if "gain" in changes else 0.5
        assert share - 0.3 <= float(moved.float().mean()) <= min(1.0, share + 0.2)


def test_a_silent_accelerometer_explains_nothing() -> None:
    x = drawn(silence_share=1.0)[32]
    assert float(x[:, 2:].abs().max()) < 1e-3
    assert torch.allclose(x[:, 0], PLAIN[32][:, 0], atol=1e-5)


def test_lost_contact_is_flat_for_a_while_and_elsewhere_is_what_was() -> None:
    raw = torch.from_numpy(TRAINING.inputs[32][:, :, 48:-48]).clone()
    rng = np.random.default_rng(0)
    lost = Disturbances.drawn(40, rng, Augmentation(contact_share=1.0, contact_s=2.0))
    found = lost.apply(raw, ALL, 32, lambda windows: torch.zeros(len(windows), 4, 256))
    flat = found[:, 0].abs() < 1e-2 * raw[:, 0].abs()
    seconds = flat.sum(dim=1) / 32
    assert float(seconds.max()) <= 2.2 and float(seconds.mean()) > 0.4
    same = torch.isclose(found[:, 0], raw[:, 0], atol=1e-3).float().mean(dim=1)
    assert float(same.min()) > 0.6 and torch.equal(found[:, 1:], raw[:, 1:])


def test_added_motion_is_what_an_accelerometer_could_explain() -> None:
    """So cancelling takes it away again, where the window itself was at rest."""
    still = {rate: held.copy() for rate, held in TRAINING.inputs.items()}
    for held in still.values():
        held[:20, 1:] *= 1e-6
    training = replace(TRAINING, inputs=still)
    draw = Draw(training, NO_AUGMENTATION.with_changes(motion_share=1.0, motion_gain=4.0), TASK, 0, 0)
    x = draw.inputs(ALL[:20])[32]
    assert draw.disturbances is not None
    from_moving = torch.from_numpy(draw.disturbances.partner[:20] >= 20)
    before = normalize_windows(torch.from_numpy(still[32][:20, :, 48:-48]), 32)
    damage, left = ((x - before)[from_moving, channel].square().mean() for channel in (0, 1))
    assert float(damage) > 0.05 and float(left) < 0.7 * float(damage)
    assert float(x[from_moving, 2].abs().mean()) > 10 * float(before[from_moving, 2].abs().mean())


def test_nothing_changes_by_default_and_settings_of_before_keep_their_digest() -> None:
    for rate, x in Draw(TRAINING, Augmentation(stretch_share=0.0), TASK, 0, 0).inputs(ALL).items():
        assert torch.equal(x, PLAIN[rate])
    assert set(TrainSettings().to_dict()["augmentation"]) == {"slowest", "fastest", "stretch_share", "noise"}
    changed = TrainSettings(augmentation=Augmentation(gain=0.5)).to_dict()["augmentation"]
    assert changed["gain"] == 0.5


def test_a_configuration_may_say_how_windows_are_varied() -> None:
    content = {
        "name": "x",
        "data": {"sources": [{"kind": "synthetic"}]},
        "supernet": {"augmentation": {"contact_share": 0.25}},
    }
    config = Config(**content)
    assert train_settings(config.supernet, 0).augmentation.contact_share == 0.25
    assert config.supernet.model_dump()["augmentation"]["contact_share"] == 0.25
    assert "augmentation" not in config.teacher.model_dump()
