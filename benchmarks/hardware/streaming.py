"""Incremental mode beside window mode: cycles, RAM, power and bit-identity over a front, and its accuracy.

Every member's generated code runs a recording step by step on the emulated core and must equal the same
layers over the whole recording at once; the chosen subnet is also judged on people it never saw. Of several
runs, such as folds of one set, the people are judged together.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support.markdown import table
from hwmodels.c.toolchain import Toolchain, find_toolchain
from hwmodels.codegen.network_source import entry_points, generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.profiling import build
from hwmodels.emulation.emulator import Emulator
from hwmodels.network.graph import LayerGraph
from hwmodels.network.integer_model import IntegerModel
from hwmodels.schedule.step_graph import streaming_model, streaming_step, whole_recording
from hwmodels.validation.network_check import check_image, random_model, run_stream
from nas.assembly.choice import arch_of, chosen_arch
from nas.assembly.loading import windows_of
from nas.assembly.run_space import space_of
from nas.compress.finish import finished_model, finished_tracker
from nas.compress.streaming_subnets import adapted_model, adapted_tracker
from nas.data.windows import WindowSet
from nas.evaluation.estimates import integer_estimates, integer_inputs
from nas.evaluation.metrics import Interval, paired_difference
from nas.evaluation.streamed_windows import streaming_estimates, streaming_logits, streams
from nas.evaluation.tracker_fit import tracked_estimates
from nas.report.front_rows import query_run
from nas.run.run_directory import RunDirectory
from nas.terminal.arguments import positive_count
from search.archive.query import Query
from search.costs.budgets import KB


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks streaming`."""
    parser.add_argument("runs", type=Path, nargs="+", help="finished runs of heart-rate configurations")
    parser.add_argument("--steps", type=positive_count, default=12, help="steps a recording (default: 12)")
    parser.add_argument(
        "--side",
        action="append",
        choices=("validation", "test"),
        dest="sides",
        help="whom accuracy is judged on (validation; repeatable)",
    )


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Compare; see the module's first lines. Raises StreamingError when a member cannot stream."""
    toolchain, sides = find_toolchain(), options.sides or ("validation",)
    runs, held = [], []
    for path in options.runs:
        directory = RunDirectory.open(path)
        held.append({side: _judged(directory, side) for side in sides})
        front = _front(directory, options.steps, toolchain)
        accuracy = {side: one.figures() for side, one in held[-1].items()}
        name = directory.path.resolve().name
        runs.append({"run": name, "chosen": front[0]["id"], "accuracy": accuracy, "front": front})
    device = directory.device()
    members = [row for one in runs for row in one["front"]]
    together = {side: _Judged.of_all([one[side] for one in held]).figures() for side in sides}
    return {
        "device": device.name,
        "step_s": directory.config.data.step_s,
        "members": len(members),
        "largest_share_pct": max(row["share_pct"] for row in members),
        "smallest_share_pct": min(row["share_pct"] for row in members),
        "steps_compared": sum(row["steps"] for row in members),
        "mismatches": sum(row["mismatches"] for row in members),
        **{
            f"{side}, {name}, MAE in BPM": str(Interval(**mode["mae_bpm"]))
            for side, found in together.items()
            for name, mode in found["modes"].items()
        },
        "accuracy": together,
        "runs": runs,
    }


def _front(directory: RunDirectory, steps: int, toolchain: Toolchain) -> list[dict[str, Any]]:
    """A row each for the chosen subnet and the other members of a run's front."""
    step_s = directory.config.data.step_s
    members = query_run(directory, Query(objectives=directory.config.search.objectives)).rows
    ids = [chosen_arch(directory).id, *(row.arch_id for row in members)]
    archs = [arch_of(directory, arch_id) for arch_id in dict.fromkeys(ids)]
    graphs = [space_of(directory.config).lower(arch) for arch in archs]
    samples = [round(step_s * arch.rate_hz) for arch in archs]
    device = directory.device()
    stepped = [streaming_step(graph, new) for graph, new in zip(graphs, samples, strict=True)]
    cost_model = CostModel(
        build([op for graph in (*graphs, *stepped) for op in graph], toolchain, "", device.target), device
    )
    front = []
    for arch, graph, new in zip(archs, graphs, samples, strict=True):
        # Members that nobody has finished have no integer weights yet; cycles do not depend on them.
        has_weights = (directory.subnet(arch.id) / "int8" / "model.npz").exists()
        trained = finished_model(directory, arch) if has_weights else None
        front.append(
            {"id": arch.id, "arch": str(arch), "weights": "trained" if trained else "random"}
            | _member(trained, graph, new, steps, cost_model, toolchain)
        )
    return front


