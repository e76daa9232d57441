"""A finished network on any recording, and fitted to its wearer."""
