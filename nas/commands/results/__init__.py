"""Commands that look at what runs have made."""
