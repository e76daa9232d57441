"""Distillation: small losses, each with its source, composed by `Distiller` or by the training methods."""

from supernet.distillation.distiller import DistillationError, Distiller
from supernet.distillation.in_place import joint_belief
from supernet.distillation.loss_kinds import LOSSES, Comparison, LossKind, Term, losses_on_logits
from supernet.distillation.losses.soft_labels import blend, soft_label_loss
from supernet.distillation.observation import Observation, observe
from supernet.distillation.progressive import train_in_turn

__all__ = [
    "LOSSES",
    "Comparison",
    "DistillationError",
    "Distiller",
    "LossKind",
    "Observation",
    "Term",
    "blend",
    "joint_belief",
    "losses_on_logits",
    "observe",
    "soft_label_loss",
    "train_in_turn",
]
