"""What each step of compression costs in error: two ways to quantize, pruning, or a smaller subnet searched.

On a finished run: its chosen subnet in float, quantized both ways, and pruned in steps with retraining;
beside the pruned one, the best subnet of the archive that is no larger and no slower, fine-tuned for as
many epochs. Rows are kept in RUN/compression. Errors on validation and test subjects, in BPM.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.support.trials import FoldData, mean_and_gain, once, origin, recipe, train_graph
from nas.assembly.choice import arch_of, archive_path, chosen_arch, shared_weights
from nas.assembly.graph_costs import graph_cost
from nas.assembly.loading import trained_supernet, trained_teacher
from nas.assembly.run_space import space_of
from nas.assembly.task_setup import train_settings
from nas.compress.finish import finish_subnet, finished_float, finished_model, is_finished
from nas.compress.prune import prune_in_steps
from nas.compress.quantize import quantized
from nas.run.run_directory import RunDirectory
from nas.terminal.arguments import positive_count
from search.archive.archive import Archive
from search.costs.budgets import KB
from supernet.network.subnet import Subnet
from supernet.space.arch import Arch
from supernet.training.methods import SingleNetwork
from supernet.training.window_outputs import ready_subnet

_SHARES = (0.8, 0.6, 0.45)
_REFERENCE = "chosen, float"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks compression`."""
    parser.add_argument("run", type=Path, help="finished run directory")
    parser.add_argument("--arch", help="id of an archived architecture (default: the chosen one)")
    parser.add_argument("--epochs", type=positive_count, default=6, help="of retraining after each pruning (6)")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure what is missing; a row for each form, with what it loses to the chosen subnet in float."""
    directory = RunDirectory.open(options.run)
    arch = arch_of(directory, options.arch) if options.arch else chosen_arch(directory)
    if not is_finished(directory, arch):
        finish_subnet(directory, arch)
    with directory.exclusive():
        facts = [
            *origin(directory, "teacher", "supernet"),
            str(arch),
            options.epochs,
            directory.config.finish.model_dump(),
        ]
        path = directory.path / "compression" / f"{arch.id}.json"
        held = once(path, [*facts, directory.config.device], lambda: {"rows": _rows(directory, arch, options.epochs)})
    sides = {side: {row["name"]: row[side] for row in held["rows"]} for side in ("validation", "test")}
    told: dict[str, Any] = {"arch": str(arch)}
    rows = []
    for row in held["rows"]:
        found = {key: row[key] for key in ("name", "parameters", "cost", "arch") if key in row}
        for side, errors in sides.items():
            mean, gain = mean_and_gain(errors, row["name"], _REFERENCE)
            found[f"{side}_mae_bpm"] = vars(mean)
            found[f"{side}_gain_bpm"] = None if gain is None else vars(gain)
            told[f"{row['name']}, {side}"] = f"{mean}" if gain is None else f"{mean}, gains {gain}"
        rows.append(found)
        told[f"{row['name']}, parameters"] = row["parameters"]
    return {**told, "seconds": held["seconds"], "rows": rows}


def _rows(run: RunDirectory, arch: Arch, epochs: int) -> list[dict[str, Any]]:
    data, teacher, config = FoldData.of(run), trained_teacher(run), run.config
    again = recipe(run, epochs)
    trained = train_settings(config.finish.quantization, config.seed)
    rows: list[dict[str, Any]] = []

    def add(name: str, subnet: Subnet, errors: dict[str, Any], **more: Any) -> None:
        parameters = sum(op.weight_count + op.channels_out for op in subnet.graph if op.has_parameters)
        cost = graph_cost(subnet.graph, config.device)
        rows.append({"name": name, "parameters": parameters, "cost": cost, **more, **errors})
        run.say(f"{name}: {cost['flash_kb']:.1f} KB, {cost['latency_ms']:.1f} ms")

    def method_of(subnet: Subnet) -> SingleNetwork:
        return SingleNetwork(subnet, data.task, arch.rate_hz, arch.channels, reads=arch.reads)

    whole = finished_float(run, arch)
    add(_REFERENCE, whole, data.errors(whole, arch))
    after = quantized(config, method_of(whole), data.training, data.task)
    add("chosen, int8 after training", whole, data.integer_errors(after))
    add("chosen, int8 trained on", whole, data.integer_errors(finished_model(run, arch)))

    def retrain(subnet: Subnet) -> Subnet:
        network = train_graph(data, subnet.graph, again, teacher, subnet).module
        assert isinstance(network, Subnet)
        return network

    smaller = prune_in_steps(whole, _SHARES, retrain)
    add("pruned, float", smaller, data.errors(smaller, arch))
    model = quantized(config, method_of(smaller), data.training, data.task, trained, teacher)
    add("pruned, int8", smaller, data.integer_errors(model))
    cost = rows[-1]["cost"]
    other = _best_within(run, cost["flash_kb"], cost["latency_ms"])
    if other is not None:
        subnet = ready_subnet(trained_supernet(run), other, data.training)
        method = train_graph(data, subnet.graph, recipe(run, epochs * len(_SHARES)), teacher, subnet)
        assert isinstance(method.module, Subnet)
        add("searched no larger, float", method.module, data.errors(method.module, other), arch=str(other))
        model = quantized(config, method, data.training, data.task, trained, teacher)
        add("searched no larger, int8", method.module, data.integer_errors(model), arch=str(other))
    return rows


def _best_within(run: RunDirectory, flash_kb: float, latency_ms: float) -> Arch | None:
    """The archived arch of least validation error within both; None where there is none."""
    device, weights = run.device().name, shared_weights(run)
    with Archive(archive_path(run), create=False) as archive:
        rows = [
            row
            for row in archive.rows()
            if row.device == device
            and row.weights == weights
            and row.flash_bytes <= flash_kb * KB
            and row.latency_ms <= latency_ms
        ]
    if not rows:
        return None
    return space_of(run.config).decode([min(rows, key=lambda row: (row.error, row.arch_id)).genes])[0]
