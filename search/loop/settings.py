"""What a search may be told: how much it evaluates and on how many windows, what it minimises, by which algorithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError, field_validator

from hwmodels.basics.errors import InputError
from hwmodels.basics.settings import Settings
from search.costs.names import COST_NAMES, OBJECTIVES, STEP_NAMES

if TYPE_CHECKING:
    from hwmodels.basics.registry import Registry
    from search.evolution.algorithm import AlgorithmKind


class SearchSettingsError(InputError):
    """A setting of the search that cannot be used."""


def _known_objective(name: str) -> str:
    known = ("error", *COST_NAMES, *STEP_NAMES)
    if name not in known:
        raise ValueError(f"unknown {name!r}, known are {', '.join(known)}")
    return name


def _algorithms() -> Registry[AlgorithmKind]:
    from search.evolution.registry import ALGORITHMS  # numpy, which a configuration is read without

    return ALGORITHMS


def _known_algorithm(name: str) -> str:
    if name != "auto" and name not in (algorithms := _algorithms()):
        raise ValueError(
            f"unknown {name!r}, known are auto, {', '.join(algorithms)}; an installed package adds another by an "
            f"entry point in the group {algorithms.group}"
        )
    return name


class SearchSettings(Settings):
    """Evolutionary search: how many distinct architectures are evaluated, and on how many windows.

    Every candidate is measured on `validation_windows`; those that may belong to the front, at most
    `reevaluations` of them (a quarter of the evaluations unless given), again on `racing_windows`, until
    the front is stable at `confidence`. `screening` is what chooses candidates: a predictor of accuracy
    that learns as the search goes, while it is good enough, or crossover and mutation alone ("none").
    `algorithm` auto is NSGA-II for up to three objectives and NSGA-III for more, as each covers more there. With
    `patience` a search ends once its hypervolume or its front has not moved for so many evaluations.

    After the first population, half of which spreads evenly over the costs of feasible samples, `batch`
    candidates are bred, evaluated and sorted in at a time: small batches learn sooner, and `1 + ahead` batches are
    the most that workers can share: that many are under way at once, each bred from those before them.

    `objectives` are minimised, and make the front: "error" and any cost names; with costs of streaming steps
    among them, only networks that stream are searched.
    """

    later = frozenset({"objectives"})

    evaluations: int = Field(default=240, ge=1)
    population: int = Field(default=40, ge=2)
    calibration_windows: int = Field(default=512, ge=32)
    validation_windows: int = Field(default=2000, ge=32)
    racing_windows: int = Field(default=4000, ge=32)
    reevaluations: int | None = Field(default=None, ge=0)
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    screening: Literal["predictor", "none"] = "predictor"
    algorithm: Annotated[str, AfterValidator(_known_algorithm)] = "auto"
    patience: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=1, description="candidates bred at a time; a quarter of the population")
    ahead: int = Field(default=0, ge=0, description="batches under way besides the one waited for")
    workers: int | None = Field(default=None, ge=1, description="processes; as many as threads when absent")
    memory_mb: int = Field(default=2048, ge=0, description="kept of prefixes by a worker; again in the race")
    objectives: tuple[Annotated[str, AfterValidator(_known_objective)], ...] = Field(default=OBJECTIVES, min_length=1)

    @field_validator("objectives")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("each may be stated once")
        return value

    def overridden(self, evaluations: int | None, objectives: tuple[str, ...] | None) -> SearchSettings:
        """The same for as many evaluations and other objectives where given. Raises SearchSettingsError, one line."""
        given = {"evaluations": evaluations, "objectives": objectives}
        try:
            return self.with_changes(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            first = error.errors()[0]
            reason = first["ctx"]["error"] if first["type"] == "value_error" else first["msg"]
            raise SearchSettingsError(f"search {first['loc'][0]}: {reason}") from None

    @property
    def wants_steps(self) -> bool:
        """Whether costs of streaming steps are minimised."""
        return any(name in STEP_NAMES for name in self.objectives)

    @property
    def kind(self) -> AlgorithmKind:
        """The search algorithm."""
        automatic = "nsga3" if len(self.objectives) > 3 else "nsga2"
        return _algorithms()[automatic if self.algorithm == "auto" else self.algorithm]

    @property
    def uses_predictor(self) -> bool:
        """Whether a predictor screens candidates: errors are minimised, by an algorithm that leaves it the choice."""
        return self.screening == "predictor" and "error" in self.objectives and self.kind.uses_predictor

    @property
    def reevaluation_limit(self) -> int:
        """How many architectures may be measured again."""
        return self.evaluations // 4 if self.reevaluations is None else self.reevaluations

    @property
    def batch_size(self) -> int:
        """Candidates a generation after the first."""
        return max(1, self.population // 4) if self.batch is None else self.batch
