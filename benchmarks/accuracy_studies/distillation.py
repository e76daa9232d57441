"""What each distillation loss brings a small student: with and without it, by sensors, by number of people.

With --fold, one fixed student is trained once for each row, on that fold's training subjects, and its
errors on validation and test subjects are written to --results; the table is assembled from the files there
alone. Choose by the validation column; the test column only reports.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.support.trials import (
    FoldData,
    TrialError,
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
from nas.assembly.loading import trained_teacher
from nas.assembly.run_space import space_of
from nas.commands.run import prepared_run
from nas.run.config import load_config
from nas.run.run_directory import RunDirectory
from nas.run.run_files import digest
from nas.stages.job import run_pipeline
from nas.stages.teacher import train_teacher
from nas.terminal.arguments import share
from supernet.distillation.distiller import DistillationError
from supernet.distillation.progressive import train_in_turn
from supernet.settings.losses import LOSSES, Term
from supernet.settings.training import TrainSettings
from supernet.space.arch import Arch, Sensors
from supernet.space.students import NAMES, student_in
from supernet.training.labelling import joined, labelled_by
from supernet.training.teaching import Teaching

RESULTS = Path("docs/results/distillation")
HARD, HARD_PPG = "hard labels", "PPG alone: hard labels"
_PARTS = ("losses", "sensors", "subjects", "unlabelled")
_PEOPLE = (4, 8, 16)
_FEW = (4, 8)
_TEACHERS = "teachers"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m benchmarks distillation`."""
    add_fold_arguments(parser, RESULTS)
    parser.add_argument("--student", choices=NAMES, help="who learns (the space's first hand-made one)")
    parser.add_argument(
        "--part",
        choices=_PARTS,
        action="append",
        help="rows: single losses, PPG alone, numbers of people, few labels (all)",
    )
    parser.add_argument("--hard-share", type=share, help="of the hard labels, instead of the configuration's")
    parser.add_argument(
        "--losses",
        action="append",
        default=[],
        metavar="KIND[+KIND...]",
        help="a row with this sum of losses, alone or beside --part",
    )


