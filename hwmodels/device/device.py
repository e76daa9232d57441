"""Devices: core, clock, memories and power of a target, read from YAML files in configs/devices.

The cost model turns cycles into latency, energy and power with one; adding a device is adding one file
(docs/explanation/hardware-model.md).
"""

from __future__ import annotations

import reprlib
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hwmodels.basics.documents import DocumentError, UndecodableError, read_yaml
from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import named_or_shipped, shipped_names
from hwmodels.device.target import Cache, Flash, Target

DEFAULT_DEVICE = "cortex-m7-64mhz"
Place = Literal["tightly_coupled", "flash"]


class DeviceError(InputError):
    """An unknown device or a device file that is not valid; names the file and the field."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Region(_Part):
    """A memory's first address and its bytes."""

    origin: int = Field(ge=0, lt=1 << 32)
    bytes: int = Field(ge=4096, le=1 << 28)


class Regions(_Part):
    """The memories that firmware is linked into: flash, and those for code and data without wait states."""

    flash: Region
    code: Region
    data: Region

    @model_validator(mode="after")
    def _are_apart(self) -> Regions:
        spans = sorted((one.origin, one.origin + one.bytes) for one in (self.flash, self.code, self.data))
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            raise ValueError("flash, code and data overlap")
        return self


class Placement(_Part):
    """Where code and constants (weights, tables) lie; activations and stack are always tightly coupled."""

    code: Place
    constants: Place
    source: str = Field(min_length=1)


class FlashPort(_Part):
    """How the core reads flash. Wait states and beats are counted in bus cycles, `core_cycles_per_bus_cycle`
    core cycles each; a line comes in beats of `bus_bytes`. A cache of one line is the flash's own buffer.
    """

    wait_states: int = Field(ge=0, le=63)
    core_cycles_per_bus_cycle: int = Field(ge=1, le=8)
    bus_bytes: Literal[4, 8, 16, 32]
    line_bytes: Literal[16, 32, 64]
    instruction_cache_bytes: int = Field(ge=16, le=1 << 20)
    instruction_cache_ways: int = Field(ge=1, le=64)
    constant_cache_bytes: int = Field(ge=16, le=1 << 20)
    constant_cache_ways: int = Field(ge=1, le=64)
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _are_whole(self) -> FlashPort:
        for name in ("instruction", "constant"):
            size, ways = getattr(self, f"{name}_cache_bytes"), getattr(self, f"{name}_cache_ways")
            if size % (ways * self.line_bytes):
                raise ValueError(f"{name}_cache_bytes {size} are not whole lines in each of {ways} ways")
        if self.bus_bytes > self.line_bytes:
            raise ValueError("bus_bytes exceed line_bytes")
        return self

    @property
    def fill_cycles(self) -> int:
        """Core cycles until a missed line has arrived."""
        return self.core_cycles_per_bus_cycle * (self.wait_states + self.line_bytes // self.bus_bytes)


class Device(_Part):
    """A target as its file states it.

    `clock_hz` of the core; `flash_bytes` and `ram_bytes` on the chip; `nj_per_cycle` of the active core
    with memories and regulator; `sleep_mw` between inferences. Each power figure names its source.
    `flash_port` is given exactly when something is placed in flash.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$", max_length=64)
    core: Literal["cortex-m7", "cortex-m4"]
    fpu: Literal["single", "double"]
    clock_hz: int = Field(ge=1_000_000, le=2_000_000_000)
    flash_bytes: int = Field(ge=4096, le=1 << 28)
    ram_bytes: int = Field(ge=4096, le=1 << 28)
    regions: Regions
    placement: Placement
    flash_port: FlashPort | None = None
    nj_per_cycle: float = Field(gt=0.001, lt=100)
    nj_per_cycle_source: str = Field(min_length=1)
    sleep_mw: float = Field(ge=0, lt=1000)
    sleep_mw_source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Device:
        if self.core == "cortex-m4" and self.fpu == "double":
            raise ValueError("fpu: the Cortex-M4 has a single-precision unit")
        if self.sleep_mw >= self.active_mw:
            raise ValueError(f"sleep_mw {self.sleep_mw} is not below the active {self.active_mw:.3g} mW")
        waits = "flash" in (self.placement.code, self.placement.constants)
        if waits and self.flash_port is None:
            raise ValueError("flash_port: is missing, yet placement puts code or constants into flash")
        if not waits and self.flash_port is not None:
            raise ValueError("flash_port: is given, yet placement puts nothing into flash")
        return self

    @property
    def active_mw(self) -> float:
        """Milliwatts while the core runs."""
        return self.nj_per_cycle * self.clock_hz * 1e-6

    @property
    def target(self) -> Target:
        """Core and memory as the cycle model takes them."""
        port = self.flash_port
        if port is None:
            return Target(self.core)
        instructions = Cache(port.instruction_cache_bytes, port.instruction_cache_ways, port.line_bytes)
        constants = Cache(port.constant_cache_bytes, port.constant_cache_ways, port.line_bytes)
        flash = Flash(
            port.fill_cycles,
            instructions if self.placement.code == "flash" else None,
            constants if self.placement.constants == "flash" else None,
        )
        return Target(self.core, flash)

    def misfits(self, code_bytes: int, constant_bytes: int, ram_bytes: int) -> list[str]:
        """Why a network does not lie where this device's costs suppose that it does; empty if it can."""
        regions, coupled = self.regions, "tightly_coupled"
        in_data = ram_bytes + (constant_bytes if self.placement.constants == coupled else 0)
        room = [
            ("flash", code_bytes + constant_bytes, regions.flash.bytes, "flash"),
            ("activations, stack and constants", in_data, regions.data.bytes, "tightly coupled data memory"),
        ]
        if self.placement.code == coupled:
            room.append(("code", code_bytes, regions.code.bytes, "tightly coupled code memory"))
        return [
            f"{what}: {wanted:,} bytes exceed the {there:,} of {where}"
            for what, wanted, there, where in room
            if wanted > there
        ]


def known_devices() -> list[str]:
    """Names of the devices that come with the program."""
    return shipped_names("devices")


def load_device(name_or_path: str | Path = DEFAULT_DEVICE) -> Device:
    """Read a device: a shipped name, or the path of a YAML file.

    Raises DeviceError listing the known names, or naming the file and its first wrong field.
    """
    path = named_or_shipped(name_or_path, "devices")
    try:
        content = read_yaml(path)
    except UndecodableError as error:
        raise DeviceError(f"device file {error}") from None
    except DocumentError as error:
        known = f"known are {', '.join(known_devices())}, or give the path of a YAML file"
        reason = f"device file {error}" if path.exists() else f"device {name_or_path}: no such device"
        raise DeviceError(f"{reason}; {known}") from None
    if not isinstance(content, dict):
        raise DeviceError(f"device file {path}: expected fields, found {type(content).__name__}")
    try:
        return Device.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f", {'.'.join(map(str, first['loc']))}" for _ in first["loc"][:1])
        plain = first["type"] in ("missing", "value_error")
        given = "" if plain else f", got {reprlib.repr(first['input'])}"
        raise DeviceError(f"device file {path}{field}: {first['msg']}{given}") from None
