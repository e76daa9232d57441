"""The shipped search algorithms, one file each; every module here is imported and registers itself."""
