"""The files that a network can be written as besides C: their names, who writes them, what that needs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwmodels.basics.errors import InputError

if TYPE_CHECKING:
    from hwmodels.network.interpreter import IntegerModel

CODE = "c"
"""The format that is a bundle's own sources."""


@dataclass(frozen=True)
class FileFormat:
    """A kind of file: its name in a bundle, its writer as module:function, and the packages it needs."""

    file: str
    writer: str
    packages: tuple[str, ...]
    options: tuple[tuple[str, Any], ...] = ()


FILES = {
    "tflite": FileFormat("network.tflite", "nas.deploy.formats.tflite:tflite_file", ("flatbuffers", "tflite")),
    "onnx": FileFormat("network.onnx", "nas.deploy.formats.onnx:onnx_file", ("onnx",)),
    "onnx-plain": FileFormat("network_plain.onnx", "nas.deploy.formats.onnx:onnx_file", ("onnx",), (("exact", False),)),
}
FORMATS: dict[str, tuple[str, ...]] = {"c": (), "tflite": ("tflite",), "onnx": ("onnx", "onnx-plain")}
"""What `export --format` takes, and the files of FILES that it stands for; c is the bundle's sources."""


class MissingPackageError(InputError):
    """A package that a format or a witness needs; the message says how to install it."""


def check_formats(formats: Sequence[str], streaming: bool = False) -> None:
    """Raise InputError when one of `formats` cannot be written here, or not for a streaming step."""
    for chosen in formats:
        if streaming and FORMATS[chosen]:
            raise InputError(f"--format {chosen}: its files keep no histories between calls; export c")
        for name in FORMATS[chosen]:
            require(name)


def require(name: str) -> None:
    """Raise MissingPackageError when what a file's writer needs is not installed."""
    for package in FILES[name].packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            needed = " ".join(FILES[name].packages)
            raise MissingPackageError(
                f"{FILES[name].file}: needs the package {package}; pip install {needed}"
            ) from None


def written(name: str, model: IntegerModel) -> bytes:
    """The file `name` of FILES for a network. Raises InputError when it cannot be written."""
    require(name)
    module, function = FILES[name].writer.split(":")
    content: bytes = getattr(importlib.import_module(module), function)(model, **dict(FILES[name].options))
    return content
