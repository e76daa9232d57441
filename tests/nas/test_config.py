"""Configurations: what is shipped parses, what is left out has its default, what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwmodels.device.device import load_device
from nas.assembly.run_space import space_of
from nas.run.config import Config, ConfigError, absolute, load_config, parse_config

SHIPPED = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SMALLEST = {"name": "a", "data": {"sources": [{"kind": "synthetic"}]}}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_configuration_has_a_space_and_a_device(path):
    config = load_config(path)
    assert space_of(config).size() > 1
    load_device(config.device)


def test_defaults_are_the_budgets_and_the_device_of_the_mission():
    config = parse_config(SMALLEST, "here")
    assert config.budgets.model_dump() == {
        "flash_kb": 80,
        "latency_ms": 50,
        "ram_kb": 256,
        "power_mw": 5,
    }
    assert (config.device, config.space, config.seed) == ("cortex-m7-64mhz", "default", 0)


def test_what_is_written_out_reads_back_as_the_same_configuration(tmp_path):
    config = load_config(SHIPPED[0])
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "again.yaml") == config


def test_outputs_follow_the_task():
    assert parse_config(SMALLEST, "here").outputs == 96
    rhythm = {**SMALLEST, "task": {"kind": "rhythm", "classes": ["a", "b", "c"]}}
    assert parse_config(rhythm, "here").outputs == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"colour": 1}, "here, colour: unknown key"),
        ({"supernet": {"epoch": 1}}, "here, supernet.epoch: unknown key"),
        ({"finish": {"fine_tuning": {"epochs": 0}}}, "here, finish.fine_tuning.epochs: "),
        ({"seed": "x"}, "here, seed: input should be a valid integer"),
        ({"seed": False}, "here, seed: no setting is yes or no"),
        ({"data": {}}, "here, data.sources: this key is required"),
        ({"data": {"sources": [{"kind": "synthetic", "minutes": "long"}]}}, "here, data.sources.0.minutes: "),
    ],
)
def test_a_wrong_key_is_named_by_its_path(change, told):
    with pytest.raises(ConfigError, match=told) as caught:
        parse_config({**SMALLEST, **change}, "here")
    assert "\n" not in str(caught.value)


def test_a_configuration_is_frozen():
    config = parse_config(SMALLEST, "here")
    assert isinstance(config, Config)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3


def test_paths_become_absolute_and_shipped_names_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute("mine.yaml") == str(tmp_path / "mine.yaml")
    assert absolute("default") == "default"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"data": {"sources": [{"kind": "x"}]}},
            "here, data.sources.0.kind: unknown kind 'x', known are bami, .*tabular",
        ),
        ({"task": {"kind": "x"}}, "here, task.kind: unknown task 'x', known are heart_rate, rhythm; .*ppg_nas.tasks"),
        ({"teacher": {"kind": "x"}}, "here, teacher.kind: unknown teacher 'x', known are cnn_lstm, .*ppg_nas.teachers"),
        (
            {"supernet": {"distillation": [{"kind": "x"}]}},
            "here, supernet.distillation.0.kind: unknown distillation loss 'x', known are .*ppg_nas.losses",
        ),
        ({"teacher": {"options": {"kernel": 3}}}, "here, teacher.options.kernel: unknown key"),
        ({"task": {"options": {"slowest": 3}}}, "here, task.options.slowest: unknown key"),
    ],
)
def test_an_unknown_name_in_a_configuration_is_answered_with_what_is_known_and_what_adds_another(
    change: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        parse_config({**SMALLEST, **change}, "here")
    assert "\n" not in str(caught.value)
