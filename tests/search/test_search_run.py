"""A whole search with made-up accuracy: determinism, resume, sharing, bad files."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from search.archive.archive import Archive, ArchiveError
from search.archive.rows import Metrics, Origin, Provenance, Row, make_row
from search.costs.budgets import Budgets
from search.costs.cost_plan import compile_costs
from search.feasibility.budget_check import InfeasibleBudget
from search.loop.evaluator import Evaluator, MacroF1Error, MeanOfSubjects
from search.loop.search_loop import Study, run_search
from search.loop.settings import SearchSettings
from supernet.space.arch import Arch
from tests.search.search_fakes import FakeCostModel, every_member, made_up_errors, small_space

SUBJECTS = np.repeat(["a", "b", "c", "d"], 5)
ORIGIN = Provenance(weights="w0", fold="0", protocol="p")
SPACE = small_space()
PLAN = compile_costs(SPACE, FakeCostModel())
BUDGETS = Budgets(latency_ms=float(np.quantile(PLAN.costs(every_member(SPACE)).latency_ms, 0.7)))


def window_errors(arch: Arch) -> np.ndarray:
    """Errors of 20 windows: the made-up error, other for each subject."""
    level = made_up_errors(SPACE, SPACE.encode([arch]))[0]
    return level * np.repeat([0.5, 0.8, 1.1, 1.6], 5) + np.tile(np.arange(5) / 50, 4)


class CrashError(Exception):
    """Stands for a crash in the middle of an evaluation."""


class CrashAfter:
    """Measures as `window_errors` does, until it has done so `count` times."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __call__(self, arch: Arch) -> np.ndarray:
        if self.left == 0:
            raise CrashError
        self.left -= 1
        return window_errors(arch)


def study(evaluator: Evaluator, seed: int = 3, **changes) -> Study:
    described = {"plan": PLAN, "budgets": BUDGETS, "evaluators": (evaluator,), "device": "fake", "seed": seed}
    return Study(**{**described, **changes})


def search(path: Path, evaluate=window_errors, executor=None, seed: int = 3, **changes):
    settings = SearchSettings(**{"evaluations": 60, "population": 12, **changes})
    evaluator = Evaluator(evaluate, MeanOfSubjects(SUBJECTS, resamples=50), ORIGIN, executor)
    with Archive(path) as archive:
        return run_search(study(evaluator, seed, students=[SPACE.largest()]), settings, archive)


def content(path: Path) -> list[tuple]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT * FROM evaluations ORDER BY id").fetchall()
    found += connection.execute("SELECT * FROM origins").fetchall()
    found += connection.execute("SELECT * FROM searches ORDER BY description").fetchall()
    connection.close()
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("undisturbed") / "archive.sqlite"
    search(path)
    return path


def test_a_search_keeps_to_budgets_and_never_evaluates_twice(undisturbed: Path) -> None:
    with Archive(undisturbed, create=False) as archive:
        rows = archive.rows()
    assert len(rows) == 60
    assert len({row.genes for row in rows}) == 60
    assert max(row.latency_ms for row in rows) <= BUDGETS.latency_ms
    for row in rows:
        arch = SPACE.decode([row.genes])[0]
        assert (row.arch_id, row.arch) == (arch.id, str(arch))
        assert row.flash_bytes == PLAN.of(arch)["flash_bytes"]
        assert row.error == pytest.approx(np.mean(list(row.subject_errors.values())))
        assert row.error_low <= row.error <= row.error_high


def test_a_search_beats_random_sampling_of_the_same_size(undisturbed: Path) -> None:
    members = every_member(SPACE)
    inside = members[BUDGETS.admits(PLAN.costs(members))]
    errors = made_up_errors(SPACE, inside)
    with Archive(undisturbed) as archive:
        best = min(row.error for row in archive.rows())
    assert (errors < best - 1e-9).mean() < 0.02


@pytest.mark.parametrize("count", [0, 1, 11, 12, 29, 59])
def test_a_crash_at_any_evaluation_resumes_to_the_same_archive(tmp_path: Path, undisturbed: Path, count: int) -> None:
    path = tmp_path / "archive.sqlite"
    with pytest.raises(CrashError):
        search(path, CrashAfter(count))
    assert len(content(path)) == count + 1 + (count > 0)
    resumed = CrashAfter(60 - count)
    search(path, resumed)
    assert resumed.left == 0, "what was known has been measured again"
    assert content(path) == content(undisturbed)
    search(path, CrashAfter(0))


