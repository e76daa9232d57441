"""Simulated recordings: the embedded default data set (plain), and people beyond what was ever recorded (wide)."""

from nas.data.synthetic.population import POPULATIONS, simulate
from nas.data.synthetic.recorder import RHYTHMS

__all__ = ["POPULATIONS", "RHYTHMS", "simulate"]
