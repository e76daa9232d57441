"""Stage 7: the chosen subnet as a bundle, and the proof of it on the emulated core."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.assembly.choice import bundle_path, chosen_arch
from nas.assembly.hardware import cost_model
from nas.deploy.destination import VERIFICATION
from nas.deploy.export import export_bundle
from nas.deploy.manifest import MANIFEST
from nas.deploy.verification.verify import verify_bundle
from nas.run.run_directory import RunDirectory

NAME = "verify"
NEEDS: tuple[str, ...] = ("profile", "finish")


def inputs(run: RunDirectory) -> object:
    """How many golden vectors, and for which device."""
    return [run.config.finish.golden_vectors, run.device().model_dump()]


def products(run: RunDirectory) -> tuple[Path, ...]:
    """The bundle and its verification."""
    return tuple(bundle_path(run) / name for name in (MANIFEST, VERIFICATION))


def execute(run: RunDirectory) -> dict[str, Any]:
    """Write subnets/ID/export and its verification."""
    path = bundle_path(run)
    export_bundle(run, chosen_arch(run), path, is_forced=True)
    found = verify_bundle(path, cost_model(run, run.device()))
    for name, key in (("cycles", "cycles"), ("flash", "flash_bytes"), ("ram", "ram_bytes")):
        found[f"{name}_error_pct"] = round(100 * (found["predicted"][key] / found["measured"][key] - 1), 3)
    return found
