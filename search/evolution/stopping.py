"""When a search may stop before its evaluations are spent: its front, or its hypervolume, no longer moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from search.pareto.fronts import Floats, hypervolume, non_dominated


@dataclass
class Stopping:
    """Watches every objective seen; gives a reason to stop once nothing moved for `patience` evaluations.

    The front is stable when its points are the same; the hypervolume, below the worst that was ever seen,
    has stalled when it grew by less than `least_gain` of itself. `patience` None never stops.
    """

    patience: int | None = None
    least_gain: float = 1e-3
    reason: str | None = None
    _seen: int = 0
    _worst: Floats = field(default_factory=lambda: np.zeros(0))
    _fronts: list[tuple[int, Floats]] = field(default_factory=list)

    def tell(self, points: Floats) -> None:
        """Take in the objectives (n, m) of new evaluations; sets `reason`, in words, once there is one."""
        if self.patience is None or len(points) == 0:
            return
        front = np.concatenate([self._fronts[-1][1], points]) if self._fronts else points
        front = np.unique(front[non_dominated(front)], axis=0)
        self._worst = np.maximum(points.max(axis=0), self._worst if self._fronts else -np.inf)
        self._seen += len(points)
        self._fronts.append((self._seen, front))
        while len(self._fronts) > 1 and self._fronts[1][0] <= self._seen - self.patience:
            self._fronts.pop(0)
        count, before = self._fronts[0]
        self.reason = self._reason(before, front) if count <= self._seen - self.patience else None

    def _reason(self, before: Floats, front: Floats) -> str | None:
        if np.array_equal(before, front):
            return f"the front has been the same for {self.patience} evaluations"
        scale = np.where(self._worst != 0, np.abs(self._worst), 1.0)
        reference = (self._worst + 1e-9 * scale) / scale
        gain = hypervolume(front / scale, reference) / max(hypervolume(before / scale, reference), 1e-300)
        if gain <= 1.0 + self.least_gain:
            return f"the hypervolume grew by less than {self.least_gain:.1%} in {self.patience} evaluations"
        return None
