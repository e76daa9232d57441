"""Hand-made students in the harness of the searched subnet: same people, recipe, quantization, cost model.

With --fold, each student of the configuration's space is trained on hard labels and by the run's teacher,
quantized, and costed; one of them is pruned as well. With --max-flash-kb or --max-latency-ms every student
that needs more is trained a second time with fewer channels, as many as fit. One file a fold goes to
--results, and the table is assembled from those files alone.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.support.trials import (
    FoldData,
    add_fold_arguments,
    load_rows,
    mean_and_gain,
    once,
    origin,
    recipe,
    save_rows,
    settings_of,
    together,
    train_graph,
)
from hwmodels.network.graph import LayerGraph
from nas.assembly.graph_costs import graph_cost
from nas.assembly.loading import trained_teacher
from nas.assembly.run_space import space_of
from nas.assembly.task_setup import train_settings
from nas.commands.run import prepared_run
from nas.compress.prune import prune_in_steps
from nas.compress.quantize import quantized
from nas.run.config import load_config
from nas.run.run_directory import RunDirectory
from nas.stages.job import run_pipeline
from nas.terminal.arguments import positive_number
from supernet.network.subnet import Subnet
from supernet.settings.training import TrainSettings
from supernet.space.arch import SENSOR_CHANNELS
from supernet.space.lowering import lower
from supernet.space.search_space import SearchSpace
from supernet.space.students import NAMES, convolutional, handmade, narrowed, student_in
from supernet.teachers.networks.cnn_lstm import ConvolutionalRecurrent
from supernet.training.methods import SingleNetwork
from supernet.training.teaching import Teaching
from supernet.training.trainer import fit

RESULTS = Path("docs/results/peers")
RECURRENT = "cornet"
_CONVOLUTIONAL = "cornet-cnn"
_PRUNED = ("mobilenet-1d", "spectral-cnn")
_KEPT = ("name", "student", "taught", "form", "parameters", "cost")
_LIMITS = (("flash_kb", "KB"), ("latency_ms", "ms"))
_WIDEST_FIRST = tuple(number / 20 for number in range(20, 0, -1))
_SHARES = (0.85, 0.7, 0.55)
_NO_KERNEL = "its recurrent layers have no kernel: float only, not deployable here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks peers`."""
    add_fold_arguments(parser, RESULTS)
    parser.add_argument(
        "--student",
        choices=(*NAMES, _CONVOLUTIONAL, RECURRENT),
        action="append",
        help="train these alone (the space's hand-made ones)",
    )
    for name, unit in _LIMITS:
        option = f"--max-{name.replace('_', '-')}"
        parser.add_argument(option, type=positive_number, help=f"also narrow students until they fit so many {unit}")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing of the folds asked for, then say what all files of the configuration tell."""
    name = load_config(options.config).name
    for fold in options.fold:
        directory = prepared_run(options.config, options.data, options.run, fold=fold, threads=options.threads)
        run_pipeline(directory, "teacher")
        with directory.exclusive():
            rows = list(_train(directory, options))
        settings = settings_of(directory, options.epochs)
        save_rows(options.results / f"{name}-fold{fold}.json", directory, settings, rows)
    return summary(load_rows(options.results, name))


def summary(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """A row for each form of each student: errors, costs, and what distillation gains it."""
    sides = {side: together(folds, side) for side in ("validation", "test")}
    facts = {row["name"]: row for fold in folds for row in fold["rows"]}
    told: dict[str, Any] = {"folds": ", ".join(str(fold["fold"]) for fold in folds)}
    rows = []
    for name in sides["test"]:
        row = {key: facts[name].get(key) for key in _KEPT}
        plain = name.replace("distilled and pruned", "distilled").replace("distilled", "hard labels")
        for side, errors in sides.items():
            mean, gain = mean_and_gain(errors, name, plain)
            row |= {f"{side}_mae_bpm": vars(mean), f"{side}_subjects": len(errors[name])}
            row[f"{side}_gain_bpm"] = None if gain is None else vars(gain)
        cost = row["cost"] or {}
        costs = "".join(f", {cost[key]:.1f} {unit}" for key, unit in _LIMITS if cost.get(key) is not None)
        told[name] = "{value:.2f} [{low:.2f}, {high:.2f}] BPM".format(**row["test_mae_bpm"]) + costs
        rows.append(row)
    seconds = sum(row.get("seconds", 0.0) for fold in folds for row in fold["rows"])
    return {**told, "seconds": round(seconds, 1), "rows": rows}


def _train(run: RunDirectory, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    data, settings = FoldData.of(run), recipe(run, options.epochs)
    quantization = train_settings(run.config.finish.quantization, run.config.seed)
    base = [*origin(run, "teacher"), settings.to_dict(), quantization.to_dict(), run.config.device]
    space = space_of(run.config)
    others = (_CONVOLUTIONAL, RECURRENT) if space.reads == "samples" else ()
    limits = {name: getattr(options, f"max_{name}") for name, _ in _LIMITS if getattr(options, f"max_{name}")}
    names = options.student or (*handmade(space), *others)
    students = [(name, name, 1.0) for name in names]
    for name in names:
        share = 1.0 if name == RECURRENT else share_that_fits(space, name, run.config.device, limits)
        students += [(f"{name}, narrowed", name, share)] if share < 1 else []
    for student, name, share in students:
        graph = None if name == RECURRENT else graph_of(space, name, share)
        for taught in ("hard labels", "distilled"):
            run.say(f"{student}, {taught}")
            path = run.path / "peers" / f"{student.replace(', ', '-')}-{taught.replace(' ', '-')}.json"
            teacher = trained_teacher(run) if taught == "distilled" else None
            work = partial(_rows_of, data, student, graph, taught, settings, quantization, teacher)
            held = once(path, [*base, student, taught, *([share] if share < 1 else [])], work)
            for at, row in enumerate(held["rows"]):
                yield {**row, "seconds": held["seconds"] if at == 0 else 0.0}


def _rows_of(
    data: FoldData,
    student: str,
    graph: LayerGraph | None,
    taught: str,
    settings: TrainSettings,
    quantization: TrainSettings,
    teacher: Teaching | None,
) -> dict[str, Any]:
    """Train one student, and give a row for every form it is brought into; the recurrent one has no graph."""
    if graph is None:
        return {"rows": [_recurrent_row(data, taught, settings, teacher)]}
    run, rows = data.run, []

    def add(how: str, form: str, network: Subnet, errors: dict[str, Any]) -> None:
        parameters = sum(p.numel() for p in network.parameters())
        # 32-bit weights run nowhere here: a float network's flash is its parameters alone.
        cost = {"flash_kb": round(4 * parameters / 1024, 1), "latency_ms": None}
        if form != "float":
            cost = graph_cost(network.graph, run.config.device)
        facts = {"student": student, "taught": how, "form": form, "parameters": parameters, "cost": cost}
        rows.append({"name": f"{student}, {how}, {form}", **facts, **errors})

    def add_forms(how: str, method: SingleNetwork) -> None:
        network = _subnet(method)
        add(how, "float", network, data.errors(network, method))
        after = quantized(run.config, method, data.training, data.task)
        add(how, "int8, post-training", network, data.integer_errors(after))
        trained = quantized(run.config, method, data.training, data.task, quantization, teacher)
        add(how, "int8", network, data.integer_errors(trained))

    def retrain(subnet: Subnet) -> Subnet:
        return _subnet(train_graph(data, subnet.graph, again, teacher, subnet))

    method = train_graph(data, graph, settings, teacher)
    add_forms(taught, method)
    if teacher is not None and student in _PRUNED:
        again = settings.with_changes(epochs=max(1, settings.epochs // 2))
        smaller = prune_in_steps(_subnet(method), _SHARES, retrain)
        add_forms(f"{taught} and pruned", replace(method, module=smaller))
    return {"rows": rows}


def _recurrent_row(data: FoldData, taught: str, settings: TrainSettings, teacher: Teaching | None) -> dict[str, Any]:
    config = data.run.config
    rate, channels = max(space_of(config).rates), SENSOR_CHANNELS["ppg_acc"]
    network = ConvolutionalRecurrent(config.outputs, channels, width=32, hidden=32, seed=config.seed)
    method = SingleNetwork(network, data.task, rate, channels)
    fit(method, data.training, data.task, settings, teacher=teacher)
    parameters = sum(p.numel() for p in network.parameters())
    facts = {"student": RECURRENT, "taught": taught, "form": "float", "parameters": parameters}
    return {
        "name": f"{RECURRENT}, {taught}, float",
        **facts,
        "cost": {"note": _NO_KERNEL},
        **data.errors(network, method),
    }


def _subnet(method: SingleNetwork) -> Subnet:
    assert isinstance(method.module, Subnet)
    return method.module


def graph_of(space: SearchSpace, student: str, share: float = 1.0) -> LayerGraph:
    """The network of a hand-made student with `share` of its channels.

    Raises SpaceError for one that does not belong to the space.
    """
    if student == _CONVOLUTIONAL:
        return convolutional(space, share)
    arch = student_in(space, student)
    return lower(space, narrowed(arch, share) if share < 1 else arch)


def share_that_fits(space: SearchSpace, student: str, device: str, limits: dict[str, float]) -> float:
    """The largest share of the channels whose network needs no more than `limits`; 1 if none helps."""
    for share in _WIDEST_FIRST if limits else ():
        cost = graph_cost(graph_of(space, student, share), device)
        if all(cost[name] <= limit for name, limit in limits.items()):
            return share
    return 1.0
