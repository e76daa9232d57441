"""Accuracy on people never seen, over the folds of a configuration, from one small file a fold.

With --fold the folds named are run (or continued) and written to --results; tables and plots are assembled
from the files there alone, so that folds may be run one at a time, on different days and machines.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.fold_results import (
    FoldResult,
    FoldResultError,
    assemble,
    fold_result,
    load_fold_result,
    mae_difference,
    metrics_of,
    save_fold_result,
)
from hwmodels.basics.errors import InputError
from nas.commands.run import prepared_run
from nas.evaluation.estimates import ESTIMATORS, TRACKED
from nas.report.plots import bland_altman, risk_coverage
from nas.run.config import load_config
from nas.stages.job import run_pipeline
from nas.terminal.arguments import count

RESULTS = Path("docs/results/accuracy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks accuracy`."""
    parser.add_argument("--config", type=Path, required=True, help="configuration, such as configs/bami.yaml")
    parser.add_argument("--data", type=Path, help="folder of the recordings (default: PPG_DATA, else .)")
    parser.add_argument("--fold", type=count, action="append", default=[], help="run this fold (repeatable)")
    parser.add_argument("--seed", type=count, help="seed, instead of the configuration's")
    parser.add_argument("--threads", type=count, help="torch threads, instead of the file's")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"folds' files ({RESULTS})")
    parser.add_argument("--plots", type=Path, help="folder for Bland-Altman and risk-coverage PNGs")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the folds asked for, then say what all files of the configuration tell together."""
    name = load_config(options.config).name
    for fold in options.fold:
        directory = prepared_run(
            options.config, options.data, None, fold=fold, seed=options.seed, threads=options.threads
        )
        run_pipeline(directory, None)
        save_fold_result(fold_result(directory), options.results)
    files = sorted(options.results.glob(f"{name}-fold*.json"))
    if not files:
        raise FoldResultError(f"{options.results}: no fold of {name} yet; give --fold 0")
    results = sorted((load_fold_result(file) for file in files), key=lambda result: result.fold)
    together = assemble(results)
    if options.plots is not None:
        _draw(together, options.plots)
    return summary(results, together)


def summary(results: list[FoldResult], together: FoldResult) -> dict[str, Any]:
    """Figures over folds: metrics by estimator and source, each fold's choice, worst subject."""
    sources = sorted(set(together.source.tolist()))
    metrics: dict[str, Any] = defaultdict(dict)
    rows: dict[str, Any] = {
        "folds": f"{', '.join(str(result.fold) for result in results)} of {together.folds}",
        "subjects": int(np.unique(together.subject).size),
        "windows": int(together.subject.size),
    }
    for estimator in (name for name in ESTIMATORS if name in together.estimate_bpm):
        for source in sources:
            found = metrics_of(together, estimator, source)
            metrics[estimator][source] = found.to_dict()
            rows[f"{estimator}, {source}, MAE"] = str(found.mae_bpm)
    for source in sources:
        worst = max(metrics["int8 subnet"][source]["mae_by_subject_bpm"].items(), key=lambda item: (item[1], item[0]))
        rows[f"worst subject, {source}"] = f"{worst[0]} {worst[1]:.2f}"
    differences = {source: mae_difference(together, "int8 subnet", "float subnet", source) for source in sources}
    for source, difference in differences.items():
        rows[f"int8 minus float, {source}, MAE"] = str(difference)
    per_fold = [
        {
            "fold": result.fold,
            "chosen": result.facts["chosen"],
            "arch": result.facts["arch"],
            "flash_kb": result.facts["verified"]["flash_kb"],
            "latency_ms": result.facts["verified"]["latency_ms"],
            "mismatches": result.facts["mismatches"],
            "seconds": result.facts["seconds"],
            "hardware": result.facts["hardware"],
            "version": result.facts["version"],
            **{
                f"{estimator}, {source}": round(metrics_of(result, estimator, source).mae_bpm.value, 3)
                for estimator in ("teacher", "int8 subnet", TRACKED)
                if estimator in result.estimate_bpm
                for source in sorted(set(result.source.tolist()))
            },
        }
        for result in results
    ]
    return {
        **rows,
        "int8_minus_float_mae_bpm": {source: asdict(held) for source, held in differences.items()},
        "per_fold": per_fold,
        "metrics": dict(metrics),
    }


def _draw(together: FoldResult, folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--plots {folder}: is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    estimate = together.estimate_bpm["int8 subnet"]
    curves = {}
    for source in sorted(set(together.source.tolist())):
        found = metrics_of(together, "int8 subnet", source).risk_coverage
        if found is not None:
            curves[source] = np.array(found.coverage), np.array(found.mae_bpm)
    bland_altman(together.reference_bpm, estimate).savefig(folder / "bland_altman.png", dpi=150)
    risk_coverage(curves).savefig(folder / "risk_coverage.png", dpi=150)
