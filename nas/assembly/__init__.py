"""From a configuration and what a run has left to the objects that work on them."""
