"""The house: floors import downwards, rooms never in a circle, and nothing grows past one reading."""

import ast
from pathlib import Path

import networkx as nx
import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = {"hwmodels": 1, "supernet": 2, "search": 3, "nas": 4, "benchmarks": 5}
INSTALLED = tuple(name for name in FLOORS if name != "benchmarks")
LONGEST_FILE = 400
MOST_ENTRIES = 14
SOURCES = sorted(path for package in FLOORS for path in (ROOT / package).rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES}
FOLDERS = sorted({path.parent for path in SOURCES if path.relative_to(ROOT).parts[0] in INSTALLED})


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, at whatever depth of the code, by its full dotted name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: imports relatively"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else node.module for name in full}
    return names


def floors_of(names: set[str]) -> set[str]:
    """Top-level packages of dotted names."""
    return {name.split(".")[0] for name in names}


LONGEST_FUNCTION = 60
LONG_FOR_A_REASON = {
    ("hwmodels/firmware/learner.py", "personalize"): "one algorithm, line by line beside its C",
    ("hwmodels/schedule/striped_block.py", "prove"): "one execution, whose state is all of its variables",
    ("nas/deploy/texts.py", "readme"): "most of it is the text",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_on_a_screen(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    long = {
        (name, node.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    }
    assert long == {named for named in LONG_FOR_A_REASON if named[0] == name}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_its_own_floor_and_those_below(path: Path) -> None:
    own = FLOORS[path.relative_to(ROOT).parts[0]]
    above = {name for name in floors_of(imported_modules(path)) if FLOORS.get(name, 0) > own}
    assert not above


@pytest.mark.parametrize("floor", INSTALLED)
def test_rooms_of_a_floor_import_each_other_in_one_direction(floor: str) -> None:
    rooms = nx.DiGraph()
    for path in (ROOT / floor).rglob("*.py"):
        room = path.relative_to(ROOT).parts[1]
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[0] == floor and len(parts) > 1 and parts[1] != room:
                rooms.add_edge(room, parts[1], because=f"{path.relative_to(ROOT)} imports {name}")
    circles = [
        [rooms.edges[a, b]["because"] for a, b in nx.find_cycle(rooms.subgraph(part))]
        for part in nx.strongly_connected_components(rooms)
        if len(part) > 1
    ]
    assert not circles


def test_the_hardware_floor_knows_nothing_of_torch() -> None:
    users = [
        path
        for path in SOURCES
        if path.is_relative_to(ROOT / "hwmodels") and "torch" in floors_of(imported_modules(path))
    ]
    assert not users


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_folder_is_read_at_a_glance(folder: Path) -> None:
    entries = [path.name for path in folder.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_opens_with_what_it_holds_and_stays_readable_in_one_go(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LONGEST_FILE
    assert ast.get_docstring(ast.parse(text))
