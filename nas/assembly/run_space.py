"""The search space of a configuration: the YAML's choices, with the task's window and outputs."""

from __future__ import annotations

from hwmodels.signals.spectrum import POSITIONS, position_bpm
from nas.run.config import Config, ConfigError
from supernet.space.search_space import SearchSpace, load_space


def space_of(config: Config) -> SearchSpace:
    """The space named by the configuration, for its task."""
    space = load_space(config.space, window_s=config.data.window_s, head=config.task_kind.head, outputs=config.outputs)
    told, held = (config.task.first_bpm, config.task.last_bpm), (position_bpm(0), position_bpm(POSITIONS - 1))
    if space.reads == "spectrum" and told != held:
        raise ConfigError(
            f"task.first_bpm, task.last_bpm: {told[0]:g} and {told[1]:g}, but networks over spectra (space "
            f"{space.name!r}) tell heart rates from {held[0]:g} to {held[1]:g}; set these"
        )
    return space
