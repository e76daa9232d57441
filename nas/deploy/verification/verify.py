"""The proof of a bundle: its C on the emulated core and its files in their runtimes, number by number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hwmodels.c.toolchain import Toolchain, find_toolchain
from hwmodels.codegen.network_source import entry_points
from hwmodels.cost.network_cost import CostModel, readable_cost
from hwmodels.cost.stripe_profiling import build_with_stripes
from hwmodels.emulation.emulator import Emulator
from hwmodels.schedule.stripes import scheduled
from hwmodels.validation.network_check import check_image, run_preparation
from nas.assembly.layer_costs import layer_rows
from nas.deploy.bundle import Bundle, bundle_sources, read_bundle
from nas.deploy.destination import VERIFICATION
from nas.deploy.formats.registry import written
from nas.deploy.golden import golden_tensors
from nas.deploy.manifest import BundleError
from nas.deploy.verification.comparison import firmware_sources, of_everyone, of_files
from nas.deploy.verification.firmware_check import check_firmware, tell_in_readme
from nas.deploy.verification.learner_check import check_learner
from nas.run.run_files import write_json


def verify_bundle(
    path: Path,
    cost_model: CostModel | None = None,
    toolchain: Toolchain | None = None,
    full: bool = False,
    run: Path | None = None,
    is_trusted: bool = False,
) -> dict[str, Any]:
    """Compile, execute and compare a bundle; the result is also written to verification.json.

    Nothing of a bundle is compiled or run that this version would not itself make of the model in it, unless
    `is_trusted`.

    Without `cost_model`, the operations of this one network are profiled first. With `full`, witnesses are
    heard that the bundle does not need; `run` is the run that it came from. Raises BundleError when a file is
    missing or altered, InputError when the runtime of one is not installed. Fields: golden_vectors,
    mismatches, witnesses (rows of verification.comparison); of a bundle with C also predicted, measured (each
    latency_ms, cycles, flash_kb, ram_kb, energy_mj, power_mw), preparation (what making the input takes
    besides: cycles, latency_ms, energy_mj, stack_bytes), firmware (nas.deploy.verification.firmware_check), learner
    (nas.deploy.verification.learner_check, of a bundle that has one), fallbacks, fallback_pct (of the layers), layers.
    """
    bundle = read_bundle(path)
    expected = golden_tensors(bundle.model, bundle.golden_inputs)[bundle.model.graph.output.name]
    if not np.array_equal(expected, bundle.golden_outputs):
        raise BundleError(f"{path / 'golden.npz'}: not what model.npz computes; export the subnet again")
    if not is_trusted:
        require_own_code(bundle)
    result: dict[str, Any] = {
        "id": bundle.manifest.id,
        "arch": bundle.manifest.arch,
        "device": (cost_model.device if cost_model else bundle.device).name,
        "golden_vectors": len(bundle.golden_inputs),
        "mismatches": 0,
    }
    if bundle.sources or full:
        toolchain = toolchain or find_toolchain()
    if bundle.sources:
        assert toolchain is not None
        model = replace(cost_model, form=bundle.model.form) if cost_model else _own_cost_model(bundle, toolchain)
        result |= _code_as_it_runs(bundle, model, toolchain)
        if bundle.learner is not None:
            result["learner"] = check_learner(bundle, bundle.learner, toolchain)
            result["mismatches"] += result["learner"]["mismatches"]
    if full:
        assert toolchain is not None
        said = of_everyone(bundle, toolchain, run)
    else:
        said = of_files(bundle)
    result["witnesses"] = [one.row() for one in said]
    result["mismatches"] += sum(one.found.mismatches for one in said if one.found and one.is_bad)
    write_json(path / VERIFICATION, result)
    if bundle.sources:
        tell_in_readme(path, result)
    return result


def require_own_code(bundle: Bundle) -> None:
    """Raise BundleError naming a source or network file that is not what this version makes of the bundle's model."""
    made: dict[str, str | bytes] = {}
    if bundle.sources:
        made |= bundle_sources(bundle.front, bundle.model, bundle.tracker, bundle.learner, bundle.golden_inputs)
    made |= {kind: written(kind, bundle.model) for kind in bundle.files}
    held: dict[str, str | bytes] = {**bundle.sources, **bundle.files}
    for name in sorted({*made, *held}):
        if made.get(name) != held.get(name):
            raise BundleError(
                f"{bundle.path / name}: not what this version generates from model.npz (the bundle says it is of "
                f"{bundle.manifest.tool}); export the subnet again, or verify it with --trust if you know who made it"
            )


def _code_as_it_runs(bundle: Bundle, model: CostModel, toolchain: Toolchain) -> dict[str, Any]:
    """The fields of a bundle with C: its own sources, linked as a product links them."""
    image = toolchain.for_core(model.device.core).link(firmware_sources(bundle), entry_points(bundle.model))
    found = check_image(bundle.model, model, image, bundle.golden_inputs)
    measured = model.total(
        found.measured_cycles, found.measured_flash_bytes, found.measured_ram_bytes, bundle.model.graph.macs
    )
    target = model.device.target
    made = run_preparation(bundle.model, Emulator(image, flash=target.flash), target)
    firmware = check_firmware(bundle, model, toolchain)
    return {
        "compiler": toolchain.version,
        "predicted": readable_cost(found.predicted),
        "measured": readable_cost(measured),
        "preparation": {
            "cycles": made.cycles,
            "latency_ms": model.latency_ms(float(made.cycles)),
            "energy_mj": model.energy_mj(float(made.cycles)),
            "stack_bytes": made.stack_bytes,
        },
        "firmware": firmware,
        "mismatches": found.output_mismatches + made.mismatches + firmware["mismatches"],
        "fallbacks": list(found.fallback_ops),
        "fallback_pct": 100 * len(found.fallback_ops) / found.layers,
        "layers": layer_rows(bundle.model.graph, model),
    }


def _own_cost_model(bundle: Bundle, toolchain: Toolchain) -> CostModel:
    """A table of this network's operations alone, for the device of the manifest."""
    table = build_with_stripes(scheduled(bundle.model.graph, bundle.model.form), toolchain, "", bundle.device.target)
    return CostModel(table, bundle.device, bundle.model.form)
