"""The configuration of a run: what YAML may say, checked field by field before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import ErrorDetails

from hwmodels.basics.documents import DocumentError, UndecodableError, read_yaml
from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import named_or_shipped, shipped_names
from hwmodels.network.graph import Code, Memory
from supernet.distillation.kinds import Kind as DistillationKind

NetworkKind = Literal["spectral", "resnet", "transformer", "cnn_lstm"]


class ConfigError(InputError):
    """A configuration that cannot be used; the message names the file and the field."""


class _Section(BaseModel):
    """One part of a configuration.

    Keys in `later` came after the first runs: they are written, and digested, only where they differ from
    their defaults, so that a run made before them stays up to date.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        return {
            key: value
            for key, value in written.items()
            if key not in self.later or getattr(self, key) != type(self).model_fields[key].default
        }


class Source(_Section):
    """One data set. `path` is relative to the folder given with --data (or PPG_DATA)."""

    kind: Literal["ieee_spc", "bami", "ppg_dalia", "liu", "empatica_e4", "wfdb", "edf", "tabular", "synthetic"]
    path: str = "."
    splits: tuple[Literal["training", "extra", "test"], ...] = ("training",)
    subjects: int = Field(default=12, ge=3, description="synthetic only: simulated subjects")
    minutes: float = Field(default=6.0, gt=0.5, description="synthetic only: minutes per subject")


class Data(_Section):
    """Which recordings, how they are cut into windows, and which fold is held out."""

    sources: tuple[Source, ...] = Field(min_length=1)
    window_s: int = Field(default=8, ge=4, le=30)
    step_s: float = Field(default=2.0, gt=0)
    margin_s: float = Field(default=1.5, ge=0, le=4)
    folds: int = Field(default=5, ge=2)
    fold: int = Field(default=0, ge=0)
    split_seed: int = Field(default=0, ge=0, description="which subjects go into which fold")

    @field_validator("fold")
    @classmethod
    def _fold_exists(cls, fold: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds", fold + 1)
        if fold >= folds:
            raise ValueError(f"fold {fold} does not exist among {folds} folds (they count from 0)")
        return fold


class Task(_Section):
    """What the network estimates: heart rate as a belief over bins, or a rhythm class."""

    kind: Literal["heart_rate", "rhythm"] = "heart_rate"
    bins: int = Field(default=96, ge=16, le=512)
    first_bpm: float = Field(default=30.0, ge=20)
    last_bpm: float = Field(default=220.0, le=300)
    sigma_bpm: float = Field(default=4.0, gt=0, description="width of the soft labels")
    classes: tuple[str, ...] = ("sinus", "PVC", "PAC", "VT", "SVT", "AF")
    max_spread_bpm: float | None = Field(default=None, gt=0, description="invalid above; fitted when absent")
    min_probability: float | None = Field(default=None, gt=0, lt=1, description="abstain below; fitted when absent")


class Loss(_Section):
    """One loss of a distillation: its kind, its weight, and what that kind reads (docs/explanation/supernet.md)."""

    kind: DistillationKind
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=2.0, gt=0, description="soft_labels, cross_modal")
    delta_bpm: float = Field(default=4.0, gt=0, description="regression")
    blur_bins: float = Field(default=1.0, ge=0, description="bins")


class Variation(_Section):
    """How training windows are varied; shares are of the windows (supernet/windows/training_set.py, Augmentation)."""

    slowest: float = Field(default=0.75, gt=0, le=1)
    fastest: float = Field(default=1.3, ge=1)
    stretch_share: float = Field(default=0.9, ge=0, le=1)
    noise: float = Field(default=0.05, ge=0, le=10)
    motion_share: float = Field(default=0.0, ge=0, le=1, description="with another window's motion added")
    motion_gain: float = Field(default=1.0, gt=0, le=10, description="most of that motion")
    contact_share: float = Field(default=0.0, ge=0, le=1, description="with contact lost")
    contact_s: float = Field(default=1.5, gt=0, le=8, description="longest loss")
    gain: float = Field(default=0.0, ge=0, le=3, description="deviation of the log of a slow drift")
    silence_share: float = Field(default=0.0, ge=0, le=1, description="without accelerometer")


