"""Floor 3: evolutionary search, feasibility, evaluation, Pareto archive and queries."""

from search.archive.archive import Archive, ArchiveError
from search.archive.query import Answer, Query, QueryError, run_query
from search.archive.rows import Metrics, Provenance, Row
from search.costs.budgets import BudgetError, Budgets
from search.costs.cost_plan import CostPlan, Costs, compile_costs, required_ops
from search.feasibility.budget_check import Feasibility, InfeasibleBudget, check
from search.feasibility.explain import Explanation, explain
from search.loop.evaluator import Evaluator, MacroF1Error, MeanOfSubjects
from search.loop.predictor import Predictor, fit_predictor
from search.loop.search_loop import SearchResult, run_search
from search.loop.settings import SearchSettings

__all__ = [
    "Answer",
    "Archive",
    "ArchiveError",
    "BudgetError",
    "Budgets",
    "CostPlan",
    "Costs",
    "Evaluator",
    "Explanation",
    "Feasibility",
    "InfeasibleBudget",
    "MacroF1Error",
    "MeanOfSubjects",
    "Metrics",
    "Predictor",
    "Provenance",
    "Query",
    "QueryError",
    "Row",
    "SearchResult",
    "SearchSettings",
    "check",
    "compile_costs",
    "explain",
    "fit_predictor",
    "required_ops",
    "run_query",
    "run_search",
]