def _member(
    trained: IntegerModel | None,
    graph: LayerGraph,
    new_samples: int,
    steps: int,
    cost_model: CostModel,
    toolchain: Toolchain,
) -> dict[str, Any]:
    """One architecture in both modes, executed; `share_pct` is the step's measured cycles in the window's."""
    rng = np.random.default_rng(0)
    model = trained or random_model(graph, rng)
    recording = rng.integers(-128, 128, (steps * new_samples, graph.input.channels_in)).astype(np.int8)
    step = streaming_model(model, new_samples)
    sources = generate(step)
    image = toolchain.link(sources, keep=entry_points(step))
    got = run_stream(step, Emulator(image), recording)
    expected = whole_recording(model, recording, new_samples)
    window = check_image(model, cost_model, toolchain.link(generate(model)), _one(graph, recording))
    measured = check_image(step, cost_model, image, recording[None, :new_samples])
    row: dict[str, Any] = {
        "share_pct": round(100 * measured.measured_cycles / window.measured_cycles, 2),
        "steps": steps,
        "mismatches": int((got != expected).any(axis=1).sum()),
        "state_bytes": step.graph.state_bytes,
    }
    for name, found in (("window", window), ("step", measured)):
        cost = cost_model.total(found.measured_cycles, found.measured_flash_bytes, found.measured_ram_bytes, graph.macs)
        row[name] = {
            "cycles": cost.cycles,
            "predicted_cycles": found.predicted.cycles,
            "latency_ms": round(cost.latency_ms, 3),
            "flash_kb": round(cost.flash_bytes / KB, 2),
            "ram_kb": round(cost.peak_ram_bytes / KB, 2),
            "ram_as_predicted": found.ram_matches,
            "energy_mj": round(cost.energy_mj, 4),
            "power_mw": round(cost.power_mw, 4),
        }
    return row


def _one(graph: LayerGraph, recording: np.ndarray) -> np.ndarray:
    """One window of the graph's length from a recording, repeated where that is shorter."""
    return np.resize(recording, (1, graph.input.length_in, graph.input.channels_in))


@dataclass(frozen=True, eq=False)
class _Judged:
    """Absolute errors in BPM of one side's windows (n,) by mode, whose windows they are, and how many
    estimates of steps differ from the whole recording's.
    """

    errors: Mapping[str, NDArray[np.float64]]
    subject: NDArray[np.str_]
    mismatches: int

    @staticmethod
    def of_all(parts: Sequence[_Judged]) -> _Judged:
        """People of several runs together, in the modes that all runs have."""
        names = [name for name in parts[0].errors if all(name in part.errors for part in parts)]
        errors = {name: np.concatenate([part.errors[name] for part in parts]) for name in names}
        subject = np.concatenate([part.subject for part in parts])
        return _Judged(errors, subject, sum(part.mismatches for part in parts))

    def figures(self) -> dict[str, Any]:
        """MAE by mode with its interval over people, and its change against window mode's."""
        rows, people = {}, np.unique(self.subject)
        for name, errors in self.errors.items():
            other = name.replace("streaming_adapted", "window").replace("streaming", "window")
            change = paired_difference(errors, self.errors[other], self.subject)
            rows[name] = {
                "mae_bpm": asdict(paired_difference(errors, np.zeros(len(errors)), self.subject)),
                "change_bpm": None if other == name else asdict(change),
                "mae_by_subject_bpm": {str(one): float(errors[self.subject == one].mean()) for one in people},
            }
        return {
            "subjects": len(people),
            "windows": len(self.subject),
            "steps_compared": len(self.subject),
            "mismatches": self.mismatches,
            "modes": rows,
        }


def _judged(directory: RunDirectory, side: str) -> _Judged:
    """Errors of the chosen subnet in both modes on one side's people, each window paired with itself."""
    arch, step_s = chosen_arch(directory), directory.config.data.step_s
    model, adapted = finished_model(directory, arch), adapted_model(directory, arch)
    windows = windows_of(directory, side)
    modes = {
        "window": integer_estimates(model, windows).estimate,
        "streaming": streaming_estimates(model, windows, step_s).estimate,
    }
    if tracker := finished_tracker(directory, arch):
        modes["window_tracked"] = tracked_estimates(model, tracker, windows).estimate
    if adapted is not None:
        modes["streaming_adapted"] = streaming_estimates(adapted, windows, step_s).estimate
        tracker, read = adapted_tracker(directory, arch, adapted), partial(streaming_logits, step_s=step_s)
        modes["streaming_adapted_tracked"] = tracked_estimates(adapted, tracker, windows, read).estimate
    errors = {name: np.abs(found - windows.heart_rate_bpm) for name, found in modes.items()}
    return _Judged(errors, windows.subject, _real_mismatches(adapted or model, windows, step_s))


