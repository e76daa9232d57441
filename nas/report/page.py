"""A self-contained HTML page: no scripts, no files beside it, readable on paper and in the dark."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure

from nas.report.plots import to_svg
from nas.terminal.output import format_value

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#22272e;background:#fff}
body{max-width:1160px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}
h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #dfe3e8}
p.lead{font-size:1.05rem}p.note{color:#6b7480;font-size:.88rem}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.86rem;margin:.6rem 0}
th{text-align:left;color:#6b7480;font-weight:600}td,th{padding:.18rem .7rem .18rem 0;white-space:nowrap}
th{vertical-align:bottom;white-space:normal;min-width:3rem}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}tr.chosen td{font-weight:700}
tbody tr:hover{background:#f3f5f8}svg{max-width:100%;height:auto}
.pair{display:flex;flex-wrap:wrap;gap:1rem}.pair>*{flex:1 1 380px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#6b7480}dd{margin:0}
"""


class Page:
    """A page that grows section by section; `html()` gives the whole."""

    def __init__(self, title: str, lead: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>", f'<p class="lead">{escape(lead)}</p>']
        self._figures = 0

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def note(self, text: str) -> None:
        """A remark in small print."""
        self._parts.append(f'<p class="note">{escape(text)}</p>')

    def figures(self, *figures: Figure) -> None:
        """One picture, or several side by side."""
        drawn = "".join(f"<div>{self._svg(figure)}</div>" for figure in figures)
        self._parts.append(f'<div class="pair">{drawn}</div>' if len(figures) > 1 else drawn)

    def fields(self, fields: Mapping[str, Any]) -> None:
        """Names and values, one a line."""
        lines = "".join(
            f"<dt>{escape(name)}</dt><dd>{escape(format_value(value))}</dd>" for name, value in fields.items()
        )
        self._parts.append(f"<dl>{lines}</dl>")

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], chosen: str | None = None) -> None:
        """Rows under headings (`columns`: key -> heading); the row whose id is `chosen` stands out."""
        figures = {key: all(isinstance(row.get(key), int | float | None) for row in rows) for key in columns}

        def cell(tag: str, key: str, text: str) -> str:
            return f'<{tag} class="n">{escape(text)}</{tag}>' if figures[key] else f"<{tag}>{escape(text)}</{tag}>"

        head = "".join(cell("th", key, heading) for key, heading in columns.items())
        body = "".join(
            ('<tr class="chosen">' if chosen is not None and row.get("id") == chosen else "<tr>")
            + "".join(cell("td", key, format_value(row.get(key))) for key in columns)
            + "</tr>"
            for row in rows
        )
        self._parts.append(
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        )

    def _svg(self, figure: Figure) -> str:
        # Several figures on one page must not share the ids that matplotlib gives to clips and markers.
        self._figures += 1
        prefix = f"f{self._figures}-"
        text = re.sub(r'\bid="', f'id="{prefix}', to_svg(figure))
        text = re.sub(r'(xlink:href|href)="#', rf'\1="#{prefix}', text)
        return re.sub(r"url\(#", f"url(#{prefix}", text)

    def html(self) -> str:
        """The whole document."""
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(self._title)}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
            + "\n".join(self._parts)
            + "</body></html>\n"
        )
