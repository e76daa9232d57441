"""Kinds of blocks, a file each, named for them."""
