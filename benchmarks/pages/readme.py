"""Rewrite the README's tables from the result files in docs/results, which commands have written.

docs/results/NAME.json is what `ppg-nas run configs/NAME.yaml ... --json` printed;
accuracy/NAME-foldK.json are the folds of `python -m benchmarks accuracy`; lut_check.json,
lut_build.json, search.json and firmware.json are what `ppg-nas lut check`, `ppg-nas lut build`, `ppg-nas
bench search` and `python -m benchmarks firmware` printed with --json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.fold_results import FoldResult, assemble, load_fold_result, metrics_of
from benchmarks.support.markdown import rewrite, table
from nas.evaluation.estimates import ESTIMATORS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where the README and the result files lie."""
    parser.add_argument("--root", type=Path, default=Path(), help="checkout (default: this folder)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Rewrite README.md; returns which parts were written from which files."""
    readme = options.root / "README.md"
    results = {path.stem: json.loads(path.read_text()) for path in (options.root / "docs/results").glob("*.json")}
    runs = {
        name: found
        for name, found in sorted(results.items())
        if isinstance(found, dict) and {"chosen", "task"} <= found.keys()
    }
    parts = {
        "heart rate": _accuracy_table({n: f for n, f in runs.items() if f["task"] == "heart_rate"}),
        "rhythm": _rhythm_table({n: f for n, f in runs.items() if f["task"] == "rhythm"}),
        "cost": _cost_table(runs),
        "firmware": _firmware_table(results.get("firmware", {"runs": []})["runs"]),
        "model": _model_table(results),
        "folds": _folds_table(options.root / "docs/results/accuracy"),
    }
    rewrite(readme, parts, "give the checkout with --root")
    return {"parts": list(parts), "files": sorted(results)}


def _cell(interval: Mapping[str, Any]) -> str:
    if interval["value"] is None:
        return "-"
    return "{value:.2f} [{low:.2f}, {high:.2f}]".format(**interval)


def _accuracy_table(runs: Mapping[str, Any]) -> str:
    rows = []
    for name, found in runs.items():
        if found["is_synthetic"]:
            continue
        for source in found["metrics"]["int8 subnet"]:
            for estimator in ESTIMATORS:
                if estimator not in found["metrics"]:
                    continue
                metrics = found["metrics"][estimator][source]
                rows.append(
                    [
                        f"{name}: {source}",
                        estimator,
                        str(metrics["subjects"]),
                        _cell(metrics["mae_bpm"]),
                        _cell(metrics["median_bpm"]),
                        _cell(metrics["share_within_5"]),
                    ]
                )
    header = [
        "run: set",
        "estimator",
        "test subjects",
        "MAE, mean of subjects",
        "median",
        "share within 5 BPM",
    ]
    return table(header, rows)


def _folds_table(folder: Path) -> str:
    """Every configuration whose folds lie in the folder, all folds together."""
    by_name: dict[str, list[FoldResult]] = {}
    for path in sorted(folder.glob("*.json")):
        result = load_fold_result(path)
        by_name.setdefault(result.name, []).append(result)
    rows = []
    for name, results in sorted(by_name.items()):
        together = assemble(results)
        for source in sorted(set(together.source.tolist())):
            for estimator in (one for one in ESTIMATORS if one in together.estimate_bpm):
                found = metrics_of(together, estimator, source)
                worst = max(found.mae_by_subject_bpm.items(), key=lambda item: (item[1], item[0]))
                rows.append(
                    [
                        f"{name}: {source}",
                        f"{len(results)} of {together.folds}",
                        estimator,
                        str(found.subjects),
                        str(found.mae_bpm),
                        str(found.median_bpm),
                        str(found.p90_bpm),
                        str(found.share_within_5),
                        f"{worst[1]:.1f} ({worst[0].split('/')[-1]})",
                    ]
                )
    header = [
        "run: set",
        "folds",
        "estimator",
        "test subjects",
        "MAE, mean of subjects",
        "median",
        "90 %",
        "share within 5 BPM",
        "worst subject",
    ]
    return table(header, rows)


def _rhythm_table(runs: Mapping[str, Any]) -> str:
    rows = []
    for found in runs.values():
        for estimator, by_source in found["metrics"].items():
            for metrics in by_source.values():
                auroc = ", ".join(
                    f"{label} {value['value']:.2f}"
                    for label, value in metrics["auroc"].items()
                    if value["value"] is not None
                )
                figures = [_cell(metrics[key]) for key in ("accuracy", "macro_f1", "micro_auroc")]
                rows.append([estimator, str(metrics["subjects"]), *figures, auroc])
    return table(["estimator", "test patients", "accuracy", "macro-F1", "micro-AUROC", "AUROC by class"], rows)


def _cost_table(runs: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"`{found['chosen']}`",
            f"{found['predicted']['latency_ms']:.2f}",
            f"{found['verified']['latency_ms']:.2f}",
            f"{found['verified']['flash_kb']:.1f}",
            f"{found['verified']['ram_kb']:.1f}",
            f"{found['verified']['cycles_per_mac']:.2f}",
            f"{found['mismatches']} of {found['golden_vectors']}",
            f"{found['seconds'] / 60:.1f}",
        ]
        for name, found in runs.items()
    ]
    header = [
        "run",
        "chosen subnet",
        "ms, predicted",
        "ms, emulated core",
        "flash KB",
        "RAM KB",
        "cycles per MAC",
        "wrong golden vectors",
        "minutes for the whole run",
    ]
    return table(header, rows)


