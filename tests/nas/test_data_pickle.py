"""Pickles: arrays come through whole, anything else is refused before it runs; PPG-DaLiA in both layouts."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from nas.data.files.restricted_pickle import ForbiddenPickleError, load_array_pickle
from nas.data.loaders.ppg_dalia import load_ppg_dalia


class _Runs:
    """Asks the reader to call a function when it is loaded."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["f8", "<f4", ">i2", "u1", "?", "S3", "<U4"])
def test_arrays_and_plain_containers_come_through_whole(tmp_path: Path, protocol: int, dtype: str) -> None:
    content = {
        "a": np.arange(12).reshape(3, 4).astype(dtype),
        "b": [1, 2.5, "text", None, True, (np.float64(3.5), np.int16(7))],
        "c": {"fortran": np.asfortranarray(np.ones((2, 3)))},
    }
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    loaded = load_array_pickle(path)
    np.testing.assert_array_equal(loaded["a"], content["a"])
    assert loaded["b"] == content["b"]
    np.testing.assert_array_equal(loaded["c"]["fortran"], content["c"]["fortran"])


@pytest.mark.parametrize(
    "evil",
    [
        _Runs(os.system, "touch OWNED"),
        _Runs(eval, "open('OWNED', 'w')"),
        _Runs(exec, "open('OWNED', 'w')"),
        _Runs(getattr, "", "join"),
        _Runs(np.load, "OWNED", None, True),
        _Runs(np.fromfile, "OWNED"),
        _Runs(OrderedDict),
        {"nested": [np.array([_Runs(os.system, "touch OWNED")], dtype=object)]},
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_anything_else_is_refused_before_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: object, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(evil, protocol=protocol))
    with pytest.raises(ForbiddenPickleError) as error:
        load_array_pickle(path)
    assert "\n" not in str(error.value) and "x.pkl" in str(error.value)
    assert not (tmp_path / "OWNED").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        pickle.dumps(np.arange(1000.0))[:500],
        # An array that claims a terabyte without bringing it.
        b"cnumpy\nndarray\n(I1000000000000\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",
        b"\x80\x04" + b"\x8e" + struct.pack("<Q", 2**62) + b".",
    ],
)
def test_damaged_pickles_end_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_array_pickle(path)
    assert "\n" not in str(error.value)


def test_loading_one_file_leaves_nothing_changed_for_the_next(tmp_path: Path) -> None:
    # BUILD with a slot state sets attributes of whatever it is given: here, a function's default argument.
    poison = b"c_codecs\nencode\n(N}S'__defaults__'\n(S'utf-8-sig'\ntstb."
    (tmp_path / "a.pkl").write_bytes(poison)
    load_array_pickle(tmp_path / "a.pkl")
    (tmp_path / "b.pkl").write_bytes(b"c_codecs\nencode\n(Vabc\ntR.")
    assert load_array_pickle(tmp_path / "b.pkl") == b"abc"


def _distributed(seconds: int = 60, labels: int | None = None) -> dict[str, object]:
    rng = np.random.default_rng(0)
    count = (seconds - 8) // 2 + 1 if labels is None else labels
    return {
        "signal": {
            "wrist": {
                "BVP": rng.standard_normal((seconds * 64, 1)),
                "ACC": rng.integers(-64, 65, size=(seconds * 32, 3)).astype(float),
            },
            "chest": {"ECG": rng.standard_normal((700, 1))},
        },
        "label": np.linspace(60, 90, count),
        "activity": np.repeat([1.0, 7.0], seconds * 2)[:, None],
        "rpeaks": np.arange(5),
        "questionnaire": {"AGE": 30, "Gender": " m"},
        "subject": "S3",
    }


def test_ppg_dalia_as_distributed(tmp_path: Path) -> None:
    (tmp_path / "S3.pkl").write_bytes(pickle.dumps(_distributed(), protocol=2))
    (recording,) = load_ppg_dalia(tmp_path)
    assert (recording.ppg_hz, recording.acc_hz, recording.subject) == (64, 32, "ppg_dalia/S3")
    assert np.abs(recording.acc).max() == 1.0
    assert recording.label_count == 27
    assert recording.activity[:12].tolist() == ["sitting"] * 12
    assert recording.activity[-10:].tolist() == ["walking"] * 10


def test_ppg_dalia_as_python_2_wrote_it(tmp_path: Path) -> None:
    # Python 2 wrote byte strings; read as latin1 they are text again, and array bytes pass through _codecs.
    content = pickle.dumps({"X": 1, "signal": {"wrist": {"BVP": np.arange(4.0)}}}, protocol=2)
    (tmp_path / "x.pkl").write_bytes(content.replace(b"X\x03\x00\x00\x00BVP", b"U\x03BVP"))
    assert load_array_pickle(tmp_path / "x.pkl")["signal"]["wrist"]["BVP"].tolist() == [0, 1, 2, 3]


def test_ppg_dalia_windows_become_the_signal_they_were_cut_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((4, 256 + 64 * 9))
    windows = np.stack([signal[:, 64 * i : 64 * i + 256] for i in range(10)])
    alone = rng.standard_normal((2, 4, 256))
    content = {
        "X": np.concatenate([windows, alone]),
        "y": np.full((12, 1), 80.0),
        "activity": np.full(12, 2.0),
        "groups": np.array([6] * 10 + [7] * 2),
    }
    (tmp_path / "windows.pkl").write_bytes(pickle.dumps(content))
    together, single = load_ppg_dalia(tmp_path)
    np.testing.assert_allclose(np.concatenate([together.ppg, together.acc]), signal, rtol=1e-6)
    assert together.label_times_s.tolist() == [4.0 + 2.0 * i for i in range(10)]
    assert (single.subject, single.segment_s, single.label_count) == ("ppg_dalia/S7", 8.0, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": np.zeros(60 * 700)}, "WESAD"),
        ({"label": np.linspace(60, 90, 40)}, "40 labels for 27 windows"),
        ({"signal": {"chest": {}}}, "signal.wrist"),
        ({"signal": {"wrist": {"BVP": np.arange(3000.0)}}}, "signal.wrist.ACC"),
    ],
)
def test_pickles_of_another_layout_are_named(tmp_path: Path, change: dict[str, object], words: str) -> None:
    (tmp_path / "S1.pkl").write_bytes(pickle.dumps({**_distributed(), **change}))
    with pytest.raises(InputError, match=words):
        load_ppg_dalia(tmp_path)
