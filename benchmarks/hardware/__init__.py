"""Kernels, firmware and integer arithmetic, measured and compared."""
