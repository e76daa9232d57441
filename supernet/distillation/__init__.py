"""Distillation: small losses, each with its source, composed by `Distiller` or by the training methods."""
