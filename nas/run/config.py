"""The configuration of a run: what YAML may say, checked field by field before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import yaml
from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from hwmodels.basics.documents import DocumentError, UndecodableError, read_yaml
from hwmodels.basics.errors import InputError
from hwmodels.basics.settings import Settings
from hwmodels.basics.shipped import named_or_shipped, shipped_names
from hwmodels.basics.suggestions import did_you_mean
from hwmodels.network.build_form import Memory
from hwmodels.network.graph import Code
from nas.data.loader import LOADERS
from nas.evaluation.task_settings import TASKS, TaskSettings
from search.loop.settings import SearchSettings
from supernet.settings.teachers import Teacher
from supernet.settings.training import SupernetTraining, Training

if TYPE_CHECKING:
    from nas.evaluation.task_kind import TaskKind


class ConfigError(InputError):
    """A configuration that cannot be used; the message names the file and the field."""


class Source(Settings):
    """One data set. `path` is relative to the folder given with --data (or PPG_DATA).

    Simulated people beside real ones train, and are neither validated on nor tested. `share` of the training windows
    come from them: whole people in order, the last one cut in time (nas/data/synthetic/shares.py).
    """

    later = frozenset({"population", "share"})

    kind: str
    path: str = "."
    splits: tuple[Literal["training", "extra", "test"], ...] = ("training",)
    subjects: int = Field(default=12, ge=3, description="synthetic only: simulated subjects")
    minutes: float = Field(default=6.0, gt=0.5, description="synthetic only: minutes per subject")
    population: Literal["plain", "wide", "quiet"] = Field(default="plain", description="synthetic only: which people")
    share: float | None = Field(default=None, gt=0, lt=1, description="synthetic only: of all training windows")

    @field_validator("kind")
    @classmethod
    def _is_registered(cls, kind: str) -> str:
        if kind != "synthetic" and kind not in LOADERS:
            raise ValueError(f"{LOADERS.unknown(kind)}; synthetic simulates recordings")
        return kind

    @model_validator(mode="after")
    def _simulates_if_it_says_so(self) -> Source:
        if self.kind != "synthetic" and self.model_fields_set & {"population", "share"}:
            raise ValueError(f"population and share are of synthetic sources, not of {self.kind}; remove them")
        return self


class Data(Settings):
    """Which recordings, how they are cut into windows, and which fold is held out."""

    later = frozenset({"unlabelled"})

    sources: tuple[Source, ...] = Field(min_length=1)
    unlabelled: tuple[Source, ...] = Field(default=(), description="recordings that a teacher labels")
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

    @field_validator("sources")
    @classmethod
    def _sources_mix(cls, sources: tuple[Source, ...]) -> tuple[Source, ...]:
        simulated = [source for source in sources if source.kind == "synthetic"]
        populations = [source.population for source in simulated]
        shares = [source.share for source in simulated if source.share is not None]
        if len(set(populations)) < len(populations):
            raise ValueError("two synthetic sources simulate the same people; give one more subjects instead")
        if shares and len(simulated) == len(sources):
            raise ValueError("a synthetic source has a share beside real sources only; remove share")
        if sum(shares) >= 1:
            raise ValueError(f"shares of synthetic sources sum to {sum(shares):g}; leave some to real recordings")
        return sources


class Budgets(Settings):
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


class QuantizationAware(Training):
    """Quantization-aware training after fine-tuning; 0 epochs leave post-training quantization."""

    epochs: int = Field(default=5, ge=0)
    batch: int = Field(default=32, ge=2)
    learning_rate: float = Field(default=3e-4, gt=0)
    validate_every: int = Field(default=1, ge=0)


class Finish(Settings):
    """What the chosen subnets go through: fine-tuning with distillation, then quantization.

    The `candidates` best members of the front are finished; the best of them on validation is exported.
    """

    candidates: int = Field(default=3, ge=1)
    fine_tuning: Training = Training(epochs=30, batch=32, learning_rate=5e-3, temperature=1.5, validate_every=5)
    quantization: QuantizationAware = QuantizationAware()
    golden_vectors: int = Field(default=16, ge=1)


class Config(Settings):
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
    task: TaskSettings = TaskSettings()
    data: Data
    teacher: Teacher = Teacher()
    supernet: SupernetTraining = SupernetTraining()
    budgets: Budgets = Budgets()
    search: SearchSettings = SearchSettings()
    finish: Finish = Finish()

    @property
    def outputs(self) -> int:
        """Outputs of the network: heart-rate bins or classes."""
        return self.task_kind.training(self.task).outputs

    @property
    def task_kind(self) -> TaskKind:
        """The task itself: its labels, head, error and tables."""
        return TASKS[self.task.kind]

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
        raise ConfigError(f"{origin}, {field}: {_remedy(first)}{_suggestion(first)}") from None


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


def _suggestion(error: ErrorDetails) -> str:
    """The key that an unknown one resembles, of the same part of the configuration."""
    if error["type"] != "extra_forbidden":
        return ""
    *parts, written = error["loc"]
    record: Any = Config
    for part in parts:
        if isinstance(part, str) and part in getattr(record, "model_fields", {}):
            record = record.model_fields[part].annotation
        inner = [one for one in get_args(record) if hasattr(one, "model_fields")]
        record = inner[0] if inner else record
    return did_you_mean(str(written), getattr(record, "model_fields", {}))


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
