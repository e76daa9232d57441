"""Accuracy predictor: a small ensemble of ridge regressions on the encoding, with calibrated uncertainty.

Trained on what a search has evaluated so far and used to screen candidates. It knows how well it ranks
architectures that its members have not seen, and how wide its intervals must be.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from search.pareto.fronts import Booleans, Floats
from supernet.space.search_space import Genes, SearchSpace

MEMBERS = 8
INTERVAL = 0.9
LEAST_SAMPLES = 30
_MOST_SAMPLES = 2000
_SHRINKAGES = 10.0 ** np.arange(-1.0, 3.5, 0.75)
_HALF_WIDTH = NormalDist().inv_cdf(0.5 + INTERVAL / 2)


@dataclass(frozen=True)
class Features:
    """Numbers that describe genes: marks and traits of every gene's value, and products of summaries.

    The rows of gene g in the tables start at `offsets[g]`. `marks` (values, k) are added up over the genes
    as they are; `summaries` (values, s) are added up, then multiplied pair by pair.
    """

    offsets: npt.NDArray[np.intp]
    marks: Floats
    summaries: Floats
    pairs: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]

    @classmethod
    def of(cls, space: SearchSpace) -> Features:
        """The features of a space: which value each gene has, what each block is, how much of everything."""
        spans = space.highs.astype(np.intp) + 1
        offsets = np.cumsum(spans) - spans
        blocks = {block.column: block for block in space.block_columns}
        sizes = [column for column in range(space.gene_count) if column not in blocks]
        kinds = list(dict.fromkeys(option.kind for block in space.block_columns for option in block.options))
        traits = np.zeros((int(spans.sum()), space.gene_count, 3 + len(kinds)))
        summaries = np.zeros((int(spans.sum()), len(sizes) + len(space.stages)))
        for column, start in enumerate(offsets.tolist()):
            for value in range(spans[column]):
                row = start + value
                if column in sizes:
                    traits[row, column, 0] = value
                    summaries[row, sizes.index(column)] = value / max(spans[column] - 1, 1)
                elif value:
                    block = blocks[column].options[value - 1]
                    is_of = [block.kind == kind for kind in kinds[1:]]
                    traits[row, column] = 1, block.kernel, block.dilation, block.expansion, *is_of
                    summaries[row, len(sizes) + blocks[column].stage] = 1.0
        flat = traits.reshape(len(traits), -1)
        flat = flat[:, flat.std(axis=0) > 0]
        flat = (flat - flat.mean(axis=0)) / flat.std(axis=0)
        first, second = np.triu_indices(summaries.shape[1])
        return cls(offsets, np.hstack([np.eye(len(flat)), flat]), summaries, (first, second))

    def __call__(self, genes: Genes) -> Floats:
        """Features (n, features) of canonical genes (n, genes)."""
        rows = np.asarray(genes) + self.offsets
        return np.hstack([self.marks[rows].sum(axis=1), self.products(rows)])

    def products(self, rows: npt.NDArray[np.intp]) -> Floats:
        """Products of summaries (n, pairs) of rows of the tables (n, genes)."""
        total = self.summaries[rows].sum(axis=1)
        first, second = self.pairs
        return total[:, first] * total[:, second]


@dataclass(frozen=True)
class Predictor:
    """A fitted ensemble. Immutable; made by `fit_predictor`.

    `kendall_tau` ranks architectures by those members alone whose bootstrap sample left them out; from the
    same comes `scale`, which widens deviations until intervals hold as much as they should.
    """

    features: Features
    of_values: Floats
    of_products: Floats
    noise: float
    scale: float
    kendall_tau: float
    samples: int

    def members(self, genes: Genes) -> Floats:
        """What each member predicts, (n, MEMBERS)."""
        rows = np.asarray(genes) + self.features.offsets
        return self.of_values[rows].sum(axis=1) + self.features.products(rows) @ self.of_products

    def __call__(self, genes: Genes) -> tuple[Floats, Floats]:
        """Predicted errors and their calibrated standard deviations, (n,) each."""
        predicted = self.members(genes)
        return predicted.mean(axis=1), self.scale * np.sqrt(predicted.var(axis=1) + self.noise**2)


def is_within(errors: Floats, predicted: Floats, deviations: Floats) -> Booleans:
    """Which errors lie within the central interval that should hold `INTERVAL` of them, (n,)."""
    return np.abs(errors - predicted) <= _HALF_WIDTH * deviations


def fit_predictor(features: Features, genes: Genes, errors: Floats, seed: int = 0) -> Predictor:
    """Fit to errors (n,) of canonical genes (n, genes), the latest of them where there are very many.

    One shrinkage for all members, the best in leaving one out, which has a closed form; each member on a
    bootstrap sample of its own. Raises ValueError for fewer than `LEAST_SAMPLES`.
    """
    if len(errors) < LEAST_SAMPLES:
        raise ValueError(f"a predictor needs {LEAST_SAMPLES} evaluations, got {len(errors)}")
    genes, errors = genes[-_MOST_SAMPLES:], np.asarray(errors, np.float64)[-_MOST_SAMPLES:]
    count, centre = len(errors), float(errors.mean())
    table = features(genes)
    middle = table.mean(axis=0)
    table -= middle
    target = errors - centre
    shrinkage = _best_shrinkage(table, target)
    draws = np.random.default_rng([seed, 31]).multinomial(count, np.full(count, 1 / count), MEMBERS)
    weights = np.empty((table.shape[1], MEMBERS))
    for member, times in enumerate(draws):
        weighted = table * times[:, None]
        gram = table.T @ weighted
        gram[np.diag_indices(len(gram))] += shrinkage
        weights[:, member] = np.linalg.solve(gram, weighted.T @ target)
    predicted = table @ weights + centre
    is_out = (draws == 0).T
    rows = np.flatnonzero(is_out.any(axis=1))
    out, is_unseen = predicted[rows], is_out[rows]
    held_out = (out * is_unseen).sum(axis=1) / is_unseen.sum(axis=1)
    residuals = np.abs(errors[rows] - held_out)
    noise = max(float(np.sqrt((residuals**2).mean())), 1e-12)
    widths = _HALF_WIDTH * np.sqrt(out.var(axis=1) + noise**2)
    from scipy.stats import kendalltau  # takes a second, which most commands can spare

    tau = float(kendalltau(held_out, errors[rows]).statistic)
    # The intercept is spread over the genes: every architecture has one value of each.
    marks = len(features.marks[0])
    intercept = centre - middle @ weights
    of_values = features.marks @ weights[:marks] + intercept / len(features.offsets)
    return Predictor(
        features,
        of_values,
        weights[marks:],
        noise,
        float(np.quantile(residuals / widths, INTERVAL)),
        tau if np.isfinite(tau) else 0.0,
        len(rows),
    )


def _best_shrinkage(table: Floats, target: Floats) -> float:
    """The ridge penalty of least mean squared error in leaving one out."""
    is_tall = len(table) > table.shape[1]
    values, vectors = np.linalg.eigh(table.T @ table if is_tall else table @ table.T)
    is_sound = values > 1e-10 * values.max()
    values, vectors = values[is_sound], vectors[:, is_sound]
    left = table @ vectors / np.sqrt(values) if is_tall else vectors
    aligned = left.T @ target

    def loss(shrinkage: float) -> float:
        kept = values / (values + shrinkage)
        leverage = (left**2) @ kept + 1.0 / len(target)
        residuals = (target - left @ (kept * aligned)) / np.maximum(1.0 - leverage, 1e-3)
        return float((residuals**2).mean())

    return min(_SHRINKAGES.tolist(), key=loss)
