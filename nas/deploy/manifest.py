"""The manifest of a bundle: what was exported, by which version, for which device, and the digests that prove it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from hwmodels.basics.documents import read_json, validated
from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import Sensors
from hwmodels.firmware.learner import PersonalSettings

FORMAT = 3
MANIFEST = "manifest.json"
EXPORT_AGAIN = "export the subnet again"
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


class BundleError(InputError):
    """A folder that is no whole, unaltered bundle; the message names the file."""


def _plain(name: str) -> str:
    if not _FILE.fullmatch(name) or ".." in name.split("/"):
        raise ValueError(f"{name[:60]!r} is not a plain file name inside the bundle")
    return name


FileName = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=4096)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Predicted(_Record):
    """Costs that the table predicts for the device, of the network alone."""

    latency_ms: FiniteFloat
    cycles: int
    flash_kb: FiniteFloat
    ram_kb: FiniteFloat
    energy_mj: FiniteFloat
    power_mw: FiniteFloat | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    macs: int | None = None
    cycles_per_mac: FiniteFloat | None = None


class Manifest(_Record):
    """One bundle as its manifest.json has it.

    `files` are those that verification relies on, with their SHA-256; `templates` are those that a user may edit, as
    they were exported. `sources` are the C files among `files`.
    """

    format: int
    tool: Text
    exported: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    licence: Text
    id: Text
    arch: Text
    device: Text
    mode: Text = "window"
    code: Text = "fast"
    memory: Text = "whole"
    predicted: Predicted
    formats: list[Text]
    sensors: Sensors
    personal: PersonalSettings | None = None
    sources: list[FileName]
    files: dict[FileName, Digest]
    templates: dict[FileName, Digest]


def read_manifest(path: Path) -> Manifest:
    """The manifest of the bundle in the folder `path`. Raises BundleError when there is none that can be read."""
    file = path / MANIFEST
    if file.is_symlink() or not file.is_file():
        raise BundleError(f"{path}: no readable {MANIFEST}; {EXPORT_AGAIN}")
    try:
        content = read_json(file)
    except InputError as error:
        raise BundleError(f"{error}; {EXPORT_AGAIN}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise BundleError(f"{file}: not a bundle of format {FORMAT}; {EXPORT_AGAIN}")
    try:
        manifest = validated(Manifest, content, str(file), BundleError, EXPORT_AGAIN)
    except InputError as error:  # sensors and learner refuse values of their own
        raise BundleError(str(error) if str(file) in str(error) else f"{file}: {error}; {EXPORT_AGAIN}") from None
    if missing := sorted({"golden.npz", "model.npz", "device.yaml", *manifest.sources} - set(manifest.files)):
        raise BundleError(f"{file}: {missing[0]} is not among its files; {EXPORT_AGAIN}")
    return manifest