def _firmware_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Each chosen subnet with everything around it, beside its run's budgets."""

    def cell(found: Mapping[str, Any], name: str, places: int = 1) -> str:
        limit = found["budgets"][name]
        return f"{found[name]:.{places}f}" + ("" if limit is None else f" of {limit:g}")

    rows = [
        [
            found["run"],
            f"`{found['id']}`",
            cell(found, "flash_kb"),
            cell(found, "ram_kb"),
            f"{found['stack_bytes'] / 1024:.1f}",
            cell(found, "reading_ms"),
            f"{found['samples_ms']:.1f}",
            cell(found, "power_mw", 2),
            f"{found['mismatches']} of {found['golden_vectors'] + found['readings']}",
        ]
        for found in runs
    ]
    header = [
        "run",
        "chosen subnet",
        "flash KB",
        "RAM KB",
        "of it stack used",
        "ms a reading",
        "ms to take in its samples",
        "mW",
        "wrong outputs",
    ]
    return table(header, rows)


def _model_table(results: Mapping[str, Any]) -> str:
    rows = []
    if "lut_check" in results:
        found = results["lut_check"]
        rows += [
            ["random architectures compiled and executed", f"{found['archs']}"],
            ["largest error of predicted cycles", f"{found['max_cycle_error_pct']:.3f} %"],
            ["largest error of predicted flash", f"{found['max_flash_error_pct']:.3f} %"],
            ["architectures whose RAM differs from the prediction", f"{found['ram_mismatches']}"],
            ["outputs that differ from the interpreter", f"{found['output_mismatches']}"],
        ]
        second = found["second_emulator"]
        if "networks" in second:
            told = f"{second['instruction_mismatches']} of {second['networks']}"
            rows.append(["networks whose instructions QEMU counts differently", told])
    if "kernel_cases" in results:
        found = results["kernel_cases"]
        told = f"{found['mismatches']} of {found['cases']:,}"
        rows.append(["random kernel calls that differ from the interpreter", told])
    for found in results.get("kernels", ()):
        if found["op"] == "network" and (found["space"], found["code"]) == ("default", "fast"):
            told = f"{found['median_cycles_per_mac']:.2f} in at most {found['max_code_bytes'] / 1024:.1f} KB"
            rows.append(["cycles per MAC of whole networks, median, and their code", told])
    if "lut_build" in results:
        found = results["lut_build"]
        rows.append(["seconds for the look-up table", f"{found['seconds']:.0f} ({found['entries']} entries)"])
    if "search" in results:
        rows.append(["architectures costed per second", f"{results['search']['cost_archs_per_s']:,.0f}"])
    return table(["what", "figure"], rows)
