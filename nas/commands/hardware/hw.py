"""`ppg-nas hw validate | devices`: the model beside what others published, QEMU and llvm-mca; all devices."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

import numpy as np

from nas.terminal.arguments import CC_HELP, count
from nas.terminal.output import print_json, print_table

_WINDOWS = 3
_PLACES = {"tightly_coupled": "TCM", "flash": "flash"}


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    inner = actions.add_parser("validate", help="compare with what others measured or compute")
    inner.add_argument("--networks", type=count, default=3, help="random networks for QEMU (3)")
    inner.add_argument("--space", default="default", help="space that they are drawn from (default)")
    inner.add_argument("--cc", help=CC_HELP)
    inner.add_argument("--json", action="store_true", help="print JSON")
    inner.set_defaults(execute=execute)
    devices = actions.add_parser("devices", help="the devices that come with the program")
    devices.add_argument("--json", action="store_true", help="print JSON with all fields and sources")
    devices.set_defaults(execute=list_devices)


def execute(options: argparse.Namespace) -> int:
    """Print the comparisons; exit code 1 when the model or an emulator is off."""
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.emulation import qemu as second_emulator
    from hwmodels.validation import llvm_mca as second_model
    from hwmodels.validation.hot_loops import hot_loops
    from hwmodels.validation.published_boards import BOARDS, engine_comparisons

    sequences = sequence_rows()
    lacking = second_emulator.missing()
    networks = [] if lacking else network_rows(options.networks, options.space, options.cc)
    loops = [asdict(loop) for loop in hot_loops(find_toolchain(options.cc))]
    boards = [asdict(board) for board in BOARDS]
    engines = [asdict(row) for row in engine_comparisons(find_toolchain(options.cc))]
    skipped = [reason for reason in (second_model.missing(), lacking) if reason]
    wrong = [row["sequence"] for row in sequences if row["model"] != row["published"]]
    wrong += [f"network {row['network']}" for row in networks if not row["agree"]]
    if options.json:
        computed = {"sequences": sequences, "hot_loops": loops, "networks": networks}
        literature = {"boards": boards, "engines": engines}
        print_json({**computed, **literature, "skipped": skipped, "wrong": wrong})
        return 1 if wrong else 0
    print_table(sequences, tuple(sequences[0]), "cycles of published sequences")
    if loops:
        print_table(loops, tuple(loops[0]), "the dearest loop of each kernel, cycles of one turn")
    if networks:
        print_table(networks, tuple(networks[0]), f"whole networks, {_WINDOWS} windows: Unicorn and QEMU")
    print_table(boards, tuple(boards[0]), "literature: networks on real boards; distances are quoted")
    print_table(engines, tuple(engines[0]), "literature: cycles per MAC of other engines, ours in the model")
    for reason in skipped:
        print(f"skipped: {reason}")
    print(f"{len(sequences)} sequences, {len(networks)} networks, {len(wrong)} wrong")
    return 1 if wrong else 0


def list_devices(options: argparse.Namespace) -> int:
    """Print every shipped device; the JSON holds all of each file."""
    from hwmodels.device.device import known_devices, load_device

    devices = [load_device(name) for name in known_devices()]
    if options.json:
        print_json([device.model_dump() for device in devices])
        return 0
    rows = [
        {
            "device": device.name,
            "core": device.core,
            "MHz": device.clock_hz // 1_000_000,
            "flash KB": device.flash_bytes >> 10,
            "RAM KB": device.ram_bytes >> 10,
            "code in": _PLACES[device.placement.code],
            "constants in": _PLACES[device.placement.constants],
            "active mW": device.active_mw,
            "sleep mW": device.sleep_mw,
        }
        for device in devices
    ]
    print_table(rows, tuple(rows[0]))
    return 0


def sequence_rows() -> list[dict[str, Any]]:
    """Every published sequence with the scoreboard's cycles, and llvm-mca's for steady states."""
    from hwmodels.validation import llvm_mca as second_model
    from hwmodels.validation.published_sequences import published_sequences

    asks = second_model.missing() is None
    rows = []
    for sequence in published_sequences():
        other = None
        if asks and sequence.kind == "steady":
            other = second_model.steady_cycles(bytes.fromhex(sequence.code))
        rows.append(
            {
                "core": sequence.core,
                "sequence": sequence.name,
                "kind": sequence.kind,
                "published": sequence.published_cycles,
                "model": sequence.model_cycles(),
                "llvm_mca": other,
            }
        )
    return rows


def network_rows(networks: int, space_name: str, cc: str | None) -> list[dict[str, Any]]:
    """Random networks on both emulators: instructions of all windows, results beside the interpreter's."""
    from hwmodels.c.toolchain import find_toolchain
    from hwmodels.codegen.network_source import generate
    from hwmodels.emulation import qemu as second_emulator
    from hwmodels.emulation.emulator import Emulator
    from hwmodels.network.interpreter import run
    from hwmodels.validation.network_check import random_model, random_windows, run_network
    from supernet.space.search_space import load_space

    space, toolchain = load_space(space_name), find_toolchain(cc)
    rng = np.random.default_rng(0)
    rows = []
    for number, arch in enumerate(space.decode(space.sample(networks, rng)) if networks else []):
        model = random_model(space.lower(arch), rng)
        windows = random_windows(model.graph, _WINDOWS, rng)
        sources = generate(model)
        second = second_emulator.run_on_qemu(sources, windows, toolchain)
        first = Emulator(toolchain.link(sources))
        instructions = sum(run_network(model, first, window)[0].instructions for window in windows)
        expected = run(model, windows)[model.graph.output.name]
        wrong = int((second.results != expected).any(axis=1).sum())
        rows.append(
            {
                "network": number,
                "arch": str(arch),
                "unicorn_instructions": instructions,
                "qemu_instructions": second.instructions,
                "wrong_results": wrong,
                "agree": instructions == second.instructions and wrong == 0,
            }
        )
    return rows
