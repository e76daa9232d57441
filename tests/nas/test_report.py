"""The report's page and pictures hold what they are given, and nothing executes in them."""

import argparse
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pages import readme
from hwmodels.basics.errors import InputError
from nas.report.page import Page
from nas.report.plots import error_per_subject, pareto_front, subnet_drawing, to_svg

ROWS = [
    {
        "id": f"a{i}",
        "error": 5.0 - i,
        "error_low": 4.5 - i,
        "error_high": 6.0 - i,
        "latency_ms": 10.0 * i + 5,
        "flash_kb": 10.0 * i + 4,
    }
    for i in range(4)
]
LAYERS = [
    {
        "name": "stem",
        "kind": "conv",
        "detail": "k5",
        "length_out": 128,
        "channels_out": 8,
        "cycles": 3000,
        "flash_bytes": 200,
        "sources": ["input"],
    },
    {
        "name": "block.add",
        "kind": "add",
        "detail": "",
        "length_out": 128,
        "channels_out": 8,
        "cycles": 1000,
        "flash_bytes": 40,
        "sources": ["stem", "stem"],
    },
]


FIRMWARE = {
    "run": "mine",
    "id": "1f",
    "flash_kb": 31.37,
    "ram_kb": 27.32,
    "stack_bytes": 6356,
    "reading_ms": 28.946,
    "samples_ms": 1.191,
    "power_mw": 0.523,
    "mismatches": 0,
    "golden_vectors": 19,
    "readings": 4,
    "budgets": {"flash_kb": 80.0, "ram_kb": None, "reading_ms": 50.0, "power_mw": 5.0},
}


def test_text_from_outside_is_escaped() -> None:
    page = Page("<script>alert(1)</script>", "a & b")
    page.table([{"id": "<b>", "value": 1.5}], {"id": "name", "value": "<i>"})
    html = page.html()
    assert "<script>" not in html and "<b>" not in html and "<i>" not in html
    assert "a &amp; b" in html


def test_figures_on_one_page_share_no_ids_and_point_to_their_own() -> None:
    page = Page("t", "l")
    for _ in range(2):
        page.figures(pareto_front(ROWS, ROWS, "a1", {"latency_ms": 20.0}, "MAE"))
    html = page.html()
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 0
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)


def test_the_drawing_names_every_operation_with_its_cycles() -> None:
    figure = subnet_drawing(LAYERS)
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"stem", "block.add", "3,000", "1,000", "75.0 %"} <= texts


def test_the_same_data_draws_the_same_bytes() -> None:
    errors = {"teacher": {"s1": 1.0, "s2": 2.0}, "int8": {"s1": 1.5}}
    assert to_svg(error_per_subject(errors, "MAE")) == to_svg(error_per_subject(errors, "MAE"))


def test_a_front_without_a_chosen_subnet_can_be_drawn_too() -> None:
    assert np.isfinite(pareto_front(ROWS, [], None, {}, "MAE").get_size_inches()).all()


def options(root: Path) -> argparse.Namespace:
    return argparse.Namespace(root=root, json=True)


def test_readme_tables_are_replaced_between_their_markers_and_nothing_else(tmp_path: Path) -> None:
    parts = ("heart rate", "folds", "rhythm", "cost", "firmware", "model")
    body = "".join(f"before {p}\n<!-- {p} begin -->\nold\n<!-- {p} end -->\nafter {p}\n" for p in parts)
    (tmp_path / "README.md").write_text(body)
    (tmp_path / "docs/results").mkdir(parents=True)
    (tmp_path / "docs/results/lut_build.json").write_text(json.dumps({"seconds": 7.2, "entries": 583}))
    (tmp_path / "docs/results/firmware.json").write_text(json.dumps({"runs": [FIRMWARE]}))
    readme.run(options(tmp_path))
    text = (tmp_path / "README.md").read_text()
    assert "| mine | `1f` | 31.4 of 80 | 27.3 | 6.2 | 28.9 of 50 | 1.2 | 0.52 of 5 | 0 of 23 |" in text
    assert "7 (583 entries)" in text and "\nold\n" not in text
    assert all(f"before {p}\n" in text and f"after {p}\n" in text for p in parts)
    readme.run(options(tmp_path))
    assert (tmp_path / "README.md").read_text() == text


def test_a_readme_without_markers_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing here\n")
    with pytest.raises(InputError, match="markers"):
        readme.run(options(tmp_path))
    assert (tmp_path / "README.md").read_text() == "nothing here\n"


def test_the_tables_of_this_readme_are_generated_not_typed(tmp_path: Path) -> None:
    checkout = Path(__file__).parents[2]
    shutil.copy(checkout / "README.md", tmp_path)
    shutil.copytree(checkout / "docs" / "results", tmp_path / "docs" / "results")
    readme.run(options(tmp_path))
    assert (tmp_path / "README.md").read_text() == (checkout / "README.md").read_text()


def test_six_estimators_fit_their_picture() -> None:
    names = ("spectral argmax", "spectral tracker", "teacher", "float subnet", "int8 subnet", "int8, tracked")
    errors = {name: {"synthetic/1": 1.0, "synthetic/2": 2.0} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_svg(error_per_subject(errors, "MAE"))
