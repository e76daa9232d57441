"""Damaged inputs for every reader of files that others may have written; `python -m tests.fuzz TARGET --inputs N`."""
