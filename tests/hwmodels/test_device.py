"""Devices: every shipped file is sound, and each kind of wrong file is one line that names the field."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from hwmodels.basics.shipped import shipped_folder
from hwmodels.cost.lut import LookUpTable, Provenance, Runner
from hwmodels.cost.network_cost import CostModel
from hwmodels.device.cortex_m7 import CORES
from hwmodels.device.device import DeviceError, known_devices, load_device
from hwmodels.device.energy import average_power_mw, energy_mj, latency_ms
from hwmodels.device.target import Target


@pytest.mark.parametrize("name", known_devices())
def test_every_shipped_device_conforms(name: str) -> None:
    """What a new file in configs/devices must fulfil beyond its schema."""
    device = load_device(name)
    assert device.name == name
    assert device.core in CORES
    assert device.sleep_mw < 0.1 * device.active_mw
    regions = device.regions
    assert regions.flash.bytes <= device.flash_bytes
    assert regions.code.bytes + regions.data.bytes <= device.ram_bytes
    coupled = (device.placement.code, device.placement.constants) == ("tightly_coupled",) * 2
    assert (device.target.flash is None) == coupled
    if coupled:
        # 80 KB of flash budget: code and weights are copied there, activations lie beside the weights
        assert regions.code.bytes >= 32 << 10 and regions.data.bytes >= 96 << 10
    for source in (device.nj_per_cycle_source, device.sleep_mw_source):
        assert any(word in source for word in ("MLPerf", "MicroNets", "not verified")), source
    # a table made for it is accepted, and its costs are those of its clock
    provenance = Provenance("k", "r", "c", (), "e", device.core, device.target.memory, "s", "2000-01-01")
    table = LookUpTable(provenance, Runner(0, 0, 0, 0, 0), {}, {})
    assert CostModel(table, device).latency_ms(float(device.clock_hz)) == pytest.approx(1000)


def test_the_default_budget_of_five_milliwatts_is_fifty_milliseconds_and_more() -> None:
    device = load_device()
    cycles = device.clock_hz // 20
    power = average_power_mw(
        energy_mj(cycles, device.nj_per_cycle), latency_ms(cycles, device.clock_hz), device.sleep_mw
    )
    assert 0 < power < 5


def test_an_own_file_is_read_by_path(tmp_path: Path) -> None:
    content = yaml.safe_load((shipped_folder("devices") / "stm32f746.yaml").read_text())
    own = tmp_path / "mine.yaml"
    own.write_text(yaml.safe_dump({**content, "name": "mine", "clock_hz": 100_000_000}))
    assert load_device(own).clock_hz == 100_000_000
    assert load_device(str(own)).name == "mine"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"clock_hz": -1}, "clock_hz"),
        ({"clock_hz": "64 MHz"}, "clock_hz"),
        ({"clock_hz": 64}, "clock_hz"),
        ({"nj_per_cycle": 0.0}, "nj_per_cycle"),
        ({"nj_per_cycle": float("nan")}, "nj_per_cycle"),
        ({"core": "cortex-a53"}, "core"),
        ({"ram_bytes": True}, "ram_bytes"),
        ({"colour": "blue"}, "colour"),
        ({"placement": "flash"}, "placement"),
        ({"placement.code": "rom"}, "placement.code"),
        ({"placement.source": ""}, "placement.source"),
        ({"flash_port": None}, "flash_port"),
        ({"flash_port.wait_states": -1}, "flash_port.wait_states"),
        ({"flash_port.bus_bytes": 64}, "flash_port.bus_bytes"),
        ({"flash_port.constant_cache_bytes": 4000}, "constant_cache_bytes 4000"),
        ({"placement.code": "tightly_coupled", "placement.constants": "tightly_coupled"}, "flash_port"),
        ({"regions.code.origin": 0x20000000}, "regions"),
        ({"regions.data.bytes": 10}, "regions.data.bytes"),
        ({"fpu": "none"}, "fpu"),
        ({"fpu": "double", "core": "cortex-m4"}, "fpu"),
        ({"sleep_mw": 500.0}, "sleep_mw"),
        ({"sleep_mw_source": None}, "sleep_mw_source"),
    ],
)
def test_a_wrong_value_is_one_line_naming_file_and_field(tmp_path: Path, change: dict, field: str) -> None:
    content = yaml.safe_load((shipped_folder("devices") / "stm32f746.yaml").read_text())
    own = tmp_path / "mine.yaml"
    for path, value in change.items():
        *parents, last = path.split(".")
        part = content
        for parent in parents:
            part = part[parent]
        part[last] = value
    own.write_text(yaml.safe_dump(content))
    with pytest.raises(DeviceError) as caught:
        load_device(own)
    assert field in str(caught.value) and "mine.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    content = yaml.safe_load((shipped_folder("devices") / "stm32f746.yaml").read_text())
    own = tmp_path / "mine.yaml"
    own.write_text(yaml.safe_dump({key: value for key, value in content.items() if key != "core"}))
    with pytest.raises(DeviceError, match="core"):
        load_device(own)


_REFERENCES = [f"{n}: &{n} [*{m}, *{m}, *{m}, *{m}]\n" for m, n in pairwise("abcdefghijklmnop")]
_BOMB = "a: &a [1, 2]\n" + "".join(_REFERENCES)
_FOREIGN = [
    "",
    "[1, 2]",
    "a: [",
    "just words",
    "[" * 5000,
    "name: 2020-99-99",
    "name: !!python/name:os.x",
    _BOMB,
]


@pytest.mark.parametrize("text", _FOREIGN)
def test_a_file_that_is_no_device_is_refused(tmp_path: Path, text: str) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(text)
    with pytest.raises(DeviceError, match="mine"):
        load_device(own)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DeviceError, match="cortex-m7-64mhz, stm32f746"):
        load_device("stm32f999")


def test_a_line_takes_the_wait_states_and_its_beats() -> None:
    flash = load_device("stm32f746").target.flash
    assert flash is not None and flash.fill_cycles == 7 + 32 // 8
    assert load_device("stm32h743").target == Target("cortex-m7")


def test_arrays_and_scalars_agree_to_the_last_bit() -> None:
    cycles = np.random.default_rng(1).integers(1, 10**9, 200)
    many = average_power_mw(energy_mj(cycles, 0.44), latency_ms(cycles, 64_000_000), 0.1)
    one = [average_power_mw(energy_mj(int(c), 0.44), latency_ms(int(c), 64_000_000), 0.1) for c in cycles]
    assert many.tolist() == one


def test_what_does_not_fit_where_costs_suppose_it_is_named() -> None:
    near, far = load_device("stm32h7a3"), load_device("stm32f746")
    assert near.misfits(16 << 10, 64 << 10, 17 << 10) == []
    assert far.misfits(16 << 10, 500 << 10, 17 << 10) == []
    (data,) = near.misfits(16 << 10, 265 << 10, 4 << 10)
    assert "tightly coupled data memory" in data
    (code,) = near.misfits(80 << 10, 1 << 10, 1 << 10)
    assert "tightly coupled code memory" in code
    assert "flash" in far.misfits(16 << 10, 2 << 20, 17 << 10)[0]