class Training(_Section):
    """Settings of one training. `batch` in windows; `learning_rate` is the peak of a cosine schedule.

    The loss is distillation_alpha of the hard labels' and the rest of the weighted sum of `distillation`;
    where that list is empty, of soft labels at `temperature`.
    """

    later = frozenset({"distillation", "augmentation"})

    epochs: int = Field(ge=1)
    batch: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=3e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    distillation_alpha: float = Field(default=0.5, ge=0, le=1, description="share of the hard labels")
    temperature: float = Field(default=2.0, gt=0)
    draws: int = Field(default=8, ge=1, description="variations of the training set, one per epoch in turn")
    validate_every: int = Field(default=2, ge=0, description="epochs; 0 is after the last one only")
    distillation: tuple[Loss, ...] = ()
    augmentation: Variation = Variation()


class TeacherMember(Training):
    """One teacher network. `spectral` reads spectra and trains in a minute on one core.

    `resnet` is a ResNet-1D of `blocks` bottlenecks per stage and base width `width`: 20 with blocks
    [3, 4, 6, 3] has 50 layers and about 2 million parameters. `transformer` reads patches: width 320, 8
    heads, 6 layers of 20 ms patches are about 5 million. `cnn_lstm` is convolutions before a recurrent
    layer. Each has its own default `width` and `blocks`. `sensors` may keep a teacher from motion, or
    insist that there is some.
    """

    later = Training.later | frozenset({"heads", "layers", "patch_ms", "sensors"})

    kind: NetworkKind = "spectral"
    epochs: int = Field(default=10, ge=1)
    validate_every: int = Field(default=2, ge=0)
    width: int | None = Field(default=None, ge=4)
    blocks: tuple[int, ...] | None = Field(default=None, min_length=1, description="resnet only")
    dropout: float = Field(default=0.2, ge=0, lt=1)
    heads: int | None = Field(default=None, ge=1, description="transformer only")
    layers: int | None = Field(default=None, ge=1, description="transformer only")
    patch_ms: float | None = Field(default=None, ge=5, le=500, description="transformer only")
    sensors: Literal["available", "ppg", "ppg_acc"] = "available"

    @field_validator("blocks")
    @classmethod
    def _has_stages(cls, blocks: tuple[int, ...] | None, info: ValidationInfo) -> tuple[int, ...] | None:
        if blocks is not None and info.data.get("kind") != "resnet":
            raise ValueError("only a resnet has stages of blocks; leave it out")
        return blocks

    @field_validator("heads", "layers", "patch_ms")
    @classmethod
    def _has_heads(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("kind") != "transformer":
            raise ValueError("only a transformer has it; leave it out")
        return value

    @model_validator(mode="after")
    def _heads_divide(self) -> TeacherMember:
        if self.kind == "transformer" and (self.width or 96) % (self.heads or 6):
            raise ValueError(f"width {self.width or 96} is not a multiple of {self.heads or 6} heads")
        return self


class Teacher(TeacherMember):
    """The external teacher: one network, or an `ensemble` of `members`, each trained by its own settings.

    With `scaling: temperature`, and always in an ensemble, beliefs are made as sure as they are right on
    validation subjects (Guo et al. 2017).
    """

    later = TeacherMember.later | {"members", "scaling"}

    kind: NetworkKind | Literal["ensemble"] = "spectral"  # type: ignore[assignment]
    members: tuple[TeacherMember, ...] = ()
    scaling: Literal["none", "temperature"] = "none"

    @model_validator(mode="after")
    def _has_members(self) -> Teacher:
        if (self.kind == "ensemble") != bool(self.members):
            raise ValueError("members go with kind: ensemble, which needs at least one")
        return self

    @property
    def networks(self) -> tuple[TeacherMember, ...]:
        """The networks to train: the members, or this one alone."""
        return self.members or (self,)

    @property
    def is_mixed(self) -> bool:
        """Whether what teaches is a mixture with temperatures rather than one bare network."""
        return bool(self.members) or self.scaling == "temperature"


class Supernet(Training):
    """Supernet training: by the sandwich rule, or by progressive shrinking (supernet/training/shrinking.py).

    Every step trains `random_subnets` random members; every `extremes_every` steps the largest and the
    smallest as well. `in_place_share` is the largest one's share in what then teaches the others.
    """

    later = Training.later | {"schedule", "sampling"}

    epochs: int = Field(default=40, ge=1)
    batch: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=4e-3, gt=0)
    temperature: float = Field(default=1.5, gt=0)
    validate_every: int = Field(default=5, ge=0)
    warmup_epochs: int = Field(default=2, ge=0, description="at full width, before channels are sorted")
    random_subnets: int = Field(default=3, ge=1)
    extremes_every: int = Field(default=4, ge=1)
    in_place_share: float = Field(default=0.5, ge=0, le=1)
    all_sensors_share: float = Field(default=0.8, ge=0, le=1, description="of members that read every sensor")
    schedule: Literal["sandwich", "progressive_shrinking"] = "sandwich"
    sampling: Literal["uniform", "cost_bins"] = "uniform"


