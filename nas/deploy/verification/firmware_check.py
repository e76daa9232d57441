"""The proof of a bundle's firmware: samples through ppgnet.h on the emulated core, the example's ELF.

`ppg-nas verify` reports it beside the network, so that budgets can be judged with what stands around it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwmodels.c.toolchain import Toolchain, ToolchainError
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.device import Device
from hwmodels.device.energy import DEFAULT_PERIOD_S
from hwmodels.emulation.emulator import Emulator
from hwmodels.firmware.emulated_firmware import run_firmware
from hwmodels.firmware.front_end import readings
from hwmodels.firmware.sources import entry_points
from nas.deploy.bundle import Bundle, read_board
from nas.deploy.destination import README
from nas.deploy.example import ROOMY_SCRIPT, STACK_BYTES, Example, build_example, example_files
from nas.deploy.self_test import made_up_samples
from nas.run.run_files import write_text

_MEASURED = "\n## Measured\n"


def check_firmware(bundle: Bundle, cost_model: CostModel, toolchain: Toolchain) -> dict[str, Any]:
    """Run made-up samples through a bundle's front end, network and tracker, and link its example.

    cycles and times: `estimate` is one call of ppgnet_estimate (normalization, canceller, network, verdict),
    `first` the first one, in which a streaming network runs a whole window, `push` takes in the samples
    between two readings, `track` is the tracker. reading_ms is the longest that a reading takes, the first
    included; energy, power and duty_pct are of later ones, all of them in two seconds. flash_bytes and
    ram_bytes are the example's ELF, its stack included; context_bytes lie in that RAM. stack_bytes: of the
    deepest call; stack_fits: whether the examples keep that much. misfit: why the firmware does not lie where the
    device's costs suppose, None when it does. mismatches: readings that differ from the
    interpreter's.
    """
    front, tracker = bundle.front, bundle.tracker
    sources = {name: text for name, text in bundle.sources.items() if name != "ppgnet_selftest.c"}
    device = cost_model.device
    image = toolchain.for_core(device.core).link(sources, entry_points(tracker))
    ppg, acc = made_up_samples(front)
    found = run_firmware(
        front, Emulator(image, flash=device.target.flash), device.target, ppg, acc, tracks=tracker is not None
    )
    expected = readings(front, bundle.model, ppg, acc if front.reads_motion else None, tracker)
    shared = min(len(found.readings), len(expected))
    wrong = (found.readings[:shared] != expected[:shared]).any(axis=1)
    example, misfit = _linked_example(bundle, device, toolchain.for_core(device.core))
    cycles = {"estimate": found.estimate_cycles, "push": found.push_cycles, "track": found.track_cycles}
    total = sum(cycles.values())
    cycles["first"] = found.first_cycles
    longest = max(found.first_cycles, found.estimate_cycles) + found.track_cycles
    return {
        "cycles": cycles,
        "ms": {name: cost_model.latency_ms(float(value)) for name, value in cycles.items()},
        "reading_ms": cost_model.latency_ms(float(longest)),
        "energy_mj": cost_model.energy_mj(float(total)),
        "power_mw": cost_model.power_mw(float(total)),
        "duty_pct": 100 * total / (device.clock_hz * DEFAULT_PERIOD_S),
        "misfit": misfit,
        "flash_bytes": example.flash_bytes,
        "ram_bytes": example.ram_bytes,
        "context_bytes": found.context_bytes,
        "stack_bytes": found.stack_bytes,
        "stack_fits": found.stack_bytes <= STACK_BYTES,
        "readings": len(expected),
        "mismatches": int(wrong.sum()) + abs(len(found.readings) - len(expected)),
    }


def _linked_example(bundle: Bundle, device: Device, toolchain: Toolchain) -> tuple[Example, str | None]:
    """The bundle's example for a device; where that has too little memory, linked with more, and the complaint."""
    files = example_files(device)
    try:
        return build_example(bundle.sources, files, toolchain), None
    except ToolchainError as error:
        if "overflow" not in str(error):
            raise
        return build_example(bundle.sources, files, toolchain, script=ROOMY_SCRIPT), str(error)


def cost_rows(found: Mapping[str, Any], board: Mapping[str, int]) -> list[dict[str, str]]:
    """The table of a verified bundle: network as predicted and as measured, the whole firmware, the board."""
    predicted, measured, firmware = found["predicted"], found["measured"], found["firmware"]

    def ms(cycles: int, value: float) -> str:
        return f"{value:.2f} ms ({cycles:,} cycles)"

    def on_board(name: str) -> str:
        return f"{board[name]:,} cycles" if name in board else "-"

    cycles, times = firmware["cycles"], firmware["ms"]
    network = measured["cycles"]
    around = cycles["estimate"] - network
    per_cycle = measured["latency_ms"] / max(1, network)
    measured_ms = ms(network, measured["latency_ms"])
    whole = ms(cycles["estimate"], times["estimate"])
    rows = [
        ("network alone", ms(predicted["cycles"], predicted["latency_ms"]), measured_ms, "-"),
        ("its input and the verdict", "-", ms(around, around * per_cycle), "-"),
        ("one reading, all in all", "-", whole, "-"),
        ("the first reading", "-", ms(cycles["first"], times["first"]), on_board("estimate_cycles")),
        ("samples between readings", "-", ms(cycles["push"], times["push"]), on_board("push_cycles")),
        ("tracker", "-", ms(cycles["track"], times["track"]) if cycles["track"] else "none", "-"),
        ("energy a reading", f"{predicted['energy_mj']:.3f} mJ", f"{firmware['energy_mj']:.3f} mJ", "-"),
        ("average power", f"{predicted['power_mw']:.3f} mW", f"{firmware['power_mw']:.3f} mW", "-"),
        ("flash, network alone", _kb(predicted["flash_bytes"]), _kb(measured["flash_bytes"]), "-"),
        ("flash, whole example firmware", "-", _kb(firmware["flash_bytes"]), "-"),
        ("RAM, network alone", _kb(predicted["ram_bytes"]), _kb(measured["ram_bytes"]), "-"),
        ("RAM, whole example firmware", "-", _kb(firmware["ram_bytes"]), "-"),
        (f"of it stack, {_kb(STACK_BYTES)} kept", "-", _kb(firmware["stack_bytes"]), "-"),
    ]
    if learner := found.get("learner"):
        rows.append(("RAM of learning the wearer, besides", "-", _kb(learner["ram_bytes"]), "-"))
    names = ("cost", "predicted", "emulated core", "board")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _kb(size: int) -> str:
    return f"{size / 1024:.1f} KB"


def tell_in_readme(path: Path, found: Mapping[str, Any]) -> None:
    """Put the table of a verified bundle at the end of its README, in place of an older one."""
    rows = cost_rows(found, read_board(path))
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(row.values()) + " |" for row in rows]
    text = (path / README).read_text(encoding="utf-8") if (path / README).exists() else ""
    before = text.split(_MEASURED)[0].rstrip("\n")
    write_text(path / README, f"{before}\n{_MEASURED}" + "\n".join(lines) + "\n")
