"""Every evaluated architecture, kept, and the queries on them."""
