"""Simulated people beside real ones: they train and nothing else, and as many of them as the share says."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodels.basics.errors import InputError
from nas.data.folds import subject_folds
from nas.data.loaders.tabular import save_recording
from nas.data.synthetic import POPULATIONS, simulate
from nas.data.synthetic.shares import within_shares
from nas.data.windows import WindowSet
from nas.report.closing import is_synthetic
from nas.run.config import ConfigError, Source, parse_config
from tests.nas.tiny_run import exit_code, refusal, tiny_config, write_config

WIDE = {"kind": "synthetic", "population": "wide", "subjects": 5, "minutes": 1.5}


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Six files that stand for people who were recorded."""
    for recording in simulate(6, 5, minutes=1):
        save_recording(tmp_path / f"{recording.name}.npz", dataclasses.replace(recording, source="mine"))
    return tmp_path


def prepared(people: Path, *simulated: dict[str, Any], folder: str = "run", fold: int = 0) -> tuple[dict, WindowSet]:
    """Summary and windows of the first stage, of recorded people and simulated ones."""
    data = {"folds": 3, "fold": fold, "sources": [{"kind": "tabular"}, *simulated]}
    config = write_config(people / f"{folder}.yaml", tiny_config(people) | {"data": data})
    run = people.parent / f"{people.name}-{folder}"
    assert exit_code("run", config, "--data", people, "--run", run, "--until", "prepare") == 0
    summary = json.loads((run / "stages" / "prepare.json").read_text())["summary"]
    return summary, WindowSet.load(run / "data" / "windows.npz")


def is_simulated(windows: WindowSet) -> np.ndarray:
    return np.char.startswith(windows.source, "synthetic")


def test_simulated_people_train_and_the_recorded_ones_stand_where_they_stood(people: Path) -> None:
    alone, _ = prepared(people, folder="alone")
    both, windows = prepared(people, WIDE, {"kind": "synthetic", "subjects": 3, "minutes": 1})
    simulated = set(windows.subject[is_simulated(windows)])
    assert len(simulated) == 8
    assert both["validation_subjects"] == alone["validation_subjects"]
    assert both["test_subjects"] == alone["test_subjects"]
    assert set(both["train_subjects"]) == set(alone["train_subjects"]) | simulated


@pytest.mark.parametrize("share", [0.2, 0.5, 0.6])
def test_a_share_of_the_training_windows_is_simulated_to_the_window(people: Path, share: float) -> None:
    summary, windows = prepared(people, WIDE | {"subjects": 12, "share": share})
    training = windows.of_subjects(summary["train_subjects"])
    simulated = is_simulated(training)
    real = int((~simulated).sum())
    assert simulated.sum() == round(share * real / (1 - share))
    # What stays is whole people and the beginning of one: windows follow each other.
    for name in np.unique(training.subject[simulated]):
        np.testing.assert_allclose(np.diff(training.start_s[training.subject == name]), 2.0)
    kept = [f"synthetic-wide/{number:03d}" for number in range(len(np.unique(training.subject[simulated])))]
    assert sorted(np.unique(training.subject[simulated])) == kept


def test_the_same_settings_give_the_same_windows(people: Path) -> None:
    _, first = prepared(people, WIDE | {"share": 0.3}, folder="first")
    _, second = prepared(people, WIDE | {"share": 0.3}, folder="second")
    np.testing.assert_array_equal(first.inputs[16], second.inputs[16])
    np.testing.assert_array_equal(first.subject, second.subject)


def test_a_share_that_the_people_cannot_fill_says_how_many_it_takes(
    people: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"folds": 3, "sources": [{"kind": "tabular"}, WIDE | {"subjects": 3, "share": 0.9}]}
    config = write_config(people / "config.yaml", tiny_config(people) | {"data": data})
    line = refusal(capsys, "run", config, "--data", people, "--run", people / "run", "--until", "prepare")
    assert "a share of 0.9 takes" in line and "times as many subjects, or lower share" in line


