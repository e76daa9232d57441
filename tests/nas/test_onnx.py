"""The exact ONNX file equals the interpreter; each operation of the plain one is within one unit of it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import IntegerModel, run
from hwmodels.schedule.step_graph import streaming_model
from hwmodels.validation.network_check import random_model as network_model
from nas.deploy.formats.onnx import onnx_file
from nas.deploy.verification.runtimes import activations, agreement, onnx_operations, onnx_tensors
from supernet.space.search_space import load_space
from tests.hwmodels.random_networks import random_graph, random_model, random_windows


def any_model(seed: int) -> tuple[IntegerModel, np.ndarray]:
    rng = np.random.default_rng(seed)
    model = random_model(rng, random_graph(rng, blocks=6))
    return model, random_windows(rng, model.graph, 6)


@pytest.mark.parametrize("seed", range(12))
def test_the_exact_file_equals_the_interpreter_on_every_element(seed: int) -> None:
    model, windows = any_model(seed)
    content = onnx_file(model)
    found = agreement(run(model, windows), onnx_tensors(content, windows, activations(model)))
    assert found.mismatches == 0
    assert found.elements == 6 * sum(op.output_bytes for op in list(model.graph)[1:])


@pytest.mark.parametrize("seed", range(12))
def test_each_operation_of_the_plain_file_is_within_one_unit(seed: int) -> None:
    model, windows = any_model(seed)
    expected = run(model, windows)
    content = onnx_file(model, exact=False)
    each = agreement(expected, onnx_operations(content, expected, activations(model)))
    assert each.max_ulp <= 1
    assert each.mismatches < 0.02 * each.elements


def test_a_wrong_bias_is_noticed() -> None:
    model, windows = any_model(3)
    first = next(op.name for op in model.graph if op.has_parameters)
    given = model.parameters[first]
    wrong = dataclasses.replace(given, bias=given.bias + np.int32(2000))
    changed = dataclasses.replace(model, parameters={**model.parameters, first: wrong})
    found = onnx_tensors(onnx_file(changed), windows, activations(model))
    assert agreement(run(model, windows), found).mismatches > 0


@pytest.mark.parametrize("exact", [True, False])
def test_the_file_is_valid_qdq_and_describes_itself(exact: bool) -> None:
    space = load_space("default")
    arch = space.decode(space.sample(1, np.random.default_rng(0)))[0]
    model = network_model(space.lower(arch), np.random.default_rng(0))
    content = onnx_file(model, exact)
    assert content == onnx_file(model, exact)
    file = onnx.load_from_string(content)
    onnx.checker.check_model(file, full_check=True)
    made = {node.output[0]: node for node in file.graph.node}
    for op in list(model.graph)[1:-1]:
        assert made[op.name].op_type == "QuantizeLinear"
    convolutions = [node for node in file.graph.node if node.op_type == "Conv"]
    assert convolutions
    assert all(made[name].op_type == "DequantizeLinear" for node in convolutions for name in node.input)
    told = json.loads(file.metadata_props[0].value)
    assert told["output"]["scale"] == model.quantization["logits"].scale
    assert told["head"]["first_bpm"] == 30.0


def test_a_streaming_step_is_refused() -> None:
    space = load_space("default")
    arch = space.decode(space.sample(1, np.random.default_rng(0)))[0]
    model = network_model(space.lower(arch), np.random.default_rng(0))
    with pytest.raises(InputError, match="cannot hold a streaming step"):
        onnx_file(streaming_model(model, 2 * arch.rate_hz))


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_cut_file_is_told_in_one_line(kept: float) -> None:
    model, windows = any_model(9)
    content = onnx_file(model)
    with pytest.raises(InputError, match="onnxruntime refuses the ONNX file"):
        onnx_tensors(content[: int(kept * len(content))], windows, activations(model))
