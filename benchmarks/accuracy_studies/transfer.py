"""Accuracy on sets and people that were not trained on: every set left out once, and people of small sets one by one.

With --train the trainings named are run and each is written to a file of its own in --results; tables and the picture
come from the files there alone. One architecture is trained from random weights, on labels alone, quantized with
further training, and judged as the integer network that is exported, with and without the causal tracker behind it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.support.integer_training import MIDDLE, trained_integers
from benchmarks.support.judgements import (
    BASELINES,
    FAR_BPM,
    INT8,
    JUDGED,
    Judgement,
    figures,
    groups_of,
    judgement,
    load_judgements,
    risk_curve,
    rows_of,
    save_judgement,
)
from benchmarks.support.left_out import Part, Sides, Split, load_parts, noise_windows, sides_of, splits_of
from benchmarks.support.markdown import table
from benchmarks.support.trials import TrialError, once
from hwmodels.basics.errors import InputError
from hwmodels.firmware.tracker import Tracker, load_tracker, save_tracker
from hwmodels.network.graph import LayerGraph
from hwmodels.network.interpreter import IntegerModel, load_model, save_model
from nas.assembly.choice import chosen_arch
from nas.assembly.graph_costs import graph_cost
from nas.assembly.run_space import space_of
from nas.data.windows import WindowSet
from nas.evaluation.estimates import TRACKED, Estimates, integer_estimates
from nas.evaluation.tracker_fit import tracked_estimates
from nas.evaluation.verdict import MOST_FAR
from nas.report.closing import made_with
from nas.report.plots import BLUE, GREEN, MUTED, ORANGE, PURPLE, RED, quiet
from nas.run.config import Config, load_config, parse_config
from nas.run.overrides import overridden
from nas.run.processor import take
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest, digest_files, read_json
from nas.terminal.arguments import count, positive_count
from nas.terminal.output import print_table
from supernet.space.arch import Arch, parse_arch
from supernet.space.search_space import SearchSpace

RESULTS = Path("docs/results/transfer")
_ALL = "all"
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED)
_KEPT = ("mae_bpm", "bias_bpm", "beyond_10", "beyond_20", "valid", "valid_beyond_10")
HEADER = ("MAE", "bias", "off by > 10", "off by > 20", "valid", "valid, but off by > 10")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks transfer`."""
    parser.add_argument("--config", type=Path, default=Path("everyday"), help="sets, space, recipe (everyday)")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="PATH=VALUE", help="as run's")
    parser.add_argument("--data", type=Path, help="folder of the recordings (default: PPG_DATA, else .)")
    parser.add_argument("--train", action="append", default=[], metavar="NAME", help="train this, or all (repeatable)")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--arch", type=parse_arch, default=parse_arch(MIDDLE), help=f"the network ({MIDDLE})")
    who.add_argument("--like", type=Path, metavar="RUN", help="the network that a finished run has chosen")
    parser.add_argument("--epochs", type=positive_count, help="epochs of each training (the configuration's)")
    parser.add_argument("--seed", type=count, action="append", help="seed (repeatable; the configuration's)")
    parser.add_argument("--folds", type=count, default=0, help="also leave out people of all sets, in so many folds")
    parser.add_argument("--threads", type=positive_count, help="torch threads, instead of the file's")
    parser.add_argument("--work", type=Path, default=Path("runs/transfer"), help="trained networks (runs/transfer)")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"the trainings' files ({RESULTS})")
    parser.add_argument("--plots", type=Path, help="folder for risk_coverage.png")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing of what was asked for, then say what all files of the configuration tell."""
    if options.train:
        _train(_config(options), options)
    told = load_judgements(options.results)
    if options.plots is not None:
        if options.plots.exists() and not options.plots.is_dir():
            raise InputError(f"--plots {options.plots}: is a file; name a folder")
        options.plots.mkdir(parents=True, exist_ok=True)
        picture(told).savefig(options.plots / "risk_coverage.png", dpi=100)
    return summary(told)


def summary(told: Sequence[Judgement]) -> dict[str, Any]:
    """Rows of figures by tested part, what was trained on, estimator and group of windows; noise called valid."""
    rows, noise = [], []
    for part, trained_on, own in rows_of(told):
        for kind, group, chosen in groups_of(own):
            some = own.subset(chosen)
            names = (*BASELINES, *JUDGED) if kind == "all" else JUDGED
            for name in (name for name in names if chosen.any()):
                labels = {"tested": part, "trained_on": trained_on, "estimator": name, "group": kind, "value": group}
                rows.append({**labels, **figures(some, name)})
    for one in told:
        labels = {"split": one.facts["split"], "seed": one.facts["seed"]}
        noise += [{**labels, "noise": kind, **valid} for kind, valid in one.noise.items()]
    facts = told[0].facts
    return {
        "arch": facts["arch"],
        "recipe": facts["recipe"],
        "cost": facts["cost"],
        "trainings": sorted({str(one.facts["split"]) for one in told}),
        "seeds": sorted({int(one.facts["seed"]) for one in told}),
        "seconds": round(sum(one.facts["seconds"] for one in told), 1),
        "rows": rows,
        "noise": noise,
    }


def show(result: dict[str, Any]) -> None:
    """All windows of each tested part, as a table."""
    rows = [
        {
            "tested": row["tested"],
            "trained on": row["trained_on"],
            "estimator": row["estimator"],
            **dict(zip(HEADER, cells(row), strict=True)),
        }
        for row in result["rows"]
        if row["group"] == "all"
    ]
    print_table(rows, list(rows[0]))


def document_tables(folder: Path) -> dict[str, str]:
    """The tables of the documentation from a folder of files: all windows, groups of windows, noise; empty without."""
    if not any(folder.glob("*.json")):
        return dict.fromkeys(("all", "groups", "noise"), "")
    told = load_judgements(folder)
    result = summary(told)
    every = [row for row in result["rows"] if row["group"] == "all"]
    groups = [row for row in result["rows"] if row["group"] != "all" and row["estimator"] == TRACKED]
    estimators = [
        [row["tested"], row["trained_on"], row["estimator"], str(row["people"]), *cells(row)] for row in every
    ]
    grouped = [[row["tested"], row["trained_on"], row["value"], str(row["windows"]), *cells(row)] for row in groups]
    kinds = list(dict.fromkeys(row["noise"] for row in result["noise"]))
    shares = [[one.facts["split"], str(one.facts["seed"]), *(_both(one.noise[kind]) for kind in kinds)] for one in told]
    return {
        "all": f"{_about(result)}\n\n{table(['tested', 'trained on', 'estimator', 'people', *HEADER], estimators)}",
        "groups": table(["tested", "trained on", "windows of", "number", *HEADER], grouped),
        "noise": table(["training", "seed", *kinds], shares),
    }


def _about(result: Mapping[str, Any]) -> str:
    """What was trained, in a sentence."""
    cost = result["cost"]
    costs = f" ({cost['flash_kb']:.1f} KB of flash, {cost['latency_ms']:.1f} ms for the network)" if cost else ""
    seeds = ", ".join(map(str, result["seeds"]))
    return f"`{result['arch']}`{costs}; {result['recipe']}; seed {seeds}."


def picture(told: Sequence[Judgement]) -> Figure:
    """Risk against coverage of the tracked network, a curve for each tested part; few real people at the right."""
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    rows = rows_of(told)
    simulated = [row for row in rows if row[1].startswith("simulated")]
    panels = figure.subplots(1, 2, sharey=True)
    for axes, curves in zip(
        panels, ([row for row in rows if not row[1].startswith("simulated")], simulated), strict=True
    ):
        quiet(axes)
        for number, (part, trained_on, own) in enumerate(curves):
            colour, style = _COLOURS[number % len(_COLOURS)], "-" if number < len(_COLOURS) else ":"
            coverage, risk = risk_curve(own, TRACKED)
            axes.plot(100 * coverage, 100 * risk, style, color=colour, label=f"{part}; {trained_on}")
            valid = own.valid[TRACKED]
            if valid.any():
                far = np.abs(own.estimate_bpm[TRACKED] - own.reference_bpm) > FAR_BPM
                axes.plot(100 * valid.mean(), 100 * far[valid].mean(), "o", color=colour)
        axes.axhline(100 * MOST_FAR, color=MUTED, linewidth=1, linestyle="--")
        axes.set_xlabel("windows kept, most confident first, %")
        axes.set_xlim(0, 100)
        if curves:
            axes.legend(
                frameon=False, fontsize=8, title="tested; trained on (dot: those called valid)", title_fontsize=8
            )
    panels[0].set_ylabel("of these off by more than 10 BPM, %")
    panels[0].set_ylim(bottom=0)
    return figure


def _config(options: argparse.Namespace) -> Config:
    """The configuration with what the command line sets instead."""
    content = overridden(load_config(options.config).model_dump(mode="json"), options.settings)
    if options.epochs is not None:
        content["finish"]["fine_tuning"]["epochs"] = options.epochs
    if options.threads is not None:
        content["threads"] = options.threads
    config = parse_config(content, str(options.config))
    if config.task.kind != "heart_rate":
        raise TrialError(f"{options.config}: the transfer benchmark is for heart rates")
    return config


def _train(config: Config, options: argparse.Namespace) -> None:
    arch = options.arch if options.like is None else chosen_arch(RunDirectory.open(options.like))
    space_of(config).encode([arch])
    take(config)
    folder = options.data or Path(os.environ.get("PPG_DATA", "."))
    parts = load_parts(config, folder)
    trainings = _trainings(config, arch, parts, options)
    cost = _cost(space_of(config).lower(arch), config.device)
    for training in trainings:
        _judge(training, parts, folder, cost)


def _trainings(config: Config, arch: Arch, parts: Sequence[Part], options: argparse.Namespace) -> list[_Training]:
    """Those that were asked for. Raises TrialError for a name that is none."""
    splits = splits_of(parts, options.folds, config.data.split_seed)
    names = [split.name for split in splits]
    if unknown := [name for name in options.train if name not in (*names, _ALL)]:
        raise TrialError(f"--train {unknown[0]}: no such training; there are {_ALL}, {', '.join(names)}")
    space = space_of(config)
    settings = digest(_shared(config, space), str(arch), {part.name: part.digest for part in parts})
    wanted = [split for split in splits if _ALL in options.train or split.name in options.train]
    common = {"settings": settings, "arch": str(arch)}
    return [
        _Training(config.model_copy(update={"seed": seed}), split, arch, common, options)
        for seed in options.seed or [config.seed]
        for split in wanted
    ]


def _shared(config: Config, space: SearchSpace) -> dict[str, Any]:
    """What all trainings of one table have in common: what they learn from, and how."""
    content = config.model_dump(mode="json")
    del content["data"]["fold"]
    recipe = {name: content["finish"][name] for name in ("fine_tuning", "quantization")}
    return {"data": content["data"], "task": content["task"], "space": space.model_dump(mode="json"), **recipe}


def _cost(graph: LayerGraph, device: str) -> dict[str, Any] | None:
    """What the network costs on the configuration's device; None without a compiler."""
    try:
        return graph_cost(graph, device)
    except InputError:
        return None


