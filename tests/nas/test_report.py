"""The report's page and pictures hold what they are given, and nothing executes in them."""

import re
import warnings

import numpy as np

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


def test_six_estimators_fit_their_picture() -> None:
    names = ("spectral argmax", "spectral tracker", "teacher", "float subnet", "int8 subnet", "int8, tracked")
    errors = {name: {"synthetic/1": 1.0, "synthetic/2": 2.0} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_svg(error_per_subject(errors, "MAE"))
