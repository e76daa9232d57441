"""How a graph is executed: step by step, whole or in stripes, and where its tensors lie."""
