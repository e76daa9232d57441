"""Tasks, a file each: what a network estimates, from the labels it learns to the tables that judge it."""
