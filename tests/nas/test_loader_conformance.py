"""Every registered loader passes the suite that others may run on theirs, and the suite catches what breaks it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hwmodels.basics.errors import InputError
from nas.data.conformance import check_loader
from nas.data.loader import LOADERS
from tests.nas.test_data_loaders import _bami, _spc
from tests.nas.test_data_pickle import _distributed
from tests.nas.test_published_sets import exercise_edf, galaxy, wesad, wildppg
from tests.nas.test_recording_formats import _empatica, _waveforms


def _two_bami(folder: Path) -> None:
    for number in (1, 2):
        _bami(folder, f"BAMI1_{number}", 3000, 27)


def _two_spc(folder: Path) -> None:
    _spc(folder, "DATA_01_TYPE01", "DATA_01_TYPE01_BPMtrace")
    _spc(folder, "DATA_02_TYPE02", "DATA_02_TYPE02_BPMtrace", samples=4000)


def _liu(folder: Path) -> None:
    segments = np.random.default_rng(0).random((4, 1000)).astype(np.float32)
    savemat(folder / "MPA_1.mat", {"ppgseg": segments, "labels": np.array([[0], [5], [2], [0]], np.uint8)})


def _dalia(folder: Path) -> None:
    for name in ("S3", "S4"):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(_distributed() | {"subject": name}, protocol=2))


def _export(folder: Path) -> None:
    for name, text in _empatica().items():
        (folder / "anna").mkdir(exist_ok=True)
        (folder / "anna" / name).write_text(text)


def _csv(folder: Path) -> None:
    lines = [f"{k / 25},{k % 20}" for k in range(1000)]
    (folder / "walk.csv").write_text("# subject: anna\ntime_s,ppg\n" + "\n".join(lines) + "\n")
    (folder / "walk.labels.csv").write_text("time_s,heart_rate_bpm\n4,80\n6,81\n")


def _wfdb(folder: Path) -> None:
    pytest.importorskip("wfdb")
    _waveforms(folder)
    (folder / "ride.edf").unlink()


def _edf(folder: Path) -> None:
    edfio = pytest.importorskip("edfio")
    pulse = np.sin(np.arange(1500) / 3.0)
    edfio.Edf([edfio.EdfSignal(pulse, 25, label="ppg", physical_dimension="mV")]).write(folder / "ride.edf")


def _exercise(folder: Path) -> None:
    for record in ("s2_walk", "s3_run"):
        exercise_edf(folder, record)


def _wesad(folder: Path) -> None:
    pytest.importorskip("wfdb")
    for person in ("S2", "S3"):
        (folder / f"{person}.pkl").write_bytes(pickle.dumps(wesad(person=person), protocol=2))


def _wildppg(folder: Path) -> None:
    pytest.importorskip("wfdb")
    for person in ("an0", "e61"):
        wildppg(folder, person)


def _galaxy(folder: Path) -> None:
    pytest.importorskip("wfdb")
    for person in ("P02", "P03"):
        galaxy(folder, person)


SAMPLES: dict[str, Callable[[Path], None]] = {
    "bami": _two_bami,
    "edf": _edf,
    "empatica_e4": _export,
    "galaxy_ppg": _galaxy,
    "ieee_spc": _two_spc,
    "liu": _liu,
    "ppg_dalia": _dalia,
    "tabular": _csv,
    "wesad": _wesad,
    "wfdb": _wfdb,
    "wildppg": _wildppg,
    "wrist_exercise": _exercise,
}


def test_every_loader_has_a_sample_here() -> None:
    assert set(LOADERS) == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_loader_conforms(kind: str, tmp_path: Path) -> None:
    SAMPLES[kind](tmp_path)
    check_loader(LOADERS[kind], tmp_path)


def test_conformance_catches_a_loader_whose_labels_change_the_signals(tmp_path: Path) -> None:
    _csv(tmp_path)
    honest = LOADERS["tabular"]

    def load(path: Path, with_labels: bool = True) -> list[object]:
        return [replace(one, ppg=one.ppg + with_labels) for one in honest.load(path, with_labels=with_labels)]

    with pytest.raises(AssertionError, match="labels must not change the signals"):
        check_loader(replace(honest, load=load), tmp_path)


def test_conformance_catches_a_loader_whose_errors_name_no_file(tmp_path: Path) -> None:
    _csv(tmp_path)
    honest = LOADERS["tabular"]

    def load(path: Path, with_labels: bool = True) -> list[object]:
        try:
            return list(honest.load(path, with_labels=with_labels))
        except InputError:
            raise InputError("something is wrong somewhere") from None

    with pytest.raises(AssertionError, match="an error must name the file"):
        check_loader(replace(honest, load=load), tmp_path)
