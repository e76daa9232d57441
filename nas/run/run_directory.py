"""A run on disk: its configuration, its log, and which stages are done with which inputs."""

from __future__ import annotations

import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from pydantic import BaseModel, FiniteFloat

from hwmodels.basics import documents
from hwmodels.basics.documents import read_text, validated
from hwmodels.basics.errors import InputError
from hwmodels.device.device import Device, load_device
from nas.run.carried import find_device, placed, relative, resolved
from nas.run.config import Config, parse_config
from nas.run.run_files import (
    append_line,
    is_temporary,
    read_arrays,
    read_json,
    remove_leftovers,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from supernet.training.distributed import Team

_LOCK = ".lock"
_SUBNET_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_AGAIN = "delete it and give the ppg-nas run command again"


class RunError(InputError):
    """A run directory that cannot be used; the message names it and the remedy."""


class RunDirectory:
    """The folder of one run.

    `create` makes it or opens it again for the same configuration; `open` opens a finished or
    interrupted one. Raises RunError for a folder of another configuration or of something else.
    Of this process alone: `cluster`, the address of a dask scheduler to search with, and `team`, the
    processes that train a supernet together.
    """

    def __init__(self, path: Path, config: Config, data_root: Path | None) -> None:
        self.path = path
        self.config = config
        self.data_root = data_root
        self.cluster: str | None = None
        self.team: Team | None = None

    @classmethod
    def create(cls, path: Path, config: Config, data_root: Path) -> RunDirectory:
        """Make the folder, or open it when it holds a run of this very configuration.

        A run that failed before its first stage was done holds nothing yet and takes any configuration.
        """
        stored = path / "config.yaml"
        config, files = placed(path, config)
        if path.exists() and not path.is_dir():
            raise RunError(f"run directory {path}: is a file; give another folder with --run")
        if (path / "stages").exists() and stored.exists():
            run = cls.open(path)
            altered = [file for file, text in files.items() if not file.is_file() or read_text(file) != text]
            if run.config != config or altered:
                field = _first_difference(run.config.model_dump(), config.model_dump()) or altered[0].stem
                raise RunError(
                    f"run directory {path}: holds a run of another configuration ({field} differs); "
                    "give another folder with --run, or remove this one"
                )
            run.data_root = data_root
        else:
            _refuse_links(path)
            if path.exists() and not stored.exists() and not all(map(_is_own, path.iterdir())):
                raise RunError(f"run directory {path}: holds something else; give another folder with --run")
            path.mkdir(parents=True, exist_ok=True)
            run = cls(path, config, data_root)
            with run.exclusive():
                for file, text in files.items():
                    write_text(file, text)
                write_text(stored, relative(config).to_yaml())
        write_json(path / "data_root.json", {"data_root": str(data_root.resolve())})
        return run

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Open an existing run. Raises RunError when there is none at `path`."""
        _refuse_links(path)
        try:
            content = documents.read_yaml(path / "config.yaml")
        except InputError:
            raise RunError(f"{path}: not a run directory (no readable config.yaml); run ppg-nas run first") from None
        root = _read_json(path / "data_root.json")
        root_folder = root.get("data_root") if root else None
        config = resolved(path, parse_config(content, str(path / "config.yaml")))
        return cls(path, config, Path(root_folder) if isinstance(root_folder, str) else None)

    def device(self, name_or_path: str | None = None) -> Device:
        """The run's device, or another one by a name or a file's path; see `carried.find_device`."""
        return find_device(self.path, name_or_path) if name_or_path else load_device(self.config.device)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the run for one process, and clear away what a killed one left half written.

        Raises RunError when another process holds it.
        """
        with (self.path / _LOCK).open("w") as stream:
            try:
                # A record lock, as worker processes that outlive a killed parent would inherit a flock.
                fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"run directory {self.path}: another process is working on it; wait for it") from None
            for folder in (self.path, *(found for found in self.path.rglob("*") if found.is_dir())):
                remove_leftovers(folder)
            yield

    def log(self, event: str, **fields: Any) -> None:
        """Append one line to log.jsonl."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **fields}, allow_nan=False)
        append_line(self.path / "log.jsonl", line)

    def say(self, text: str) -> None:
        """Tell the user one line, on standard error, so that --json output stays clean."""
        print(text, file=sys.stderr, flush=True)

    def stamp(self, stage: str) -> Stamp | None:
        """What a finished stage left behind; None if it has not finished, or what it left is damaged."""
        path = self.path / "stages" / f"{stage}.json"
        try:
            return validated(Stamp, documents.read_json(path), str(path), RunError, _AGAIN)
        except InputError:
            return None

    def finish_stage(self, stage: str, inputs: str, seconds: float, summary: dict[str, Any]) -> None:
        """Record that a stage is done for these inputs."""
        write_json(
            self.path / "stages" / f"{stage}.json",
            {"inputs": inputs, "seconds": round(seconds, 2), "summary": summary},
        )

    def summary(self, stage: str) -> dict[str, Any]:
        """The summary of a finished stage. Raises RunError when it has not finished."""
        stamp = self.stamp(stage)
        if stamp is None:
            raise RunError(
                f"{self.path}: stage {stage} has not finished; give the ppg-nas run command again to continue"
            )
        return Summary(self.path / "stages" / f"{stage}.json", stamp.summary)

    def json(self, *parts: str) -> Any:
        """Parsed JSON of a file of the run. Raises FileError when it is missing or damaged."""
        return read_json(self.path.joinpath(*parts), _AGAIN)

    def arrays(self, *parts: str) -> dict[str, NDArray[Any]]:
        """Arrays of an NPZ file of the run. Raises FileError when it is missing or damaged."""
        return read_arrays(self.path.joinpath(*parts), _AGAIN)

    def subnet(self, arch_id: str) -> Path:
        """The folder of one finished subnet. Raises RunError for an id that is none."""
        if not _SUBNET_ID.fullmatch(arch_id):
            raise RunError(f"{self.path}: {arch_id[:40]!r} is no subnet's id; see ppg-nas pareto {self.path}")
        return self.path / "subnets" / arch_id


class Stamp(BaseModel):
    """A finished stage: the digest of its inputs, how long it took, and its summary."""

    inputs: str
    seconds: FiniteFloat
    summary: dict[str, Any]


class Summary(dict[str, Any]):
    """The summary of a stage; a key that it lacks is named with the file that should hold it."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        super().__init__(content)
        self._path = path

    def __missing__(self, key: str) -> Any:
        raise RunError(f"{self._path}: {key} is missing; {_AGAIN}")


def _refuse_links(path: Path) -> None:
    """Raise RunError for a link inside a run, through which something outside of it would be written."""
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            place = Path(folder) / name
            if place.is_symlink():
                raise RunError(f"{place}: is a link; a run writes into its own folder alone, put the file itself there")


def _is_own(path: Path) -> bool:
    return path.name == _LOCK or is_temporary(path)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = documents.read_json(path)
    except InputError:
        return None
    return content if isinstance(content, dict) else None


def _first_difference(stored: Any, given: Any, at: str = "") -> str:
    if isinstance(stored, dict) and isinstance(given, dict):
        for key in stored:
            if stored[key] != given.get(key):
                return _first_difference(stored[key], given.get(key), f"{at}.{key}" if at else key)
    return at
