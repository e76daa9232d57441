"""The four packages stand on floors: an upper floor imports lower ones, never the other way round."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"hwmodels": 1, "supernet": 2, "search": 3, "nas": 4}
LONGEST_FILE = 450
SOURCES = sorted(path for package in FLOORS for path in (ROOT / package).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    """Top-level names of every module that a file imports, at whatever depth of the code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports relatively"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_its_own_floor_and_those_below(path: Path) -> None:
    own = FLOORS[path.relative_to(ROOT).parts[0]]
    above = {name for name in imported_modules(path) if FLOORS.get(name, 0) > own}
    assert not above


def test_the_hardware_floor_knows_nothing_of_torch() -> None:
    users = [path for path in SOURCES if path.is_relative_to(ROOT / "hwmodels") and "torch" in imported_modules(path)]
    assert not users


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_opens_with_what_it_holds_and_stays_readable_in_one_go(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    assert not text.strip() or ast.get_docstring(ast.parse(text))
