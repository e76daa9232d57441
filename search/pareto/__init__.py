"""Pareto mathematics on plain arrays."""