class _Training:
    """One split with one seed: where its network and its result lie, and what they follow from."""

    def __init__(
        self, config: Config, split: Split, arch: Arch, common: Mapping[str, Any], options: argparse.Namespace
    ) -> None:
        self.config, self.split, self.arch = config, split, arch
        self.facts = {"split": split.name, "trained_on": split.trained_on, "seed": config.seed, **common}
        words = "".join(letter if letter.isalnum() else "-" for letter in split.name)
        self.network = options.work / f"{config.name}-{words}-seed{config.seed}"
        self.result = options.results / f"{config.name}-{words}-seed{config.seed}.json"
        self.title = f"{split.name}, seed {config.seed}"


def _judge(training: _Training, parts: Sequence[Part], folder: Path, cost: Mapping[str, Any] | None) -> None:
    """Write the file of one training, where it is not there or came from other networks."""
    sides = sides_of(training.split, parts, training.config)
    made = once(training.network / "made.json", training.facts, lambda: _network(training, sides))
    model, tracker = load_model(training.network / "model.npz"), load_tracker(training.network / "tracker.json")
    networks = digest_files([training.network / "model.npz", training.network / "tracker.json"])
    if training.result.exists():
        held = read_json(training.result, "delete it and give the command again")
        if (
            isinstance(held, dict)
            and held.get("networks") == networks
            and held["settings"] == training.facts["settings"]
        ):
            return
    estimates = _estimates(model, tracker, sides.test)
    estimates |= training.config.task_kind.baselines(sides.test, sides.test.rates[-1])
    noise = {
        kind: {name: round(float(held.valid.mean()), 4) for name, held in _estimates(model, tracker, some).items()}
        for kind, some in noise_windows(training.config, folder)
    }
    facts = {
        **training.facts,
        "networks": networks,
        "cost": cost,
        "recipe": _recipe(training.config),
        "seconds": made["seconds"],
        "people": made["people"],
        **made_with(),
    }
    save_judgement(judgement(facts, sides.test, sides.part, estimates, noise), training.result)


