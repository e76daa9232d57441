"""Loaders, a file each, named for the kind of recordings that a configuration gives."""
