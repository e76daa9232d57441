"""Teachers have the sizes that are asked for, say how sure they are, and are asked once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from nas.assembly.loading import trained_teacher
from nas.assembly.task_setup import train_settings
from nas.assembly.teacher_setup import member_channels, new_teacher
from nas.data.windows import WindowSet
from nas.report.plots import training_curves
from nas.run.config import Config, parse_config
from nas.run.run_directory import RunDirectory
from nas.stages.job import run_pipeline
from supernet.settings.augmentation import Augmentation
from supernet.settings.teachers import Teacher
from supernet.tasks.task import HeartRateTask, RhythmTask
from supernet.teachers.ensemble import Ensemble
from supernet.teachers.networks.resnet import ResNet
from supernet.teachers.reliability import fit_temperature, reliability
from supernet.training.teaching import Teaching
from supernet.windows.training_set import Draw
from tests.nas.tiny_run import tiny_config
from tests.supernet.supernet_sets import sines

TASK = HeartRateTask(bins=24, sigma_bpm=8.0)
TRAINING = sines(40)


def parameters(**teacher: object) -> int:
    """Parameters of a configured teacher."""
    config = Config(name="x", data={"sources": [{"kind": "synthetic"}]}, teacher=teacher)
    return sum(p.numel() for p in new_teacher(config, (4,), 32).parameters())


def test_the_large_teachers_are_as_large_as_they_should_be() -> None:
    assert 1.8e6 < parameters(kind="resnet", width=20, blocks=[3, 4, 6, 3]) < 2.3e6
    large = {"kind": "transformer", "width": 320, "heads": 8, "layers": 6, "patch_ms": 20}
    assert 4.5e6 < parameters(**large) < 5.5e6


def test_a_patch_of_20_ms_is_a_token_at_any_rate() -> None:
    for rate in (16, 32, 50):
        config = Config(
            name="x",
            data={"sources": [{"kind": "synthetic"}]},
            teacher={"kind": "transformer", "width": 12, "heads": 2, "layers": 1, "patch_ms": 20},
        )
        network = new_teacher(config, (4,), rate).eval()
        logits, tokens = network.observe(torch.randn(2, 4, 8 * rate))  # type: ignore[operator]
        assert tokens.shape == (2, 12, 400) and logits.shape == (2, 96)


def test_an_ensemble_says_the_mean_of_its_members_beliefs() -> None:
    members = [ResNet(24, channels, width=4, blocks=(1,), seed=seed) for seed, channels in ((0, 4), (1, 1))]
    both = Ensemble(members, (4, 1)).eval()
    x = torch.randn(5, 4, 256)
    expected = (members[0](x).softmax(1) + members[1](x[:, :1]).softmax(1)) / 2
    assert torch.allclose(both(x).softmax(1), expected, atol=1e-6)
    both.temperatures[0] = 1e4
    expected = (1 / 24 + members[1](x[:, :1]).softmax(1)) / 2
    assert torch.allclose(both(x).softmax(1), expected, atol=1e-4)


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 4.0])
def test_the_fitted_temperature_undoes_overconfidence(too_sure: float) -> None:
    rng = np.random.default_rng(0)
    honest = torch.from_numpy(rng.normal(0, 1.5, (4000, 5)).astype(np.float32))
    belief = honest.softmax(1).numpy()
    drawn = (belief.cumsum(1) > rng.random((4000, 1))).argmax(1)
    task = RhythmTask(tuple("abcde"))
    found = fit_temperature(honest * too_sure, drawn, task)
    assert found == pytest.approx(too_sure, rel=0.1)
    before, after = (reliability(honest * too_sure / t, drawn, task) for t in (1.0, found))
    assert after.ece < 0.03 and after.nll <= before.nll + 1e-6
    assert too_sure == 1.0 or before.ece > 2 * after.ece


def test_a_heart_rate_belief_that_is_too_sharp_is_found_out() -> None:
    rng = np.random.default_rng(1)
    truth = rng.uniform(60, 160, 1000)
    shown = torch.from_numpy((truth + rng.normal(0, 12, 1000)).astype(np.float32))
    sharp = -0.5 * ((TASK.centres() - shown[:, None]) / 4.0) ** 2
    before = reliability(sharp, truth, TASK)
    after = reliability(sharp / fit_temperature(sharp, truth, TASK), truth, TASK)
    assert before.error_bpm is not None and before.spread_bpm is not None and after.spread_bpm is not None
    assert before.spread_bpm < 0.5 * before.error_bpm
    assert after.spread_bpm == pytest.approx(before.error_bpm, rel=0.15) and after.ece < before.ece / 2


class CountingResNet(ResNet):
    """Counts the windows it is asked about."""

    asked = 0

    def observe(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As a ResNet."""
        type(self).asked += len(x)
        return super().observe(x)


