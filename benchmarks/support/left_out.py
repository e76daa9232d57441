"""Which people train and which are tested where sets and people are left out, and their windows.

A configuration lists what trains; every part of its published sets that it does not list (records that their authors
kept for tests) is tested besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.support.judgements import OTHER_SETS
from benchmarks.support.noises import NOISES, noise
from benchmarks.support.trials import TrialError
from nas.assembly.recording_labels import labelled_recordings
from nas.assembly.run_space import space_of
from nas.data.folds import subject_folds
from nas.data.loader import LOADERS
from nas.data.recording import Recording
from nas.data.remarks import with_remarks
from nas.data.sources import detect_and_load, load_source
from nas.data.synthetic import simulate
from nas.data.windows import WindowSet, concatenate, make_windows
from nas.run.config import Config, Source

SIMULATED_ALONE = "simulated people alone"
PERMISSIVE = ("wrist_exercise",)
"""Kinds whose licence lets a model that comes with the program learn from them (ODC-BY 1.0)."""
_FEW_PEOPLE = 5
_VALIDATION_SHARE = 0.2
_VALIDATION, _NOISE = 0x1EF7, 0x0153
_NOISE_HZ, _NOISE_S, _TRACES = 64, 120, 4
_DESK = Path("cases") / "02-noise-called-valid" / "desk.csv"


@dataclass(frozen=True, eq=False)
class Part:
    """People of one source. `of`: the set that they belong to. is_listed: the configuration trains on them."""

    name: str
    of: str
    is_listed: bool
    is_simulated: bool
    windows: WindowSet

    @property
    def digest(self) -> str:
        """Of their signals and labels."""
        arrays = (*self.windows.inputs.values(), self.windows.heart_rate_bpm)
        return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()

    @property
    def people(self) -> list[str]:
        """Their names, sorted."""
        return sorted(set(self.windows.subject.tolist()))


@dataclass(frozen=True)
class Split:
    """One training. trained, tested: names of parts. people: those left out of what trains, who alone are tested.

    trained_on: what the tables write; results of several splits of the same are one row.
    """

    name: str
    trained_on: str
    trained: tuple[str, ...]
    tested: tuple[str, ...]
    people: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Sides:
    """Windows of a split. part: (n,) name of each tested window's part."""

    training: WindowSet
    validation: WindowSet
    test: WindowSet
    part: np.ndarray


def load_parts(config: Config, folder: Path) -> list[Part]:
    """Every source of the configuration, and what it leaves out of its published sets, cut into windows."""
    sources = [(source, True) for source in config.data.sources]
    for source, _ in list(sources):
        loader = LOADERS[source.kind] if source.kind != "synthetic" else None
        listed = {split for other in config.data.sources if other.kind == source.kind for split in other.splits}
        others = tuple(split for split in loader.splits if split not in listed) if loader else ()
        if others and all(known.splits != others or known.kind != source.kind for known, _ in sources):
            sources.append((source.model_copy(update={"splits": others}), False))
    return [_part(config, folder, source, is_listed) for source, is_listed in sources]


def splits_of(parts: Sequence[Part], folds: int = 0, seed: int = 0) -> list[Split]:
    """All trainings of the protocol: sets left out, people left out, simulated people alone; `folds` of people."""
    listed = [part for part in parts if part.is_listed]
    simulated = tuple(part.name for part in listed if part.is_simulated)
    real = [part for part in listed if not part.is_simulated]
    if not real:
        raise TrialError("transfer: the configuration lists no recordings of people; add some to data.sources")
    others = tuple(part.name for part in parts if not part.is_listed)
    every = tuple(part.name for part in listed)
    sets = list(dict.fromkeys(part.of for part in real))
    found = []
    for name in sets:
        kept = tuple(part.name for part in listed if part.of != name)
        tested = tuple(part.name for part in parts if part.of == name)
        if kept:
            found.append(Split(f"without {name}", OTHER_SETS, kept, tested))
    if others:
        found.append(Split("all sets", "all sets, other people", every, others))
    for part in real:
        if len(part.people) <= _FEW_PEOPLE and len(every) > 1:
            found += [_without(person, part.name, every) for person in part.people]
    if simulated:
        tested = tuple(part.name for part in parts if not part.is_simulated)
        found.append(Split("simulated", SIMULATED_ALONE, simulated, tested))
        free = tuple(part.name for part in real if part.of in PERMISSIVE)
        if free and len(free) < len(real):
            rest = tuple(name for name in tested if name not in free)
            found.append(Split("permissive", f"simulated people, {', '.join(free)}", (*simulated, *free), rest))
    return [*found, *_fold_splits(real, every, folds, seed)]


