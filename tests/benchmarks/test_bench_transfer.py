"""Sets and people that are left out: who trains never is tested, and tables come from files alone."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.accuracy_studies import transfer
from benchmarks.support import integer_training, left_out
from benchmarks.support.judgements import JUDGED, Judgement, figures, groups_of, load_judgement, save_judgement
from benchmarks.support.left_out import Part, load_parts, sides_of, splits_of
from benchmarks.support.trials import TrialError
from nas.data.own.npz_recording import save_recording
from nas.data.synthetic import simulate
from nas.evaluation import verdict
from nas.run.config import parse_config
from tests.nas.tiny_run import benchmark, tiny_config, write_config

ARCH = "16Hz-spectrum/ppg_acc/8/8:i3d1e1m4k3s1"
SPACE = """\
name: tiny
reads: spectrum
padding: centred
sensors: [ppg, ppg_acc]
stems:
  - {rate_hz: 16, kernel: 5, stride: 1}
stem_widths: [8]
stages:
  - stride: 1
    widths: [8]
    min_depth: 1
    blocks:
      - inverted_residual: {kernels: [3], dilations: [1], expansions: [1]}
        context: {channels: [0, 4], taps: [3], steps: [1]}
"""
SETS = {"field": 6, "ward": 2}
"""People of each set; of the smaller one each is left out alone."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of recordings and a configuration that lists them with simulated people."""
    found = tmp_path_factory.mktemp("transfer")
    for seed, (name, people) in enumerate(SETS.items(), 1):
        (found / name).mkdir()
        for number, recording in enumerate(simulate(people, seed, minutes=1.0)):
            own = replace(recording, subject=f"{name}/{number}")
            save_recording(found / name / f"{number}.npz", own)
    config = tiny_config(found)
    (found / "space.yaml").write_text(SPACE)
    config["task"] = {"bins": 104, "last_bpm": 223.125}
    config["data"]["sources"][0]["subjects"] = 5
    config["data"]["sources"] += [{"kind": "tabular", "path": name} for name in SETS]
    config["finish"] |= {"fine_tuning": {"epochs": 1, "batch": 32}, "quantization": {"epochs": 1}}
    write_config(found / "tiny.yaml", config)
    return found


@pytest.fixture(scope="module")
def parts(folder: Path) -> list[Part]:
    return load_parts(config_of(folder), folder)


def config_of(folder: Path) -> Any:
    return parse_config(yaml.safe_load((folder / "tiny.yaml").read_text()), "tiny.yaml")


def set_of(person: str) -> str:
    """Of "own/field/3" and the names of simulated people what comes before the number."""
    return person.rpartition("/")[0]


def arguments(folder: Path, *more: object) -> list[object]:
    given = ["--config", folder / "tiny.yaml", "--data", folder, "--arch", ARCH]
    return ["transfer", *given, "--work", folder / "work", "--results", folder / "results", *more]