class Budgets(_Section):
    """Hard constraints of the search. KB = 1024 bytes; latency of one window; power at a window every 2 s.

    `step_latency_ms` is for a streaming step; networks that cannot stream do not keep it.
    `code` of the kernels: fast, compact (matrix products unrolled for no depth) or smallest (several times
    slower). `memory` of activations: whole, or striped where blocks need less of it so (hwmodels.schedule.stripes).
    auto chooses by what fits into the other budgets (search.feasibility.build_choice).
    """

    later = frozenset({"step_latency_ms", "code", "memory"})

    flash_kb: float | None = Field(default=80.0, gt=0)
    latency_ms: float | None = Field(default=50.0, gt=0)
    ram_kb: float | None = Field(default=256.0, gt=0)
    power_mw: float | None = Field(default=5.0, gt=0)
    step_latency_ms: float | None = Field(default=None, gt=0)
    code: Literal["auto"] | Code = "auto"
    memory: Literal["auto"] | Memory = "auto"


Objective = Literal[
    "error",
    "latency_ms",
    "cycles",
    "flash_bytes",
    "peak_ram_bytes",
    "energy_mj",
    "power_mw",
    "step_latency_ms",
    "step_cycles",
    "step_ram_bytes",
    "step_energy_mj",
]


class Search(_Section):
    """Evolutionary search: how many subnets are evaluated, and on how many windows.

    Every candidate is measured on `validation_windows`; those that may belong to the front, at most
    `reevaluations` of them (a quarter of the evaluations unless given), again on `racing_windows`, until
    the front is stable at `confidence`. `screening` is what chooses candidates: a predictor of accuracy
    that learns as the search goes, or crossover and mutation alone ("none"). `algorithm` auto is NSGA-II for
    up to three objectives, NSGA-III for more. With `patience` a search ends once its hypervolume or its
    front has not moved for so many evaluations. `objectives` are minimised, and make the front; with costs of
    streaming steps among them, only networks that stream are searched.
    """

    later = frozenset({"objectives"})

    evaluations: int = Field(default=240, ge=4)
    population: int = Field(default=40, ge=4)
    calibration_windows: int = Field(default=512, ge=32)
    validation_windows: int = Field(default=2000, ge=32)
    racing_windows: int = Field(default=4000, ge=32)
    reevaluations: int | None = Field(default=None, ge=0)
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    screening: Literal["predictor", "none"] = "predictor"
    algorithm: Literal["auto", "nsga2", "nsga3", "regularised", "random"] = "auto"
    patience: int | None = Field(default=None, ge=1)
    batch: int | None = Field(default=None, ge=1, description="candidates bred at a time; a quarter of them")
    ahead: int = Field(default=0, ge=0, description="batches under way besides the one waited for")
    workers: int | None = Field(default=None, ge=1, description="processes; as many as threads when absent")
    memory_mb: int = Field(default=2048, ge=0, description="kept of prefixes by a worker; again in the race")
    objectives: tuple[Objective, ...] = Field(
        default=("error", "latency_ms", "flash_bytes", "peak_ram_bytes"), min_length=1
    )

    @field_validator("objectives")
    @classmethod
    def _are_distinct(cls, value: tuple[Objective, ...]) -> tuple[Objective, ...]:
        if len(set(value)) != len(value):
            raise ValueError("each may be stated once")
        return value