@given(
    real=st.integers(1, 400),
    simulated=st.tuples(st.integers(0, 400), st.integers(0, 400)),
    shares=st.tuples(st.floats(0.01, 0.45), st.floats(0.01, 0.45)),
)
def test_shares_of_several_sources_hold_at_once(
    real: int, simulated: tuple[int, int], shares: tuple[float, float]
) -> None:
    source = np.repeat(["mine", "a", "b"], [real, *simulated])
    named = dict(zip("ab", shares, strict=True))
    try:
        kept = within_shares(source, np.ones(source.size, dtype=bool), named)
    except InputError:
        total = real / (1 - sum(shares))
        assert any(round(share * total) > held for share, held in zip(shares, simulated, strict=True))
        return
    for name, share in named.items():
        # Each count is rounded once.
        assert abs(np.sum(kept & (source == name)) - share * real / (1 - sum(shares))) <= 0.5
    assert kept[source == "mine"].all()


def test_people_who_only_train_change_nobodys_side() -> None:
    recorded = [f"p{number}" for number in range(9)]
    simulated = [f"s{number}" for number in range(20)]
    strata = ["real"] * 9 + ["simulated"] * 20
    plain = subject_folds(recorded, 3, 7)
    mixed = subject_folds(recorded + simulated, 3, 7, strata=strata, always_training=simulated)
    for before, after in zip(plain, mixed, strict=True):
        assert (after.validation, after.test) == (before.validation, before.test)
        assert set(after.train) == {*before.train, *simulated}


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ([{"kind": "tabular", "share": 0.3}], "are of synthetic sources, not of tabular"),
        ([{"kind": "bami", "population": "wide"}], "are of synthetic sources, not of bami"),
        ([{"kind": "synthetic", "population": "tall"}], "population: .*'plain', 'wide' or 'quiet'"),
        ([{"kind": "synthetic", "share": 0.3}], "share beside real sources only"),
        ([{"kind": "tabular"}, {"kind": "synthetic", "share": 1.0}], "share: "),
        ([{"kind": "tabular"}, WIDE, WIDE], "simulate the same people"),
        (
            [{"kind": "tabular"}, WIDE | {"share": 0.6}, {"kind": "synthetic", "share": 0.5}],
            "sum to 1.1; leave some to real recordings",
        ),
    ],
)
def test_mixtures_that_cannot_be_are_named(sources: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        parse_config({"name": "a", "data": {"sources": sources}}, "here")
    assert "\n" not in str(caught.value)


def test_a_configuration_without_populations_is_written_as_before() -> None:
    written = parse_config({"name": "a", "data": {"sources": [{"kind": "synthetic"}]}}, "here").to_yaml()
    assert "population:" not in written.split("search")[0] and "share" not in written.split("teacher")[0]
    assert set(Source.model_fields["population"].annotation.__args__) == set(POPULATIONS)  # type: ignore[union-attr]


def test_wide_people_are_written_as_files_that_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("data", "simulate", "--out", tmp_path / "out", "--subjects", 2, "--minutes", 1)
    assert exit_code(*given, "--population", "wide") == 0
    assert exit_code("data", "check", tmp_path / "out") == 0
    line = refusal(capsys, *given[:3], tmp_path / "other", *given[4:], "--population", "wide", "--task", "rhythm")
    assert "for rhythms choose plain" in line


@pytest.mark.parametrize(("real", "said"), [([], True), ([{"kind": "tabular"}], False)])
def test_figures_are_of_simulated_people_only_where_nobody_was_recorded(real: list[dict[str, Any]], said: bool) -> None:
    config = parse_config({"name": "a", "data": {"sources": [*real, {"kind": "synthetic"}]}}, "here")
    assert is_synthetic(SimpleNamespace(config=config)) is said  # type: ignore[arg-type]
