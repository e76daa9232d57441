"""Random search: fresh samples only. It keeps the best that it was told, but never builds on them."""

from __future__ import annotations

from search.evolution.population import Evolution
from search.evolution.registry import ALGORITHMS
from search.evolution.survival import best_first
from search.evolution.variation import fresh_samples

RANDOM_SEARCH = Evolution(breeding=fresh_samples, survival=best_first)
"""A reference, which the predictor leaves alone. Its population stands best first."""

ALGORITHMS.add("random", RANDOM_SEARCH)