def _recipe(config: Config) -> str:
    """What the networks were trained of and for how long, in words."""
    simulated = [source for source in config.data.sources if source.kind == "synthetic"]
    people = [f"{one.subjects} simulated people ({one.population}) of {one.minutes:g} min" for one in simulated]
    epochs = config.finish.fine_tuning.epochs, config.finish.quantization.epochs
    return ", ".join([*people, "{} epochs and {} of quantization-aware training".format(*epochs)])


def _network(training: _Training, sides: Sides) -> dict[str, Any]:
    """Train, quantize, fit verdict and tracker; who trained and validated is told."""
    people = {name: len(set(getattr(sides, name).subject.tolist())) for name in ("training", "validation", "test")}
    model, tracker = trained_integers(training.config, training.arch, sides.training, sides.validation, training.title)
    training.network.mkdir(parents=True, exist_ok=True)
    save_model(model, training.network / "model.npz")
    save_tracker(tracker, training.network / "tracker.json")
    return {"people": people, "windows": len(sides.training)}


def _estimates(model: IntegerModel, tracker: Tracker, windows: WindowSet) -> dict[str, Estimates]:
    return {INT8: integer_estimates(model, windows), TRACKED: tracked_estimates(model, tracker, windows)}


def cells(row: Mapping[str, Any]) -> list[str]:
    """Figures of windows as tables write them, under HEADER."""
    bpm = [cell(row[key], 1, "") for key in _KEPT[:2]]
    return [*bpm, *(cell(row.get(key), 100, " %") for key in _KEPT[2:])]


def cell(interval: Mapping[str, Any] | None, scale: float, unit: str) -> str:
    """One of them with its interval."""
    if interval is None or interval["value"] is None:
        return "-"
    digits = 2 if scale == 1 else 1
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    if low is None:
        return f"{scale * value:.{digits}f}{unit}"
    return f"{scale * value:.{digits}f}{unit} [{scale * low:.{digits}f}, {scale * high:.{digits}f}]"


def _both(valid: Mapping[str, float]) -> str:
    return " / ".join(f"{100 * valid[name]:.1f} %" for name in JUDGED)
