"""The look-up table file: round trip, provenance, refusal of anything stale, foreign or incomplete."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hwmodels.cost.lut import (
    Entry,
    LookUpTable,
    MissingEntryError,
    Provenance,
    Runner,
    StaleTableError,
    TableError,
    entry_key,
    load,
    rules_hash,
)
from hwmodels.kernels.variants import kernel_hash
from hwmodels.network.graph import Op

_POINTWISE = Op("p", "conv", 16, 8, 16, 12, activation="relu")


def _table(**changes: object) -> LookUpTable:
    provenance = Provenance(
        kernel_hash(),
        rules_hash(),
        "gcc 12",
        ("-O2",),
        "unicorn 2",
        "cortex-m7",
        "tightly coupled",
        "test",
        "2026-01-01",
    )
    entries = {entry_key(_POINTWISE): Entry(1000, 900, 64, "measured")}
    table = LookUpTable(provenance, Runner(100, 10, 80, 8, 40), {"pointwise": 300}, entries)
    return dataclasses.replace(table, **changes)


def test_a_table_read_back_is_the_table_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lut.json"
    _table().save(path)
    assert load(path) == _table()
    assert [file.name for file in path.parent.iterdir()] == ["lut.json"]


def test_entries_are_found_by_shape_whatever_the_name() -> None:
    renamed = dataclasses.replace(_POINTWISE, name="other")
    assert _table().entry(renamed) == _table().entry(_POINTWISE)


def test_a_missing_entry_raises_and_names_its_key() -> None:
    wider = dataclasses.replace(_POINTWISE, name="wide", channels_out=64)
    with pytest.raises(MissingEntryError) as caught:
        _table().entry(wider)
    assert entry_key(wider) in str(caught.value) and "wide" in str(caught.value)
    assert "lut build" in str(caught.value)


def test_padding_and_dilation_do_not_split_the_entries_of_a_pointwise_convolution() -> None:
    centred = dataclasses.replace(_POINTWISE, padding="centred", dilation=4)
    assert entry_key(centred) == entry_key(_POINTWISE)


@pytest.mark.parametrize("field", ["kernel_hash", "rules_hash"])
def test_a_table_of_other_kernels_or_rules_is_refused_as_stale(tmp_path: Path, field: str) -> None:
    path = tmp_path / "lut.json"
    old = dataclasses.replace(_table().provenance, **{field: "0" * 64})
    _table(provenance=old).save(path)
    with pytest.raises(StaleTableError, match="lut build"):
        load(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("runner"),
        lambda content: content.update(format=99),
        lambda content: content["provenance"].pop("core"),
        lambda content: content["provenance"].update(colour="blue"),
        lambda content: next(iter(content["entries"].values())).update(cycles=-1),
        lambda content: next(iter(content["entries"].values())).update(cycles=1.5),
        lambda content: next(iter(content["entries"].values())).update(origin="guessed"),
        lambda content: next(iter(content["entries"].values())).pop("stack_bytes"),
        lambda content: content.update(entries=[]),
        lambda content: content["code_bytes"].update(pointwise="many"),
    ],
)
def test_a_damaged_table_is_one_line_naming_the_file(tmp_path: Path, damage) -> None:
    path = tmp_path / "lut.json"
    _table().save(path)
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(TableError) as caught:
        load(path)
    assert "lut.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"a": 1}'])
def test_a_truncated_or_foreign_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lut.json"
    path.write_text(text)
    with pytest.raises(TableError, match="lut"):
        load(path)


def test_no_file_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file; run `ppg-nas lut build`"):
        load(tmp_path / "none.json")
