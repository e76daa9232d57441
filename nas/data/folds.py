"""Folds by subject: who trains, who validates, who is tested, and never the same person twice.

Between windows and training; the protocol of every reported figure rests on it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodels.basics.errors import InputError


@dataclass(frozen=True)
class Fold:
    """Subjects of one fold. Raises InputError if one stands on two sides or a side is empty."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        for side, subjects in sides.items():
            if not subjects:
                raise InputError(f"folds: no subject left for {side}; use fewer folds or more subjects")
        names = list(sides)
        for number, side in enumerate(names):
            for other in names[number + 1 :]:
                both = sorted(set(sides[side]) & set(sides[other]))
                if both:
                    raise InputError(f"folds: subject {both[0]!r} is in {side} and in {other}; keep it in one")


def subject_folds(
    subjects: Sequence[str],
    n_folds: int,
    seed: int,
    *,
    strata: Sequence[str] | None = None,
    validation_share: float = 0.2,
    always_training: Collection[str] = (),
) -> list[Fold]:
    """n_folds folds in which every subject is tested exactly once, but for those that only ever train.

    subjects: one name per window or per recording, repeats allowed. strata: as long, usually the source;
    every stratum is spread evenly over the folds, and over training and validation. validation_share is
    of the subjects that a fold does not test. always_training: subjects that train in every fold and change
    nothing of the others' sides (simulated people beside real ones). The same seed gives the same folds whatever
    the order. Raises InputError if a subject has two strata or a side of a fold would be empty.
    """
    if n_folds < 2:
        raise InputError(f"folds: {n_folds} folds leave nobody to train on; use at least 2")
    groups = list(strata) if strata is not None else [""] * len(subjects)
    if len(groups) != len(subjects):
        raise InputError(f"folds: {len(groups)} strata for {len(subjects)} subjects; give one each")
    stratum_of: dict[str, str] = {}
    for subject, group in zip(subjects, groups, strict=True):
        if stratum_of.setdefault(str(subject), str(group)) != str(group):
            raise InputError(f"folds: subject {subject!r} is in two strata; give each subject one source")
    extra = sorted({name for name in stratum_of if name in set(always_training)})
    stratum_of = {name: group for name, group in stratum_of.items() if name not in set(always_training)}
    largest_test = -(-len(stratum_of) // n_folds)
    if len(stratum_of) < n_folds or len(stratum_of) - largest_test < 2:
        raise InputError(
            f"folds: {len(stratum_of)} subjects are too few for {n_folds} folds; use fewer folds or more data"
        )
    rng = np.random.default_rng([seed, 0x0F01D])
    tested: list[list[str]] = [[] for _ in range(n_folds)]
    members = {
        group: sorted(subject for subject, own in stratum_of.items() if own == group)
        for group in sorted(set(stratum_of.values()))
    }
    next_fold = 0
    for names in members.values():
        for position in rng.permutation(len(names)):
            tested[next_fold % n_folds].append(names[position])
            next_fold += 1
    folds = []
    for number, test in enumerate(tested):
        held = _validation_subjects(members, set(test), validation_share, np.random.default_rng([seed, number]))
        train = [subject for subject in sorted(stratum_of) if subject not in held and subject not in test]
        folds.append(Fold(tuple(sorted(train + extra)), tuple(sorted(held)), tuple(sorted(test))))
    return folds


def _validation_subjects(
    members: dict[str, list[str]], test: set[str], share: float, rng: np.random.Generator
) -> set[str]:
    """A share of each stratum's remaining subjects, at least one subject in all, never all of a stratum."""
    remaining = {group: [name for name in names if name not in test] for group, names in members.items()}
    held: set[str] = set()
    for names in remaining.values():
        count = min(round(share * len(names)), len(names) - 1) if names else 0
        held |= {names[position] for position in rng.permutation(len(names))[:count]}
    if not held:
        largest = max(remaining.values(), key=len)
        if len(largest) > 1:
            held.add(largest[int(rng.integers(len(largest)))])
        elif sum(map(len, remaining.values())) > 1:
            held.add(largest[0])
    return held
