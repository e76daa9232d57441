"""The bundle: a folder with everything firmware needs of one integer network, and what proves it right.

Written whole or not at all. `ppg-nas verify` (nas/deploy/verify.py) reads it back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.codegen import generate
from hwmodels.errors import InputError
from hwmodels.integer import IntegerModel, load_model, run, save_model
from hwmodels.memory import MemoryPlan, plan
from hwmodels.tracker import Tracker, generate_tracker, save_tracker
from hwmodels.variants import scratch_bytes
from nas.deploy.description import logits_of, readme_section
from nas.deploy.formats import FILES, FORMATS, written
from nas.deploy.texts import cmake_lists, memory_map, readme, self_test
from nas.files import read_arrays, replace_folder, write_json

FORMAT = 1
MANIFEST = "manifest.json"
VERIFICATION = "verification.json"
TRACKER = "tracker.json"
CODE = "c"
SELF_TEST_VECTORS = 4


class BundleError(InputError):
    """A folder that is no whole, unaltered bundle; the message names the file."""


@dataclass(frozen=True)
class Bundle:
    """A bundle read back: its manifest, integer model, C sources, network files, and golden vectors.

    golden_inputs: int8 (n, T, C); golden_outputs: int32 (n, 3), what the head must give.
    """

    path: Path
    manifest: Mapping[str, Any]
    model: IntegerModel
    sources: Mapping[str, str]
    files: Mapping[str, bytes]
    golden_inputs: NDArray[np.int8]
    golden_outputs: NDArray[np.int32]


def memory_plan(model: IntegerModel) -> MemoryPlan:
    """The arena of a model as generated code lays it out."""
    return plan(model.graph, {op.name: scratch_bytes(op) for op in model.graph})


def golden_vectors(model: IntegerModel, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """`windows` int8 (n, T, C) and three adversarial ones: all lowest, all highest, alternating."""
    low, high = np.full_like(windows[:1], -128), np.full_like(windows[:1], 127)
    alternating = np.where(np.arange(low[0].size).reshape(low.shape) % 2, low, high)
    return np.concatenate([windows, low, high, alternating])


def write_bundle(
    path: Path,
    model: IntegerModel,
    windows: NDArray[np.int8],
    facts: Mapping[str, Any],
    tracker: Tracker | None = None,
    formats: Sequence[str] = ("c",),
) -> dict[str, Any]:
    """Write the bundle of `model` to the folder `path` and return its manifest.

    `windows` int8 (n, T, C) become golden vectors beside three adversarial ones. `facts` (arch,
    device, predicted cost, accuracy) go into manifest and README. A `tracker` comes with it as sources that
    are linked only where they are used. `formats` are of nas.deploy.formats.FORMATS. Raises BundleError when
    `path` holds something that is not a bundle; it is left as it was.
    """
    check_destination(path)
    inputs = golden_vectors(model, windows)
    tensors = run(model, inputs)
    outputs = tensors[model.graph.output.name].astype(np.int32)
    sources = {}
    if CODE in formats:
        last = slice(-SELF_TEST_VECTORS, None)
        sources = {**generate(model), "ppgnet_selftest.c": self_test(model, inputs[last], outputs[last])}
        if tracker is not None:
            sources |= generate_tracker(tracker, model)
    files = {FILES[name].file: written(name, model) for chosen in formats for name in FORMATS[chosen]}
    manifest: dict[str, Any] = {"format": FORMAT, "formats": list(formats), **facts}

    def fill(folder: Path) -> None:
        for name, text in sources.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        save_model(model, folder / "model.npz")
        if tracker is not None:
            save_tracker(tracker, folder / TRACKER)
        logits = tensors[logits_of(model).name]
        np.savez(folder / "golden.npz", inputs=inputs, outputs=outputs, logits=logits)
        text = f"# {facts['id']}\n"
        if CODE in formats:
            arena = memory_plan(model)
            (folder / "memory_map.txt").write_text(memory_map(model, arena), encoding="utf-8")
            (folder / "CMakeLists.txt").write_text(cmake_lists(), encoding="utf-8")
            text = readme(model, facts, arena, tracker is not None)
        text += readme_section(files) if files else ""
        (folder / "README.md").write_text(text, encoding="utf-8")
        manifest["sources"] = sorted(sources)
        held = sorted(file.name for file in folder.iterdir())
        manifest["files"] = {name: _digest(folder / name) for name in held}
        write_json(folder / MANIFEST, manifest)

    replace_folder(path, fill)
    return manifest


def check_destination(path: Path) -> None:
    """Raise BundleError unless `path` is free: absent, an empty folder, or a bundle and nothing else."""
    if path.exists() and not path.is_dir():
        raise BundleError(f"{path}: is a file; choose an empty or new folder for the export")
    held = {file.name for file in path.iterdir()} if path.exists() else set()
    known = {MANIFEST, VERIFICATION, *_files_of(path)} if MANIFEST in held else set()
    if others := sorted(held - known):
        raise BundleError(
            f"{path}: the folder holds something else ({others[0]}); export to an empty or new one"
        )


def _files_of(path: Path) -> set[str]:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        return set(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def read_bundle(path: Path) -> Bundle:
    """Read a bundle. Raises BundleError when it is none, or a file is missing or altered."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise BundleError(f"{path}: no readable {MANIFEST}; export the subnet again") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path / MANIFEST}: not a bundle of format {FORMAT}; export the subnet again")
    if not _is_complete(manifest):
        raise BundleError(f"{path / MANIFEST}: entries are missing or altered; export the subnet again")
    for name, expected in manifest["files"].items():
        file = path / name
        if Path(name).name != name or not file.is_file():
            raise BundleError(f"{file}: missing from the bundle; export the subnet again")
        if _digest(file) != expected:
            raise BundleError(f"{file}: altered since the export; export the subnet again")
    golden = read_arrays(path / "golden.npz", "export the subnet again")
    inputs, outputs = golden["inputs"], golden["outputs"]
    sources = {name: (path / name).read_text(encoding="utf-8") for name in manifest["sources"]}
    files = {
        kind: (path / held.file).read_bytes()
        for kind, held in FILES.items()
        if held.file in manifest["files"]
    }
    return Bundle(path, manifest, load_model(path / "model.npz"), sources, files, inputs, outputs)


def _is_complete(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest has every entry that reading and verifying need, each of its kind."""
    files, sources = manifest.get("files"), manifest.get("sources")
    return (
        all(isinstance(manifest.get(name), str) for name in ("id", "arch", "device"))
        and isinstance(files, dict)
        and isinstance(sources, list)
        and {"golden.npz", "model.npz", *sources} <= set(files)
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
