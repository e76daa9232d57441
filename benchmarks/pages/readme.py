"""Rewrite the README's tables: the int8 network on sets it was not trained on, and on other people of those it was.

docs/results/transfer holds trainings of `python -m benchmarks transfer`, docs/results/accuracy folds, split by
subject, of `python -m benchmarks accuracy`. Beside the network stands the best classical estimator.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_studies import transfer
from benchmarks.support.fold_results import FoldResult, assemble, metrics_of
from benchmarks.support.markdown import rewrite, table
from benchmarks.support.run_tables import fold_groups
from nas.evaluation.estimates import TRACKED

_MISSING = "Not measured yet."
_BASELINES = ("spectral argmax", "spectral tracker")
_HEADER = ("test recordings", "networks trained on", "people", "best classical estimator", "its MAE, BPM")
_OURS = ("MAE of the int8 subnet, tracked, BPM", "its windows within 5 BPM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the README and the result files lie."""
    parser.add_argument("--root", type=Path, default=Path(), help="checkout (default: this folder)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rewrite README.md; returns how many rows its table has."""
    results = options.root / "docs" / "results"
    rows = []
    for folds in fold_groups(results / "accuracy").values():
        rows += _rows(assemble(folds), f"other people, {len(folds)} of {folds[0].folds} folds")
    accuracy = table([*_HEADER, *_OURS], rows) if rows else _MISSING
    parts = {"transfer": transfer.readme_table(results / "transfer") or _MISSING, "accuracy": accuracy}
    rewrite(options.root / "README.md", parts, "give the checkout with --root")
    return {"rows": len(rows)}


def _rows(tested: FoldResult, trained_on: str) -> list[list[str]]:
    """A row for each set of recordings that was tested and has both estimators."""
    baselines = [name for name in _BASELINES if name in tested.estimate_bpm]
    if not baselines or TRACKED not in tested.estimate_bpm:
        return []
    rows = []
    for source in np.unique(tested.source).tolist():
        classical = {name: metrics_of(tested, name, source) for name in baselines}
        best = min(baselines, key=lambda name: classical[name].mae_bpm.value)
        ours = metrics_of(tested, TRACKED, source)
        people, errors = str(ours.subjects), str(classical[best].mae_bpm)
        rows.append([source, trained_on, people, best, errors, str(ours.mae_bpm), str(ours.share_within_5)])
    return rows
