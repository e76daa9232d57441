"""The files that a network can be written as besides C."""
