"""A run: its configuration, its directory and files, its worker processes."""
