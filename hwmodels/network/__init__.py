"""The deployed network: its graph, its integers, and the interpreter that computes it."""
