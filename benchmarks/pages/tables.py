"""Rewrite the appendix of results from the result files in docs/results, which commands have written.

distillation/, peers/ and accuracy/ hold one file a fold of the benchmarks of those names, augmentation/ one a
configuration; channels.json, ranks.json, schedules.json, compression.json, integer.json, integer_spectral.json,
streaming.json, personalization.json, search.json, training.json, kernels.json and stripes.json are what those
benchmarks printed with --json, kernel_cases.json is `python -m benchmarks kernels --cases N`; reliability.json is a
run's teacher/reliability.json. Tables of whole runs are made in run_tables. What has not been measured yet is said so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy_studies import channels, distillation, peers, personalization, ranks
from benchmarks.hardware import integer, streaming, stripes
from benchmarks.support.fold_results import FoldResult, assemble, load_fold_result, mae_difference, metrics_of
from benchmarks.support.markdown import rewrite, table
from benchmarks.support.run_tables import run_tables
from benchmarks.support.trials import load_rows, mean_and_gain, together
from nas.evaluation.estimates import TRACKED
from nas.evaluation.metrics import Interval

_MISSING = "Not measured yet."
_APPENDIX = Path("docs/reference/results.md")
_BASELINES = ("mobilenet-1d", "spectral-cnn", "cornet-cnn")
_INT8 = "int8 subnet"
_RELIABILITY = (
    ("ece", "expected calibration error"),
    ("nll", "negative log-likelihood"),
    ("confidence", "mean confidence"),
    ("right", "share within 5 BPM"),
    ("spread_bpm", "stated error, BPM"),
    ("error_bpm", "actual error, BPM"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks tables`."""
    parser.add_argument("--root", type=Path, default=Path(), help="checkout (default: this folder)")
    parser.add_argument("--name", default="bami", help="configuration of the searched subnets (bami)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rewrite the appendix of results; returns which of its parts had results."""
    results = options.root / "docs" / "results"
    parts = {**run_tables(results), **_recipe_tables(results, options.name), **_program_tables(results, options.name)}
    text = {part: content or _MISSING for part, content in parts.items()}
    rewrite(options.root / _APPENDIX, text, "give the checkout with --root")
    return {"measured": [part for part, content in parts.items() if content]}


def _recipe_tables(results: Path, name: str) -> dict[str, str]:
    """What was tried to lower errors."""
    return {
        "founding": _founding(results, name),
        "channels": _of_json(results / "channels.json", channels.document_table),
        "peers": _peers(results),
        "distillation": _distillation(results),
        "ranks": _of_json(results / "ranks.json", _ranks),
        "schedules": _of_json(results / "schedules.json", _schedules),
        "compression": _of_json(results / "compression.json", _compression),
        "augmentation": _augmentation(results / "augmentation"),
        "reliability": _of_json(results / "reliability.json", _reliability),
    }


def _program_tables(results: Path, name: str) -> dict[str, str]:
    """Kernels, integer arithmetic, search, training, streaming and personalization."""
    return {
        "kernels": _of_json(results / "kernels.json", _kernels),
        "networks": _of_json(results / "kernels.json", _networks),
        "cases": _of_json(results / "kernel_cases.json", _cases),
        "stripes": _of_json(results / "stripes.json", stripes.document_table),
        "search": _of_json(results / "search.json", _search),
        "training": _of_json(results / "training.json", _training),
        "implementations": _implementations(results),
        "int8": _int8_less_float(results, name),
        **_several("streaming", ("cost", "accuracy"), results, streaming.document_parts),
        **_several("personalization", ("means", "ram", "people"), results, personalization.document_parts),
    }


def _several(
    name: str, parts: Sequence[str], results: Path, write: Callable[[Any], Mapping[str, str]]
) -> dict[str, str]:
    """The parts that one result file fills, each named for the file; empty without it."""
    path = results / f"{name}.json"
    written = write(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    return {f"{name} {part}": written.get(part, "") for part in parts}


def _implementations(results: Path) -> str:
    files = [results / "integer.json", results / "integer_spectral.json"]
    spaces = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
    return integer.implementations_table(spaces) if spaces else ""


def _int8_less_float(results: Path, name: str) -> str:
    runs = _accuracy(results, name)
    if not runs:
        return ""
    whole = assemble(runs)
    rows = [
        [
            source,
            str(int(np.unique(whole.subject[whole.source == source]).size)),
            str(mae_difference(whole, _INT8, "float subnet", source)),
        ]
        for source in sorted(set(whole.source.tolist()))
    ]
    return table(["set", "people", "MAE of int8 less that of float, BPM"], rows)


def _founding(results: Path, name: str) -> str:
    """The founding document's table on real recordings: every row on the people of the folds all have."""
    by_name = _by_name(results / "peers")
    # Runs of another configuration, or of one that has changed since, are not set beside these students.
    same = {fold.get("run_settings") for fold in by_name.get(name, [])}
    runs = [result for result in _accuracy(results, name) if result.settings in same]
    common = {result.fold for result in runs}
    for folds in by_name.values():
        common &= {fold["fold"] for fold in folds}
    if not common:
        return ""
    runs = [result for result in runs if result.fold in common]
    by_name = {own: [fold for fold in folds if fold["fold"] in common] for own, folds in by_name.items()}
    errors = {row: held for folds in by_name.values() for row, held in together(folds, "test").items()}
    facts = {row["name"]: row for folds in by_name.values() for fold in folds for row in fold["rows"]}
    whole = assemble(runs)
    sources = sorted(set(whole.source.tolist()))
    rows = []

    def from_runs(label: str, estimator: str, costs: list[str]) -> None:
        if estimator in whole.estimate_bpm:
            found = [str(metrics_of(whole, estimator, source).mae_bpm) for source in sources]
            rows.append([label, *costs, *found])

    def from_peers(label: str, row: str) -> None:
        if row in errors:
            own, cost = errors[row], facts[row]["cost"]
            milliseconds = "-" if cost.get("latency_ms") is None else f"{cost['latency_ms']:.1f}"
            found = [str(_mean(own, source)) for source in sources]
            size = f"{facts[row]['parameters']:,}"
            rows.append([label, size, f"{cost['flash_kb']:.1f}", milliseconds, *found])

    from_runs("teacher", "teacher", ["-", "-", "-"])
    for student in _BASELINES:
        from_peers(f"{student}: baseline student, float", f"{student}, hard labels, float")
        from_peers(f"{student}: distilled, float", f"{student}, distilled, float")
        from_peers(f"{student}: distilled + int8", f"{student}, distilled, int8")
        from_peers(f"{student}: distilled + pruned + int8", f"{student}, distilled and pruned, int8")
    verified = [result.facts["verified"] for result in runs]
    costs = ["-", *(_range([held[key] for held in verified]) for key in ("flash_kb", "latency_ms"))]
    from_runs("searched, int8", _INT8, costs)
    from_runs("searched, int8, tracked", TRACKED, costs)
    told = f"Folds {', '.join(str(result.fold) for result in runs)}: {len(set(whole.subject.tolist()))} people"
    header = ["network", "parameters", "flash KB", "ms", *(f"MAE {source}" for source in sources)]
    return f"{told}.\n\n{table(header, rows)}"


def _peers(results: Path) -> str:
    parts = []
    for name, folds in _by_name(results / "peers").items():
        rows = []
        for row in peers.summary(folds)["rows"]:
            cost = row["cost"] or {}
            figures = ["-" if cost.get(key) is None else f"{cost[key]:.1f}" for key in ("flash_kb", "latency_ms")]
            errors = [_cell(row[f"{key}_bpm"]) for key in ("validation_mae", "test_mae", "test_gain")]
            rows.append([row["name"], f"{row['parameters']:,}", *figures, *errors])
        header = ["student", "parameters", "flash KB", "ms", "MAE, validation", "MAE, test", "gained, test"]
        parts.append(f"{name}, folds {_named(folds)}:\n\n{table(header, rows)}")
    return "\n\n".join(parts)


def _distillation(results: Path) -> str:
    parts = []
    for name, folds in _by_name(results / "distillation").items():
        found = distillation.summary(folds)
        keys = ("validation_mae", "validation_gain", "test_mae", "test_gain")
        rows = [[row["name"], *(_cell(row[f"{key}_bpm"]) for key in keys)] for row in found["rows"]]
        header = ["row", "MAE, validation", "gained, validation", "MAE, test", "gained, test"]
        refused = [f"{row}: {why}" for row, why in found["refused"].items()]
        parts += [f"{name}, folds {_named(folds)}:", table(header, rows), *refused]
    return "\n\n".join(parts)


def _ranks(found: Mapping[str, Any]) -> str:
    rows = []
    for first, second in ranks.PAIRS:
        key = f"tau_{first}_{second}"
        label = f"Kendall's tau, {_words(first)} against {_words(second)} weights"
        rows.append([label, f"{found[key]:.2f} {found[f'{key}_interval']}"])
    if "tau_between_trainings" in found:
        rows.append(["the first, against one training alone", f"{found['tau_inherited_one_training']:.2f}"])
        rows.append(["one training alone against another", f"{found['tau_between_trainings']:.2f}"])
    for key in (key for key in found if key.startswith("tau_within_")):
        label = f"the first, within {key.removeprefix('tau_within_')}"
        rows.append([label, found[key]])
    for kind in ("inherited", "fine_tuned", "independent"):
        rows.append([f"mean error, {_words(kind)}, BPM", f"{found[f'{kind}_mae_bpm']:.2f}"])
    rows.append(["architectures", str(found["archs"])])
    rows.append(["latency, ms", found["latency_ms"]])
    alone = f"{found['seeds']} trainings of {found['epochs']} epochs"
    rows.append(["alone; fine-tuning", f"{alone}; {found['tuning_epochs']} epochs"])
    return table(["what", "figure"], rows)


def _training(found: Mapping[str, Any]) -> str:
    rows = [
        ["supernet of this program", f"{found['windows_per_s']:.0f}", ""],
        ["plain", f"{found['plain_conv1d_windows_per_s']:.0f}", f"{found['speedup']:.2f}"],
        [
            "plain, with our hints to libraries",
            f"{found['plain_conv1d_hinted_windows_per_s']:.0f}",
            f"{found['speedup_hinted']:.2f}",
        ],
    ]
    told = f"{found['processor']}, threads: {found['threads']}, batch {found['batch']}, {found['space']} space"
    return f"{told}.\n\n{table(['step', 'windows/s', 'times slower'], rows)}"


def _schedules(found: Mapping[str, Any]) -> str:
    keys = [key for key in found["rows"][0] if key.endswith("_bpm")]
    rows = [[row["name"], *(f"{row[key]:.2f}" for key in keys), f"{row['seconds']:.0f}"] for row in found["rows"]]
    names = [key.removesuffix("_bpm").replace("_", " ") for key in keys]
    return f"{found['epochs']} epochs each.\n\n{table(['schedule', *names, 'seconds'], rows)}"


def _compression(found: Mapping[str, Any]) -> str:
    rows = []
    for row in found["rows"]:
        costs = [f"{row['cost'][key]:.1f}" for key in ("flash_kb", "latency_ms")]
        errors = [_cell(row[f"{key}_bpm"]) for key in ("validation_mae", "test_mae", "test_gain")]
        rows.append([row["name"], f"{row['parameters']:,}", *costs, *errors])
    header = ["network", "parameters", "flash KB", "ms", "MAE, validation", "MAE, test", "gained, test"]
    return table(header, rows)


def _augmentation(folder: Path) -> str:
    parts = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        rows = [[row["name"], _cell(row["mae_bpm"]), _cell(row["gain_bpm"])] for row in found["rows"]]
        text = table(["variation", "MAE, validation", "gained, validation"], rows)
        parts.append(f"{path.stem}, {found['epochs']} epochs each:\n\n{text}")
    return "\n\n".join(parts)


def _reliability(found: Mapping[str, Any]) -> str:
    before, after = found["before"], found["after"]
    rows = [[text, f"{before[key]:.3f}", f"{after[key]:.3f}"] for key, text in _RELIABILITY if key in before]
    temperatures = ", ".join(f"{held:.2f}" for held in found.get("temperatures", ()))
    told = f"Temperatures, the mixture's last: {temperatures}.\n\n" if temperatures else ""
    return told + table(["on validation subjects", "before", "after"], rows)


def _search(found: Mapping[str, Any]) -> str:
    quantiles = "1/2, 1/10, 1/100, 1/1000"

    def several(key: str, scale: float = 1.0) -> str:
        return ", ".join(f"{scale * value:.2f}" for value in found[key])

    rows = [
        ["architectures costed a second, one core, batches of 100,000", f"{found['cost_archs_per_s']:,}"],
        ["distinct candidates kept a second, costs and predictor included", f"{found['candidates_per_s']:,}"],
        ["pymoo's NSGA-II, costs included, accuracy free", f"{found['pymoo_candidates_per_s']:,}"],
        [
            f"hypervolume over pymoo's, {found['evaluations']:,} evaluations, {found['seeds']} seeds: mean (least)",
            f"{found['hypervolume_ratio']:.3f} ({found['hypervolume_ratio_smallest']:.3f})",
        ],
        [
            "time to pymoo's final hypervolume over pymoo's: mean (median, most)",
            f"{_ratio(found['time_to_pymoo_hypervolume_ratio'])} "
            f"({_ratio(found['time_to_pymoo_hypervolume_ratio_median'])}, "
            f"{_ratio(found['time_to_pymoo_hypervolume_ratio_worst'])})",
        ],
        [
            f"true front ({found['exhaustive_front']}) of {found['exhaustive_members']:,} enumerated members",
            f"{'all of it' if found['exhaustive_front_found'] else 'not all of it'}, after evaluating "
            f"{100 * found['exhaustive_evaluated_share']:.0f} %",
        ],
        [
            "seconds to explain the default budgets in the default space",
            f"{found['feasibility_seconds']:.1f}",
        ],
        [
            f"bounds of a latency budget that leaves {quantiles}: % apart",
            several("bounds_apart_latency_ms", 100),
        ],
        [
            f"bounds of a flash budget that leaves {quantiles}: % apart",
            several("bounds_apart_flash_bytes", 100),
        ],
        [f"guided proposals kept, latency {quantiles}", several("guided_acceptance_latency_ms")],
        [f"guided proposals kept, flash {quantiles}", several("guided_acceptance_flash_bytes")],
        [f"guided proposals kept, both at {quantiles} at once", several("guided_acceptance_both")],
        [
            "seconds until an infeasible budget is answered, the slowest kind",
            f"{found['infeasible_seconds']:.2f}",
        ],
        [
            f"seconds of a query over {found['archived_rows']:,} rows, the slowest of four",
            f"{found['query_seconds_million_rows']:.2f}",
        ],
    ]
    return table(["what", "figure"], rows)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _words(kind: str) -> str:
    return kind.replace("_", "-")


def _of_json(path: Path, write: Callable[[Any], str]) -> str:
    return write(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else ""


def _by_name(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The folds of every configuration that has files in the folder."""
    names = sorted({path.stem.rpartition("-fold")[0] for path in folder.glob("*-fold*.json")})
    return {name: load_rows(folder, name) for name in names}


def _accuracy(results: Path, name: str) -> list[FoldResult]:
    files = sorted((results / "accuracy").glob(f"{name}-fold*.json"))
    return sorted((load_fold_result(file) for file in files), key=lambda result: result.fold)


def _kernels(found: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for row in found:
        if row["op"] != "network":
            shape = f"{row['length']} x {row['cin']} to {row['cout']}"
            shape += f", k{row['kernel']}" * (row["kernel"] > 1) + f" /{row['stride']}" * (row["stride"] > 1)
            shape += f" d{row['dilation']}" * (row["dilation"] > 1)
            per = (f"{row[what] / row['macs']:.2f}" for what in ("cycles", "instructions"))
            rows.append([row["op"].replace("_", " "), shape, *per, str(row["code_bytes"])])
    return table(["layer", "shape", "cycles per MAC", "instructions per MAC", "bytes of code"], rows)


def _networks(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            row["space"],
            row["code"],
            str(row["count"]),
            f"{row['median_macs'] / 1e6:.2f} M",
            f"{row['median_cycles_per_mac']:.2f} ({row['max_cycles_per_mac']:.2f})",
            f"{row['median_code_bytes']:,} ({row['max_code_bytes']:,})",
        ]
        for row in found
        if row["op"] == "network"
    ]
    header = ["space", "code", "networks", "MACs", "cycles per MAC (most)", "bytes of code (most)"]
    return table(header, rows)


def _cases(found: Mapping[str, Any]) -> str:
    least = min(row["cases"] for row in found["kernels"])
    calls = f"{found['cases']:,} random calls, at least {least:,} of each of {len(found['kernels'])} kernels"
    return f"{calls}: {found['mismatches']} mismatches."


def _mean(errors: Mapping[str, float], source: str) -> Interval:
    own = {subject: error for subject, error in errors.items() if subject.split("/")[0] == source}
    return mean_and_gain({"": own}, "", None)[0]


def _range(values: Sequence[float]) -> str:
    if not values:
        return "-"
    low, high = np.min(values), np.max(values)
    return f"{low:.1f}" if round(low, 1) == round(high, 1) else f"{low:.1f} to {high:.1f}"


def _named(folds: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(fold["fold"]) for fold in folds)


def _cell(interval: Mapping[str, Any] | None) -> str:
    return "-" if interval is None else "{value:.2f} [{low:.2f}, {high:.2f}]".format(**interval)
