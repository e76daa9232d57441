"""Trainings of single networks on a run's fold, each kept in one small file, and tables of them.

The ground of `python -m benchmarks distillation`, `peers` and `ranks`: what is trained once is never trained
again, and figures over folds come from files alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph
from hwmodels.network.interpreter import IntegerModel
from hwmodels.signals.spectrum import RATE_HZ
from nas.assembly.loading import training_task, windows_of
from nas.assembly.run_space import space_of
from nas.assembly.task_setup import train_settings, training_set
from nas.assembly.teacher_setup import teacher_follows_time
from nas.evaluation.estimates import integer_estimates
from nas.evaluation.metrics import Interval, paired_difference
from nas.report.closing import made_with
from nas.run.processor import take
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest, digest_files, read_json, write_json
from nas.terminal.arguments import count, positive_count
from supernet.network.subnet import Subnet
from supernet.settings.training import TrainSettings
from supernet.tasks.task import HeartRateTask, Task
from supernet.training.methods import SingleNetwork
from supernet.training.teaching import Teaching
from supernet.training.trainer import fit
from supernet.training.window_outputs import predict
from supernet.windows.training_set import Reader, TrainingSet

FORMAT = 1


class TrialError(InputError):
    """A benchmark that this run, or these files, cannot answer; the message says why."""


@dataclass(frozen=True, eq=False)
class FoldData:
    """A run's fold as trials use it. Test windows are judged, never trained or chosen on."""

    run: RunDirectory
    task: HeartRateTask
    training: TrainingSet
    validation: TrainingSet
    test: TrainingSet

    @classmethod
    def of(cls, run: RunDirectory) -> FoldData:
        """Windows of a run whose prepare stage is done. Raises TrialError for a rhythm run."""
        kind = run.config.task_kind
        has_context = space_of(run.config).has_context or teacher_follows_time(run.config)
        training = training_set(windows_of(run, "train"), kind, has_context=has_context)
        task = training_task(run, training)
        if not isinstance(task, HeartRateTask):
            raise TrialError(f"{run.path}: a rhythm run; this benchmark is for heart rates")
        take(run.config)
        test = training_set(windows_of(run, "test"), kind, trusted_only=False, has_context=has_context)
        return cls(
            run, task, training, training_set(windows_of(run, "validation"), kind, has_context=has_context), test
        )

    def of_subjects(self, number: int) -> FoldData:
        """The same with only `number` training subjects, drawn by the run's seed, spread over sources."""
        assert self.training.subjects is not None
        names = np.unique(self.training.subjects)
        order = np.random.default_rng([self.run.config.seed, 0x5B]).permutation(names)
        sources = [name.split("/")[0] for name in order]
        rank = [sources[:at].count(source) / sources.count(source) for at, source in enumerate(sources)]
        chosen = order[np.argsort(rank, kind="stable")][:number]
        return replace(self, training=self.training.subset(np.isin(self.training.subjects, chosen)))

    def errors(self, network: nn.Module, reader: Reader) -> dict[str, dict[str, float]]:
        """Mean absolute error in BPM by subject, of validation and of test, on what `reader` reads."""
        found = {}
        for side in ("validation", "test"):
            windows: TrainingSet = getattr(self, side)
            estimate, _ = predict(network.eval(), windows.read(reader), self.task)
            found[side] = by_subject(estimate, windows)
        return found

    def integer_errors(self, model: IntegerModel) -> dict[str, dict[str, float]]:
        """The same of an integer network, as the firmware computes it."""
        found = {}
        for side in ("validation", "test"):
            windows = windows_of(self.run, side)
            held = windows.subset(windows.trusted) if side == "validation" else windows
            found[side] = by_subject(integer_estimates(model, held).estimate, getattr(self, side))
        return found


def by_subject(estimate: NDArray[Any], windows: TrainingSet) -> dict[str, float]:
    """Mean absolute error in BPM of estimates (n,), by subject."""
    assert windows.subjects is not None
    error = np.abs(np.asarray(estimate, np.float64) - windows.targets)
    names = np.unique(windows.subjects)
    return {str(name): round(float(error[windows.subjects == name].mean()), 4) for name in names}


def recipe(run: RunDirectory, epochs: int | None, seed: int = 0) -> TrainSettings:
    """The run's fine-tuning recipe, for so many epochs, without validation on the way."""
    own = train_settings(run.config.finish.fine_tuning, run.config.seed + seed)
    return own.with_changes(epochs=epochs or own.epochs, validate_every=0)


def train_graph(
    data: FoldData,
    graph: LayerGraph,
    settings: TrainSettings,
    teacher: Teaching | None,
    start: Subnet | None = None,
) -> SingleNetwork:
    """Train a network that runs `graph`, from random weights or from `start`; its norms are re-estimated."""
    return train_on(data.training, data.task, graph, settings, teacher, start)