@pytest.fixture(scope="module")
def few() -> Iterator[None]:
    """Fewer strangers and less noise than verdicts are fitted on and judged by."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdict, "_STRANGERS", 2)
        patch.setattr(verdict, "_MINUTES", 1.0)
        patch.setattr(left_out, "_TRACES", 1)
        patch.setattr(transfer, "_cost", lambda *_: None)
        verdict.strangers.cache_clear()
        yield
    verdict.strangers.cache_clear()


@pytest.fixture(scope="module")
def trained(folder: Path, few: None) -> Path:
    """The files of two trainings."""
    wanted = ("--train", "without field", "--train", "simulated")
    assert benchmark(*arguments(folder, *wanted, "--json")) == 0
    return folder


def told(capsys: pytest.CaptureFixture[str], *given: object) -> dict[str, Any]:
    capsys.readouterr()
    assert benchmark(*given, "--json") == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_every_set_and_every_person_of_a_small_one_is_left_out_once(parts: list[Part]) -> None:
    names = [split.name for split in splits_of(parts, folds=3)]
    folds = [f"fold {at} of 3" for at in range(3)]
    assert names == ["without field", "without ward", "without own/ward/0", "without own/ward/1", "simulated", *folds]


def test_nobody_who_is_tested_trains_or_validates(folder: Path, parts: list[Part]) -> None:
    config = config_of(folder)
    tested: list[str] = []
    for split in splits_of(parts, folds=3):
        sides = sides_of(split, parts, config)
        people = [set(one.subject.tolist()) for one in (sides.training, sides.validation, sides.test)]
        assert all(people) and not people[2] & (people[0] | people[1]) and not people[0] & people[1]
        assert len(sides.part) == len(sides.test)
        if split.name.startswith("without"):
            left_out = {set_of(name) for name in people[2]}
            assert split.people or not left_out & {set_of(name) for name in people[0] | people[1]}
        tested += people[2] if split.name.startswith("fold") else ()
    assert sorted(tested) == sorted(f"own/{name}/{at}" for name, people in SETS.items() for at in range(people))


def test_parts_of_a_published_set_that_the_configuration_does_not_list_are_tested_with_it(
    folder: Path, parts: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    field = next(part for part in parts if part.name == "field")
    kept = replace(field, name="field, kept for tests", is_listed=False)
    splits = {split.name: split for split in splits_of([*parts, kept])}
    assert splits["without field"].tested == ("field", kept.name)
    assert splits["all sets"].tested == (kept.name,) and "field" in splits["all sets"].trained
    assert all(kept.name not in split.trained for split in splits.values())


def test_tables_and_picture_come_from_files_alone(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "_train", None)
    found = told(capsys, *arguments(trained, "--plots", trained / "plots"))
    assert found["trainings"] == ["simulated", "without field"]
    every = [row for row in found["rows"] if row["group"] == "all"]
    assert {(row["tested"], row["trained_on"]) for row in every} == {
        ("field", "the other sets"),
        ("field", "simulated people alone"),
        ("ward", "simulated people alone"),
    }
    assert {row["people"] for row in every if row["tested"] == "field"} == {6}
    assert {row["noise"] for row in found["noise"]} >= {"white", "1/f", "random walk", "one count"}
    assert (trained / "plots" / "risk_coverage.png").stat().st_size > 0
    tables = transfer.document_tables(trained / "results")
    assert "| field | the other sets | int8 subnet, tracked | 6 |" in tables["all"] and tables["noise"]


def test_sets_that_were_left_out_head_the_readme(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "results", tmp_path / "docs" / "results" / "transfer")
    (tmp_path / "README.md").write_text("<!-- accuracy begin --><!-- accuracy end -->")
    assert benchmark("readme", "--root", tmp_path) == 0
    assert "| --- |\n| field | the other sets | 6 | spectral" in (tmp_path / "README.md").read_text()


def test_what_was_trained_is_not_trained_again(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = trained / "results" / "tiny-without-field-seed0.json"
    before = file.read_bytes()
    monkeypatch.setattr(integer_training, "train_on", None)
    told(capsys, *arguments(trained, "--train", "without field"))
    assert file.read_bytes() == before
    file.unlink()
    told(capsys, *arguments(trained, "--train", "without field"))
    assert file.read_bytes() == before


def test_a_training_that_does_not_exist_is_named(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark(*arguments(trained, "--train", "without mars")) == 2
    assert "without mars: no such training; there are all, without field" in capsys.readouterr().err
    assert benchmark(*arguments(trained, "--train", "all", "--arch", ARCH.replace("ppg_acc/8", "ppg_acc/9"))) == 2


def test_files_of_other_settings_and_damaged_ones_are_refused(trained: Path, tmp_path: Path) -> None:
    one = load_judgement(trained / "results" / "tiny-simulated-seed0.json")
    save_judgement(one, tmp_path / "a.json")
    save_judgement(replace(one, facts={**one.facts, "settings": "others"}), tmp_path / "b.json")
    with pytest.raises(TrialError, match="other settings"):
        transfer.load_judgements(tmp_path)
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(TrialError, match="not a file of this benchmark"):
        transfer.load_judgements(tmp_path)


def windows() -> Judgement:
    """Ten windows of two people, the last of each off by 30 BPM; one of these is called valid."""
    off = np.array([1.0, 1, 1, 1, 30] * 2)
    valid = np.array([True] * 5 + [True, False, False, False, False])
    reference = np.array([70.0, 75, 90, 90, 130] * 2)
    return Judgement(
        facts={},
        subject=np.repeat(["a", "b"], 5),
        part=np.repeat("set", 10),
        activity=np.array(["rest", "rest", "", "", "run"] * 2),
        reference_bpm=reference,
        motion_g=np.array([0.01, 0.01, 0.2, 0.2, 0.9] * 2),
        estimate_bpm=dict.fromkeys((*JUDGED, "spectral argmax"), reference + off),
        spread_bpm=dict.fromkeys(JUDGED, off),
        valid=dict.fromkeys(JUDGED, valid),
        noise={},
    )


def test_figures_are_those_that_one_counts_by_hand() -> None:
    found = figures(windows(), JUDGED[0])
    assert (found["windows"], found["people"]) == (10, 2)
    values = {name: value["value"] for name, value in found.items() if isinstance(value, dict)}
    assert values == pytest.approx(
        {
            "mae_bpm": 6.8,
            "bias_bpm": 6.8,
            "beyond_10": 0.2,
            "beyond_20": 0.2,
            "valid": 0.6,
            "valid_beyond_10": 1 / 6,
        }
    )
    assert "valid" not in figures(windows(), "spectral argmax")
    coverage, risk = transfer.risk_curve(windows(), JUDGED[0])
    assert risk[7] == 0 and coverage[-1] == 1 and risk[-1] == pytest.approx(0.2)


def test_windows_are_grouped_by_heart_rate_activity_and_motion() -> None:
    def counts() -> Iterator[tuple[str, int]]:
        for _, name, chosen in groups_of(windows()):
            if chosen.any():
                yield name, int(chosen.sum())

    assert dict(counts()) == {
        "all": 10,
        "60 to 80 BPM": 4,
        "80 to 100 BPM": 4,
        "120 to 140 BPM": 2,
        "rest": 4,
        "run": 2,
        "still": 4,
        "moving": 6,
    }
