"""What the explorer's page holds of a run: plain values, those of the archive and of the evaluation, unrounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import shipped_names
from hwmodels.device.device import Device, load_device
from nas.assembly.hardware import cost_model, cost_plan, table_path
from nas.assembly.layer_costs import layer_rows
from nas.assembly.run_space import space_of
from nas.report.closing import is_synthetic
from nas.report.front_rows import query_run
from nas.run.run_directory import RunDirectory
from search.archive.query import Answer, Query
from search.costs.budgets import KB
from supernet.space.arch import parse_arch
from supernet.space.search_space import SearchSpace

EXPLORER = "explorer.html"
COSTS = ("latency_ms", "flash_kb", "ram_kb", "energy_mj")
_MOST_DRAWN = 80
"""Architectures whose layers are in the page; of others it names the command that shows them."""
_MOST_WINDOWS = 40_000
_TRACED = ("int8 subnet", "int8 subnet, tracked", "spectral tracker")


def run_records(
    run: RunDirectory, devices: Iterable[Device] | None = None, is_elsewhere: bool = True
) -> dict[str, Any]:
    """Everything that the page shows of a run, ready for JSON.

    devices: those that architectures are costed on besides the run's own, by default the shipped ones that its
    tables serve. is_elsewhere: whether the page lies outside of the run; inside, it finds the run's path by itself,
    and runs in different places have equal pages. Raises QueryError for a run without evaluations, and what
    `cost_plan` does.
    """
    answer = query_run(run, Query(is_front_only=False))
    front = query_run(run, Query(objectives=run.config.search.objectives))
    space, device = space_of(run.config), run.device()
    others = _served(run) if devices is None else list(devices)
    drawn = list(dict.fromkeys([*_finished(run), *(row.arch_id for row in front.rows)]))[:_MOST_DRAWN]
    archs = {row.arch_id: row.arch for row in answer.rows}
    model = cost_model(run, device)
    return {
        "name": run.config.name,
        "path": str(run.path) if is_elsewhere else None,
        "is_synthetic": is_synthetic(run),
        "error_name": run.config.task_kind.error_name,
        "unit": run.config.task_kind.unit,
        "device": device.name,
        "objectives": list(run.config.search.objectives),
        "budgets": _budgets(run),
        "chosen": next(iter(_finished(run)), None),
        "genes": gene_labels(space),
        "archs": _columns(answer),
        "costs": {device.name: _own_costs(answer), **{o.name: _costs_on(run, o, answer) for o in others}},
        "ties": {row["id"]: [row["quicker_tie"], row["tied_with"]] for row in front.table()},
        "layers": {name: _layers(space, archs[name], model) for name in drawn if name in archs},
        "test": _test(run),
    }


def gene_labels(space: SearchSpace) -> list[dict[str, Any]]:
    """The name of each gene and what its values mean, in the order of the columns."""
    found = [
        {"name": "rate", "values": [f"{rate} Hz" for rate in space.rates]},
        {"name": "sensors", "values": [name.replace("_", " + ").upper() for name in space.sensors]},
        {"name": "stem width", "values": [str(width) for width in space.stem_widths]},
    ]
    for number, stage in enumerate(space.stages, 1):
        found.append({"name": f"stage {number} width", "values": [str(width) for width in stage.widths]})
        for position, choices in enumerate(stage.blocks, 1):
            found.append({"name": f"block {number}.{position}", "values": ["none", *map(str, choices.options)]})
    return found


def _columns(answer: Answer) -> dict[str, list[Any]]:
    rows = answer.rows
    return {
        "id": [row.arch_id for row in rows],
        "arch": [row.arch for row in rows],
        "error": [row.error for row in rows],
        "low": [row.error_low for row in rows],
        "high": [row.error_high for row in rows],
        "genes": [list(row.genes) for row in rows],
    }


def _own_costs(answer: Answer) -> dict[str, list[float]]:
    rows = answer.rows
    return {
        "latency_ms": [row.latency_ms for row in rows],
        "flash_kb": [row.flash_bytes / KB for row in rows],
        "ram_kb": [row.peak_ram_bytes / KB for row in rows],
        "energy_mj": [row.energy_mj for row in rows],
    }


def _costs_on(run: RunDirectory, device: Device, answer: Answer) -> dict[str, list[float]]:
    """Costs on a device that the archive has no rows of."""
    costs = cost_plan(run, device).costs(np.array([row.genes for row in answer.rows]))
    return {
        "latency_ms": costs.latency_ms.tolist(),
        "flash_kb": (costs.flash_bytes / KB).tolist(),
        "ram_kb": (costs.peak_ram_bytes / KB).tolist(),
        "energy_mj": costs.energy_mj.tolist(),
    }


def _served(run: RunDirectory) -> list[Device]:
    """Shipped devices whose look-up table the run has already."""
    own = run.device()
    shipped = [load_device(name) for name in shipped_names("devices")]
    return [one for one in shipped if one.name != own.name and table_path(run, one.target).exists()]


def _budgets(run: RunDirectory) -> dict[str, float | None]:
    given = run.config.budgets.model_dump()
    return {name: given.get(name) for name in COSTS}


def _finished(run: RunDirectory) -> list[str]:
    """The chosen subnet first, then the others that were finished; none before that stage."""
    stamp = run.stamp("finish")
    if stamp is None:
        return []
    chosen = str(stamp.summary["chosen"])
    return list(dict.fromkeys([chosen, *stamp.summary.get("validation_errors", {})]))


def _layers(space: SearchSpace, arch: str, model: Any) -> list[dict[str, Any]]:
    return layer_rows(space.lower(parse_arch(arch)), model)


def _test(run: RunDirectory) -> dict[str, Any] | None:
    """Figures of people that nobody trained on, and traces of what was estimated; None before the evaluation."""
    if run.stamp("evaluate") is None:
        return None
    results, task = run.json("evaluation", "results.json"), run.config.task_kind
    estimators = {
        name: {
            "people": {k: v for figures in by_source.values() for k, v in task.subject_errors(figures).items()},
            "groups": {
                group: _merged(figures.get(f"by_{group}", {}) for figures in by_source.values())
                for group in ("activity", "band")
            },
            "risk": {source: figures["risk_coverage"] for source, figures in by_source.items() if _risk(figures)},
        }
        for name, by_source in results.items()
    }
    return {"error_name": task.subject_error_name, "estimators": estimators, "traces": _traces(run)}


def _risk(figures: dict[str, Any]) -> bool:
    return bool((figures.get("risk_coverage") or {}).get("mae_bpm"))


def _merged(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a grouping over all sources, each with its error, people and windows."""
    return [
        {"group": name, **{key: value for key, value in row.items() if key in ("mae_bpm", "subjects", "windows")}}
        for group in groups
        for name, row in group.items()
    ]


