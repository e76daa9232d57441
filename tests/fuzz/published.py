"""Files of published sets among what is fuzzed: suffix, valid files and reader of each, as far as wfdb is there."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from nas.data.files.beats import read_beats
from nas.data.loaders.galaxy_ppg import load_galaxy_ppg
from nas.data.loaders.wesad import load_wesad
from nas.data.loaders.wildppg import load_wildppg
from tests.nas.test_published_sets import beats, exercise_wfdb, galaxy, listing, python2, wesad, wildppg

_SECONDS = 12
_TABLES = ("GalaxyWatch/PPG.csv", "GalaxyWatch/ACC.csv", "PolarH10/ECG.csv", "PolarH10/HR.csv", "Event.csv")


@cache
def _participant() -> dict[str, bytes]:
    with TemporaryDirectory() as folder:
        root = galaxy(Path(folder), seconds=_SECONDS)
        return {name: (root / name).read_bytes() for name in _TABLES}


def _with_table(path: Path) -> object:
    """The damaged table among the whole others: that whose header it resembles; without an ECG where it is HR.csv."""
    root = path.parent / "P02"
    shutil.rmtree(root, ignore_errors=True)
    damaged = path.read_bytes()
    whole = _participant()
    name = next((one for one, content in whole.items() if content[:24] == damaged[:24]), _TABLES[0])
    for one, content in (whole | {name: damaged}).items():
        (root / one).parent.mkdir(parents=True, exist_ok=True)
        (root / one).write_bytes(content)
    if name.endswith("HR.csv"):
        (root / "PolarH10/ECG.csv").unlink()
    return load_galaxy_ppg(root)


def _pickles() -> list[bytes]:
    content = wesad(seconds=_SECONDS)
    return [python2(content) + b".", pickle.dumps(content, 2)]


def _structures() -> list[bytes]:
    with TemporaryDirectory() as folder:
        wildppg(Path(folder), seconds=_SECONDS)
        return [path.read_bytes() for path in Path(folder).iterdir()]


def _annotations() -> list[bytes]:
    with TemporaryDirectory() as folder:
        exercise_wfdb(Path(folder), "s9_run")
        return [(Path(folder) / "s9_run.atr").read_bytes()]


def _renamed(name: str, load: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: load(Path(shutil.copy(path, path.with_name(name))))


PUBLISHED: dict[str, tuple[str, Callable[[], list[bytes]], Callable[[Path], object]]] = {
    "beats": (".txt", lambda: [listing(beats()).encode()], lambda path: read_beats(path, 256.0)),
}
if find_spec("wfdb"):
    PUBLISHED |= {
        "annotations": (".atr", _annotations, lambda path: read_beats(path, 256.0)),
        "galaxy_ppg": (".csv", lambda: list(_participant().values()), _with_table),
        "wesad": (".pkl", _pickles, _renamed("S2.pkl", load_wesad)),
        "wildppg": (".mat", _structures, _renamed("WildPPG_Part_an0.mat", load_wildppg)),
    }
