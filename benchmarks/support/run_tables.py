"""Tables of whole runs, from the result files in docs/results: accuracy, rhythm, cost, firmware, cost model.

docs/results/NAME.json is what `ppg-nas run configs/NAME.yaml ... --json` printed; accuracy/NAME-foldK.json are the
folds of `python -m benchmarks accuracy`; lut_check.json, lut_build.json, search.json, kernels.json, kernel_cases.json
and firmware.json are what the commands of those names printed with --json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.support.fold_results import FoldResult, assemble, load_fold_result, metrics_of
from benchmarks.support.markdown import table
from nas.evaluation.estimates import ESTIMATORS


def run_tables(folder: Path) -> dict[str, str]:
    """Part of the appendix to its table, from the result files in `folder`; empty where there are none."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    runs = {
        name: content
        for name, content in sorted(results.items())
        if isinstance(content, dict) and {"chosen", "task"} <= content.keys()
    }
    return {
        "folds": _folds_table(fold_groups(folder / "accuracy")),
        "heart rate": _accuracy_table({n: run for n, run in runs.items() if run["task"] == "heart_rate"}),
        "rhythm": _rhythm_table({n: run for n, run in runs.items() if run["task"] == "rhythm"}),
        "cost": _cost_table(runs),
        "firmware": _firmware_table(results.get("firmware", {"runs": []})["runs"]),
        "model": _model_table(results),
        "scaling": _scaling_table(results),
    }


def fold_groups(folder: Path) -> dict[str, list[FoldResult]]:
    """The folds of every configuration that has files in the folder, by the configuration's name."""
    by_name: dict[str, list[FoldResult]] = {}
    for path in sorted(folder.glob("*.json")):
        result = load_fold_result(path)
        by_name.setdefault(result.name, []).append(result)
    return dict(sorted(by_name.items()))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table(header, rows) if rows else ""


def _cell(interval: Mapping[str, Any]) -> str:
    if interval["value"] is None:
        return "-"
    return "{value:.2f} [{low:.2f}, {high:.2f}]".format(**interval)


def _accuracy_table(runs: Mapping[str, Any]) -> str:
    rows = []
    for name, run in runs.items():
        if run["is_synthetic"]:
            continue
        for source in run["metrics"]["int8 subnet"]:
            for estimator in ESTIMATORS:
                if estimator not in run["metrics"]:
                    continue
                metrics = run["metrics"][estimator][source]
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
    return _table(header, rows)


