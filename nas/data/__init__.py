"""Recordings: loaded, simulated, split by person, cut into windows."""
