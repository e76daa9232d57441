"""What is fuzzed: for each reader, valid files to begin with, and how the damaged one is read."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hwmodels.basics.arrays import read_npz
from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import shipped_folder, shipped_names
from hwmodels.cost import lut
from hwmodels.cost.board_measurements import read_measurements
from hwmodels.cost.lut import Entry, LookUpTable, Provenance, Runner, kernel_hash, rules_hash
from hwmodels.device.device import load_device
from nas.data.loaders.empatica import load_empatica
from nas.data.loaders.ppg_dalia import load_ppg_dalia_file
from nas.data.loaders.tabular import load_tabular
from nas.run.config import load_config
from nas.run.run_directory import RunDirectory
from search.archive.archive import Archive, Row
from search.archive.query import Query, run_query
from supernet.space.search_space import load_space
from tests.fuzz.mutations import mutated


@dataclass(frozen=True)
class Target:
    """A reader: makes its valid files, and reads one. Reading raises InputError for what it cannot read."""

    suffix: str
    valid: Callable[[], list[bytes]]
    read: Callable[[Path], object]


def _shipped(kind: str) -> Callable[[], list[bytes]]:
    return lambda: [(shipped_folder(kind) / f"{name}.yaml").read_bytes() for name in shipped_names(kind)]


def _run_configuration(path: Path) -> object:
    run = path.parent / "run"
    run.mkdir(exist_ok=True)
    (run / "config.yaml").write_bytes(path.read_bytes())
    return RunDirectory.open(run)


def _run_file(path: Path) -> object:
    run = path.parent / "run"
    (run / "stages").mkdir(parents=True, exist_ok=True)
    (run / "config.yaml").write_text("name: x\ndata: {sources: [{kind: synthetic}]}\n")
    (run / "stages" / "finish.json").write_bytes(path.read_bytes())
    (run / "data_root.json").write_bytes(path.read_bytes())
    opened = RunDirectory.open(run)
    return opened.summary("finish")["chosen"], opened.json("data_root.json")


def _stamps() -> list[bytes]:
    stamp = {"inputs": "a" * 16, "seconds": 1.5, "summary": {"chosen": "abc", "validation_errors": {"int8": 2.5}}}
    return [json.dumps(stamp, indent=1).encode(), json.dumps({"data_root": "/data"}).encode()]


def _table() -> LookUpTable:
    hashes, made_with = (kernel_hash(), rules_hash()), ("gcc", ("-O2",), "unicorn")
    provenance = Provenance(*hashes, *made_with, "cortex-m7", "tightly coupled", "emulator", "2026-01-01")
    entries = {f"depthwise_k3|128|{width}|128|{width}": Entry(1000, 900, 40, "modelled") for width in (8, 16)}
    return LookUpTable(provenance, Runner(1, 2, 3, 4, 5), {"ppgnet_run": 100}, entries)


def _tables() -> list[bytes]:
    table = _table()
    with TemporaryDirectory() as folder:
        table.save(Path(folder) / "table.json")
        return [(Path(folder) / "table.json").read_bytes()]


def _rows(count: int) -> list[Row]:
    figures = {"latency_ms": 5.0, "cycles": 320000, "flash_bytes": 20000, "peak_ram_bytes": 6000}
    return [
        Row(
            arch_id=f"{index:010x}",
            arch=f"a{index}",
            genes=(0, 1, index),
            space="demo",
            device="cortex-m7-64mhz",
            **figures,
            energy_mj=0.1,
            power_mw=0.2,
            metric="mae_bpm",
            error=2.0 + index,
            error_low=1.0,
            error_high=9.0,
            subject_errors={"a": 2.0, "b": 3.0},
            windows=100,
            weights="w",
            fold="0",
            protocol="p",
            seed=0,
            generation=index,
        )
        for index in range(count)
    ]


def _archives() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "archive.sqlite"
        with Archive(path) as archive:
            archive.append(_rows(12))
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.close()
        return [path.read_bytes()]


def _query(path: Path) -> object:
    with Archive(path, create=False) as archive:
        answer = run_query(archive, Query(device="cortex-m7-64mhz"))
        archive.rows()
        archive.append(_rows(2))
        return answer.table()


def _pickles() -> list[bytes]:
    rng = np.random.default_rng(0)
    wrist = {"BVP": rng.standard_normal((1280, 1)), "ACC": np.ones((640, 3))}
    distributed = {"signal": {"wrist": wrist}, "label": np.full(7, 70.0), "activity": np.ones((80, 1)), "subject": "S3"}
    windows = {"X": rng.standard_normal((3, 4, 256)), "y": np.full((3, 1), 80.0), "groups": np.full(3, 6.0)}
    return [pickle.dumps(content, protocol) for content in (distributed, windows) for protocol in (0, 2, 4)]


def _npz() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.npz"
        np.savez(path, ppg=np.zeros((1, 100)), text=np.array("a"), hz=np.float64(64))
        plain = path.read_bytes()
        np.savez_compressed(path, ppg=np.zeros((1, 100)), hz=np.float64(64))
        return [plain, path.read_bytes()]


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
    for name in (
        "ppg",
        "ppg_hz",
        "acc",
        "subject",
        "label_times_s",
        "heart_rate_bpm",
        "rhythm",
        "activity",
        "segment_s",
    ):
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


def _measured() -> list[bytes]:
    rows = [f"{key},{entry.cycles},1" for key, entry in _table().entries.items()]
    text = ["# device: cortex-m7-64mhz", f"# kernels: {kernel_hash()}", "# unit: cycles", "key,cycles,runs", *rows]
    return ["\n".join([*text, f"# end {len(rows)}"]).encode()]


TARGETS = {
    "configuration": Target(".yaml", _shipped(""), load_config),
    "run_configuration": Target(".yaml", lambda: [load_config("demo").to_yaml().encode()], _run_configuration),
    "run_files": Target(".json", _stamps, _run_file),
    "device": Target(".yaml", _shipped("devices"), load_device),
    "space": Target(".yaml", _shipped("spaces"), load_space),
    "table": Target(".json", _tables, lut.load),
    "archive": Target(".sqlite", _archives, _query),
    "pickle": Target(".pkl", _pickles, load_ppg_dalia_file),
    "npz": Target(".npz", _npz, read_npz),
    "recording_csv": Target(".csv", _logs, load_tabular),
    "labels_csv": Target(".txt", _labels, _beside_labels),
    "recording_npz": Target(".npz", _recordings, load_tabular),
    "recording_array": Target(".npy", _arrays, _as_each_array),
    "empatica": Target(".txt", _bracelet, _bracelet_file),
    "measured": Target(".csv", _measured, lambda path: read_measurements(path, _table(), "cortex-m7-64mhz")),
}


@cache
def _valid(name: str) -> list[bytes]:
    return TARGETS[name].valid()


@dataclass
class Outcome:
    """What became of damaged inputs: read all the same, refused in one line, or anything else."""

    read: int = 0
    refused: int = 0
    failures: list[str] | None = None

    def row(self) -> dict[str, object]:
        """Counts, for people and programs."""
        return {**asdict(self), "failures": len(self.failures or [])}


def fuzz(name: str, inputs: int, seed: int, keep: Path | None = None) -> Outcome:
    """Read `inputs` damaged files of a target; a failure is an error that is not the program's own, or no one line.

    With `keep`, inputs that failed are left in that folder.
    """
    target, outcome = TARGETS[name], Outcome(failures=[])
    assert outcome.failures is not None
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"damaged{target.suffix}"
        for number in range(inputs):
            rng = random.Random(f"{name}-{seed}-{number}")
            content = mutated(rng.choice(_valid(name)), rng)
            path.write_bytes(content)
            try:
                target.read(path)
                outcome.read += 1
            except InputError as error:
                outcome.refused += 1
                if "\n" in str(error) or len(str(error)) > 2000:
                    outcome.failures.append(f"{number}: not one line: {str(error)[:200]!r}")
            except Exception as error:
                outcome.failures.append(f"{number}: {type(error).__name__}: {str(error)[:200]}")
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{seed}-{number}{target.suffix}").write_bytes(content)
            for side in ("-wal", "-shm", "-journal"):
                if os.path.exists(f"{path}{side}"):
                    os.unlink(f"{path}{side}")
    return outcome
