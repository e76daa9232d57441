"""Where a bundle may be written: what an export would take away is said, what is the user's own is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from hwmodels.basics.errors import InputError
from hwmodels.firmware.front_end import Sensors
from hwmodels.firmware.learner import PersonalSettings
from nas.deploy.manifest import MANIFEST, BundleError, Manifest, read_manifest
from nas.run.run_files import MARKER

VERIFICATION = "verification.json"
README = "README.md"
"""Rewritten by verification, so that it prints what was measured; altering it harms nothing."""
BOARD = "board.json"
"""What the self-test printed on a board, put there by the user: estimate_cycles, push_cycles."""
EXAMPLES = "examples"
"""Everything below it is the user's to edit and to add to."""


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_destination(path: Path) -> None:
    """Raise BundleError unless `path` is free: absent, an empty folder, or a bundle with what a user adds to one."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise BundleError(
            f"{path}: is a {'link' if path.is_symlink() else 'file'}; choose an empty or new folder for the export"
        )
    names = _names_in(path)
    if not names:
        return
    manifest = _manifest_of(path)
    known = {MANIFEST, VERIFICATION, README, BOARD}
    if manifest is not None:
        known |= {*manifest.files, *manifest.templates}
    others = sorted(name for name in names if name not in known and not (manifest and _is_example(name)))
    if manifest is None or others:
        first = others[0] if others else MANIFEST
        raise BundleError(f"{path}: the folder holds something else ({first}); export to an empty or new one")


def identity_of(
    subnet: str, mode: str, device: str, sensors: Sensors, learner: PersonalSettings | None
) -> dict[str, object]:
    """What tells one bundle from another: subnet, mode, device, sensors, and how it learns its wearer."""
    return {
        "id": subnet,
        "mode": mode,
        "device": device,
        "sensors": asdict(sensors),
        "personal": learner and asdict(learner),
    }


def check_replacement(path: Path, fresh: Mapping[str, object], formats: Iterable[str], is_forced: bool) -> None:
    """Raise BundleError when a bundle at `path` holds something that an export would take away, unless forced.

    `fresh` is the new bundle's `identity_of`.
    """
    manifest = _manifest_of(path)
    if manifest is None or is_forced:
        return
    held = identity_of(manifest.id, manifest.mode, manifest.device, manifest.sensors, manifest.personal)
    changes = [_change(name, held[name], fresh.get(name)) for name in held if held[name] not in (fresh.get(name), None)]
    changes += [f"format {name} would be gone" for name in manifest.formats if name not in set(formats)]
    if changes:
        raise BundleError(
            f"{path}: holds another bundle: {'; '.join(changes)}; give --force to replace it, or another --out"
        )


def _change(name: str, held: object, fresh: object) -> str:
    if isinstance(held, dict) and isinstance(fresh, dict):
        return ", ".join(
            f"{name} {key} {held[key]} would become {fresh.get(key)}" for key in held if held[key] != fresh.get(key)
        )
    if name == "personal":
        return "it would no longer learn its wearer"
    return f"{name} {held} would become {fresh}"


def users_files(path: Path) -> dict[str, bytes]:
    """What a user edited or added in a bundle, path within it -> content; kept by the next export.

    Templates that are as they were exported are not among them.
    """
    manifest = _manifest_of(path)
    if manifest is None:
        return {}
    edited = {}
    for name in _names_in(path):
        file = path / name
        is_template = name in manifest.templates
        if (
            (is_template and digest(file) != manifest.templates[name])
            or name == BOARD
            or (not is_template and _is_example(name) and name not in manifest.files)
        ):
            edited[name] = file.read_bytes()
    return edited


def _is_example(name: str) -> bool:
    return name.startswith(f"{EXAMPLES}/")


def _names_in(path: Path) -> set[str]:
    """Files of a folder, at any depth. Raises BundleError for a link, which may lead out of it."""
    names = set()
    for file in path.rglob("*") if path.is_dir() else ():
        if file.is_symlink():
            raise BundleError(f"{file}: is a link; a bundle holds files alone, put the file itself there")
        if not file.is_dir() and file.name != MARKER:
            names.add(file.relative_to(path).as_posix())
    return names


def _manifest_of(path: Path) -> Manifest | None:
    try:
        return read_manifest(path)
    except InputError:
        return None
