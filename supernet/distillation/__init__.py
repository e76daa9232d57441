"""Distillation: small losses, each with its source, composed by the training methods."""

from supernet.distillation.soft_labels import blend, soft_label_loss

__all__ = ["blend", "soft_label_loss"]
