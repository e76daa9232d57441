"""Losses that compare a student with its teacher, a file each; importing one registers it."""
