"""Bundles: what firmware is built from, in every format, and the proof of it."""
