"""Settings of one training; the defaults are the recipe of a single network (docs/explanation/supernet.md)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hwmodels.basics.errors import InputError
from supernet.distillation.distiller import Term
from supernet.windows.training_set import Augmentation

_FIRST = ("slowest", "fastest", "stretch_share", "noise")
_LATER: dict[str, Any] = {"distillation": (), "sampling": "uniform"}


@dataclass(frozen=True)
class TrainSettings:
    """How long and how fast to train, and from whom.

    batch: windows per step. learning_rate: peak of a cosine schedule after a linear rise over
    `rise_share` of all steps. distillation_alpha: share of the hard labels.
    distillation: the losses whose weighted sum is the rest, or none for soft labels at `temperature`.
    draws: how many variations of the training set are cycled through, one per epoch (what the teacher says
    of them is kept). validate_every: epochs; 0 is only after the last one.
    For supernets only: warmup_epochs; random_subnets per step; extremes_every: the largest and the
    smallest join in every so many steps, as the largest costs as much as several others;
    in_place_share: the largest's share in what teaches the others in such a step;
    all_sensors_share: the share of random subnets that read every sensor (those that read fewer pull
    the shared weights away from using the accelerometer); sampling: of any member, or of one from each
    of as many ranges of cost as there are random subnets.
    """

    epochs: int = 12
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    rise_share: float = 0.05
    gradient_clip: float = 5.0
    distillation_alpha: float = 0.5
    temperature: float = 2.0
    draws: int = 8
    augmentation: Augmentation = field(default_factory=Augmentation)
    warmup_epochs: int = 0
    random_subnets: int = 3
    extremes_every: int = 4
    in_place_share: float = 0.5
    all_sensors_share: float = 0.8
    validate_every: int = 0
    seed: int = 0
    distillation: tuple[Term, ...] = ()
    sampling: Literal["uniform", "cost_bins"] = "uniform"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("epochs", 1, 100_000),
            ("batch", 2, 1_000_000),
            ("draws", 1, 100_000),
            ("distillation_alpha", 0, 1),
            ("in_place_share", 0, 1),
            ("temperature", 1e-3, 1e3),
            ("learning_rate", 0, 10),
            ("rise_share", 0, 1),
            ("random_subnets", 1, 1000),
            ("extremes_every", 1, 1000),
            ("all_sensors_share", 0, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(f"training settings, {name}: {value} is not between {low} and {high}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for fingerprints and logs; what came later is left out while it holds its default."""
        content = asdict(self)
        standard = asdict(Augmentation())
        varied = content["augmentation"]
        content["augmentation"] = {k: v for k, v in varied.items() if k in _FIRST or v != standard[k]}
        return {key: value for key, value in content.items() if _LATER.get(key) != value}
