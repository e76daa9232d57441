"""What budgets allow, found out before any search: extremes, counts, draws, explanations."""