class QuantizationAware(Training):
    """Quantization-aware training after fine-tuning; 0 epochs leave post-training quantization."""

    epochs: int = Field(default=5, ge=0)
    batch: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=3e-4, gt=0)
    validate_every: int = Field(default=1, ge=0)


class Finish(_Section):
    """What the chosen subnets go through: fine-tuning with distillation, then quantization.

    The `candidates` best members of the front are finished; the best of them on validation is exported.
    """

    candidates: int = Field(default=3, ge=1)
    fine_tuning: Training = Training(epochs=30, batch=32, learning_rate=5e-3, temperature=1.5, validate_every=5)
    quantization: QuantizationAware = QuantizationAware()
    golden_vectors: int = Field(default=16, ge=1)


class Config(_Section):
    """Everything a run depends on besides the recordings themselves."""

    later = frozenset({"accelerator"})

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    accelerator: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="what trains; auto is a GPU where torch sees one"
    )
    space: str = "default"
    device: str = "cortex-m7-64mhz"
    task: Task = Task()
    data: Data
    teacher: Teacher = Teacher()
    supernet: Supernet = Supernet()
    budgets: Budgets = Budgets()
    search: Search = Search()
    finish: Finish = Finish()

    @property
    def outputs(self) -> int:
        """Outputs of the network: heart-rate bins or classes."""
        return self.task.bins if self.task.kind == "heart_rate" else len(self.task.classes)

    def shared_by_folds(self) -> dict[str, Any]:
        """What all folds of one experiment have in common: all but the fold, and what computes."""
        content = self.model_dump(mode="json")
        del content["data"]["fold"], content["threads"]
        content.pop("accelerator", None)
        return content

    def to_yaml(self) -> str:
        """The configuration with defaults written out, but for keys in `later` that hold theirs."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def parse_config(content: Any, origin: str) -> Config:
    """Check parsed YAML. Raises ConfigError naming `origin`, the field and what is wrong with it."""
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: expected fields such as name and data, found {type(content).__name__}")
    if (field := _first_boolean(content)) is not None:
        raise ConfigError(f"{origin}, {field}: no setting is yes or no; give its value")
    if not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{origin}: keys must be words")
    try:
        return Config(**content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{origin}, {field}: {_remedy(first)}") from None


def absolute(name: str) -> str:
    """The name of a space or device that comes with the program as it is, the path of a file absolute."""
    return str(Path(name).resolve()) if Path(name).suffix in (".yaml", ".yml") else name


def _remedy(error: ErrorDetails) -> str:
    """What is wrong with a field, in words that say what to write instead."""
    if error["type"] == "extra_forbidden":
        return "unknown key; remove it or correct its spelling"
    if error["type"] == "missing":
        return "this key is required; add it"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {_shortened(error['input'])}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _first_boolean(content: Any, at: str = "") -> str | None:
    """Where the first true or false stands, which would pass for a number; None if nowhere."""
    if isinstance(content, bool):
        return at
    inner = content.items() if isinstance(content, dict) else enumerate(content) if _is_list(content) else ()
    found = (_first_boolean(value, f"{at}.{key}" if at else str(key)) for key, value in inner)
    return next((field for field in found if field is not None), None)


def _is_list(content: Any) -> bool:
    return isinstance(content, list | tuple)


def load_config(path: str | Path) -> Config:
    """Read a configuration file, or a shipped one by its name. Raises ConfigError, one line, if that cannot be."""
    given, path = path, named_or_shipped(path)
    try:
        content = read_yaml(path)
    except UndecodableError as error:
        raise ConfigError(str(error)) from None
    except DocumentError as error:
        reason = str(error).replace(str(path), str(given), 1)
        shipped = "" if path.exists() else f"; shipped configurations: {', '.join(shipped_names())}"
        raise ConfigError(reason + shipped) from None
    return parse_config(content, str(path))
