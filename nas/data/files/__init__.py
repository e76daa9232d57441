"""Readers of files that several kinds of recordings come in, each careful of what it is given."""
