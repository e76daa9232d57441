"""The supernet, its elastic layers, and the subnets that come out of it."""
