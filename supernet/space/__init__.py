"""The search space: genes, architectures, and the graphs that they stand for."""
