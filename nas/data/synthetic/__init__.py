"""Simulated recordings from published parameters: the embedded default data set."""

from nas.data.synthetic.recorder import RHYTHMS, simulate

__all__ = ["RHYTHMS", "simulate"]
