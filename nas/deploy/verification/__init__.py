"""The proof of a bundle: its C and its files executed, and compared number by number."""
