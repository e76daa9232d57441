"""The how-to guide's algorithm: one file outside of the package, found by its entry point, conforming, searching."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwmodels.basics.registry import RegistryError
from search.evolution import ALGORITHMS, NSGA2
from search.loop.settings import SearchSettings, SearchSettingsError

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "how-to" / "add-a-search-algorithm.md").read_text()
USED = """
import sys
from pathlib import Path
from nas.run.config import parse_config
from search.evolution import ALGORITHMS
from search.evolution.conformance import CHECKS
from tests.search.test_search_run import search

config = parse_config(
    {"name": "a", "data": {"sources": [{"kind": "synthetic"}]}, "search": {"algorithm": "front_walk"}}, "here"
)
assert "front_walk" not in sys.modules, "a configuration is read without importing what it names"
for check in CHECKS:
    check(ALGORITHMS[config.search.algorithm])
result = search(Path("archive.sqlite"), algorithm="front_walk")
print(len({row.genes for row in result.rows}), result.predictor)
"""


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return text


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with the guide's file and the metadata that installing its package leaves."""
    (tmp_path / "front_walk.py").write_text(block("python"))
    metadata = tmp_path / "front_walk-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: front-walk\nVersion: 1.0\n")
    group, line = re.fullmatch(r'\[project\.entry-points\."(.+)"\]\n(.+)\n', block("toml")).groups()
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")
    return tmp_path


def test_the_guides_algorithm_is_found_conforms_and_searches_from_outside(outside: Path) -> None:
    assert len(block("python").splitlines()) < 60
    environment = {**os.environ, "PYTHONPATH": f"{outside}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", USED], cwd=outside, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["60", "None"]


def test_an_unknown_algorithm_is_told_which_there_are_and_what_adds_another() -> None:
    with pytest.raises(ValueError, match=r"unknown 'annealing', known are auto, nsga2, .*ppg_nas\.search_algorithms"):
        SearchSettings(algorithm="annealing")


def test_a_shipped_name_cannot_be_taken_and_what_is_no_algorithm_cannot_be_registered() -> None:
    with pytest.raises(RegistryError, match="twice"):
        ALGORITHMS.add("nsga3", NSGA2)
    with pytest.raises(RegistryError, match="holds AlgorithmKind"):
        ALGORITHMS.add("nothing", object())


def test_objectives_and_evaluations_of_one_search_are_checked_as_those_of_a_configuration() -> None:
    settings = SearchSettings(population=10)
    assert settings.overridden(None, None) == settings
    assert settings.overridden(7, ("error",)) == SearchSettings(population=10, evaluations=7, objectives=("error",))
    with pytest.raises(SearchSettingsError, match="search objectives: unknown 'speed', known are error"):
        settings.overridden(None, ("error", "speed"))
    with pytest.raises(SearchSettingsError, match="search objectives: each may be stated once"):
        settings.overridden(None, ("error", "error"))
