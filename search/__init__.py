"""Floor 3: evolutionary search, feasibility, evaluation, Pareto archive and queries."""

from search.archive import Archive, ArchiveError, Metrics, Provenance, Row
from search.budgets import BudgetError, Budgets
from search.cost_plan import CostPlan, Costs, compile_costs, required_ops
from search.evaluator import Evaluator, MacroF1Error, MeanOfSubjects
from search.feasibility import Feasibility, InfeasibleBudget, check
from search.search import SearchResult, SearchSettings, run_search

__all__ = [
    "Archive",
    "ArchiveError",
    "BudgetError",
    "Budgets",
    "CostPlan",
    "Costs",
    "Evaluator",
    "Feasibility",
    "InfeasibleBudget",
    "MacroF1Error",
    "MeanOfSubjects",
    "Metrics",
    "Provenance",
    "Row",
    "SearchResult",
    "SearchSettings",
    "check",
    "compile_costs",
    "required_ops",
    "run_search",
]
