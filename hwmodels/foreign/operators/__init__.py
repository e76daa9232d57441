"""TFLite operators as operations, a rule each: one more file here registers one more."""

from hwmodels.foreign.operators import convolutions, elementwise, moves, pooling
from hwmodels.foreign.walk import RULES

__all__ = ["RULES", "convolutions", "elementwise", "moves", "pooling"]