def train_on(
    training: TrainingSet,
    task: Task,
    graph: LayerGraph,
    settings: TrainSettings,
    teacher: Teaching | None = None,
    start: Subnet | None = None,
) -> SingleNetwork:
    """`train_graph` on windows that are no run's."""
    source = next(op for op in graph if op.kind == "input")
    rate = RATE_HZ if source.reads == "spectrum" else round(source.length_out / training.window_s)
    subnet = start or Subnet(graph, np.random.default_rng([settings.seed, 0x7A]))
    method = SingleNetwork(subnet, task, rate, source.channels_out, reads=source.reads)
    fit(method, training, task, settings, teacher=teacher)
    method.calibrate(training)
    return method


def once(path: Path, facts: object, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `path` holds if it was made from `facts`, else what `make` gives, with the seconds it took."""
    mark = digest(facts)
    if path.exists():
        held = read_json(path, "delete it and give the command again")
        if isinstance(held, dict) and held.get("made_from") == mark:
            return held
    begun = time.perf_counter()
    made = {**make(), "made_from": mark}
    made["seconds"] = round(time.perf_counter() - begun, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, made)
    # Read back, so that what is printed does not depend on whether it was there before.
    return dict(read_json(path, "give the command again"))


def origin(run: RunDirectory, *stages: str) -> list[Any]:
    """What trials on a run depend on: its windows, its trained networks, its task and seed."""
    files = [run.path / "data" / "windows.npz", *(run.path / stage / "model.pt" for stage in stages)]
    return [digest_files(files), run.config.task.model_dump(), run.config.seed]


def settings_of(run: RunDirectory, *more: object) -> str:
    """A digest of everything that a run's folds must share, and of `more`."""
    return digest(run.config.shared_by_folds(), *more)


def save_rows(path: Path, run: RunDirectory, settings: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one fold's rows with what they came from: settings, seed, version, hardware."""
    data = run.config.data
    content = {
        "format": FORMAT,
        "name": run.config.name,
        "fold": data.fold,
        "folds": data.folds,
        "settings": settings,
        "run_settings": settings_of(run),
        "seed": run.config.seed,
        **made_with(),
        "rows": [{k: v for k, v in row.items() if k != "made_from"} for row in rows],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content)


def load_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """All folds' files of a configuration, by fold.

    Raises TrialError when there is none, one is damaged, or they were made with different settings.
    """
    files = sorted(folder.glob(f"{name}-fold*.json"))
    if not files:
        raise TrialError(f"{folder}: no fold of {name} yet; give --fold 0")
    found: list[dict[str, Any]] = []
    for file in files:
        content = read_json(file, "delete it and run that fold")
        if not isinstance(content, dict) or content.get("format") != FORMAT or "rows" not in content:
            raise TrialError(f"{file}: not a file of this benchmark; delete it and run that fold")
        if found and content["settings"] != found[0]["settings"]:
            raise TrialError(f"{file}: made with other settings than {files[0].name}; run that fold again")
        found.append(content)
    return found


def together(folds: Sequence[Mapping[str, Any]], side: str) -> dict[str, dict[str, float]]:
    """Row name -> error in BPM by subject, over all folds that hold the row ("validation" or "test").

    Every subject is tested in one fold; one who validates several folds counts by fold.
    """
    found: dict[str, dict[str, float]] = {}
    for fold in folds:
        for row in fold["rows"]:
            if side in row:
                tag = f" (fold {fold['fold']})" if side == "validation" and len(folds) > 1 else ""
                found.setdefault(row["name"], {}).update({f"{s}{tag}": e for s, e in row[side].items()})
    return found


def mean_and_gain(
    errors: Mapping[str, Mapping[str, float]], name: str, against: str | None
) -> tuple[Interval, Interval | None]:
    """Mean over subjects of a row's errors, and of what `against` loses to it on the same subjects.

    The second is positive where the row is better; both with 95 % bootstrap intervals over subjects.
    """
    own = errors[name]
    subjects = sorted(own)
    values = np.array([own[subject] for subject in subjects])
    mean = paired_difference(values, np.zeros(len(values)), subjects)
    if against is None or against == name or not set(subjects) <= set(errors.get(against, {})):
        return mean, None
    other = np.array([errors[against][subject] for subject in subjects])
    return mean, paired_difference(other, values, subjects)


def add_fold_arguments(parser: Any, results: Path) -> None:
    """Options of the benchmarks that work fold by fold."""
    parser.add_argument("--config", type=Path, required=True, help="configuration, such as configs/bami.yaml")
    parser.add_argument("--data", type=Path, help="folder of the recordings (default: PPG_DATA, else .)")
    parser.add_argument("--run", type=Path, help="the fold's run directory (default: runs/NAME-foldK)")
    parser.add_argument("--fold", type=count, action="append", default=[], help="train on this fold (repeatable)")
    parser.add_argument("--epochs", type=positive_count, default=12, help="epochs of each training (12)")
    parser.add_argument("--threads", type=positive_count, help="torch threads, instead of the file's")
    parser.add_argument("--results", type=Path, default=results, help=f"folds' files ({results})")
