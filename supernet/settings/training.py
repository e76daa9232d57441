"""Settings of a training, stated once: configurations embed them and give other defaults for their parts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from hwmodels.basics.settings import Settings
from supernet.settings.augmentation import Augmentation
from supernet.settings.losses import Term

_FIRST = ("slowest", "fastest", "stretch_share", "noise")
_LATER: dict[str, Any] = {"distillation": [], "sampling": "uniform"}


class Training(Settings):
    """Settings of one training. `batch` in windows; `learning_rate` is the peak of a cosine schedule.

    The loss is distillation_alpha of the hard labels' and the rest of the weighted sum of `distillation`;
    where that list is empty, of soft labels at `temperature`. What the teacher says of each of the `draws` is kept.
    """

    later = frozenset({"distillation", "augmentation"})

    epochs: int = Field(ge=1, le=100_000)
    batch: int = Field(default=64, ge=2, le=1_000_000)
    learning_rate: float = Field(default=3e-3, gt=0, le=10)
    weight_decay: float = Field(default=1e-2, ge=0)
    distillation_alpha: float = Field(default=0.5, ge=0, le=1, description="share of the hard labels")
    temperature: float = Field(default=2.0, gt=0)
    draws: int = Field(default=8, ge=1, description="variations of the training set, one per epoch in turn")
    validate_every: int = Field(default=2, ge=0, description="epochs; 0 is after the last one only")
    distillation: tuple[Term, ...] = ()
    augmentation: Augmentation = Augmentation()


class SupernetTraining(Training):
    """Training of a supernet: by the sandwich rule, or by progressive shrinking (supernet/training/shrinking.py).

    Every step trains `random_subnets` random members; every `extremes_every` steps the largest and the
    smallest as well, as the largest costs as much as several others. `in_place_share` is the largest one's share
    in what then teaches the others. Members that read fewer sensors pull the shared weights away from using the
    accelerometer: `all_sensors_share` read every one. `sampling`: any member, or one from each of as many ranges of
    cost as there are random subnets.
    """

    later = Training.later | {"schedule", "sampling"}

    epochs: int = Field(default=40, ge=1)
    batch: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=4e-3, gt=0)
    temperature: float = Field(default=1.5, gt=0)
    validate_every: int = Field(default=5, ge=0)
    warmup_epochs: int = Field(default=2, ge=0, description="at full width, before channels are sorted")
    random_subnets: int = Field(default=3, ge=1, le=1000)
    extremes_every: int = Field(default=4, ge=1, le=1000)
    in_place_share: float = Field(default=0.5, ge=0, le=1)
    all_sensors_share: float = Field(default=0.8, ge=0, le=1, description="of members that read every sensor")
    schedule: Literal["sandwich", "progressive_shrinking"] = "sandwich"
    sampling: Literal["uniform", "cost_bins"] = "uniform"


class TrainSettings(SupernetTraining):
    """What a trainer is given: the settings of any training, with the seed. The defaults suit a single network."""

    epochs: int = Field(default=12, ge=1)
    batch: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=3e-3, ge=0)
    temperature: float = Field(default=2.0, gt=0)
    validate_every: int = Field(default=0, ge=0)
    warmup_epochs: int = Field(default=0, ge=0)
    rise_share: float = Field(default=0.05, ge=0, le=1, description="of all steps, in which the learning rate rises")
    gradient_clip: float = 5.0
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for fingerprints and logs; what came later is left out while it holds its default."""
        content = {name: getattr(self, name) for name in type(self).model_fields if name != "schedule"}
        content["distillation"] = [term.model_dump() for term in self.distillation]
        standard = Augmentation().model_dump()
        varied = self.augmentation.model_dump()
        content["augmentation"] = {k: v for k, v in varied.items() if k in _FIRST or v != standard[k]}
        return {key: value for key, value in content.items() if key not in _LATER or _LATER[key] != value}
