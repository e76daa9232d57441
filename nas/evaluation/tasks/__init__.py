"""Tasks, a file each: what a network estimates, from the labels it learns to the tables that judge it."""

from nas.evaluation.tasks.task_kind import TASKS, TaskKind, TaskSettings

__all__ = ["TASKS", "TaskKind", "TaskSettings"]
