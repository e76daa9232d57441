"""Floor 3: evolutionary search, feasibility, evaluation, Pareto archive and queries."""

from search.archive import Archive, ArchiveError, Metrics, Provenance, Row
from search.budgets import BudgetError, Budgets
from search.cost_plan import CostPlan, Costs, compile_costs, required_ops
from search.evaluator import Evaluator, MacroF1Error, MeanOfSubjects
from search.explain import Explanation, explain
from search.feasibility import Feasibility, InfeasibleBudget, check
from search.predictor import Predictor, fit_predictor
from search.query import Answer, Query, QueryError, run_query
from search.search import SearchResult, run_search
from search.settings import SearchSettings

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
