"""The bundle: a folder with everything firmware needs of one integer network, and what proves it right.

Written whole or not at all. `ppg-nas verify` (nas/deploy/verification/verify.py) reads it back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.codegen.network_source import default_plan
from hwmodels.firmware.front_end import Front, Sensors
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.firmware.sources import context_parts, generate_firmware
from hwmodels.firmware.tracker import Tracker, load_tracker, save_tracker
from hwmodels.network.interpreter import IntegerModel, load_model, run, save_model
from nas.deploy.example import example_files
from nas.deploy.formats.description import logits_of, readme_section
from nas.deploy.formats.registry import FILES, FORMATS, written
from nas.deploy.self_test import self_test
from nas.deploy.texts import cmake_lists, memory_map, readme
from nas.run.run_files import read_arrays, replace_folder, write_json

FORMAT = 2
MANIFEST = "manifest.json"
VERIFICATION = "verification.json"
README = "README.md"
"""Rewritten by verification, so that it prints what was measured; altering it harms nothing."""
BOARD = "board.json"
"""What the self-test printed on a board, put there by the user: estimate_cycles, push_cycles."""
TRACKER = "tracker.json"
CODE = "c"
SELF_TEST_VECTORS = 4


class BundleError(InputError):
    """A folder that is no whole, unaltered bundle; the message names the file."""


@dataclass(frozen=True)
class Bundle:
    """A bundle read back: its manifest, integer model, C sources, network files, and golden vectors.

    golden_inputs: int8 (n, T, C); golden_outputs: int32 (n, 3), what the head must give. front: the sensors
    that it was made for.
    """

    path: Path
    manifest: Mapping[str, Any]
    model: IntegerModel
    sources: Mapping[str, str]
    files: Mapping[str, bytes]
    golden_inputs: NDArray[np.int8]
    golden_outputs: NDArray[np.int32]
    front: Front
    tracker: Tracker | None
    learner: PersonalSettings | None = None


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
    sensors: Sensors | None = None,
    learner: PersonalSettings | None = None,
) -> dict[str, Any]:
    """Write the bundle of `model` to the folder `path` and return its manifest.

    `windows` int8 (n, T, C) become golden vectors beside three adversarial ones. `facts` (arch,
    device, predicted cost, accuracy) go into manifest and README. A `tracker` comes with it as sources that
    are linked only where they are used, and so does what personalizes the network, with a `learner`.
    `formats` are of nas.deploy.formats.registry.FORMATS. `sensors` are those whose samples the C front end takes.
    Raises BundleError when `path` holds something that is not a bundle; it is left as it was.
    """
    check_destination(path)
    inputs = golden_vectors(model, windows)
    tensors = run(model, inputs)
    outputs = tensors[model.graph.output.name].astype(np.int32)
    front = Front.of(sensors or Sensors(), model.input)
    sources = {}
    if CODE in formats:
        last = slice(-SELF_TEST_VECTORS, None)
        sources = generate_firmware(front, model, tracker, learner)
        sources |= self_test(front, model, tracker, inputs[last], outputs[last])
    files = {FILES[name].file: written(name, model) for chosen in formats for name in FORMATS[chosen]}
    manifest: dict[str, Any] = {"format": FORMAT, "formats": list(formats), **facts}
    manifest["sensors"] = asdict(front.sensors)
    manifest["personal"] = None if learner is None else asdict(learner)

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
            arena = default_plan(model)
            parts = context_parts(front, model, tracker)
            (folder / "memory_map.txt").write_text(memory_map(model, arena, parts), encoding="utf-8")
            (folder / "CMakeLists.txt").write_text(cmake_lists(), encoding="utf-8")
            for name, example in example_files().items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(example, encoding="utf-8")
            text = readme(front, model, facts, arena, tracker is not None, learner)
        text += readme_section(files) if files else ""
        manifest["sources"] = sorted(sources)
        held = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
        manifest["files"] = {name: _digest(folder / name) for name in held}
        (folder / README).write_text(text, encoding="utf-8")
        write_json(folder / MANIFEST, manifest)

    replace_folder(path, fill)
    return manifest


def check_destination(path: Path) -> None:
    """Raise BundleError unless `path` is free: absent, an empty folder, or a bundle and nothing else."""
    if path.exists() and not path.is_dir():
        raise BundleError(f"{path}: is a file; choose an empty or new folder for the export")
    held = {str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir()}
    known = {MANIFEST, VERIFICATION, README, BOARD, *_files_of(path)} if MANIFEST in held else set()
    if others := sorted(held - known):
        raise BundleError(f"{path}: the folder holds something else ({others[0]}); export to an empty or new one")


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
        if Path(name).is_absolute() or ".." in Path(name).parts or not file.is_file():
            raise BundleError(f"{file}: missing from the bundle; export the subnet again")
        if _digest(file) != expected:
            raise BundleError(f"{file}: altered since the export; export the subnet again")
    golden = read_arrays(path / "golden.npz", "export the subnet again")
    inputs, outputs = golden["inputs"], golden["outputs"]
    sources = {name: (path / name).read_text(encoding="utf-8") for name in manifest["sources"]}
    files = {kind: (path / held.file).read_bytes() for kind, held in FILES.items() if held.file in manifest["files"]}
    model = load_model(path / "model.npz")
    tracker = load_tracker(path / TRACKER) if TRACKER in manifest["files"] else None
    front, learner = _front_of(manifest, model), _learner_of(manifest)
    return Bundle(path, manifest, model, sources, files, inputs, outputs, front, tracker, learner)


def read_board(path: Path) -> dict[str, int]:
    """What a user's board said of the bundle in `path`; empty without. Raises BundleError when damaged."""
    file = path / BOARD
    if not file.exists():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {name: int(content[name]) for name in ("estimate_cycles", "push_cycles")}
    except (OSError, ValueError, KeyError, TypeError):
        raise BundleError(
            f'{file}: must read {{"estimate_cycles": N, "push_cycles": N}}, as the self-test printed them'
        ) from None


def _front_of(manifest: Mapping[str, Any], model: IntegerModel) -> Front:
    try:
        held: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in manifest["sensors"].items()
        }
        return Front.of(Sensors(**held), model.input)
    except (KeyError, TypeError, AttributeError):
        raise BundleError(f"{MANIFEST}: its sensors are damaged; export the subnet again") from None


def _learner_of(manifest: Mapping[str, Any]) -> PersonalSettings | None:
    held = manifest.get("personal")
    try:
        return None if held is None else PersonalSettings(**held)
    except TypeError:
        raise BundleError(f"{MANIFEST}: its learner is damaged; export the subnet again") from None


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
