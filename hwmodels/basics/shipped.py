"""The configurations, search spaces and devices that come with the program, wherever it is installed."""

from __future__ import annotations

import os
from functools import cache
from importlib.resources import files
from pathlib import Path

_PACKAGE = "nas.configs"
"""Package data of the distribution, not code: naming it here imports no upper floor's modules."""


@cache
def shipped_folder(kind: str = "") -> Path:
    """The folder of shipped YAML files of a kind: "devices", "spaces", or "" for configurations of runs."""
    return Path(str(files(_PACKAGE).joinpath("demo.yaml"))).parent / kind


def shipped_names(kind: str = "") -> list[str]:
    """Names, without ending, of the shipped files of a kind, in order."""
    return sorted(path.stem for path in shipped_folder(kind).glob("*.yaml"))


def named_or_shipped(name_or_path: str | Path, kind: str = "") -> Path:
    """The path that a user means: a YAML file's own, else that of the shipped file of that name."""
    path = Path(name_or_path)
    is_file = path.suffix in (".yaml", ".yml") or os.path.isfile(path)
    return path if is_file else shipped_folder(kind) / f"{name_or_path}.yaml"