def _real_mismatches(model: IntegerModel, windows: WindowSet, step_s: float) -> int:
    """Steps of real recordings on which the chosen subnet's estimate differs from the whole recording's."""
    new_samples = round(step_s * model.input.rate_hz)
    steps = streaming_estimates(model, windows, step_s).estimate
    inputs, different = integer_inputs(model, windows), 0
    for stretch in streams(windows, step_s):
        later = inputs[stretch[1:], -new_samples:].reshape(-1, inputs.shape[2])
        whole = whole_recording(model, np.concatenate([inputs[stretch[0]], later]), new_samples)
        different += int((model.head.decoded(whole[-len(stretch) :])[0] != steps[stretch]).sum())
    return different


def _cost_rows(chosen: Mapping[str, Any], run: str) -> list[list[str]]:
    """A run's chosen subnet in both modes: run, what, window, step."""
    window, step = chosen["window"], chosen["step"]
    kept = f"{step['ram_kb']:.1f} KB, of which {chosen['state_bytes'] / KB:.1f} KB kept between steps"
    rows = [
        ["cycles", f"{window['cycles']:,}", f"{step['cycles']:,} ({chosen['share_pct']:.1f} %)"],
        ["latency", f"{window['latency_ms']:.1f} ms", f"{step['latency_ms']:.1f} ms"],
        ["RAM", f"{window['ram_kb']:.1f} KB", kept],
        ["flash", f"{window['flash_kb']:.1f} KB", f"{step['flash_kb']:.1f} KB"],
        ["energy", f"{window['energy_mj']:.2f} mJ", f"{step['energy_mj']:.2f} mJ"],
        ["average power", f"{window['power_mw']:.2f} mW", f"{step['power_mw']:.2f} mW"],
    ]
    return [[f"{run}, `{chosen['arch']}`" if not at else "", *row] for at, row in enumerate(rows)]


_MODES = {
    "window": "window mode",
    "streaming": "streaming, weights as they are",
    "streaming_adapted": "streaming, fine-tuned for it",
    "window_tracked": "window mode, tracked",
    "streaming_adapted_tracked": "streaming, fine-tuned, tracked",
}


def document_parts(found: Mapping[str, Any]) -> dict[str, str]:
    """Tables of the appendix of results, part to text, from what the benchmark printed with --json."""
    costs = [row for one in found["runs"] for row in _cost_rows(one["front"][0], one["run"])]
    told = (
        f"On the {found['members']} members of the fronts, {found['device']}, a step takes "
        f"{found['smallest_share_pct']:.1f} to {found['largest_share_pct']:.1f} % of the window's cycles; "
        f"{found['mismatches']} of {found['steps_compared']} steps on the emulated core differ from the "
        "whole recording. The chosen subnets:"
    )
    columns = {f"{one['subjects']} {side} subjects": one for side, one in found["accuracy"].items()}
    if len(found["runs"]) > 1:
        side = list(found["accuracy"])[-1]
        columns |= {f"{side}, {one['run']}": one["accuracy"][side] for one in found["runs"]}
    sides = list(columns.values())
    rows = []
    for name, text in _MODES.items():
        held = [side["modes"][name] for side in sides if name in side["modes"]]
        if held:
            rows.append([text, *(str(Interval(**one["mae_bpm"])) for one in held)])
            if held[0]["change_bpm"]:
                rows.append(["less window mode's", *(str(Interval(**one["change_bpm"])) for one in held)])
    header = ["", *columns]
    compared = sum(side["steps_compared"] for side in found["accuracy"].values())
    wrong = sum(side["mismatches"] for side in found["accuracy"].values())
    steps = f"{wrong} of these people's {compared:,} steps differ from the whole recording's."
    every = f"per {found['step_s']:g} s"
    return {
        "cost": f"{told}\n\n{table(['run', every, 'window', 'step'], costs)}",
        "accuracy": f"{table(header, rows)}\n\n{steps}",
    }
