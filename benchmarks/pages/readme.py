"""Rewrite the README's one table: the exported int8 network, tracked, beside the best classical estimator.

docs/results/transfer holds trainings of `python -m benchmarks transfer`, which head the table: sets that the networks
were not trained on. docs/results/transfer-shipped holds, of the same benchmark, the network that comes with the
program: it stands for those of simulated people alone. docs/results/accuracy holds folds, split by subject, of
`python -m benchmarks accuracy`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_studies.transfer import HEADER, cell, cells
from benchmarks.support.fold_results import FoldResult, assemble
from benchmarks.support.judgements import BASELINES, Judgement, figures, load_judgements, rows_of
from benchmarks.support.left_out import SIMULATED_ALONE
from benchmarks.support.markdown import rewrite, table
from benchmarks.support.run_tables import fold_groups
from nas.evaluation.estimates import TRACKED

_SHIPPED = "simulated people alone: the network that comes with the program"
_HEADER = ("test recordings", "networks trained on", "people", "best classical estimator", "its MAE, BPM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the README and the result files lie."""
    parser.add_argument("--root", type=Path, default=Path(), help="checkout (default: this folder)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rewrite README.md; returns how many rows its table has."""
    results = options.root / "docs" / "results"
    tested = [row for row in _rows_in(results / "transfer") if row[1] != SIMULATED_ALONE]
    tested += [(part, _SHIPPED, own) for part, _, own in _rows_in(results / "transfer-shipped")]
    for folds in fold_groups(results / "accuracy").values():
        tested += _of_folds(assemble(folds), f"other people, {len(folds)} of {folds[0].folds} folds")
    rows = [_row(part, trained_on, own) for part, trained_on, own in tested if _is_complete(own)]
    accuracy = table([*_HEADER, *HEADER], rows) if rows else "Not measured yet."
    rewrite(options.root / "README.md", {"accuracy": accuracy}, "give the checkout with --root")
    return {"rows": len(rows)}


def _rows_in(folder: Path) -> list[tuple[str, str, Judgement]]:
    return rows_of(load_judgements(folder)) if any(folder.glob("*.json")) else []


def _of_folds(tested: FoldResult, trained_on: str) -> list[tuple[str, str, Judgement]]:
    """Each set of recordings of the folds; their files hold no verdicts."""
    whole = Judgement(
        facts={},
        subject=tested.subject,
        part=tested.source,
        activity=tested.activity,
        reference_bpm=tested.reference_bpm,
        motion_g=np.full(tested.subject.size, np.nan),
        estimate_bpm=tested.estimate_bpm,
        spread_bpm={},
        valid={},
        noise={},
    )
    return [(source, trained_on, whole.subset(whole.part == source)) for source in np.unique(whole.part).tolist()]


def _is_complete(tested: Judgement) -> bool:
    """Whether there are both a tracked network and a classical estimator."""
    return TRACKED in tested.estimate_bpm and any(name in tested.estimate_bpm for name in BASELINES)


def _row(part: str, trained_on: str, tested: Judgement) -> list[str]:
    classical = {name: figures(tested, name)["mae_bpm"] for name in BASELINES if name in tested.estimate_bpm}
    best = min(classical, key=lambda name: float(classical[name]["value"]))
    ours = figures(tested, TRACKED)
    return [part, trained_on, str(ours["people"]), best, cell(classical[best], 1, ""), *cells(ours)]
