"""Distillation: small losses, each with its source, composed by `Distiller` or by the training methods."""

from supernet.distillation.distiller import DistillationError, Distiller, Term
from supernet.distillation.in_place import joint_belief
from supernet.distillation.kinds import KINDS, ON_LOGITS
from supernet.distillation.progressive import train_in_turn
from supernet.distillation.seen import Seen, see
from supernet.distillation.soft_labels import blend, soft_label_loss

__all__ = [
    "KINDS",
    "ON_LOGITS",
    "DistillationError",
    "Distiller",
    "Seen",
    "Term",
    "blend",
    "joint_belief",
    "see",
    "soft_label_loss",
    "train_in_turn",
]
