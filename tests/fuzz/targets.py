"""What is fuzzed: for each reader, valid files to begin with, and how the damaged one is read."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from hwmodels.basics.arrays import read_npz
from hwmodels.basics.errors import InputError
from hwmodels.basics.shipped import shipped_folder, shipped_names
from hwmodels.cost import lut
from hwmodels.cost.board_measurements import read_measurements
from hwmodels.cost.lut import Entry, LookUpTable, Provenance, Runner, kernel_hash, rules_hash
from hwmodels.device.device import load_device
from hwmodels.firmware.tracker import Tracker, load_tracker, save_tracker
from hwmodels.network.interpreter import load_model, save_model
from hwmodels.validation.network_check import random_model, random_windows
from nas.data.loaders.ppg_dalia import load_ppg_dalia_file
from nas.data.synthetic import simulate
from nas.data.windows import WindowSet, make_windows
from nas.deploy.bundle import Contents, read_bundle, write_bundle
from nas.deploy.manifest import MANIFEST
from nas.run.config import load_config
from nas.run.run_directory import RunDirectory
from search.archive.archive import Archive
from search.archive.query import Query, run_query
from search.archive.rows import Row
from supernet.space.search_space import load_space
from supernet.training.checkpoint import load_checkpoint, save_checkpoint
from tests.fuzz.mutations import mutated
from tests.fuzz.published import PUBLISHED
from tests.fuzz.recordings import RECORDINGS


@dataclass(frozen=True)
class Target:
    """A reader: makes its valid files, and reads one. Reading raises InputError for what it cannot read."""

    suffix: str
    valid: Callable[[], list[bytes]]
    read: Callable[[Path], object]


def _shipped(kind: str) -> Callable[[], list[bytes]]:
    return lambda: [(shipped_folder(kind) / f"{name}.yaml").read_bytes() for name in shipped_names(kind)]


def _tflite_models() -> list[bytes]:
    from tests.hwmodels.test_foreign_operators import USUAL_BLOCKS, usual_block
    from tests.hwmodels.tflite_files import small_net

    return [small_net().bytes(), *(usual_block(name)[0].bytes() for name in USUAL_BLOCKS)]


def _tflite_layers(path: Path) -> object:
    from hwmodels.foreign.tflite_layers import layers_of
    from hwmodels.foreign.tflite_reader import read_tflite

    return layers_of(read_tflite(path))


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


def _measured() -> list[bytes]:
    rows = [f"{key},{entry.cycles},1" for key, entry in _table().entries.items()]
    text = ["# device: cortex-m7-64mhz", f"# kernels: {kernel_hash()}", "# unit: cycles", "key,cycles,runs", *rows]
    return ["\n".join([*text, f"# end {len(rows)}"]).encode()]


def _checkpoints() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        save_checkpoint(
            path, {"module": {"a.weight": torch.zeros(3, 2)}, "fingerprint": "a", "history": [{"epoch": 1}]}
        )
        return [path.read_bytes()]


def _models() -> list[bytes]:
    space = load_space("demo")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        save_model(random_model(space.lower(space.smallest()), np.random.default_rng(0)), path)
        return [path.read_bytes()]


def _trackers() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tracker.json"
        save_tracker(Tracker((1000, 7000, 16000, 7000, 1000), 4, 0.6, 12.0), path)
        return [path.read_bytes()]


def _windows() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "windows.npz"
        make_windows(simulate(2, minutes=0.6, seed=0)).save(path)
        return [path.read_bytes()]


@cache
def _bundle() -> dict[str, bytes]:
    space = load_space("demo")
    model = random_model(space.lower(space.smallest()), np.random.default_rng(0))
    windows = random_windows(model.graph, 2, np.random.default_rng(1))
    costs = {"latency_ms": 1.0, "cycles": 64000, "flash_kb": 8.0, "ram_kb": 2.0, "energy_mj": 0.1}
    facts = {"id": "x", "arch": "a", "predicted": costs}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bundle"
        write_bundle(path, Contents(model, windows, facts, load_device()))
        return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def _with_file(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        bundle = path.parent / "bundle"
        bundle.mkdir(exist_ok=True)
        files = _bundle() | {name: path.read_bytes()}
        if name != MANIFEST:
            manifest = json.loads(files[MANIFEST])
            manifest["files"][name] = hashlib.sha256(files[name]).hexdigest()
            files[MANIFEST] = json.dumps(manifest).encode()
        for held, content in files.items():
            (bundle / held).write_bytes(content)
        return read_bundle(bundle)

    return read


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
    "manifest": Target(".json", lambda: [_bundle()[MANIFEST]], _with_file(MANIFEST)),
    "golden": Target(".npz", lambda: [_bundle()["golden.npz"]], _with_file("golden.npz")),
    "checkpoint": Target(".pt", _checkpoints, load_checkpoint),
    "model": Target(".npz", _models, load_model),
    "tracker": Target(".json", _trackers, load_tracker),
    "windows": Target(".npz", _windows, WindowSet.load),
    "measured": Target(".csv", _measured, lambda path: read_measurements(path, _table(), "cortex-m7-64mhz")),
}
TARGETS |= {name: Target(*parts) for name, parts in (RECORDINGS | PUBLISHED).items()}
if find_spec("tflite"):
    TARGETS["tflite"] = Target(".tflite", _tflite_models, _tflite_layers)


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
