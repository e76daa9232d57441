"""report.html: what a run did and what came of it, assembled from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.data.loaders.registry import reference_of
from nas.report.closing import COST_ROWS, STAGES, is_synthetic
from nas.report.comparison import comparison_lines, training_line
from nas.report.front_rows import query_run, rows_for_pictures
from nas.report.page import Page
from nas.report.plots import (
    bland_altman,
    error_per_subject,
    heart_rate_trace,
    pareto_front,
    risk_coverage,
    subnet_drawing,
    training_curves,
)
from nas.run.run_directory import RunDirectory
from nas.run.run_files import replace_file, write_text
from search.archive.query import Query

_HEART_RATE_COLUMNS = {
    "estimator": "estimator",
    "source": "set",
    "subjects": "subjects",
    "mae": "MAE, mean of subjects",
    "pooled": "MAE, pooled",
    "median": "median",
    "p90": "p90",
    "within_5": "within 5 BPM",
    "within_10": "within 10 BPM",
    "valid": "called valid",
    "mae_valid": "MAE of valid",
}
_STEPS = ("inherited", "fine_tuned", "post_training_quantized", "int8")
_FRONT_COLUMNS = {
    "id": "subnet",
    "error": "error",
    "error_low": "low",
    "error_high": "high",
    "latency_ms": "ms",
    "flash_kb": "flash KB",
    "ram_kb": "RAM KB",
    "energy_mj": "mJ",
    "quicker_tie": "as good, quicker",
    "arch": "architecture",
}


def write_report(run: RunDirectory) -> tuple[Path, Path]:
    """Write report.html and front.png into the run directory and return their paths."""
    is_heart_rate = run.config.task.kind == "heart_rate"
    error_name = "MAE, BPM" if is_heart_rate else "1 - macro-F1"
    chosen = run.summary("finish")["chosen"]
    verified = run.summary("verify")
    predicted, measured = verified["predicted"], verified["measured"]
    page = Page(
        f"ppg-nas: {run.config.name}",
        f"Subnet {chosen}, found among {run.summary('supernet')['architectures']} architectures for "
        f"{run.device().name}, executed on an emulated core: {measured['latency_ms']:.1f} ms, "
        f"{measured['flash_kb']:.1f} KB of flash, {measured['ram_kb']:.1f} KB of RAM.",
    )
    rows = rows_for_pictures(query_run(run, Query(is_front_only=False)))
    front = rows_for_pictures(query_run(run, Query(objectives=run.config.search.objectives)))
    budgets = run.config.budgets.model_dump()
    figure = pareto_front(rows, front, chosen, budgets, error_name)
    picture = run.path / "front.png"
    replace_file(picture, lambda path: figure.savefig(path, dpi=110))
    page.heading("Pareto front")
    page.figures(figure)
    page.note(
        "Errors are those of inherited weights on validation subjects, with 95 % intervals over subjects. "
        "Where a quicker member is named, they cannot be told apart (paired bootstrap over subjects, 95 %)."
    )
    page.table(front, _FRONT_COLUMNS, chosen)

    page.heading("Chosen subnet")
    page.table(
        [{"cost": name, "predicted": predicted.get(key), "emulator": measured.get(key)} for key, name in COST_ROWS],
        {"cost": "cost", "predicted": "predicted", "emulator": "on the emulated core"},
    )
    page.note(
        f"{verified['golden_vectors']} golden vectors were run on the emulated Cortex-M7; "
        f"{verified['mismatches']} outputs differ from the integer interpreter."
    )
    page.figures(subnet_drawing(verified["layers"]))
    page.fields({f"validation error, {step}": value for step, value in _steps(run, chosen).items()})

    page.heading("Held-out test subjects")
    _test_section(page, run, is_heart_rate, error_name)

    page.heading("Training")
    histories = {
        name: run.json(*folder, "history.json")
        for name, folder in {
            "teacher": ("teacher",),
            "supernet": ("supernet",),
            "fine-tuning": ("subnets", chosen, "float"),
        }.items()
    }
    page.figures(training_curves(histories, error_name))

    page.heading("Provenance")
    prepared = run.summary("prepare")
    page.fields(
        {
            "recordings, windows": f"{prepared['recordings']}, {prepared['windows']}",
            "training subjects": ", ".join(prepared["train_subjects"]),
            "validation subjects": ", ".join(prepared["validation_subjects"]),
            "test subjects": ", ".join(prepared["test_subjects"]),
            "seed, fold": f"{run.config.seed}, {run.config.data.fold} of {run.config.data.folds}",
            **run.summary("profile"),
            "seconds per stage": ", ".join(
                f"{stage} {stamp.seconds:.0f}" for stage in STAGES if (stamp := run.stamp(stage))
            ),
        }
    )
    write_text(run.path / "report.html", page.html())
    return run.path / "report.html", picture


def _steps(run: RunDirectory, chosen: str) -> dict[str, float]:
    found: dict[str, float] = run.summary("finish")["validation_errors"][chosen]
    return {step.replace("_", " "): found[step] for step in _STEPS if step in found}


def _test_section(page: Page, run: RunDirectory, is_heart_rate: bool, error_name: str) -> None:
    results = run.json("evaluation", "results.json")
    if is_synthetic(run):
        page.note("Synthetic recordings: these figures show that the chain works; they say nothing about people.")
    if is_heart_rate:
        page.table(_heart_rate_table(results), _HEART_RATE_COLUMNS)
        page.note("BPM, with 95 % bootstrap intervals over subjects, on whom nothing was tuned.")
        for line in comparison_lines(results):
            page.note(f"{line}.")
        page.note(training_line(run.config.finish.fine_tuning.epochs, run.config.finish.quantization.epochs))
        errors = {
            name: {s: e for found in by_source.values() for s, e in found["mae_by_subject_bpm"].items()}
            for name, by_source in results.items()
        }
    else:
        page.table(*_rhythm_table(results))
        errors = {
            name: {s: 1 - a for found in by_source.values() for s, a in found["accuracy_by_subject"].items()}
            for name, by_source in results.items()
        }
        error_name = "share of windows misclassified"
    page.figures(error_per_subject(errors, error_name))
    if is_heart_rate:
        _heart_rate_pictures(page, run, results)


def _heart_rate_pictures(page: Page, run: RunDirectory, results: dict[str, Any]) -> None:
    arrays = run.arrays("evaluation", "predictions.npz")
    reference, estimate = arrays["reference"], arrays["int8 subnet/estimate"]
    curves = {
        source: (np.array(found["risk_coverage"]["coverage"]), np.array(found["risk_coverage"]["mae_bpm"]))
        for source, found in results["int8 subnet"].items()
        if found["risk_coverage"]
    }
    page.figures(bland_altman(reference, estimate), risk_coverage(curves))
    errors = np.abs(estimate - reference)
    names = np.unique(arrays["recording"])
    by_error = sorted(names, key=lambda name: float(errors[arrays["recording"] == name].mean()))
    shown = {"worst recording": by_error[-1], "median recording": by_error[(len(by_error) - 1) // 2]}
    for title, recording in shown.items():
        here = arrays["recording"] == recording
        subject = arrays["subject"][here][0]
        page.figures(
            heart_rate_trace(
                arrays["start_s"][here],
                reference[here],
                estimate[here],
                arrays["int8 subnet/valid"][here],
                f"{title}: subject {subject}, MAE {errors[here].mean():.1f} BPM",
                reference_of(str(arrays["source"][here][0])),
            )
        )


def _cell(interval: dict[str, float], factor: float = 1.0, unit: str = "") -> str:
    if interval["value"] is None:
        return "-"
    value, low, high = (factor * interval[key] for key in ("value", "low", "high"))
    digits = 0 if unit else 2
    return f"{value:.{digits}f}{unit} [{low:.{digits}f}, {high:.{digits}f}]"


def _heart_rate_table(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "estimator": name,
            "source": source,
            "subjects": found["subjects"],
            "mae": _cell(found["mae_bpm"]),
            "pooled": _cell(found["mae_pooled_bpm"]),
            "median": _cell(found["median_bpm"]),
            "p90": _cell(found["p90_bpm"]),
            "within_5": _cell(found["share_within_5"], 100, " %"),
            "within_10": _cell(found["share_within_10"], 100, " %"),
            "valid": _cell(found["share_valid"], 100, " %"),
            "mae_valid": _cell(found["mae_valid_bpm"]),
        }
        for name, by_source in results.items()
        for source, found in by_source.items()
    ]


def _rhythm_table(results: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    columns = {"estimator": "estimator", "source": "set", "subjects": "patients", "windows": "windows"}
    rows = []
    for name, by_source in results.items():
        for source, found in by_source.items():
            row = {"estimator": name, "source": source, **{k: found[k] for k in ("subjects", "windows")}}
            for key in ("accuracy", "macro_f1", "macro_auroc", "micro_auroc"):
                columns[key] = key.replace("_", " ").replace("auroc", "AUROC").replace("f1", "F1")
                row[key] = _cell(found[key])
            for label, interval in found["auroc"].items():
                columns[f"auroc {label}"] = f"AUROC {label}"
                row[f"auroc {label}"] = _cell(interval)
            rows.append(row)
    return rows, columns
