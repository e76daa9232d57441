"""Every page is executed from its first block to its last: files are written, commands given, Python is run.

Commands that would train, measure for minutes or need a board are parsed by their real parsers instead.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import build_parser as benchmarks_parser
from nas.cli import build_parser
from nas.data.loaders.tabular import save_recording
from nas.data.synthetic import simulate
from nas.run.config import load_config
from nas.run.run_directory import RunDirectory
from tests.docs.documents import CHECKOUT, blocks, documents, name_of, without_blocks
from tests.nas.tiny_run import copy_of, environment, exit_code, finished_run

PARSED_ONLY = ("run", "hw validate", "lut build", "lut check", "lut import", "verify --full", "personalize")
"""Commands that train, that take minutes, or that need minutes of recordings or what a board printed."""
ELSEWHERE = {"README.md": ("verify",)}
"""Commands of a page that the first tutorial executes on the same bundle."""


def _is_executed_here(page: Path) -> bool:
    """Whether a page has examples; guides to a part of one's own package are executed by the tests of that part."""
    examples = blocks(page)
    needs_a_package = any(re.search(r"entry.points", block.text) for block in examples)
    return not needs_a_package and any(block.language in ("sh", "python") for block in examples)


_WITH_EXAMPLES = [page for page in documents() if _is_executed_here(page)]
_CODE = re.compile(r"`((?:ppg-nas|python -m benchmarks) [^`]+)`")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run(tmp_path_factory)


@pytest.fixture
def workplace(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as a reader of the page has it: a finished run, recordings of their own, a foreign model."""
    copy_of(finished, tmp_path / "runs" / "demo")
    (tmp_path / "runs" / "other").symlink_to(tmp_path / "runs" / "demo")
    (tmp_path / "runs" / "mine").symlink_to(tmp_path / "runs" / "demo")
    (tmp_path / "configs").symlink_to(CHECKOUT / "configs")
    (tmp_path / "FOLDER").mkdir()
    (person,) = simulate(1, 5, minutes=0.5)
    save_recording(tmp_path / "FOLDER" / "person.npz", person)
    seconds = np.arange(0, 20, 1 / 32)
    pulse = 1000 * np.sin(2 * np.pi * 1.2 * seconds)
    motion = pulse / 1e5
    rows = np.stack([seconds, pulse, motion, motion / 2, 1 + motion], axis=1)
    lines = [",".join(f"{value:.5f}" for value in row) for row in rows]
    (tmp_path / "walk.csv").write_text("\n".join(["time_s,ppg,acc_x,acc_y,acc_z", *lines]) + "\n")
    (tmp_path / "samples.py").write_text(
        "import numpy as np\n"
        "ppg = np.sin(2 * np.pi * 1.2 * np.arange(0, 20, 1 / 64))\n"
        "acc = np.random.default_rng(0).normal([[0.0], [0.0], [1.0]], 0.02, (3, 640))\n"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", environment(finished.parent)["XDG_CACHE_HOME"])
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", _WITH_EXAMPLES, ids=name_of)
def test_a_page_runs_from_its_first_block_to_its_last(page: Path, workplace: Path) -> None:
    if page.name == "cost-a-foreign-model.md":
        assert exit_code("export", "runs/demo", "--out", "foreign", "--format", "tflite") == 0
        shutil.copy("foreign/network.tflite", "model.tflite")
    arch_id = str(RunDirectory.open(workplace / "runs" / "demo").summary("finish")["chosen"])
    for block in blocks(page):
        if block.title:
            (workplace / block.title).write_text(block.text)
        elif block.language == "sh":
            for words in block.commands:
                _give([arch_id if word == "ID" else word for word in words], ELSEWHERE.get(page.name, ()))
        elif block.language == "python":
            _run_python("from samples import *\n" + block.text)


def test_commands_that_are_only_parsed_would_be_refused_with_an_unknown_option() -> None:
    with pytest.raises(SystemExit):
        _give(["ppg-nas", "run", "demo", "--no-such-option"])
    with pytest.raises(SystemExit):
        _give(["python", "-m", "benchmarks", "kernels", "--no-such-option"])
    with pytest.raises(AssertionError):
        _give(["make", "no-such-target"])


@pytest.mark.parametrize("page", [page for page in documents() if _CODE.search(without_blocks(page))], ids=name_of)
def test_commands_in_the_text_exist_with_every_option_they_name(page: Path) -> None:
    for command in _CODE.findall(without_blocks(page)):
        words = command.split()
        program, rest = (build_parser, words[1:]) if words[0] == "ppg-nas" else (benchmarks_parser, words[3:])
        if rest[0].isupper():
            continue
        known = set(_options(program(rest[0]), rest))
        named = set(re.findall(r"(?<![\w-])--[a-z-]+", command))
        assert named <= known, f"{name_of(page)}: {command}: unknown {sorted(named - known)}"


def test_configurations_in_the_documents_are_accepted(tmp_path: Path) -> None:
    complete = [
        block for page in documents() for block in blocks(page) if block.language == "yaml" and "\ndata:" in block.text
    ]
    assert complete
    for number, block in enumerate(complete):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block.text)
        load_config(path)


def _give(words: Sequence[str], parsed_only: Sequence[str] = ()) -> None:
    """Execute one command of a page, or parse it."""
    if words[0] == "make":
        targets = re.findall(r"^(\w+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
        assert words[1].split("=")[0] in targets, f"make {words[1]}: no such target"
    elif words[0] == ".":
        assert words[1].endswith("/bin/activate")
    elif words[0] == "ppg-nas":
        given = list(words[1:])
        not_executed = [only.split() for only in (*PARSED_ONLY, *parsed_only)]
        if any(given[0] == only[0] and set(only) <= set(given) for only in not_executed):
            build_parser(given[0]).parse_args(given)
        else:
            assert exit_code(*given) == 0, " ".join(words)
    elif words[:3] == ["python", "-m", "benchmarks"]:
        benchmarks_parser(words[3]).parse_args(words[3:])
    else:
        raise AssertionError(f"{' '.join(words)}: the tests of the documentation do not know how to check it")


def _run_python(text: str) -> None:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def _options(parser: argparse.ArgumentParser, words: Sequence[str]) -> Iterator[str]:
    """All options of the command that the words begin with."""
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                if name in words:
                    yield from _options(inner, words)
