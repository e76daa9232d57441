"""Labels that a configuration asks for: those of its task in `data.sources`, none in `data.unlabelled`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwmodels.basics.errors import InputError
from nas.data.recording import Recording
from nas.run.config import Config


def labelled_recordings(recordings: Sequence[Recording], config: Config, origin: str) -> list[Recording]:
    """The recordings with labels of the task, less unlabelled stretches of files that have labels elsewhere.

    Recordings shorter than a window stay: what makes windows says so where there is nothing else.
    Raises InputError, naming `origin`, for a recording with labels of another task and for a file without any.
    """
    kind = config.task_kind.label_kind
    for one in recordings:
        others = _label_kinds(one) - {kind}
        if others and kind not in _label_kinds(one):
            raise InputError(
                f"{origin}: {one.name} of data.sources ({one.source}) is labelled with {_words(others.pop())}, but the "
                f"task is {config.task.kind}; remove its source, or correct task.kind"
            )
    short = [one for one in recordings if one.duration_s < config.data.window_s]
    labelled = [one for one in recordings if kind in _label_kinds(one) or one in short]
    files = {_file(one) for one in labelled}
    bare = [one for one in recordings if _file(one) not in files]
    if bare:
        source = [one for one in recordings if one.source == bare[0].source]
        is_whole = len(source) == len([one for one in bare if one.source == bare[0].source]) > 1
        who = f"none of its {len(source)} recordings has" if is_whole else f"{bare[0].name} has no"
        raise InputError(
            f"{origin}: data.sources, {bare[0].source}: {who} {_words(kind)} that can be used as labels; add some, or "
            "list the source under data.unlabelled"
        )
    return labelled


def unlabelled_file(run: Path) -> Path:
    """Where a run keeps the windows of `data.unlabelled`."""
    return run / "data" / "unlabelled.npz"


def _label_kinds(recording: Recording) -> set[str]:
    if recording.label_count == 0:
        return set()
    present = {"heart_rate": recording.heart_rate_bpm, "rhythm": recording.rhythm}
    return {kind for kind, values in present.items() if values is not None}


def _file(recording: Recording) -> tuple[str, str, str]:
    """What the stretches of one file, which are named by their start, have in common."""
    return recording.source, recording.subject, recording.name.split("@")[0]


def _words(kind: str) -> str:
    return "heart rates" if kind == "heart_rate" else "rhythms"
