"""One trainer for teacher, supernet and single networks, and what a step of each does."""
