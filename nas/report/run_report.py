"""report.html: what a run did and what came of it, assembled from its files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas.data.sources import reference_of
from nas.report.closing import COST_ROWS, STAGES, is_synthetic
from nas.report.comparison import comparison_lines, training_line
from nas.report.explorer.page import explorer_page
from nas.report.explorer.records import EXPLORER, run_records
from nas.report.front_rows import query_run, rows_for_pictures
from nas.report.page import Page
from nas.report.plots import (
    bland_altman,
    error_per_subject,
    pareto_front,
    rate_trace,
    risk_coverage,
    subnet_drawing,
    training_curves,
)
from nas.run.run_directory import RunDirectory
from nas.run.run_files import replace_file, write_text
from search.archive.query import Query

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
    """Write report.html, explorer.html and front.png into the run directory; returns the first and the last."""
    error_name = run.config.task_kind.error_name
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
    _test_section(page, run)

    page.heading("Training")
    trained = {"teacher": ("teacher",), "supernet": ("supernet",), "fine-tuning": ("subnets", chosen, "float")}
    histories = {name: run.json(*folder, "history.json") for name, folder in trained.items()}
    page.figures(training_curves(histories, error_name))

    page.heading("Provenance")
    page.fields(_provenance(run))
    write_text(run.path / "report.html", page.html())
    write_text(run.path / EXPLORER, explorer_page([run_records(run, is_elsewhere=False)]))
    return run.path / "report.html", picture


def _provenance(run: RunDirectory) -> dict[str, Any]:
    prepared = run.summary("prepare")
    bare = {key: prepared[f"unlabelled_{key}"] for key in ("recordings", "windows") if "unlabelled_windows" in prepared}
    return {
        "recordings, windows": f"{prepared['recordings']}, {prepared['windows']}",
        **({"without labels": f"{bare['recordings']}, {bare['windows']}"} if bare else {}),
        "training subjects": ", ".join(prepared["train_subjects"]),
        "validation subjects": ", ".join(prepared["validation_subjects"]),
        "test subjects": ", ".join(prepared["test_subjects"]),
        "seed, fold": f"{run.config.seed}, {run.config.data.fold} of {run.config.data.folds}",
        **run.summary("profile"),
        "seconds per stage": ", ".join(
            f"{stage} {stamp.seconds:.0f}" for stage in STAGES if (stamp := run.stamp(stage))
        ),
    }


def _steps(run: RunDirectory, chosen: str) -> dict[str, float]:
    found: dict[str, float] = run.summary("finish")["validation_errors"][chosen]
    return {step.replace("_", " "): found[step] for step in _STEPS if step in found}


def _test_section(page: Page, run: RunDirectory) -> None:
    results, task = run.json("evaluation", "results.json"), run.config.task_kind
    if is_synthetic(run):
        page.note("Synthetic recordings: these figures show that the chain works; they say nothing about people.")
    page.table(*task.table(results))
    if task.note:
        page.note(task.note)
    if lines := comparison_lines(results):
        for line in lines:
            page.note(f"{line}.")
        page.note(training_line(run.config.finish.fine_tuning.epochs, run.config.finish.quantization.epochs))
    errors: dict[str, dict[str, float]] = {}
    for name, by_source in results.items():
        errors[name] = {}
        for figures in by_source.values():
            errors[name] |= task.subject_errors(figures)
    page.figures(error_per_subject(errors, task.subject_error_name))
    if task.unit:
        _rate_pictures(page, run, results)


def _rate_pictures(page: Page, run: RunDirectory, results: dict[str, Any]) -> None:
    arrays, task = run.arrays("evaluation", "predictions.npz"), run.config.task_kind
    reference, estimate = arrays["reference"], arrays["int8 subnet/estimate"]
    curves = {
        source: (np.array(found["risk_coverage"]["coverage"]), np.array(found["risk_coverage"]["mae_bpm"]))
        for source, found in results["int8 subnet"].items()
        if found.get("risk_coverage")
    }
    page.figures(bland_altman(reference, estimate, task.unit), risk_coverage(curves, task.unit))
    errors = np.abs(estimate - reference)
    names = np.unique(arrays["recording"])
    by_error = sorted(names, key=lambda name: float(errors[arrays["recording"] == name].mean()))
    shown = {"worst recording": by_error[-1], "median recording": by_error[(len(by_error) - 1) // 2]}
    for title, recording in shown.items():
        here = arrays["recording"] == recording
        subject = arrays["subject"][here][0]
        page.figures(
            rate_trace(
                arrays["start_s"][here],
                reference[here],
                estimate[here],
                arrays["int8 subnet/valid"][here],
                f"{title}: subject {subject}, MAE {errors[here].mean():.1f} {task.unit}",
                reference_of(str(arrays["source"][here][0])),
                f"{task.quantity}, {task.unit}",
            )
        )
