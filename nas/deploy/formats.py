"""The files that a network can be written as besides C: their names, who writes them, what that needs."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from hwmodels.errors import InputError
from hwmodels.integer import IntegerModel


@dataclass(frozen=True)
class FileFormat:
    """A kind of file: its name in a bundle, its writer as module:function, and the packages it needs."""

    file: str
    writer: str
    packages: tuple[str, ...]
    options: tuple[tuple[str, Any], ...] = ()


FILES = {
    "tflite": FileFormat("network.tflite", "nas.deploy.tflite:tflite_file", ("flatbuffers", "tflite")),
    "onnx": FileFormat("network.onnx", "nas.deploy.onnx:onnx_file", ("onnx",)),
    "onnx-plain": FileFormat(
        "network_plain.onnx", "nas.deploy.onnx:onnx_file", ("onnx",), (("exact", False),)
    ),
}
FORMATS = {"c": (), "tflite": ("tflite",), "onnx": ("onnx", "onnx-plain")}
"""What `export --format` takes, and the files that it stands for."""


def require(name: str) -> None:
    """Raise InputError with the command that installs what a file's writer needs, where it is missing."""
    for package in FILES[name].packages:
        try:
            importlib.import_module(package)
        except ModuleNotFoundError:
            needed = " ".join(FILES[name].packages)
            raise InputError(f"{FILES[name].file}: needs {package}; pip install {needed}") from None


def written(name: str, model: IntegerModel) -> bytes:
    """The file `name` of FILES for a network. Raises InputError when its writer cannot be imported."""
    require(name)
    module, function = FILES[name].writer.split(":")
    content: bytes = getattr(importlib.import_module(module), function)(model, **dict(FILES[name].options))
    return content
