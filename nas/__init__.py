"""Floor 4: the application: data, configuration, pipeline stages, finishing, export and reports.

What other programs import stands here, and is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as type checkers know it; typing itself is slow to import, before an interrupt is cared for

if TYPE_CHECKING:
    from typing import Any

    from hwmodels.basics.errors import InputError
    from nas.deploy.bundle import BundleError
    from nas.predict.inference import Inference, infer_heart_rate
    from nas.run.run_directory import RunError

    __version__: str

__all__ = ["BundleError", "Inference", "InputError", "RunError", "__version__", "infer_heart_rate"]

_MODULES = {
    "BundleError": "nas.deploy.bundle",
    "Inference": "nas.predict.inference",
    "InputError": "hwmodels.basics.errors",
    "RunError": "nas.run.run_directory",
    "infer_heart_rate": "nas.predict.inference",
}


def __getattr__(name: str) -> Any:
    """Import what users call when they call it: commands start faster without torch."""
    if name == "__version__":
        return import_module("hwmodels.basics.tool").tool_version()
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'nas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