@dataclass(frozen=True)
class _Row:
    """One training: its name, losses by kind (none: hard labels alone), and what is changed."""

    name: str
    kinds: tuple[str, ...] = ()
    sensors: Sensors = "ppg_acc"
    teacher_sensors: str = "available"
    people: int | None = None
    is_progressive: bool = False
    labels_others: bool = False


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train what is missing of the folds asked for, then say what all files of the configuration tell."""
    name = load_config(options.config).name
    for fold in options.fold:
        directory = prepared_run(options.config, options.data, options.run, fold=fold, threads=options.threads)
        run_pipeline(directory, "teacher")
        with directory.exclusive():
            rows = list(_train(directory, options))
        settings = settings_of(directory, options.student, options.epochs, options.hard_share)
        save_rows(options.results / f"{name}-fold{fold}.json", directory, settings, rows)
    return summary(load_rows(options.results, name))


def summary(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """A row for each training: errors on validation and test subjects, and what it gains on hard labels."""
    sides = {side: together(folds, side) for side in ("validation", "test")}
    told: dict[str, Any] = {"folds": ", ".join(str(fold["fold"]) for fold in folds)}
    rows = []
    for name in sides["test"]:
        against = _reference(name)
        row: dict[str, Any] = {"name": name, "against": against}
        for side, errors in sides.items():
            mean, gain = mean_and_gain(errors, name, against)
            row |= {f"{side}_mae_bpm": vars(mean), f"{side}_subjects": len(errors[name])}
            row[f"{side}_gain_bpm"] = None if gain is None else vars(gain)
            told[f"{name}, {side}"] = f"{mean}" if gain is None else f"{mean}, gains {gain}"
        rows.append(row)
    refused = {row["name"]: row["refused"] for fold in folds for row in fold["rows"] if "refused" in row}
    seconds = sum(row.get("seconds", 0.0) for fold in folds for row in fold["rows"])
    return {**told, "seconds": round(seconds, 1), "rows": rows, "refused": refused}


def _reference(name: str) -> str:
    """The row that another one is held against: hard labels with the same sensors and people."""
    if name.startswith("PPG alone"):
        return HARD_PPG
    people = name.partition(" people: ")
    return f"{people[0]} people: {HARD}" if people[1] else HARD


def _rows(options: argparse.Namespace) -> Iterator[_Row]:
    parts = options.part or (() if options.losses else _PARTS)
    if "losses" in parts or options.losses:
        yield _Row(HARD)
    if "losses" in parts:
        yield from (_Row(kind, (kind,)) for kind in LOSSES if kind != "cross_modal")
        yield _Row("progressive", ("soft_labels",), is_progressive=True)
    for text in options.losses:
        kinds = tuple(text.split("+"))
        if unknown := [kind for kind in kinds if kind not in LOSSES]:
            raise TrialError(f"--losses {text}: no kind {unknown[0]!r}; there are {', '.join(LOSSES)}")
        yield _Row(text, kinds)
    if "sensors" in parts:
        yield _Row(HARD_PPG, sensors="ppg")
        yield _Row("PPG alone: soft_labels of a teacher of PPG alone", ("soft_labels",), "ppg", "ppg")
        yield _Row("PPG alone: soft_labels of a teacher with motion", ("soft_labels",), "ppg")
        yield _Row("PPG alone: cross_modal", ("cross_modal",), "ppg")
    if "subjects" in parts:
        for people in _PEOPLE:
            yield _Row(f"{people} people: {HARD}", people=people)
            yield _Row(f"{people} people: soft_labels", ("soft_labels",), people=people)
    if "unlabelled" in parts:
        if not {"losses", "subjects"} & {*parts}:
            yield _Row(HARD)
        for people in _FEW:
            if "subjects" not in parts:
                yield _Row(f"{people} people: {HARD}", people=people)
            yield _Row(f"{people} people: the others labelled by their teacher", people=people, labels_others=True)


def _train(run: RunDirectory, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    data, settings = FoldData.of(run), recipe(run, options.epochs)
    if options.hard_share is not None:
        settings = settings.with_changes(distillation_alpha=options.hard_share)
    base = [*origin(run, "teacher"), settings.to_dict(), options.student]
    for row in _rows(options):
        facts = [base, vars(row)]
        path = run.path / "distillation" / f"{_file_name(row.name)}-{digest(facts)[:8]}.json"
        run.say(row.name)
        yield once(path, facts, _training(data, options.student, row, settings))


def _training(data: FoldData, student: str | None, row: _Row, settings: TrainSettings) -> Callable[[], dict[str, Any]]:
    def train() -> dict[str, Any]:
        own = data if row.people is None else data.of_subjects(row.people)
        arch, space = _arch(data.run, student, row.sensors), space_of(data.run.config)
        terms = tuple(Term(kind=kind, temperature=settings.temperature) for kind in row.kinds)
        taught = settings.with_changes(distillation=terms)
        told: dict[str, Any] = {
            "name": row.name,
            "student": student,
            "losses": list(row.kinds),
            "arch": str(arch),
        }
        try:
            teacher = _teacher(own, row) if terms else None
            if row.labels_others:
                own = _with_others(data, own, _teacher(own, row))
            if row.is_progressive:
                assert teacher is not None

                def follow(pupil: Arch, master: Teaching) -> Teaching:
                    method = train_graph(own, space.lower(pupil), taught, master)
                    return Teaching(method.module, pupil.rate_hz, pupil.channels, reads=pupil.reads)

                medium = _arch(data.run, "largest", row.sensors)
                network = train_in_turn([medium, arch], teacher, follow).network
            else:
                network = train_graph(own, space.lower(arch), taught, teacher).module
        except DistillationError as error:
            return {**told, "refused": str(error)}
        return {**told, **data.errors(network, arch)}

    return train


def _with_others(data: FoldData, own: FoldData, teacher: Teaching) -> FoldData:
    """`own` people, and the fold's other training people without their labels, labelled by a teacher of the former."""
    settings, subjects = data.run.config.teacher, data.training.subjects
    assert subjects is not None and own.training.subjects is not None
    bare = data.training.subset(~np.isin(subjects, own.training.subjects))
    taught = labelled_by(teacher, bare, data.task, settings.floor_bpm)
    return replace(own, training=joined(own.training, taught, settings.unlabelled_share))


def _teacher(data: FoldData, row: _Row) -> Teaching:
    """The run's teacher, or one of the same kind trained on fewer people or sensors."""
    if row.people is None and row.teacher_sensors == "available":
        return trained_teacher(data.run)
    section = data.run.config.teacher
    if row.teacher_sensors == "ppg":
        members = tuple(member.model_copy(update={"sensors": "ppg"}) for member in section.members)
        section = section.model_copy(update={"sensors": "ppg", "members": members})
    folder = data.run.path / "distillation" / _TEACHERS / f"{row.teacher_sensors}-{row.people or 'all'}"
    return train_teacher(data.run, section, folder, data.training, data.validation)[0]


def _arch(run: RunDirectory, student: str | None, sensors: Sensors) -> Arch:
    return replace(student_in(space_of(run.config), student), sensors=sensors)


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower())
