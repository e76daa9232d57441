"""Costing foreign TFLite models: operators become the right operations, or are named; damage is one line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

tflite = pytest.importorskip("tflite")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from hwmodels.c.toolchain import find_toolchain  # noqa: E402
from hwmodels.codegen.network_source import fallbacks, generate  # noqa: E402
from hwmodels.cost.network_cost import CostModel  # noqa: E402
from hwmodels.cost.profiling import build  # noqa: E402
from hwmodels.device.device import load_device  # noqa: E402
from hwmodels.foreign.model_cost import cost_tflite, profiled  # noqa: E402
from hwmodels.foreign.tflite_layers import layers_of  # noqa: E402
from hwmodels.foreign.tflite_parameters import parameters_of  # noqa: E402
from hwmodels.foreign.tflite_reader import TFLiteFileError, parse_tflite, read_tflite  # noqa: E402
from hwmodels.network.integer_model import IntegerModel, Quantization  # noqa: E402
from hwmodels.validation.network_check import check_image, random_model, random_windows  # noqa: E402
from nas.cli import main  # noqa: E402
from nas.deploy.formats.tflite import tflite_file  # noqa: E402
from supernet.space.search_space import load_space  # noqa: E402
from tests.hwmodels.random_networks import random_graph  # noqa: E402
from tests.hwmodels.random_networks import random_model as random_integer_model  # noqa: E402
from tests.hwmodels.tflite_files import FLOAT32, SAME, TANH, VALID, Net, small_net  # noqa: E402
from tests.nas.tiny_run import without_arm_compiler  # noqa: E402

needs_compiler = pytest.mark.skipif(without_arm_compiler() is not None, reason=str(without_arm_compiler()))
SMALL = small_net().bytes()


def test_every_operator_becomes_the_operation_that_computes_it() -> None:
    model = layers_of(parse_tflite(SMALL))
    assert model.graph is not None and not model.problem
    found = [(op.kind, op.length_in, op.channels_in, op.length_out, op.channels_out) for op in model.graph]
    assert found == [
        ("input", 64, 4, 64, 4),
        ("conv", 64, 4, 64, 8),
        ("depthwise", 64, 8, 64, 8),
        ("conv", 64, 8, 64, 8),
        ("add", 64, 8, 64, 8),
        ("conv", 64, 8, 32, 12),
        ("average_pool", 32, 12, 4, 12),
        ("average_pool", 4, 12, 1, 12),
        ("fully_connected", 1, 12, 1, 5),
        ("class_head", 1, 5, 1, 5),
    ]
    causal, depthwise, strided = (list(model.graph)[at] for at in (1, 2, 5))
    assert (causal.padding, causal.kernel, causal.dilation, causal.activation) == ("causal", 3, 4, "relu")
    assert (depthwise.padding, depthwise.kernel, depthwise.activation) == ("centred", 5, "relu")
    assert (strided.padding, strided.kernel, strided.stride) == ("centred", 4, 2)
    assert model.graph.sources("5 ADD") == ("2 CONV_2D", "4 CONV_2D")


def test_a_pointwise_layer_may_span_both_axes_and_a_classifier_flattened_rows() -> None:
    net = Net()
    x = net.add("CONV_2D", [net.tensor(1, 25, 5, 8), net.weights(16, 1, 1, 8)], 1, 25, 5, 16, Padding=SAME)
    net.add("FULLY_CONNECTED", [x, net.weights(4, 25 * 5 * 16)], 1, 4)
    model = layers_of(parse_tflite(net.bytes()))
    assert model.graph is not None
    pointwise, flattened = list(model.graph)[1:]
    assert (pointwise.length_in, pointwise.macs) == (125, 125 * 8 * 16)
    assert (flattened.kind, flattened.kernel, flattened.macs) == ("conv", 125, 4 * 125 * 16)


@pytest.mark.parametrize("seed", range(3))
def test_a_file_of_our_own_writer_is_read_as_the_graph_it_was_made_of(seed: int) -> None:
    space, rng = load_space("default"), np.random.default_rng(seed)
    graph = space.lower(space.decode(space.sample(1, rng))[0])
    model = layers_of(parse_tflite(tflite_file(random_model(graph, rng))))
    assert model.graph is not None
    written = [op for op in graph if op.output_bytes]
    for op, read in zip(written, model.graph, strict=True):
        kind = "conv" if op.kind == "fully_connected" else op.kind
        padding = "valid" if op.reach == 0 else op.padding
        if op.kind not in ("conv", "depthwise", "fully_connected"):
            padding = read.padding
        assert read == replace(op, name=read.name, kind=kind, padding=padding)
    assert not any(layer.fallback for layer in model.layers)


@pytest.mark.parametrize("seed", range(3))
def test_weights_and_requantization_of_a_file_are_those_it_was_made_of(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made = random_integer_model(rng, random_graph(rng))
    content = tflite_file(made)
    file = parse_tflite(content)
    layers = {layer.index: layer for layer in layers_of(file).layers if layer.op is not None}
    names = [op.name for op in made.graph if op.output_bytes and op.kind != "input"]
    compared = 0
    for name, (index, layer) in zip(names, layers.items(), strict=True):
        reason = fallbacks(made).get(name, "")
        assert layer.fallback == reason
        if layer.op.has_parameters:
            operator = file.operators[index]
            inputs = [file.tensors[at] for at in operator.inputs]
            read = parameters_of(layer.op, inputs, file.tensors[operator.outputs[0]])
            expected = made.parameters[name]
            np.testing.assert_array_equal(read.weight.ravel(), expected.weight.ravel())
            for field in ("bias", "multiplier", "shift"):
                np.testing.assert_array_equal(getattr(read, field), getattr(expected, field))
            compared += 1
    assert compared >= 3


@needs_compiler
def test_a_layer_outside_the_fast_form_is_costed_with_the_exact_kernel(tmp_path: Path) -> None:
    """The whole network, executed with its fallback, takes what the cost of its file says, and the head."""
    space, rng, device = load_space("demo"), np.random.default_rng(3), load_device()
    graph = space.lower(space.decode(space.sample(1, rng))[0])
    made = random_model(graph, rng)
    relu = next(op.name for op in graph if op.activation == "relu")
    grids = {**made.quantization, relu: Quantization(made.quantization[relu].scale, -100)}
    made = IntegerModel(graph, grids, made.parameters, made.head, made.input)
    assert set(fallbacks(made)) == {relu}
    path, toolchain = tmp_path / "slow.tflite", find_toolchain()
    path.write_bytes(tflite_file(made))
    found = cost_tflite(path, device, toolchain)
    slow = [one for one in found.layers if one.layer.fallback]
    assert len(slow) == 1 and "-100" in slow[0].layer.fallback and found.total is not None
    model = CostModel(build(list(graph), toolchain, ""), device)
    windows = random_windows(graph, 1, rng)
    run = check_image(made, model, toolchain.link(generate(made)), windows)
    head = model.op_cost(graph.output).cycles
    assert found.total.cycles + head == pytest.approx(run.measured_cycles, rel=5e-3)


def weights(*shape: int) -> Callable[[Net], int]:
    return lambda net: net.weights(*shape)


def tensor(*shape: int) -> Callable[[Net], int]:
    return lambda net: net.tensor(*shape)


def constant(values: list) -> Callable[[Net], int]:
    return lambda net: net.constant(values)


def _single(
    name: str, source: tuple = (1, 1, 32, 8), made: tuple = (1, 1, 32, 8), extra=(), out=None, **options: int
) -> str:
    net = Net()
    first = net.tensor(*source)
    net.add(name, [first, *(make(net) for make in extra)], *made, out=out, **options)
    (layer,) = layers_of(parse_tflite(net.bytes())).layers
    assert layer.op is None
    return layer.reason


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", {}, "no kernel"),
        ("MAX_POOL_2D", {"out": {"kind": FLOAT32}}, "float32"),
        ("MAX_POOL_2D", {"FilterWidth": 3, "FilterHeight": 1, "StrideW": 0}, "another shape|windows"),
        ("READ_VARIABLE", {}, "whole windows"),
        ("QUANTIZE", {"out": {"kind": FLOAT32}}, "int8 inputs"),
        ("CONV_2D", {"out": {"kind": FLOAT32}, "extra": [weights(8, 1, 1, 8)]}, "float32"),
        ("CONV_2D", {"extra": [weights(8, 3, 3, 8)], "source": (1, 8, 4, 8)}, "2-D layer"),
        ("CONV_2D", {"extra": [weights(8, 1, 3, 4)], "Padding": SAME}, "grouped"),
        ("CONV_2D", {"extra": [weights(8, 1, 3, 8)], "Padding": VALID}, "length_out must be 30"),
        ("CONV_2D", {"extra": [weights(8, 1, 1, 8)], "FusedActivationFunction": TANH}, "tanh"),
        ("CONV_2D", {"extra": [tensor(8, 1, 1, 8)]}, "constant int8"),
        ("CONV_2D", {}, "lacks its input 1"),
        ("DEPTHWISE_CONV_2D", {"extra": [weights(1, 1, 3, 16)], "made": (1, 1, 32, 16)}, "multiplier"),
        ("ADD", {"extra": [weights(1, 1, 31, 8)]}, "shapes"),
        ("ADD", {"extra": [tensor(1, 1, 32, 8)], "FusedActivationFunction": TANH}, "made by no operator"),
        ("MUL", {"extra": [constant([3])]}, "int32"),
        ("MEAN", {"source": (1, 2, 16, 8), "extra": [constant([1])], "made": (1, 1, 16, 8)}, "not all of time"),
        ("AVERAGE_POOL_2D", {"FilterWidth": 3, "FilterHeight": 1, "StrideW": 2, "StrideH": 1}, "another shape"),
        ("PAD", {"extra": [constant([[0, 0], [0, 0], [0, 0], [1, 1]])]}, "makes"),
        ("CONCATENATION", {"extra": [tensor(1, 1, 3, 8)], "Axis": 7}, "axis 7"),
        ("FULLY_CONNECTED", {"extra": [weights(8, 7)]}, "do not fit"),
        ("SOFTMAX", {"out": {"scale": None}}, "no single quantization scale"),
        ("CONV_2D", {"source": (2, 1, 32, 8), "extra": [weights(8, 1, 1, 8)]}, "batch"),
    ],
)
def test_what_has_no_kernel_is_named_with_its_reason(name: str, fields: dict, reason: str) -> None:
    assert re.search(reason, _single(name, **fields))


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "TFL3"), (b"PK\x03\x04 a zip file", "TFL3"), (SMALL[:40], "damaged"), (SMALL[:-200], "damaged")],
)
def test_a_foreign_or_cut_file_is_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(TFLiteFileError, match=told) as caught:
        read_tflite(path)
    assert "model.tflite" in str(caught.value)
    with pytest.raises(TFLiteFileError, match="give the path"):
        read_tflite(tmp_path / "none.tflite")


@settings(max_examples=300, deadline=20_000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(8, len(SMALL) - 1), st.integers(0, 255)), max_size=12),
    st.integers(8, len(SMALL)),
)
def test_damaged_bytes_never_crash_or_hang(changes: list[tuple[int, int]], end: int) -> None:
    content = bytearray(SMALL)
    for place, value in changes:
        content[place] = value
    for candidate in (bytes(content), bytes(content[:end])):
        try:
            file = parse_tflite(candidate)
        except TFLiteFileError as error:
            assert "\n" not in str(error)
            continue
        layers_of(file)


@needs_compiler
def test_totals_are_those_of_the_graph_and_calls_are_profiled_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, device, toolchain = tmp_path / "small.tflite", load_device("stm32f746"), find_toolchain()
    path.write_bytes(SMALL)
    found = cost_tflite(path, device, toolchain)
    graph = layers_of(read_tflite(path)).graph
    assert graph is not None and found.total is not None and found.unsupported == ()
    table = profiled(list(graph)[1:], device.target, toolchain, lambda *_: pytest.fail("profiled again"))
    whole = CostModel(table, device).cost(graph)
    assert (found.total.cycles, found.total.peak_ram_bytes) == (whole.cycles, whole.peak_ram_bytes)
    assert found.total.macs == graph.macs and found.total.flash_bytes < whole.flash_bytes
    assert max(one.live_bytes or 0 for one in found.layers) < found.total.peak_ram_bytes
    assert cost_tflite(path, device, toolchain, table) == found


@needs_compiler
def test_the_command_prints_totals_and_names_what_is_not_supported(tmp_path: Path, capsys) -> None:
    path = tmp_path / "small.tflite"
    path.write_bytes(SMALL)
    assert main(["cost", str(path), "--device", "cortex-m4-64mhz", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["unsupported"] == [] and told["total"]["cycles"] > sum(r["cycles"] for r in told["layers"])
    assert "class head" in told["layers"][-1]["note"]
    assert told["total_is"] == "complete"
    whole = told["total"]["cycles"]
    net = small_net()
    net.add("LSTM", [net.operators[-1][2]], 1, 5)
    path.write_bytes(net.bytes())
    assert main(["cost", str(path), "--device", "cortex-m4-64mhz", "--json"]) == 2
    caught = capsys.readouterr()
    told = json.loads(caught.out)
    assert [one["operator"] for one in told["unsupported"]] == ["LSTM"]
    assert told["total_is"] == "incomplete" and told["total"]["cycles"] > 0.9 * whole
    assert "not supported: #11 LSTM" in caught.err and caught.err.count("\n") == 2
    assert main(["cost", str(path)]) == 2
    assert "total: incomplete, without #11 LSTM" in capsys.readouterr().out
    path.write_bytes(b"not a model")
    assert main(["cost", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_costing_a_model_needs_neither_torch_nor_search_spaces() -> None:
    heavy = {"torch", "supernet", "search", "scipy"}
    code = f"import sys, nas.commands.hardware.cost; print(*(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