def test_a_teacher_is_asked_once_per_window_and_draw_and_never_trusted_blindly(tmp_path: Path) -> None:
    def teaching(seed: int = 0) -> Teaching:
        return Teaching(CountingResNet(24, width=4, blocks=(1,), seed=seed), 32, folder=tmp_path)

    def draw(number: int) -> Draw:
        return Draw(TRAINING, Augmentation(), TASK, 0, number)

    CountingResNet.asked = 0
    first = teaching().of(draw(0), with_maps=True)
    again = teaching().of(draw(0), with_maps=True)
    assert CountingResNet.asked == len(TRAINING)
    for name, value in first.tensors().items():
        other = again.tensors()[name]
        assert (value is None) == (other is None) == (name == "spectral_attention"), name
        assert value is None or (other is not None and torch.equal(value, other)), name
    teaching().of(draw(1), with_maps=True)
    teaching(seed=1).of(draw(0), with_maps=True)
    assert CountingResNet.asked == 3 * len(TRAINING) and len(list(tmp_path.iterdir())) == 3
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:200])
    repaired = teaching().of(draw(0), with_maps=True)
    assert torch.equal(repaired.logits, first.logits)


def test_an_ensemble_goes_through_its_stage(tmp_path: Path) -> None:
    content = tiny_config(tmp_path)
    content["teacher"] = {
        "kind": "ensemble",
        "members": [
            {"kind": "spectral", "width": 8, "epochs": 1},
            {"kind": "resnet", "width": 4, "blocks": [1], "epochs": 1, "sensors": "ppg"},
        ],
    }
    run = RunDirectory.create(tmp_path / "run", parse_config(content, "tiny.yaml"), tmp_path)
    run_pipeline(run, "teacher")
    summary, told = run.summary("teacher"), run.json("teacher", "reliability.json")
    assert summary["channels"] == 4 and len(told["temperatures"]) == 3
    assert told["after"]["nll"] <= told["before"]["nll"] + 1e-3
    assert summary["calibration_error"] == told["before"]["ece"]
    history = run.json("teacher", "history.json")
    assert [record["epoch"] for record in history] == [0, 1] and "loss" in history[0]
    assert training_curves({"teacher": history}, "MAE").get_size_inches().all()
    teacher = trained_teacher(run)
    windows = WindowSet.load(run.path / "data" / "windows.npz")
    x = torch.from_numpy(windows.normalized(teacher.rate_hz)[:4, : teacher.channels])
    assert teacher.network(x).shape == (4, 96)
    changed = {**content, "teacher": {**content["teacher"], "members": content["teacher"]["members"][:1]}}
    assert parse_config(changed, "x").model_dump() != run.config.model_dump()


def test_a_teacher_that_insists_on_motion_says_when_there_is_none() -> None:
    from dataclasses import replace

    from hwmodels.basics.errors import InputError

    still = replace(TRAINING, has_acc=np.zeros(len(TRAINING), bool))
    with pytest.raises(InputError, match=r"teacher\.sensors: ppg_acc, but no training recording"):
        member_channels(Teacher(sensors="ppg_acc"), still)
    assert member_channels(Teacher(), still) == 1 and member_channels(Teacher(), TRAINING) == 4


def test_members_and_kinds_must_agree() -> None:
    with pytest.raises(ValidationError, match="at least one"):
        Teacher(kind="ensemble")
    with pytest.raises(ValidationError, match="kind: ensemble"):
        Teacher(members=({"kind": "resnet"},))
    with pytest.raises(ValidationError, match="not a multiple of 7 heads"):
        Teacher(kind="transformer", heads=7)
    with pytest.raises(ValidationError, match="only a transformer"):
        Teacher(heads=4)


def test_keys_that_came_later_are_written_only_where_they_say_something() -> None:
    config = Config(name="x", data={"sources": [{"kind": "synthetic"}]})
    assert not {"members", "scaling", "sensors", "distillation"} & set(config.teacher.model_dump())
    losses = [{"kind": "soft_labels", "weight": 0.5}, {"kind": "regression"}]
    fine = config.finish.fine_tuning.model_dump() | {"distillation": losses}
    changed = parse_config({**config.model_dump(), "finish": {"fine_tuning": fine}}, "x")
    assert [loss.kind for loss in changed.finish.fine_tuning.distillation] == ["soft_labels", "regression"]
    assert parse_config(changed.model_dump(), "x") == changed
    terms = train_settings(changed.finish.fine_tuning, 0).distillation
    assert [(term.kind, term.weight) for term in terms] == [("soft_labels", 0.5), ("regression", 1.0)]
