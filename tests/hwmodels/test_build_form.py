"""The graph says what is computed, the form how it is built: graphs, results and model files do not mix the two."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from hwmodels.network.build_form import CODES, DEFAULT_FORM, MEMORIES, BuildForm, built
from hwmodels.network.graph import GraphError, Op
from hwmodels.network.integer_model import IntegerModel
from hwmodels.network.interpreter import run
from hwmodels.network.model_file import ModelFileError, load_model, save_model
from hwmodels.schedule.step_graph import streaming_model
from hwmodels.schedule.stripes import scheduled
from hwmodels.validation.network_check import random_model, random_windows
from supernet.space.search_space import load_space

FORMS = [BuildForm(code, memory) for code in CODES for memory in MEMORIES]


@pytest.fixture(scope="module")
def model() -> IntegerModel:
    space, rng = load_space("default"), np.random.default_rng(3)
    return random_model(space.lower(space.decode(space.sample(1, rng))[0]), rng)


def test_an_operation_has_no_field_of_how_it_is_built() -> None:
    assert not {field.name for field in fields(Op)} & {field.name for field in fields(BuildForm)}


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_operation_of_a_schedule_is_built_in_its_form(form: BuildForm, model: IntegerModel) -> None:
    schedule = scheduled(model.graph, form)
    assert {op.code for op in schedule} == {form.code}
    assert any(op.kind == "stripes" for op in schedule) == (form.memory == "striped")
    assert sum(op.macs for op in schedule) == model.graph.macs


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_results_do_not_depend_on_the_form_that_files_keep(
    form: BuildForm, model: IntegerModel, tmp_path: Path
) -> None:
    save_model(replace(model, form=form), tmp_path / "model.npz")
    loaded = load_model(tmp_path / "model.npz")
    assert (loaded.form, loaded.graph) == (form, model.graph)
    windows = random_windows(model.graph, 2, np.random.default_rng(4))
    for name, tensor in run(loaded, windows).items():
        assert np.array_equal(tensor, run(model, windows)[name])


def test_steps_are_built_in_the_form_of_their_network(model: IntegerModel) -> None:
    form = BuildForm("compact")
    new_samples = model.graph.input.length_in // 4
    assert streaming_model(replace(model, form=form), new_samples).form == form


def test_building_twice_is_building_once_and_the_default_form_leaves_a_graph_as_it_is(model: IntegerModel) -> None:
    op = next(op for op in model.graph if op.has_parameters)
    assert built(built(op, "compact"), "smallest") == built(op, "smallest") != op
    assert scheduled(model.graph, DEFAULT_FORM) is model.graph


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(GraphError, match="unknown code 'tiny', expected one of fast, compact, smallest"):
        BuildForm("tiny")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="unknown memory 'tiled', expected one of whole, striped"):
        BuildForm("fast", "tiled")  # type: ignore[arg-type]


def test_a_file_of_several_forms_is_refused(model: IntegerModel, tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    save_model(model, path)
    with np.load(path) as content:
        arrays = dict(content)
    description = json.loads(arrays["description"].tobytes())
    description["graph"][1]["op"]["code"] = "compact"
    arrays["description"] = np.frombuffer(json.dumps(description).encode(), np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(ModelFileError, match="several forms"):
        load_model(path)
