"""Texts that are filled in: C, makefiles and linker scripts with `{@ value @}` and `{% if %}`, by jinja2."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2


def filled(text: str, **values: Any) -> str:
    """A template's text with its values; raises jinja2.UndefinedError for one that was not given."""
    return _environment().from_string(text).render(**values)


@cache
def _environment() -> jinja2.Environment:
    # C is full of double braces, so that values stand in braces with an at sign.
    return jinja2.Environment(
        variable_start_string="{@",
        variable_end_string="@}",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
