"""Filters and spectra between a sensor's samples and a network's input."""