def test_workers_of_any_number_and_kind_give_the_same_archive(tmp_path: Path, undisturbed: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        search(tmp_path / "threads.sqlite", executor=threads)
    assert content(tmp_path / "threads.sqlite") == content(undisturbed)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as processes:
        search(tmp_path / "processes.sqlite", executor=processes)
    assert content(tmp_path / "processes.sqlite") == content(undisturbed)


KILLED = """
import sys, time
from pathlib import Path
from tests.search.test_search_run import search, window_errors

def slow(arch):
    time.sleep(0.02)
    return window_errors(arch)

print("ready", flush=True)
search(Path(sys.argv[1]), slow)
"""


def test_kills_at_random_instants_resume_to_the_same_archive(tmp_path: Path, undisturbed: Path) -> None:
    path = tmp_path / "archive.sqlite"
    rng = np.random.default_rng(int.from_bytes(os.urandom(4), "little"))
    root = Path(__file__).resolve().parents[2]
    kills = 0
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], cwd=root, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.05, 0.6))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        process.stdout.close()
    assert kills >= 2
    search(path)
    assert content(path) == content(undisturbed)


def test_another_seed_takes_another_path_and_a_longer_search_continues_this_one(
    tmp_path: Path, undisturbed: Path
) -> None:
    other = search(tmp_path / "other.sqlite", seed=4)
    with Archive(undisturbed) as archive:
        first = archive.rows()
    assert [row.genes for row in other.rows] != [row.genes for row in first]
    path = tmp_path / "longer.sqlite"
    search(path, evaluations=36)
    search(path, evaluations=60)
    assert content(path) == content(undisturbed)


def test_another_device_reuses_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "archive.sqlite"
    search(path)
    measured: list[Arch] = []

    def counting(arch: Arch) -> np.ndarray:
        measured.append(arch)
        return window_errors(arch)

    evaluator = Evaluator(counting, MeanOfSubjects(SUBJECTS, resamples=50), ORIGIN)
    settings = SearchSettings(evaluations=60, population=12)
    with Archive(path) as archive:
        before = {row.arch for row in archive.rows()}
        result = run_search(study(evaluator, budgets=Budgets(), device="other"), settings, archive)
        assert len(archive) == 120
    assert len(measured) < 60
    assert not before & {str(arch) for arch in measured}
    assert {row.arch for row in result.rows} & before


def test_an_infeasible_budget_stops_before_anything_is_evaluated(tmp_path: Path) -> None:
    evaluator = Evaluator(CrashAfter(0), MeanOfSubjects(SUBJECTS), ORIGIN)
    with Archive(tmp_path / "archive.sqlite") as archive, pytest.raises(InfeasibleBudget):
        run_search(study(evaluator, budgets=Budgets(flash_bytes=1)), SearchSettings(), archive)


def test_a_space_smaller_than_the_evaluations_is_exhausted_and_its_whole_front_found(tmp_path: Path) -> None:
    fine = {"dilated": {"kernels": (3, 5), "dilations": (1, 2)}}
    tiny = small_space(stages=({"stride": 2, "widths": (4, 8), "min_depth": 1, "blocks": (fine, fine)},))
    plan = compile_costs(tiny, FakeCostModel())

    def evaluate(arch: Arch) -> np.ndarray:
        return made_up_errors(tiny, tiny.encode([arch]))

    evaluator = Evaluator(evaluate, MeanOfSubjects(np.array(["a"])), ORIGIN)
    settings = SearchSettings(evaluations=10_000, population=40)
    with Archive(tmp_path / "archive.sqlite") as archive:
        result = run_search(study(evaluator, 0, plan=plan, budgets=Budgets()), settings, archive)
    assert len(result.rows) == tiny.size()
    assert len({row.arch for row in result.rows}) == tiny.size()


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown 'speed'"):
        SearchSettings(objectives=("error", "speed"))
    with pytest.raises(ValueError, match="population"):
        SearchSettings(population=1)
    with pytest.raises(ValueError, match="unknown 'annealing'"):
        SearchSettings(algorithm="annealing")
    with pytest.raises(ValueError, match="patience"):
        SearchSettings(patience=0)


@pytest.mark.parametrize("algorithm", ["nsga2", "nsga3", "regularised", "random"])
def test_every_algorithm_searches_within_budgets_and_patience_ends_it(tmp_path: Path, algorithm: str) -> None:
    full = search(tmp_path / "full.sqlite", algorithm=algorithm)
    assert len({row.genes for row in full.rows}) == 60
    assert max(row.latency_ms for row in full.rows) <= BUDGETS.latency_ms
    assert (full.predictor is None) == (algorithm in ("regularised", "random"))
    short = search(tmp_path / "short.sqlite", algorithm=algorithm, patience=6, evaluations=400)
    assert len(short.rows) < 400


