"""A TFLite file computes what the interpreter computes, on every element of every layer."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

pytest.importorskip("tflite")
pytest.importorskip("ai_edge_litert")

import tflite

from hwmodels.basics.errors import InputError
from hwmodels.network.interpreter import IntegerModel, QuantizationError, run
from hwmodels.schedule.step_graph import streaming_model
from hwmodels.validation.network_check import random_model as network_model
from nas.deploy.formats.tflite import tflite_file
from nas.deploy.verification.runtimes import activations, agreement, litert_tensors
from supernet.space.search_space import load_space
from tests.hwmodels.random_networks import random_graph, random_model, random_windows


def any_model(seed: int) -> tuple[IntegerModel, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return random_model(rng, random_graph(rng, blocks=6)), rng


@pytest.mark.parametrize("seed", range(20))
def test_reference_kernels_equal_the_interpreter_on_every_element(seed: int) -> None:
    model, rng = any_model(seed)
    windows = random_windows(rng, model.graph, 6)
    found = agreement(run(model, windows), litert_tensors(tflite_file(model), windows, activations(model)))
    assert found.mismatches == 0
    assert found.elements == 6 * sum(op.output_bytes for op in list(model.graph)[1:])


def test_reference_kernels_notice_a_wrong_weight() -> None:
    model, rng = any_model(3)
    windows = random_windows(rng, model.graph, 6)
    first = next(op.name for op in model.graph if op.has_parameters)
    given = model.parameters[first]
    wrong = dataclasses.replace(given, bias=given.bias + np.int32(2000))
    changed = dataclasses.replace(model, parameters={**model.parameters, first: wrong})
    found = litert_tensors(tflite_file(changed), windows, activations(model))
    assert agreement(run(model, windows), found).mismatches > 0


def test_convolutions_are_explicit_and_the_file_describes_itself() -> None:
    space = load_space("default")
    arch = space.decode(space.sample(1, np.random.default_rng(0)))[0]
    model = network_model(space.lower(arch), np.random.default_rng(0))
    content = tflite_file(model)
    assert content == tflite_file(model)
    file = tflite.Model.GetRootAs(content)
    graph = file.Subgraphs(0)
    codes = {file.OperatorCodes(index).BuiltinCode() for index in range(file.OperatorCodesLength())}
    names = ("CONV_2D", "DEPTHWISE_CONV_2D", "PAD", "ADD", "AVERAGE_POOL_2D")
    assert codes <= {getattr(tflite.BuiltinOperator, name) for name in names}
    kinds = {graph.Tensors(index).Type() for index in range(graph.TensorsLength())}
    assert kinds == {tflite.TensorType.INT8, tflite.TensorType.INT32}
    metadata = file.Metadata(0)
    assert metadata.Name() == b"ppg_nas"
    told = json.loads(file.Buffers(metadata.Buffer()).DataAsNumpy().tobytes())
    assert told["input"]["rate_hz"] == model.input.rate_hz
    assert told["input"]["scale"] == model.quantization["input"].scale
    assert told["head"]["bins"] == model.graph.output.channels_in
    assert told["head"]["max_spread_bpm"] == 10.0


def test_a_signature_names_input_and_output() -> None:
    from ai_edge_litert.interpreter import Interpreter

    model, rng = any_model(5)
    windows = random_windows(rng, model.graph, 1)
    runner = Interpreter(model_content=tflite_file(model)).get_signature_runner("serving_default")
    logits = model.graph.sources(model.graph.output.name)[0]
    found = runner(samples=windows[:, None])["logits"]
    assert found.shape == (1, 1, 1, model.graph[logits].channels_out)


def test_a_streaming_step_is_refused() -> None:
    space = load_space("default")
    arch = space.decode(space.sample(1, np.random.default_rng(0)))[0]
    model = network_model(space.lower(arch), np.random.default_rng(0))
    with pytest.raises(InputError, match="cannot hold a streaming step"):
        tflite_file(streaming_model(model, 2 * arch.rate_hz))


def test_multipliers_that_no_scale_gives_are_refused() -> None:
    model, _ = any_model(7)
    first = next(op.name for op in model.graph if op.has_parameters)
    given = model.parameters[first]
    changed = dataclasses.replace(given, multiplier=given.multiplier ^ np.int32(1 << 4))
    with pytest.raises(QuantizationError, match="quantize the network again"):
        tflite_file(dataclasses.replace(model, parameters={**model.parameters, first: changed}))


@pytest.mark.parametrize("kept", [0.0, 0.4, 0.99])
def test_a_cut_file_is_told_in_one_line(kept: float) -> None:
    model, rng = any_model(9)
    content = tflite_file(model)
    with pytest.raises(InputError, match="LiteRT refuses the TFLite file"):
        litert_tensors(content[: int(kept * len(content))], random_windows(rng, model.graph, 1), activations(model))
