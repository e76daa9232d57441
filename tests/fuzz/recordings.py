"""People's own recordings among what is fuzzed: suffix, valid files and reader of each kind."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hwmodels.basics.errors import InputError
from nas.data.loaders.empatica_e4 import load_empatica
from nas.data.loaders.tabular import load_tabular

_FIELDS = ("ppg", "ppg_hz", "acc", "subject", "label_times_s", "heart_rate_bpm", "rhythm", "activity", "segment_s")


def _logs() -> list[bytes]:
    """A plain recording, a watch's interleaved one of dates and labels, and one of tabs with a line of units."""
    rng = np.random.default_rng(0)
    plain = ["# subject: anna", "# acc_unit: mg", "# label_window_s: 2", "time_s,ppg,acc_x,acc_y,acc_z"]
    plain += [f"{i / 25:.2f},{rng.integers(99)},{i % 7},-3,{900 + i % 9}" for i in range(60)]
    watch = ["Time,Acc_x,Acc_y,Acc_z,HRM_r,BTHRM,rhythm"]
    watch += [f"2024-05-01 13:00:{i / 25:06.3f},,,,{rng.integers(99)},{71 if i % 9 == 0 else ''}," for i in range(60)]
    tabs = ["sep=\t", "Timestamp\tPPG\tx\ty\tz", "ms\tmV\tg\tg\tg"]
    tabs += [f"{i * 40}\t{rng.integers(99)}\t0,{i % 7}\t-0,3\t0,9" for i in range(60)]
    return ["\n".join(lines).encode() for lines in (plain, watch, tabs)]


def _labels() -> list[bytes]:
    heart = "time_s,heart_rate_bpm,activity\n" + "".join(f"{t},{70 + t},sitting\n" for t in range(4, 40, 2))
    return [heart.encode(), heart.replace("heart_rate_bpm", "rhythm").replace(",7", ",AF7").encode()]


def _beside_labels(path: Path) -> object:
    signal = path.with_name("walk.csv")
    signal.write_text("time_s,ppg\n" + "".join(f"{i / 25},{i % 19}\n" for i in range(1000)))
    signal.with_name("walk.labels.csv").write_bytes(path.read_bytes())
    return load_tabular(signal)


def _recordings() -> list[bytes]:
    rng = np.random.default_rng(0)
    signals = {"ppg": rng.standard_normal((2, 300)), "ppg_hz": 25, "acc": rng.standard_normal((3, 300)), "subject": "a"}
    heart = {"heart_rate_bpm": [70.0, 71.0], "label_times_s": [4.0, 6.0], "activity": ["a", "b"], "label_window_s": 8}
    rhythm = {"rhythm": ["AF", "sinus"], "rhythm_classes": ["AF", "sinus"], "segment_s": 6.0, "label_window_s": 6.0}
    contents = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        for labels in (heart, rhythm):
            for save in (np.savez, np.savez_compressed):
                save(path, **signals, **labels)
                contents.append(path.read_bytes())
    return contents


def _arrays() -> list[bytes]:
    arrays = [
        np.arange(300.0),
        np.ones((3, 300)),
        np.float64(25),
        np.array("a"),
        np.array(["AF", "b"]),
        np.zeros((2, 0)),
    ]
    arrays += [np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), np.zeros(6, "M8[s]"), np.array([True])]
    stream = io.BytesIO()
    return [(stream.seek(0), stream.truncate(), np.save(stream, array), stream.getvalue())[-1] for array in arrays]


def _as_each_array(path: Path) -> object:
    """The damaged array in the place of each field; the first error counts."""
    archive, error = path.with_name("recording.npz"), None
    for name in _FIELDS:
        np.savez(archive, **{"ppg": np.arange(300.0) % 7, "ppg_hz": 25, "heart_rate_bpm": [70.0]} | {name: 0})
        with zipfile.ZipFile(archive) as whole:
            members = {one: whole.read(one) for one in whole.namelist()}
        with zipfile.ZipFile(archive, "w") as changed:
            for one, content in (members | {f"{name}.npy": path.read_bytes()}).items():
                changed.writestr(one, content)
        try:
            load_tabular(archive)
        except InputError as refused:
            error = error or refused
    if error:
        raise error
    return None


def _bracelet() -> list[bytes]:
    light = "1.6e9\n64.0\n" + "".join(f"{i % 23}.5\n" for i in range(700))
    motion = "1.6e9, 1.6e9, 1.6e9\n32, 32, 32\n" + "".join(f"{i % 9},1,64\n" for i in range(350))
    return [light.encode(), motion.encode()]


def _bracelet_file(path: Path) -> object:
    """The damaged file as that of one sensor, beside a whole one of the other."""
    light, motion = _bracelet()
    is_motion = path.read_bytes().split(b"\n")[0].count(b",") == 2
    path.with_name("BVP.csv").write_bytes(light if is_motion else path.read_bytes())
    path.with_name("ACC.csv").write_bytes(path.read_bytes() if is_motion else motion)
    with zipfile.ZipFile(path.with_name("export.zip"), "w") as archive:
        for name in ("BVP.csv", "ACC.csv"):
            archive.write(path.with_name(name), name)
    return load_empatica(path.with_name("BVP.csv")), load_empatica(path.with_name("export.zip"))


RECORDINGS: dict[str, tuple[str, Callable[[], list[bytes]], Callable[[Path], object]]] = {
    "recording_csv": (".csv", _logs, load_tabular),
    "labels_csv": (".txt", _labels, _beside_labels),
    "recording_npz": (".npz", _recordings, load_tabular),
    "recording_array": (".npy", _arrays, _as_each_array),
    "empatica": (".txt", _bracelet, _bracelet_file),
}
