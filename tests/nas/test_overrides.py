"""`--set PATH=VALUE`: one setting changes, everything else stays; a path or value that is wrong is one clear line."""

from __future__ import annotations

import pytest

from hwmodels.basics.errors import InputError
from nas.cli import main
from nas.run.config import load_config, parse_config
from nas.run.overrides import overridden


def test_a_setting_changes_its_field_and_no_other() -> None:
    content = load_config("demo").model_dump(mode="json")
    changed = overridden(
        content, ["teacher.epochs=2", "data.sources.0.minutes=1.5", "supernet.epochs=3", "supernet.epochs=4"]
    )
    config = parse_config(changed, "demo")
    assert (config.teacher.epochs, config.supernet.epochs) == (2, 4)
    changed["teacher"]["epochs"] = content["teacher"]["epochs"]
    changed["supernet"]["epochs"] = content["supernet"]["epochs"]
    changed["data"]["sources"][0]["minutes"] = content["data"]["sources"][0]["minutes"]
    assert changed == content


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("teacher.epochs", "expected PATH=VALUE"),
        ("=3", "expected PATH=VALUE"),
        ("teachers.epochs=3", "no teachers there; known here are"),
        ("data.sources.7.minutes=3", "positions here are 0 to 0"),
        ("name.first=3", "nothing below it can be set"),
        ("name=[", "not valid YAML"),
    ],
)
def test_a_setting_that_leads_nowhere_is_refused(setting: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        overridden(load_config("demo").model_dump(mode="json"), [setting])


@pytest.mark.parametrize("setting", ["data=3", "space=[1]", "teacher.epochs=many", "unknown=1", "seed=yes"])
def test_a_value_of_the_wrong_kind_is_refused_in_one_line(setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "demo", "--set", setting, "--fold", "0"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
