"""Windows of signals as training draws them: normalized, varied, in batches."""
