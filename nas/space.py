"""The search space of a configuration: the YAML's choices, with the task's window and outputs."""

from __future__ import annotations

from nas.config import Config
from supernet.space import Head, SearchSpace, load_space


def space_of(config: Config) -> SearchSpace:
    """The space named by the configuration, for its task."""
    head: Head = "heart_rate_head" if config.task.kind == "heart_rate" else "class_head"
    return load_space(config.space, window_s=config.data.window_s, head=head, outputs=config.outputs)
