"""Devices: their cores' cycle rules, memories, clocks and power."""
