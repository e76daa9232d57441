"""Floor 3: evolutionary search, feasibility, evaluation, Pareto archive and queries."""
