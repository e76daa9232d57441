"""Racing: architectures that may belong to the front are measured again, on more validation windows.

Goes on until the front is stable: whoever stands on it, and whoever cannot be told from those that keep them
off it, has been measured on all windows there are for it; or until the evaluations for it are spent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from search.archive.rows import Row
from search.archive.ties import surely_smaller
from search.loop.evaluator import Evaluator
from search.loop.prefix_tree import depth_first
from search.loop.recorder import Recorder
from search.loop.settings import SearchSettings
from search.pareto.fronts import Floats, is_at_most, non_dominated


def most_precise(rows: Iterable[Row]) -> list[Row]:
    """Each architecture's row with most windows, the latest of equals, in the order of first sight."""
    best: dict[tuple[int, ...], Row] = {}
    for row in rows:
        if row.genes not in best or row.windows >= best[row.genes].windows:
            best[row.genes] = row
    return list(best.values())


def objectives_of(rows: Sequence[Row], names: Sequence[str]) -> Floats:
    """The named columns of rows, (n, names); infinite where a network has no such cost."""
    values = np.array([[getattr(row, name) for name in names] for row in rows], np.float64)
    return np.nan_to_num(values.reshape(len(rows), len(names)), nan=np.inf, posinf=np.inf)


def contenders(rows: Sequence[Row], names: Sequence[str], final: str, confidence: float) -> list[Row]:
    """Rows not yet measured under the protocol `final` that may belong to the front, the likeliest first.

    Of one row for each architecture: members of the front, best error first; then those that only such
    members dominate as their errors cannot be told from at `confidence`, the smallest gap first.
    """
    points = objectives_of(rows, names)
    on_front = non_dominated(points)
    front = [row for row, is_on in zip(rows, on_front, strict=True) if is_on]
    open_front = sorted((row for row in front if row.protocol != final), key=lambda row: row.error)
    others = [row for row, is_on in zip(rows, on_front, strict=True) if not is_on and row.protocol != final]
    if not others or not front:
        return open_front
    beats = is_at_most(objectives_of(front, names), objectives_of(others, names))
    is_out = (beats & surely_smaller(front, others, confidence)).any(axis=0)
    errors = np.array([row.error for row in front])
    gaps = [row.error - float(errors[beats[:, index]].min(initial=row.error)) for index, row in enumerate(others)]
    order = sorted(np.flatnonzero(~is_out).tolist(), key=lambda index: (gaps[index], others[index].arch))
    return open_front + [others[index] for index in order]


def race(
    recorder: Recorder,
    finer: Sequence[Evaluator],
    settings: SearchSettings,
    generation: int,
    say: Callable[[str], None] | None,
) -> int:
    """Measure contenders by `finer` evaluators until the front is stable or the evaluations for it are spent.

    Returns how many contenders are left.
    """
    next_of = {before.provenance.protocol: after for before, after in pairwise(finer)}
    final, left = finer[-1].provenance.protocol, settings.reevaluation_limit
    while True:
        rows = contenders(most_precise(recorder.rows), settings.objectives, final, settings.confidence)
        if not rows or left == 0:
            break
        # Only those of one protocol go together: the evaluator is theirs.
        batch = [row for row in rows if row.protocol == rows[0].protocol][: min(left, settings.batch_size)]
        genes = depth_first(np.array([row.genes for row in batch], np.int16))
        recorder.begin(next_of.get(batch[0].protocol, finer[0]), genes, generation)
        recorder.finish()
        left -= len(batch)
        generation += 1
    if say:
        spent = f"{settings.reevaluation_limit - left} re-evaluated on more windows"
        outcome = f"{len(rows)} contenders left unmeasured" if rows else "the front is stable"
        say(f"{spent}: {outcome} at {settings.confidence:.0%} confidence")
    return len(rows)