def a_row(index: int = 0, device: str = "fake") -> Row:
    genes = every_member(SPACE)[index]
    arch = SPACE.decode(genes)[0]
    metrics = Metrics(2.0, 1.0, 3.0, {"a": 2.0}, 10)
    return make_row(arch, genes, PLAN.of(arch), metrics, Origin("small", device, ORIGIN))


def test_rows_come_back_as_written_and_none_is_written_twice(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive.sqlite") as archive:
        assert archive.append([a_row(0), a_row(1), a_row(0)]) == 2
        assert archive.append([a_row(1), a_row(2), a_row(1, "other")]) == 2
        assert archive.rows() == [a_row(0), a_row(1), a_row(2), a_row(1, "other")]
        assert sorted(archive.figures(["error", "id"])["id"].tolist()) == [1, 2, 3, 4]
        assert archive.metrics(every_member(SPACE)[1:4:2], "small", ORIGIN)[1] is None
        with pytest.raises(ArchiveError, match="no column 'x; drop'"):
            archive.figures(["x; drop"])


def append_some(path: str, start: int) -> int:
    with Archive(path) as archive:
        return sum(archive.append([a_row(index)]) for index in range(start, start + 30))


def test_two_processes_share_one_archive_without_losing_or_doubling_rows(tmp_path: Path) -> None:
    path = tmp_path / "archive.sqlite"
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as processes:
        written = list(processes.map(append_some, [str(path)] * 3, [0, 10, 20]))
    assert sum(written) == 50
    with Archive(path) as archive:
        rows = archive.rows()
    assert sorted(row.genes for row in rows) == sorted(a_row(index).genes for index in range(50))


def test_files_that_are_no_archive_are_refused_in_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.sqlite"
    text.write_text("this is no database, but some text that is long enough to be read as one\n" * 20)
    foreign = tmp_path / "foreign.sqlite"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.commit()
    connection.close()
    older = tmp_path / "older.sqlite"
    Archive(older).close()
    connection = sqlite3.connect(older)
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    before = foreign.read_bytes()
    for path, words in ((text, "not readable"), (foreign, "another program"), (older, "an older ppg-nas")):
        with pytest.raises(ArchiveError, match=words) as caught:
            Archive(path)
        assert isinstance(caught.value, InputError)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)
    assert foreign.read_bytes() == before
    with pytest.raises(ArchiveError, match="no such file"):
        Archive(tmp_path / "absent.sqlite", create=False)
    with pytest.raises(ArchiveError, match="folder"):
        Archive(tmp_path / "nowhere" / "archive.sqlite")
    with pytest.raises(ArchiveError, match="archive"):
        Archive(tmp_path)


def test_mean_of_subjects_weighs_subjects_not_windows() -> None:
    subjects = np.array(["a"] * 9 + ["b"])
    metrics = MeanOfSubjects(subjects)(np.r_[np.ones(9), 5.0])
    assert metrics.error == 3.0
    assert metrics.subject_errors == {"a": 1.0, "b": 5.0}
    assert (metrics.error_low, metrics.error_high) == (1.0, 5.0)
    assert metrics.windows == 10
    with pytest.raises(ValueError, match="one figure for each"):
        MeanOfSubjects(subjects)(np.ones(3))
    with pytest.raises(ValueError, match="not finite"):
        MeanOfSubjects(subjects)(np.full(10, np.nan))


def test_the_bootstrap_interval_covers_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(20), 3)
    score = MeanOfSubjects(subjects, resamples=300)
    covered = 0
    for _ in range(300):
        metrics = score(np.repeat(rng.normal(5.0, 1.0, 20), 3))
        covered += metrics.error_low <= 5.0 <= metrics.error_high
    assert 0.86 <= covered / 300 <= 0.98


def test_macro_f1_error_equals_counting() -> None:
    rng = np.random.default_rng(0)
    targets, found = rng.integers(0, 3, 60), rng.integers(0, 4, 60)
    scores = []
    for label in range(3):
        hits = sum(1 for t, f in zip(targets, found, strict=True) if t == f == label)
        precision, recall = hits / max(1, (found == label).sum()), hits / (targets == label).sum()
        scores.append(2 * precision * recall / max(1e-12, precision + recall))
    metrics = MacroF1Error(targets, np.repeat(np.arange(6), 10))(found)
    assert metrics.error == pytest.approx(1 - np.mean(scores))
    assert metrics.error_low <= metrics.error <= metrics.error_high
