"""Whether teachers and students can give what a configuration's losses compare, found out before any training."""

from __future__ import annotations

from nas.assembly.run_space import space_of
from nas.run.config import Config, ConfigError
from supernet.distillation.kinds import FOR_HEART_RATES, ON_LOGITS


def looks_along(kind: str) -> str:
    """What the positions of a kind of teacher's features are: "time" or "frequency"."""
    return "frequency" if kind == "spectral" else "time"


def require_losses(config: Config, origin: str) -> None:
    """Raise ConfigError, naming `origin` and the field, for a loss that a training of `config` cannot have."""
    student = "frequency" if space_of(config).reads == "spectrum" else "time"
    teachers = {looks_along(member.kind) for member in config.teacher.networks}
    sections = {
        "supernet": config.supernet,
        "finish.fine_tuning": config.finish.fine_tuning,
        "finish.quantization": config.finish.quantization,
    }
    for name, section in sections.items():
        for number, loss in enumerate(section.distillation):
            reason = None
            if name == "supernet" and loss.kind not in ON_LOGITS:
                reason = f"subnets of all widths share no features; use {', '.join(ON_LOGITS)}, or finish.fine_tuning"
            elif config.task.kind == "rhythm" and loss.kind in FOR_HEART_RATES:
                reason = "is for heart rates; leave it out for rhythms"
            elif loss.kind == "attention" and student not in teachers:
                others = "a spectral" if student == "frequency" else "a resnet, transformer or cnn_lstm"
                reason = f"no teacher looks along {student}, as the students do; add {others} teacher"
            if reason is not None:
                raise ConfigError(f"{origin}, {name}.distillation.{number}.kind: {loss.kind}: {reason}")
