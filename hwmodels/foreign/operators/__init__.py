"""TFLite operators as operations, a rule each: importing this package registers them all."""

from hwmodels.foreign.operators import convolutions, elementwise, moves, pooling

__all__ = ["convolutions", "elementwise", "moves", "pooling"]
