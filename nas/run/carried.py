"""The space and the devices that a run was made with, kept inside of it, so that it depends on no file elsewhere."""

from __future__ import annotations

from pathlib import Path

from hwmodels.basics.documents import read_text
from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import shipped_names
from hwmodels.device.device import Device, load_device
from nas.run.config import Config
from nas.run.run_files import write_text

SPACE = "space.yaml"
DEVICES = "devices"
_YAML = (".yaml", ".yml")


def relative(config: Config) -> Config:
    """A run's configuration as its file has it: what the run carries is named from its folder."""
    changes = {}
    if Path(config.space).suffix in _YAML:
        changes["space"] = SPACE
    if Path(config.device).suffix in _YAML:
        changes["device"] = f"{DEVICES}/{Path(config.device).name}"
    return config.model_copy(update=changes)


def resolved(path: Path, config: Config) -> Config:
    """The configuration of the run in `path`, with full paths of what it carries."""
    changes = {name: str(path / getattr(config, name)) for name in ("space", "device") if _is_carried(config, name)}
    return config.model_copy(update=changes)


def _is_carried(config: Config, name: str) -> bool:
    value = Path(getattr(config, name))
    return not value.is_absolute() and (str(value) == SPACE or value.parts[:-1] == (DEVICES,))


def placed(path: Path, config: Config) -> tuple[Config, dict[Path, str]]:
    """A given configuration as the run in `path` holds it, and the texts of the files that the run is to carry.

    Raises InputError for a file that cannot be read, DeviceError for a device that is not valid.
    """
    changes, files = {}, {}
    if Path(config.space).suffix in _YAML:
        files[path / SPACE] = read_text(config.space)
        changes["space"] = str(path / SPACE)
    if Path(config.device).suffix in _YAML:
        place = device_file(path, load_device(config.device))
        files[place] = read_text(config.device)
        changes["device"] = str(place)
    return config.model_copy(update=changes), files


def device_file(path: Path, device: Device) -> Path:
    """Where the run in `path` carries a device."""
    return path / DEVICES / f"{device.name}.yaml"


def find_device(path: Path, name_or_path: str) -> Device:
    """A device by the name of one that the run in `path` carries, else by a shipped name or a file's path.

    Raises DeviceError when there is none, InputError when a file takes the name of another device of the run or of a
    shipped one.
    """
    carried = path / DEVICES / f"{name_or_path}.yaml"
    if Path(name_or_path).name == name_or_path and carried.is_file():
        return load_device(carried)
    device = load_device(name_or_path)
    known = device_file(path, device)
    others: list[str | Path] = [known] if known.is_file() else []
    others += [device.name] if device.name in shipped_names("devices") else []
    if any(load_device(other) != device for other in others):
        raise InputError(f"device file {name_or_path}: another device is already named {device.name}; change its name")
    return device


def carry_device(path: Path, name_or_path: str) -> Device:
    """`find_device`, and the run keeps a copy of a device that comes from a file."""
    device = find_device(path, name_or_path)
    if Path(name_or_path).suffix in _YAML and not device_file(path, device).exists():
        write_text(device_file(path, device), read_text(name_or_path))
    return device
