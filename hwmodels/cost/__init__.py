"""What networks cost: profiling, the look-up table, and the sums made of it."""
