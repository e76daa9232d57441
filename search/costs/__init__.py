"""Costs of a whole space, compiled into tables, and the budgets on them."""
