"""What the how-to guides say to do is done here, from outside of the package, as somebody else's package would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nas.evaluation.task_conformance import check_task
from nas.evaluation.task_settings import TASKS, TaskSettings
from supernet.distillation.conformance import check_loss
from supernet.network.block_conformance import check_block
from supernet.settings.losses import LOSSES, Term
from supernet.settings.teachers import TEACHERS, TeacherNetwork
from supernet.space.arch import Block
from supernet.space.block_kind import BLOCK_KINDS, BlockKind, Node, Place
from supernet.space.search_space import SpaceError
from supernet.teachers.conformance import check_teacher
from tests.nas.tiny_run import environment, tiny_config, without_arm_compiler, write_config

ROOT = Path(__file__).parents[1]
GUIDES = ("teacher", "loss", "task", "loader", "block")
LONGEST_EXAMPLE = 60


def block(guide: str, language: str, number: int = 0) -> str:
    """The code block of a guide in a language, by its number."""
    text = (ROOT / "docs" / "how-to" / f"add-a-{guide}.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[number]


def installed(guide: str, folder: Path) -> Path:
    """A folder in which the guide's file lies as pip would have installed it."""
    source = block(guide, "python")
    (folder / f"my_{guide}.py").write_text(source)
    information = folder / f"my_{guide}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: my-{guide}\nVersion: 1.0\n")
    group, point = block(guide, "ini").split("\n", 1)[1].split("=", 1)
    (information / "entry_points.txt").write_text(f"[{group.strip()}]\n{point.strip()}\n")
    return folder


def surroundings(folder: Path) -> dict[str, str]:
    """The environment of a process that finds the program and the folder."""
    return {**environment(folder), "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}


@pytest.mark.parametrize("guide", GUIDES)
def test_one_short_file_adds_one_and_passes_the_conformance_suite(guide: str, tmp_path: Path) -> None:
    folder = installed(guide, tmp_path)
    assert len(block(guide, "python").splitlines()) < LONGEST_EXAMPLE
    command = [sys.executable, "-c", block(guide, "python", 1)]
    done = subprocess.run(command, cwd=folder, env=surroundings(folder), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.arm
def test_a_third_task_with_another_teacher_and_loss_goes_through_a_whole_run(tmp_path: Path) -> None:
    if reason := without_arm_compiler():
        pytest.skip(reason)
    for guide in GUIDES:
        installed(guide, tmp_path)
    content = tiny_config(tmp_path)
    content["task"] = {"kind": "respiration", "bins": 64}
    content["teacher"] = {"kind": "plain", "width": 8, "options": {"kernel": 5}, "epochs": 1}
    content["finish"]["fine_tuning"]["distillation"] = [{"kind": "ranking", "options": {"margin": 0.2}}]
    config = write_config(tmp_path / "tiny.yaml", content)
    command = [sys.executable, "-m", "nas.cli", "run", str(config), "--run", str(tmp_path / "run")]
    done = subprocess.run(command, env=surroundings(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "int8 subnet, synthetic, MAE" in done.stdout
    assert "breaths/min" in (tmp_path / "run" / "report.html").read_text()


SMALL_TEACHERS = {"resnet": {"blocks": (1,)}, "transformer": {"width": 12, "heads": 2, "layers": 1}}


@pytest.mark.parametrize("kind", TEACHERS)
def test_every_teacher_conforms(kind: str) -> None:
    settings = {"width": 8, **SMALL_TEACHERS.get(kind, {})}
    check_teacher(TEACHERS[kind], TeacherNetwork(kind=kind, **settings))


@pytest.mark.parametrize("kind", LOSSES)
def test_every_loss_conforms(kind: str) -> None:
    check_loss(Term(kind=kind))


@pytest.mark.parametrize("kind", BLOCK_KINDS)
def test_every_kind_of_block_conforms(kind: str) -> None:
    check_block(kind, **({"expansions": (1, 2)} if "expansions" in BLOCK_KINDS[kind].choices.model_fields else {}))


def test_conformance_catches_a_block_whose_last_operation_mixes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def branch(block: Block, place: Place) -> list[Node]:
        return [place.spatial("filtered", "depthwise", place.source, (place.channels, place.channels), block)]

    monkeypatch.setitem(BLOCK_KINDS._items, "plain", BlockKind("p", branch))
    with pytest.raises(SpaceError, match="has to mix its channels"):
        check_block("plain")


def test_two_kinds_of_block_do_not_share_weights_by_accident(monkeypatch: pytest.MonkeyPatch) -> None:
    def branch(block: Block, place: Place) -> list[Node]:
        first = place.spatial("conv", "conv", place.source, (place.channels, 8), block)
        return [first, place.pointwise("mixed", first.op.name, (8, place.width), place.length_out)]

    monkeypatch.setitem(BLOCK_KINDS._items, "bottleneck", BlockKind("b", branch))
    with pytest.raises(SpaceError, match="has to name its operation otherwise"):
        check_block("bottleneck")


@pytest.mark.parametrize(("kind", "settings"), [("heart_rate", {}), ("rhythm", {"classes": ("a", "b", "c", "d")})])
def test_every_task_conforms(kind: str, settings: dict[str, object]) -> None:
    check_task(TASKS[kind], TaskSettings(kind=kind, **settings))
    assert set(TASKS) == {"heart_rate", "rhythm"}, "a new task is to be checked here too"


def test_conformance_catches_a_loss_that_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    broken = replace(LOSSES["soft_labels"], compare=lambda comparison: comparison.teacher.logits.square().mean())
    monkeypatch.setitem(LOSSES._items, "soft_labels", broken)
    with pytest.raises(AssertionError, match="must move the student's"):
        check_loss(Term(kind="soft_labels"))


def test_conformance_catches_a_teacher_that_ignores_its_seed() -> None:
    from dataclasses import replace

    kind = TEACHERS["resnet"]
    broken = replace(kind, build=lambda settings, given: kind.build(settings, replace(given, seed=0)))
    with pytest.raises(AssertionError, match="another seed must give other weights"):
        check_teacher(broken, TeacherNetwork(kind="resnet", width=4, blocks=(1,)))
