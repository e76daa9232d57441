"""Whether teachers and students can give what a configuration's losses compare, found out before any training."""

from __future__ import annotations

from nas.assembly.run_space import space_of
from nas.run.config import Config, ConfigError
from supernet.settings.losses import LOSSES, losses_on_logits
from supernet.settings.teachers import TEACHERS


def require_losses(config: Config, origin: str) -> None:
    """Raise ConfigError, naming `origin` and the field, for a loss that a training of `config` cannot have."""
    student = "frequency" if space_of(config).reads == "spectrum" else "time"
    teachers = {TEACHERS[member.kind].positions_along for member in config.teacher.networks}
    sections = {
        "supernet": config.supernet,
        "finish.fine_tuning": config.finish.fine_tuning,
        "finish.quantization": config.finish.quantization,
    }
    for name, section in sections.items():
        for number, loss in enumerate(section.distillation):
            reason, kind = None, LOSSES[loss.kind]
            if name == "supernet" and kind.reads != "logits":
                others = ", ".join(losses_on_logits())
                reason = f"subnets of all widths share no features; use {others}, or finish.fine_tuning"
            elif kind.needs_bins and config.task_kind.training(config.task).band_per_min is None:
                reason = "is for heart rates; leave it out for rhythms"
            elif kind.reads == "attention" and student not in teachers:
                others = "a spectral" if student == "frequency" else "a resnet, transformer or cnn_lstm"
                reason = f"no teacher looks along {student}, as the students do; add {others} teacher"
            if reason is not None:
                raise ConfigError(f"{origin}, {name}.distillation.{number}.kind: {loss.kind}: {reason}")
