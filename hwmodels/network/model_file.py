"""An IntegerModel as one file: arrays in npz, everything else as JSON inside it; nothing is unpickled."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from hwmodels.basics.arrays import read_npz
from hwmodels.basics.atomic_files import replace_file
from hwmodels.basics.documents import DocumentError, UndecodableError, parse_json
from hwmodels.basics.errors import InputError
from hwmodels.network.build_form import BuildForm
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.integer_model import (
    ClassSettings,
    HeartRateSettings,
    InputSettings,
    IntegerModel,
    IntegerParameters,
    Quantization,
)

_FORMAT = "ppg-nas integer model 1"
_MOST_BYTES = 256 << 20
_FIELDS = ("weight", "bias", "multiplier", "shift")


class ModelFileError(InputError):
    """A file that holds no integer model, or only part of one."""


def save_model(model: IntegerModel, path: str | Path) -> None:
    """Write the model to `path` (written beside it first, then renamed); equal models give equal bytes."""
    path = Path(path)
    description = {
        "format": _FORMAT,
        "graph": [{"op": _fields(op, model.form), "sources": list(sources)} for op, sources in model.graph.nodes()],
        "quantization": {name: asdict(grid) for name, grid in sorted(model.quantization.items())},
        "head": {"type": type(model.head).__name__, **asdict(model.head)},
        "input": {name: value for name, value in asdict(model.input).items() if name != "context_step_s" or value},
        "parameters": sorted(model.parameters),
    }
    text = json.dumps(description, sort_keys=True).encode()
    arrays = {"description": np.frombuffer(text, np.uint8)}
    for index, name in enumerate(sorted(model.parameters)):
        for field in _FIELDS:
            arrays[f"{field}_{index}"] = getattr(model.parameters[name], field)
    replace_file(path, lambda temporary: np.savez(temporary, allow_pickle=False, **arrays))


def _fields(op: Op, form: BuildForm) -> dict[str, Any]:
    """An op's fields and the form that it is built in; what was added later only where it says something."""
    fields = {name: value for name, value in asdict(op).items() if name != "remembers" or value}
    memory = {} if form.memory == "whole" else {"memory": form.memory}
    return fields | {"code": form.code} | memory


def load_model(path: str | Path) -> IntegerModel:
    """Read a model that `save_model` wrote. Raises ModelFileError when it is missing, cut or foreign."""
    try:
        arrays = read_npz(path, _MOST_BYTES)
        description = parse_json(arrays["description"].tobytes().decode("utf-8"), "description")
        if description["format"] != _FORMAT:
            raise ModelFileError(f"{path}: format {description['format']!r}, expected {_FORMAT!r}; export it again")
        return _rebuild(description, arrays)
    except UndecodableError as error:
        raise ModelFileError(f"{path}: damaged or not an integer model ({error}); export it again") from None
    except DocumentError as error:
        raise ModelFileError(f"{error}; give the .npz file of an exported subnet") from None
    except (InputError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelFileError(f"{path}: damaged or not an integer model ({reason}); export it again") from None


def _rebuild(description: dict[str, Any], arrays: dict[str, np.ndarray]) -> IntegerModel:
    ops = [dict(node["op"]) for node in description["graph"]]
    forms = {BuildForm(op.pop("code"), op.pop("memory", "whole")) for op in ops}
    if len(forms) != 1:
        raise InputError("its operations are built in several forms")
    nodes = zip(ops, description["graph"], strict=True)
    graph = LayerGraph((Op(**op), node["sources"]) for op, node in nodes)
    parameters = {
        name: IntegerParameters(**{field: arrays[f"{field}_{index}"] for field in _FIELDS})
        for index, name in enumerate(description["parameters"])
    }
    head = dict(description["head"])
    kind = head.pop("type")
    settings = dict(description["input"])
    settings["band_hz"] = tuple(settings["band_hz"])
    return IntegerModel(
        graph,
        {name: Quantization(**grid) for name, grid in description["quantization"].items()},
        parameters,
        HeartRateSettings(**head)
        if kind == "HeartRateSettings"
        else ClassSettings(tuple(head["names"]), head["min_probability"]),
        InputSettings(**settings),
        *forms,
    )
