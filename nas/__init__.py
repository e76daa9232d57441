"""Floor 4: the application: data, configuration, pipeline stages, finishing, export and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.predict.inference import infer_heart_rate

__all__ = ["infer_heart_rate"]


def __getattr__(name: str) -> Any:
    """Import what users call when they call it: commands start faster without torch."""
    if name == "infer_heart_rate":
        from nas.predict.inference import infer_heart_rate

        return infer_heart_rate
    raise AttributeError(f"module 'nas' has no attribute {name!r}")
