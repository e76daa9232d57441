"""What a search may be told: how much it evaluates, what it minimises, how it varies and screens."""

from __future__ import annotations

from dataclasses import dataclass, field

from hwmodels.basics.errors import InputError
from search.costs.budgets import OBJECTIVES
from search.costs.cost_plan import COST_NAMES, STEP_NAMES
from search.evolution import ALGORITHMS, PopulationSearch, Variation


class SearchSettingsError(InputError):
    """A setting of the search that cannot be used."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the search runs. `evaluations` counts distinct architectures, remembered ones included.

    After the first population, `batch` candidates are bred, evaluated and sorted in at a time: small
    batches learn sooner, and `1 + ahead` batches are the most that workers can share: that many are under way
    at once, each bred from those before them. None is a quarter of the population.

    `algorithm` "auto" is NSGA-II for up to three objectives and NSGA-III for more, as each covers more there.
    With `patience`, a search ends once its hypervolume or its front has not moved for so many evaluations.

    `objectives` are minimised: "error" and any cost names, those of streaming steps included. Half of the
    first population spreads evenly over the costs of feasible samples. `is_screened` lets the accuracy
    predictor choose candidates while it is good enough. At most `reevaluations` are spent on measuring again,
    on more windows, who may belong to the front at `confidence`; None is a quarter of the evaluations.
    """

    evaluations: int = 240
    population: int = 40
    batch: int | None = None
    ahead: int = 0
    seed: int = 0
    objectives: tuple[str, ...] = OBJECTIVES
    variation: Variation = field(default_factory=Variation)
    algorithm: str = "auto"
    patience: int | None = None
    is_screened: bool = True
    reevaluations: int | None = None
    confidence: float = 0.95

    def __post_init__(self) -> None:
        known = ("error", *COST_NAMES, *STEP_NAMES)
        for name in self.objectives:
            if name not in known:
                raise SearchSettingsError(f"search objectives: unknown {name!r}, known are {', '.join(known)}")
        if len(set(self.objectives)) != len(self.objectives) or not self.objectives:
            raise SearchSettingsError("search objectives: at least one, each stated once")
        if self.batch is not None and self.batch < 1:
            raise SearchSettingsError(f"search batch: must be 1 or more, got {self.batch}")
        if self.ahead < 0:
            raise SearchSettingsError(f"search ahead: must be 0 or more, got {self.ahead}")
        if self.population < 2 or self.evaluations < 1 or self.seed < 0:
            raise SearchSettingsError(
                f"search: population must be 2 or more, evaluations 1 or more and seed 0 or more, got "
                f"{self.population}, {self.evaluations}, {self.seed}"
            )

        if self.algorithm not in ("auto", *ALGORITHMS):
            raise SearchSettingsError(
                f"search algorithm: unknown {self.algorithm!r}, known are auto, {', '.join(ALGORITHMS)}"
            )
        if self.patience is not None and self.patience < 1:
            raise SearchSettingsError(f"search patience: must be 1 or more, got {self.patience}")
        if not 0.5 <= self.confidence < 1.0:
            raise SearchSettingsError(f"search confidence: must lie from 0.5 to 1, got {self.confidence}")
        if self.reevaluations is not None and self.reevaluations < 0:
            raise SearchSettingsError(f"search reevaluations: must be 0 or more, got {self.reevaluations}")

    @property
    def wants_steps(self) -> bool:
        """Whether costs of streaming steps are minimised."""
        return any(name in STEP_NAMES for name in self.objectives)

    @property
    def algorithm_class(self) -> type[PopulationSearch]:
        """The search algorithm."""
        automatic = "nsga3" if len(self.objectives) > 3 else "nsga2"
        return ALGORITHMS[automatic if self.algorithm == "auto" else self.algorithm]

    @property
    def uses_predictor(self) -> bool:
        """Whether a predictor screens candidates: errors are minimised, by an algorithm that selects."""
        return self.is_screened and "error" in self.objectives and self.algorithm in ("auto", "nsga2", "nsga3")

    @property
    def reevaluation_limit(self) -> int:
        """How many architectures may be measured again."""
        return self.evaluations // 4 if self.reevaluations is None else self.reevaluations

    @property
    def batch_size(self) -> int:
        """Candidates a generation after the first."""
        return max(1, self.population // 4) if self.batch is None else self.batch
