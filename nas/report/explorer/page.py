"""The explorer's page: one file with its data, styles and scripts, that reads nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from hwmodels.basics.tool import tool_version

_SCRIPTS = ("model", "charts", "scatter", "parallel", "network", "people", "app")
_PLACE = "nas.report.explorer.assets"


def explorer_page(runs: Sequence[dict[str, Any]], poll_s: float | None = None) -> str:
    """The page of one run's records, or of two side by side. poll_s: how often a served page asks for news."""
    content = {"made": f"ppg-nas {tool_version()}", "poll_s": poll_s, "runs": list(runs)}
    title = " and ".join(str(run["name"]) for run in runs)
    return (
        _asset("page.html")
        .replace("/*styles*/", _asset("page.css"))
        .replace("/*scripts*/", "\n".join(_asset(f"{name}.js") for name in _SCRIPTS))
        .replace("<!--title-->", _escaped(title))
        .replace("/*records*/null", as_json(content))
    )


def as_json(content: Any) -> str:
    """JSON that may stand inside of a script element; numbers that are none become null."""
    text = json.dumps(_finite(content), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@cache
def _asset(name: str) -> str:
    return files(_PLACE).joinpath(name).read_text(encoding="utf-8")
