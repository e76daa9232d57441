"""Floor 1: the deployed network as a graph, its int8 kernels, and what it costs on the device."""
