"""How good estimates are: metrics, classical baselines, trackers, checks of recordings."""
