"""The explorer: a run as one page that answers questions."""