def _folds_table(by_name: Mapping[str, Sequence[FoldResult]]) -> str:
    """Every configuration, all its folds together."""
    rows = []
    for name, results in by_name.items():
        together = assemble(results)
        for source in sorted(set(together.source.tolist())):
            for estimator in (one for one in ESTIMATORS if one in together.estimate_bpm):
                metrics = metrics_of(together, estimator, source)
                worst = max(metrics.mae_by_subject_bpm.items(), key=lambda item: (item[1], item[0]))
                rows.append(
                    [
                        f"{name}: {source}",
                        f"{len(results)} of {together.folds}",
                        estimator,
                        str(metrics.subjects),
                        str(metrics.mae_bpm),
                        str(metrics.median_bpm),
                        str(metrics.p90_bpm),
                        str(metrics.share_within_5),
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
    return _table(header, rows)


def _rhythm_table(runs: Mapping[str, Any]) -> str:
    rows = []
    for run in runs.values():
        for estimator, by_source in run["metrics"].items():
            for metrics in by_source.values():
                auroc = ", ".join(
                    f"{label} {value['value']:.2f}"
                    for label, value in metrics["auroc"].items()
                    if value["value"] is not None
                )
                figures = [_cell(metrics[key]) for key in ("accuracy", "macro_f1", "micro_auroc")]
                rows.append([estimator, str(metrics["subjects"]), *figures, auroc])
    return _table(["estimator", "test patients", "accuracy", "macro-F1", "micro-AUROC", "AUROC by class"], rows)


def _cost_table(runs: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"`{run['chosen']}`",
            f"{run['predicted']['latency_ms']:.2f}",
            f"{run['verified']['latency_ms']:.2f}",
            f"{run['verified']['flash_kb']:.1f}",
            f"{run['verified']['ram_kb']:.1f}",
            f"{run['verified']['cycles_per_mac']:.2f}",
            f"{run['mismatches']} of {run['golden_vectors']}",
            f"{run['seconds'] / 60:.1f}",
        ]
        for name, run in runs.items()
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
    return _table(header, rows)


def _firmware_table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Each chosen subnet with everything around it, beside its run's budgets."""

    def cell(firmware: Mapping[str, Any], name: str, places: int = 1) -> str:
        limit = firmware["budgets"][name]
        return f"{firmware[name]:.{places}f}" + ("" if limit is None else f" of {limit:g}")

    rows = [
        [
            firmware["run"],
            f"`{firmware['id']}`",
            cell(firmware, "flash_kb"),
            cell(firmware, "ram_kb"),
            f"{firmware['stack_bytes'] / 1024:.1f}",
            cell(firmware, "reading_ms"),
            f"{firmware['samples_ms']:.1f}",
            cell(firmware, "power_mw", 2),
            f"{firmware['mismatches']} of {firmware['golden_vectors'] + firmware['readings']}",
        ]
        for firmware in runs
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
    return _table(header, rows)


def _model_table(results: Mapping[str, Any]) -> str:
    rows = []
    if "lut_check" in results:
        measured = results["lut_check"]
        rows += [
            ["random architectures compiled and executed", f"{measured['archs']}"],
            ["largest error of predicted cycles", f"{measured['max_cycle_error_pct']:.3f} %"],
            ["largest error of predicted flash", f"{measured['max_flash_error_pct']:.3f} %"],
            ["architectures whose RAM differs from the prediction", f"{measured['ram_mismatches']}"],
            ["outputs that differ from the interpreter", f"{measured['output_mismatches']}"],
        ]
        second = measured["second_emulator"]
        if "networks" in second:
            text = f"{second['instruction_mismatches']} of {second['networks']}"
            rows.append(["networks whose instructions QEMU counts differently", text])
    if "kernel_cases" in results:
        measured = results["kernel_cases"]
        text = f"{measured['mismatches']} of {measured['cases']:,}"
        rows.append(["random kernel calls that differ from the interpreter", text])
    for measured in results.get("kernels", ()):
        if measured["op"] == "network" and (measured["space"], measured["code"]) == ("default", "fast"):
            text = f"{measured['median_cycles_per_mac']:.2f} in at most {measured['max_code_bytes'] / 1024:.1f} KB"
            rows.append(["cycles per MAC of whole networks, median, and their code", text])
    if "lut_build" in results:
        measured = results["lut_build"]
        rows.append(["seconds for the look-up table", f"{measured['seconds']:.0f} ({measured['entries']} entries)"])
    if "search" in results:
        rows.append(["architectures costed per second", f"{results['search']['cost_archs_per_s']:,.0f}"])
    return _table(["what", "figure"], rows)


def _scaling_table(results: Mapping[str, Any]) -> str:
    rows = []
    if "evaluate" in results:
        measured, alone = results["evaluate"], results["evaluate"]["from_nothing"]
        times = measured["search"]["speedups"]
        rows += [
            ["generations bred in a search, shared prefixes against none, median", _times(measured["speedup"])],
            ["each of them, sorted", ", ".join(f"{value:.2f}" for value in times)],
            ["the last generation, nothing kept before", _times(alone["last_generation"]["speedup"])],
            ["uniformly random architectures", _times(alone["random"]["speedup"])],
        ]
    if "scaling" in results:
        measured = results["scaling"]
        plain = ", ".join(f"{value:.2f}" for value in measured["two_plain_processes_speedups"])
        workers = f"{measured['simulated_workers']} simulated dask workers, efficiency"
        rows += [
            ["two workers against one, median of pairs", _times(measured["two_workers_speedup"])],
            ["two processes that have nothing in common against one, at those times", plain],
            [workers, f"{100 * measured['efficiency']:.0f} %"],
        ]
    if "kills" in results:
        measured = results["kills"]
        text = f"{measured['identical']} of {measured['kills']}"
        rows.append(["searches killed at random instants and resumed that end with the same rows", text])
        lost = "yes" if measured["processes_identical"] and measured["dask_identical"] else "no"
        rows.append(["the same rows with a worker killed in each generation, processes and dask", lost])
    return _table(["what", "figure"], rows)


def _times(value: float) -> str:
    return f"{value:.2f} times as fast"
