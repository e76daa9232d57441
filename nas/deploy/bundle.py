"""The bundle: a folder with everything firmware needs of one integer network, and what proves it right.

Written whole or not at all. `ppg-nas verify` (nas/deploy/verification/verify.py) reads it back.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from hwmodels.basics.documents import read_json
from hwmodels.basics.errors import InputError
from hwmodels.basics.tool import LICENCE, LICENCE_FILE, SPDX_LINE, today, tool_version
from hwmodels.codegen.network_source import default_plan
from hwmodels.device.device import Device, load_device
from hwmodels.firmware.front_end import Front, Sensors
from hwmodels.firmware.learner import PersonalSettings
from hwmodels.firmware.sources import context_parts, generate_firmware
from hwmodels.firmware.tracker import Tracker, load_tracker, save_tracker
from hwmodels.network.interpreter import IntegerModel, load_model, save_model
from nas.deploy.destination import BOARD, README, check_destination, check_replacement, digest, identity_of, users_files
from nas.deploy.example import example_files
from nas.deploy.formats.description import logits_of, readme_section
from nas.deploy.formats.registry import CODE, FILES, FORMATS, written
from nas.deploy.golden import golden_tensors, golden_vectors
from nas.deploy.manifest import EXPORT_AGAIN, FORMAT, MANIFEST, BundleError, Manifest, read_manifest
from nas.deploy.self_test import self_test
from nas.deploy.texts import cmake_lists, memory_map, readme
from nas.run.run_files import MARKER, read_arrays, replace_folder, write_json

TRACKER = "tracker.json"
DEVICE = "device.yaml"
SELF_TEST_VECTORS = 4
_MOST_GOLDEN_BYTES = 256 << 20


@dataclass(frozen=True)
class Contents:
    """What a bundle is made of.

    `windows` int8 (n, T, C) become golden vectors beside three adversarial ones. `facts` (id, arch, mode, code,
    predicted cost) go into manifest and README. A `tracker` comes with it as sources that are linked only where they
    are used, and so does what personalizes the network, with a `learner`. `formats` are of
    nas.deploy.formats.registry.FORMATS. `sensors` are those whose samples the C front end takes.
    """

    model: IntegerModel
    windows: NDArray[np.int8]
    facts: Mapping[str, Any]
    device: Device
    tracker: Tracker | None = None
    formats: tuple[str, ...] = (CODE,)
    sensors: Sensors = field(default_factory=Sensors)
    learner: PersonalSettings | None = None

    @cached_property
    def front(self) -> Front:
        """The front end that takes the sensors' samples."""
        return Front.of(self.sensors, self.model.input)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this bundle from another one, as `check_replacement` compares it."""
        mode = self.facts.get("mode", "window")
        return identity_of(self.facts["id"], mode, self.device.name, self.sensors, self.learner)


@dataclass(frozen=True)
class Bundle:
    """A bundle read back: its manifest, integer model, C sources, network files, and golden vectors.

    golden_inputs: int8 (n, T, C); golden_outputs: int32 (n, 3), what the head must give. front: the sensors
    that it was made for.
    """

    path: Path
    manifest: Manifest
    device: Device
    model: IntegerModel
    sources: Mapping[str, str]
    files: Mapping[str, bytes]
    golden_inputs: NDArray[np.int8]
    golden_outputs: NDArray[np.int32]
    front: Front
    tracker: Tracker | None
    learner: PersonalSettings | None = None


def bundle_sources(
    front: Front,
    model: IntegerModel,
    tracker: Tracker | None,
    learner: PersonalSettings | None,
    golden: NDArray[np.int8],
) -> dict[str, str]:
    """Every C file of a bundle, licensed; `golden` are all golden inputs, of which the last are tested."""
    sources = generate_firmware(front, model, tracker, learner)
    sources |= self_test(front, model, tracker, golden[-SELF_TEST_VECTORS:])
    return {name: SPDX_LINE + text for name, text in sources.items()}


def write_bundle(path: Path, contents: Contents, is_forced: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Write a bundle to the folder `path`; its manifest, and the files that a user had edited and that were kept.

    Raises BundleError when `path` holds something that is not a bundle, or, unless forced, a bundle with something
    that this one lacks; it is left as it was.
    """
    check_destination(path)
    check_replacement(path, contents.identity, contents.formats, is_forced)
    kept = users_files(path)
    model, formats = contents.model, contents.formats
    inputs = golden_vectors(model, contents.windows)
    tensors = golden_tensors(model, inputs)
    outputs = tensors[model.graph.output.name].astype(np.int32)
    sources: dict[str, str] = {}
    if CODE in formats:
        sources = bundle_sources(contents.front, model, contents.tracker, contents.learner, inputs)
    files = {FILES[name].file: written(name, model) for chosen in formats for name in FORMATS[chosen]}
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "tool": f"ppg-nas {tool_version()}",
        "exported": today(),
        "licence": LICENCE,
        **contents.facts,
        **contents.identity,
        "formats": list(formats),
    }

    def fill(folder: Path) -> None:
        for name, text in sources.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, content in files.items():
            (folder / name).write_bytes(content)
        save_model(model, folder / "model.npz")
        if contents.tracker is not None:
            save_tracker(contents.tracker, folder / TRACKER)
        (folder / DEVICE).write_text(yaml.safe_dump(contents.device.model_dump(), sort_keys=False), encoding="utf-8")
        np.savez(folder / "golden.npz", inputs=inputs, outputs=outputs, logits=tensors[logits_of(model).name])
        manifest["sources"] = sorted(sources)
        manifest["files"] = {file.name: digest(file) for file in sorted(folder.iterdir()) if file.name != MARKER}
        shutil.copyfile(LICENCE_FILE, folder / "LICENSE")
        text = _around_the_code(folder, contents) if CODE in formats else f"# {contents.facts['id']}\n"
        templates = sorted(
            file for file in folder.rglob("*") if file.is_file() and file.name not in {*manifest["files"], MARKER}
        )
        manifest["templates"] = {file.relative_to(folder).as_posix(): digest(file) for file in templates}
        (folder / README).write_text(text + (readme_section(files) if files else ""), encoding="utf-8")
        for name, content in kept.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        write_json(folder / MANIFEST, manifest)

    replace_folder(path, fill)
    return manifest, sorted(kept)


