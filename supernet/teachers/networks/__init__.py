"""Teacher networks, a file each, named for the kind that a configuration gives."""