def _traces(run: RunDirectory) -> list[dict[str, Any]]:
    """Reference and estimates of each test recording over time, where the task has a unit."""
    if not run.config.task_kind.unit:
        return []
    arrays = run.arrays("evaluation", "predictions.npz")
    recording = arrays["recording"]
    found, left = [], _MOST_WINDOWS
    for number in np.unique(recording).tolist():
        at = np.flatnonzero(recording == number)
        left -= len(at)
        if left < 0:
            break
        found.append(
            {
                "name": f"{arrays['subject'][at[0]]}, recording {number + 1}",
                "activity": sorted(set(arrays["activity"][at].tolist()) - {""}) if "activity" in arrays else [],
                "time_s": _plain(arrays["start_s"][at]),
                "reference": _plain(arrays["reference"][at]),
                "estimates": {
                    name: _plain(arrays[f"{name}/estimate"][at]) for name in _TRACED if f"{name}/estimate" in arrays
                },
                "valid": arrays["int8 subnet/valid"][at].astype(int).tolist(),
            }
        )
    return found


def _plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    """Numbers to a hundredth, as pictures need them; None for one that is not there."""
    rounded = np.round(np.asarray(values, np.float64), 2)
    return [value if np.isfinite(value) else None for value in rounded.tolist()]


def require_same_metric(first: dict[str, Any], second: dict[str, Any]) -> None:
    """Raise InputError for two runs whose errors are not of one kind."""
    if first["error_name"] != second["error_name"]:
        raise InputError(
            f"{second['path']}: its error is {second['error_name']}, that of {first['path']} {first['error_name']}; "
            f"explore runs of one task side by side"
        )
