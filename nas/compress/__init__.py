"""From float networks to small integer ones: quantization, pruning, fine-tuning."""