def _around_the_code(folder: Path, contents: Contents) -> str:
    """Write what goes with C sources, of which the user may change anything; the text of their README."""
    model, arena = contents.model, default_plan(contents.model)
    parts = context_parts(contents.front, model, contents.tracker)
    texts = {
        "memory_map.txt": memory_map(model, arena, parts),
        "CMakeLists.txt": cmake_lists(contents.device),
        **example_files(contents.device),
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    has_tracker = contents.tracker is not None
    return readme(contents.front, model, contents.facts, contents.device, arena, has_tracker, contents.learner)


def read_bundle(path: Path) -> Bundle:
    """Read a bundle. Raises BundleError when it is none, or a file is missing or altered."""
    manifest = read_manifest(path)
    for name, expected in manifest.files.items():
        file = path / name
        if any(one.is_symlink() for one in (file, *file.parents) if one.is_relative_to(path) and one != path):
            raise BundleError(f"{file}: is a link; a bundle holds files alone, {EXPORT_AGAIN}")
        if not file.is_file():
            raise BundleError(f"{file}: missing from the bundle; {EXPORT_AGAIN}")
        if digest(file) != expected:
            raise BundleError(f"{file}: altered since the export; {EXPORT_AGAIN}")
    model = load_model(path / "model.npz")
    inputs, outputs = _golden(path, model)
    try:
        sources = {name: (path / name).read_text(encoding="utf-8") for name in manifest.sources}
    except UnicodeDecodeError:
        raise BundleError(f"{path}: a source is not UTF-8 text; {EXPORT_AGAIN}") from None
    files = {kind: (path / held.file).read_bytes() for kind, held in FILES.items() if held.file in manifest.files}
    tracker = load_tracker(path / TRACKER) if TRACKER in manifest.files else None
    front = Front.of(manifest.sensors, model.input)
    device = load_device(path / DEVICE)
    return Bundle(path, manifest, device, model, sources, files, inputs, outputs, front, tracker, manifest.personal)


def _golden(path: Path, model: IntegerModel) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Golden inputs and outputs, of the shapes that the model has. Raises BundleError when they are not."""
    file = path / "golden.npz"
    golden = read_arrays(file, EXPORT_AGAIN, _MOST_GOLDEN_BYTES)
    inputs, outputs = golden.get("inputs"), golden.get("outputs")
    given = model.graph.input
    shape = (given.length_in, given.channels_in)
    fits = (
        inputs is not None
        and outputs is not None
        and (inputs.dtype, outputs.dtype) == (np.int8, np.int32)
        and inputs.shape[1:] == shape
        and outputs.shape == (len(inputs), 3)
        and len(inputs) > 0
    )
    if not fits:
        raise BundleError(f"{file}: not golden vectors of this network; {EXPORT_AGAIN}")
    assert inputs is not None and outputs is not None
    return inputs, outputs


def read_board(path: Path) -> dict[str, int]:
    """What a user's board said of the bundle in `path`; empty without. Raises BundleError when damaged."""
    file = path / BOARD
    if not file.exists():
        return {}
    try:
        content = read_json(file)
        return {name: int(content[name]) for name in ("estimate_cycles", "push_cycles")}
    except (InputError, ValueError, KeyError, TypeError):
        raise BundleError(
            f'{file}: must read {{"estimate_cycles": N, "push_cycles": N}}, as the self-test printed them'
        ) from None
