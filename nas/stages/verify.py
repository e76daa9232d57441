"""Stage 7: the chosen subnet as a bundle, and the proof of it on the emulated core."""

from __future__ import annotations

from typing import Any

from nas.deploy.export import export_bundle
from nas.deploy.verify import verify_bundle
from nas.hardware import cost_model
from nas.run_directory import RunDirectory
from nas.stages.choice import chosen_arch

NAME = "verify"
NEEDS: tuple[str, ...] = ("profile", "finish")


def inputs(run: RunDirectory) -> object:
    """How many golden vectors, and for which device."""
    return [run.config.finish.golden_vectors, run.config.device]


def execute(run: RunDirectory) -> dict[str, Any]:
    """Write subnets/ID/export and its verification."""
    arch = chosen_arch(run)
    path = run.subnet(arch.id) / "export"
    export_bundle(run, arch, path)
    found = verify_bundle(path, cost_model(run, run.config.device))
    for name, key in (("cycles", "cycles"), ("flash", "flash_bytes"), ("ram", "ram_bytes")):
        found[f"{name}_error_pct"] = round(100 * (found["predicted"][key] / found["measured"][key] - 1), 3)
    return found