def sides_of(split: Split, parts: Sequence[Part], config: Config) -> Sides:
    """The windows of a split. A fifth of the people of every set that trains validates; simulated ones if no other."""
    trained = [part for part in parts if part.name in split.trained]
    validating = _validation_people([part for part in trained if not part.is_simulated], split, config.seed)
    validating = validating or _validation_people(trained, split, config.seed)
    if not validating:
        raise TrialError(f"transfer, {split.name}: too few people train for one to validate; add a source")
    own = concatenate([part.windows for part in trained])
    own = own.subset(~np.isin(own.subject, split.people))
    holds = np.isin(own.subject, sorted(validating))
    tested = [part for part in parts if part.name in split.tested]
    if split.people:
        chosen = [part.windows.of_subjects(split.people) for part in tested]
        tested = [replace(part, windows=windows) for part, windows in zip(tested, chosen, strict=True) if len(windows)]
    names = np.repeat([part.name for part in tested], [len(part.windows) for part in tested])
    return Sides(own.subset(~holds), own.subset(holds), concatenate([part.windows for part in tested]), names)


def noise_windows(config: Config, folder: Path) -> Iterator[tuple[str, WindowSet]]:
    """Windows of sensors that nobody wears, by kind; those of a watch on a desk where that recording lies at hand."""
    for number, kind in enumerate(NOISES):
        traces = [_noise_recording(kind, number * _TRACES + trace) for trace in range(_TRACES)]
        yield kind, _windows(config, traces)
    desk = folder.parent / _DESK
    if desk.exists():
        yield "watch on a desk", _windows(config, detect_and_load(desk, needs_labels=False))


def _part(config: Config, folder: Path, source: Source, is_listed: bool) -> Part:
    data, kind = config.data, config.task_kind.label_kind
    if source.kind == "synthetic":
        recordings = simulate(
            source.subjects, data.split_seed, minutes=source.minutes, task=kind, population=source.population
        )
        name = of = f"simulated, {source.population}"
    else:
        path, loader = folder / source.path, LOADERS[source.kind]
        loaded = [with_remarks(one) for one in load_source(source.kind, path, source.splits)]
        recordings = labelled_recordings(loaded, config, "transfer")
        of = source.kind if loader.is_set else source.path
        name = f"{of} {', '.join(source.splits)}" if loader.splits else of
    return Part(name, of, is_listed, source.kind == "synthetic", _windows(config, recordings))


def _windows(config: Config, recordings: Sequence[Recording]) -> WindowSet:
    data = config.data
    return make_windows(
        recordings,
        rates=sorted(space_of(config).rates),
        window_s=data.window_s,
        step_s=data.step_s,
        margin_s=data.margin_s,
    )


def _without(person: str, part: str, every: tuple[str, ...]) -> Split:
    return Split(f"without {person}", "all sets, other people", every, (part,), (person,))


def _fold_splits(real: Sequence[Part], every: tuple[str, ...], folds: int, seed: int) -> list[Split]:
    if not folds:
        return []
    people = [(person, part.name) for part in real for person in part.people]
    found = subject_folds([name for name, _ in people], folds, seed, strata=[part for _, part in people])
    tested = tuple(part.name for part in real)
    label = f"all sets, other people ({folds} folds)"
    return [Split(f"fold {at} of {folds}", label, every, tested, fold.test) for at, fold in enumerate(found)]


def _validation_people(parts: Sequence[Part], split: Split, seed: int) -> set[str]:
    """A fifth of each part's people that train, of parts with at least five."""
    held: set[str] = set()
    for number, part in enumerate(parts):
        people = [person for person in part.people if person not in split.people]
        order = np.random.default_rng([seed, _VALIDATION, number]).permutation(len(people))
        count = round(_VALIDATION_SHARE * len(people)) if len(people) >= _FEW_PEOPLE else 0
        held |= {people[position] for position in order[:count]}
    return held


def _noise_recording(kind: str, number: int) -> Recording:
    still = np.array([[0.0], [0.0], [1.0]])
    shake = np.random.default_rng([_NOISE, number]).standard_normal((3, _NOISE_S * _NOISE_HZ))
    return Recording(
        name=f"{kind} {number}",
        source="noise",
        subject=f"noise/{number}",
        ppg=noise(kind, _NOISE_S, _NOISE_HZ, _NOISE + number)[None],
        ppg_hz=_NOISE_HZ,
        acc=still + 0.003 * shake,
        acc_hz=_NOISE_HZ,
    )
