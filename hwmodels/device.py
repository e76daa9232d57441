"""Devices: core, clock, memories and power of a target, read from YAML files in configs/devices.

The cost model turns cycles into latency, energy and power with one; adding a device is adding one file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hwmodels.errors import InputError

SHIPPED = Path(__file__).resolve().parent.parent / "configs" / "devices"
DEFAULT_DEVICE = "cortex-m7-64mhz"


class DeviceError(InputError):
    """An unknown device or a device file that is not valid; names the file and the field."""


class Device(BaseModel):
    """A target as its file states it.

    `clock_hz` of the core; `flash_bytes` and `ram_bytes` on the chip; `nj_per_cycle` of the active core
    with memories and regulator; `sleep_mw` between inferences. Each power figure names its source.
    `placement` says where code, weights and activations lie: only tightly coupled memory (no wait
    states) is modelled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    core: Literal["cortex-m7", "cortex-m4"]
    clock_hz: int = Field(ge=1_000_000, le=2_000_000_000)
    flash_bytes: int = Field(ge=4096, le=1 << 28)
    ram_bytes: int = Field(ge=4096, le=1 << 28)
    placement: Literal["tightly_coupled"]
    nj_per_cycle: float = Field(gt=0.001, lt=100)
    nj_per_cycle_source: str = Field(min_length=1)
    sleep_mw: float = Field(ge=0, lt=1000)
    sleep_mw_source: str = Field(min_length=1)


def known_devices() -> list[str]:
    """Names of the devices that come with the program."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_device(name_or_path: str | Path = DEFAULT_DEVICE) -> Device:
    """Read a device: a shipped name, or the path of a YAML file.

    Raises DeviceError listing the known names, or naming the file and its first wrong field.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = SHIPPED / f"{name_or_path}.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        raise DeviceError(
            f"device {name_or_path}: no such device; known are {', '.join(known_devices())}, "
            "or give the path of a YAML file"
        ) from None
    except yaml.YAMLError as error:
        raise DeviceError(f"device file {path}: not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise DeviceError(f"device file {path}: expected fields, found {type(content).__name__}")
    try:
        return Device.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        given = "" if first["type"] == "missing" else f", got {first['input']!r}"
        raise DeviceError(f"device file {path}, {field}: {first['msg']}{given}") from None
