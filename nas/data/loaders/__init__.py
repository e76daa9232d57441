"""One loader for each kind of data set, and the registry that finds it."""
