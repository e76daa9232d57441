"""Recordings without labels: refused where labels are needed, and taken under `data.unlabelled`, whatever they hold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from nas.assembly.loading import taught_sides, trained_teacher, unlabelled_windows, windows_of
from nas.data.loaders.tabular import load_tabular, save_recording
from nas.data.synthetic import simulate
from nas.run.run_directory import RunDirectory
from tests.nas.test_data_loaders import _real
from tests.nas.test_own_recordings import EVEN, light
from tests.nas.tiny_run import exit_code, refusal, tiny_config, write_config


def prepare(folder: Path, **data: Any) -> list[object]:
    """The command that prepares a run of those settings of `data`."""
    config = tiny_config(folder) | {"data": {"folds": 3, **data}}
    path = write_config(folder / "config.yaml", config)
    return ["run", path, "--data", folder, "--run", folder / "run", "--until", "prepare"]


def people(folder: Path, count: int = 4, bpm: float | None = None) -> Path:
    """A folder of labelled recordings, all of one heart rate if it is given."""
    folder.mkdir()
    for recording in simulate(count, 3, minutes=1):
        if bpm is not None:
            object.__setattr__(recording, "heart_rate_bpm", np.full_like(recording.heart_rate_bpm, bpm))
        save_recording(folder / f"{recording.name}.npz", recording)
    return folder


def strangers(folder: Path, count: int = 2) -> Path:
    """A folder of recordings without labels."""
    folder.mkdir()
    for number in range(count):
        np.savez(folder / f"stranger{number}.npz", ppg=light(EVEN), ppg_hz=25)
    return folder


def test_windows_of_unlabelled_recordings_lie_beside_the_labelled_ones(tmp_path: Path) -> None:
    people(tmp_path / "labelled"), strangers(tmp_path / "bare")
    command = prepare(
        tmp_path,
        sources=[{"kind": "tabular", "path": "labelled"}],
        unlabelled=[{"kind": "tabular", "path": "bare"}],
    )
    assert exit_code(*command) == 0
    run = RunDirectory.open(tmp_path / "run")
    windows, labelled = unlabelled_windows(run), windows_of(run, "train")
    assert windows is not None and set(windows.subject) == {"own/stranger0", "own/stranger1"}
    assert np.isnan(windows.heart_rate_bpm).all() and (windows.rhythm < 0).all() and windows.label_kind == "none"
    assert (windows.rates, windows.window_s, windows.margin_s) == (labelled.rates, labelled.window_s, labelled.margin_s)
    assert run.summary("prepare")["unlabelled_windows"] == len(windows) == 2 * 27
    assert not set(windows.subject) & set(run.summary("prepare")["train_subjects"])


def test_nobody_who_is_tested_or_validated_on_is_learned_from_without_labels(tmp_path: Path) -> None:
    people(tmp_path / "all", count=6)
    source = {"kind": "tabular", "path": "all"}
    assert exit_code(*prepare(tmp_path, sources=[source], unlabelled=[source])) == 0
    run = RunDirectory.open(tmp_path / "run")
    windows = unlabelled_windows(run)
    assert windows is not None and set(windows.subject) == set(run.summary("prepare")["train_subjects"])
    assert np.isnan(windows.heart_rate_bpm).all() and windows.trusted.all() and set(windows.activity) == {""}


def test_unlabelled_recordings_need_no_sound_labels(tmp_path: Path) -> None:
    people(tmp_path / "labelled")
    (tmp_path / "spc").mkdir()
    signal = np.random.default_rng(0).standard_normal((6, 125 * 60))
    savemat(tmp_path / "spc" / "DATA_01_TYPE01.mat", {"sig": signal})
    simulated = {"kind": "synthetic", "subjects": 3, "minutes": 1}
    spc = {"kind": "ieee_spc", "path": "spc"}
    labelled = {"kind": "tabular", "path": "labelled"}
    assert exit_code(*prepare(tmp_path, sources=[labelled], unlabelled=[spc, simulated])) == 0
    windows = unlabelled_windows(RunDirectory.open(tmp_path / "run"))
    assert windows is not None and np.isnan(windows.heart_rate_bpm).all() and len(set(windows.source)) == 2


def test_a_run_without_unlabelled_recordings_is_as_it_was(tmp_path: Path) -> None:
    people(tmp_path / "labelled")
    assert exit_code(*prepare(tmp_path, sources=[{"kind": "tabular", "path": "labelled"}])) == 0
    run = RunDirectory.open(tmp_path / "run")
    assert unlabelled_windows(run) is None
    assert "unlabelled" not in (tmp_path / "run" / "config.yaml").read_text()
    assert "unlabelled" not in json.dumps(run.summary("prepare"))
    assert [path.name for path in (tmp_path / "run" / "data").iterdir()] == ["windows.npz"]


def test_new_unlabelled_files_make_the_preparation_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people(tmp_path / "labelled"), strangers(tmp_path / "bare")
    command = prepare(
        tmp_path,
        sources=[{"kind": "tabular", "path": "labelled"}],
        unlabelled=[{"kind": "tabular", "path": "bare"}],
    )
    assert exit_code(*command) == 0
    np.savez(tmp_path / "bare" / "third.npz", ppg=light(EVEN), ppg_hz=25)
    assert exit_code(*command) == 0
    windows = unlabelled_windows(RunDirectory.open(tmp_path / "run"))
    assert windows is not None and len(set(windows.subject)) == 3


# Bad input


def test_an_unlabelled_source_under_sources_is_named_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people(tmp_path / "labelled"), strangers(tmp_path / "bare")
    both = [{"kind": "tabular", "path": place} for place in ("labelled", "bare")]
    message = refusal(capsys, *prepare(tmp_path, sources=both))
    assert "data.sources, own: stranger0.npz has no heart rates" in message and "data.unlabelled" in message
    message = refusal(capsys, *prepare(tmp_path, sources=both[1:]))
    assert "none of its 2 recordings has heart rates that can be used as labels" in message


def test_a_source_of_another_task_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people(tmp_path / "labelled")
    segments = np.random.default_rng(0).random((4, 1000))
    savemat(tmp_path / "MPA_1.mat", {"ppgseg": segments, "labels": np.array([[0], [5], [2], [0]], np.uint8)})
    sources = [{"kind": "tabular", "path": "labelled"}, {"kind": "liu"}]
    message = refusal(capsys, *prepare(tmp_path, sources=sources))
    assert "MPA_1.mat of data.sources (liu) is labelled with rhythms, but the task is heart_rate" in message


def test_labels_beyond_the_bins_are_named_with_their_place_and_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people(tmp_path / "fast", bpm=231.0)
    message = refusal(capsys, *prepare(tmp_path, sources=[{"kind": "tabular", "path": "fast"}]))
    assert "the label at 4 s is 231 BPM" in message and "beyond the bins from 30 to 220" in message
    assert "task.first_bpm" in message


def test_unlabelled_people_who_are_all_tested_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people(tmp_path / "all", count=6)
    labelled = {"kind": "tabular", "path": "all"}
    assert exit_code(*prepare(tmp_path, sources=[labelled])) == 0
    tested = RunDirectory.open(tmp_path / "run").summary("prepare")["test_subjects"]
    (tmp_path / "tested").mkdir()
    for path in (tmp_path / "all").iterdir():
        if load_tabular(path)[0].subject in tested:
            shutil.copy(path, tmp_path / "tested")
    command = prepare(tmp_path, sources=[labelled], unlabelled=[{"kind": "tabular", "path": "tested"}])
    command[command.index("--run") + 1] = tmp_path / "other"
    assert "all of its people are validated on or tested" in refusal(capsys, *command)


def test_a_wrong_unlabelled_source_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people(tmp_path / "labelled")
    labelled = [{"kind": "tabular", "path": "labelled"}]
    message = refusal(capsys, *prepare(tmp_path, sources=labelled, unlabelled=[{"kind": "wesed"}]))
    assert "data.unlabelled.0.kind" in message and "unknown kind 'wesed'" in message
    message = refusal(capsys, *prepare(tmp_path, sources=labelled, unlabelled=[{"kind": "bami", "path": "labelled"}]))
    assert "no recordings of bami there" in message


@pytest.mark.real_data
def test_the_real_bracelet_exports_are_windows_without_labels(tmp_path: Path) -> None:
    root = _real("wesad_e4")
    people(tmp_path / "labelled")
    (tmp_path / "S2").symlink_to(root / "S2", target_is_directory=True)
    command = prepare(
        tmp_path,
        sources=[{"kind": "tabular", "path": "labelled"}],
        unlabelled=[{"kind": "empatica_e4", "path": "S2"}],
    )
    assert exit_code(*command) == 0
    windows = unlabelled_windows(RunDirectory.open(tmp_path / "run"))
    assert windows is not None and len(windows) > 3900 and windows.has_acc.all()
    assert set(windows.subject) == {"empatica_e4/S2"}


def test_a_run_learns_from_recordings_that_a_two_sided_teacher_labels(tmp_path: Path) -> None:
    people(tmp_path / "bare", 2)
    config = tiny_config(tmp_path)
    config["data"]["unlabelled"] = [{"kind": "tabular", "path": "bare"}]
    config["teacher"] = {"kind": "two_sided", "width": 8, "epochs": 1, "floor_bpm": 100}
    config["supernet"]["distillation"] = [{"kind": "decoupled", "options": {"beta": 2}}]
    path = write_config(tmp_path / "config.yaml", config)
    command = ["run", path, "--data", tmp_path, "--run", tmp_path / "run", "--until", "supernet"]
    assert exit_code(*command) == 0
    run = RunDirectory.open(tmp_path / "run")
    training, validation = taught_sides(run, trained_teacher(run))
    assert training.weights is not None and validation.weights is None
    bare = training.weights < 1
    assert bare.any() and not {*training.subjects[bare]} & {*validation.subjects}  # type: ignore[index,misc]
    assert len(training) == len(windows_of(run, "train").trusted.nonzero()[0]) + len(unlabelled_windows(run) or ())
