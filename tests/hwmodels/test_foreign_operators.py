"""Operators that only other people's networks have: what each becomes, what it costs, and what a total is worth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

tflite = pytest.importorskip("tflite")

from hwmodels.foreign.tflite_layers import TFLiteModel, layers_of  # noqa: E402
from hwmodels.foreign.tflite_reader import parse_tflite  # noqa: E402
from hwmodels.schedule.memory import step_bytes  # noqa: E402
from nas.cli import main  # noqa: E402
from tests.hwmodels.tflite_files import FLOAT32, RELU, RELU6, SAME, VALID, Net  # noqa: E402
from tests.nas.tiny_run import without_arm_compiler  # noqa: E402

needs_compiler = pytest.mark.skipif(without_arm_compiler() is not None, reason=str(without_arm_compiler()))
VIEWS = ("RESHAPE", "EXPAND_DIMS", "SQUEEZE")
USUAL_BLOCKS = (
    *("MAX_POOL_2D", "AVERAGE_POOL_2D", "QUANTIZE", "DEQUANTIZE", "ADD relu", "ADD relu6", "ADD relu elsewhere"),
    *("ADD", "SUB", "MUL", "MUL scalar", "MUL gates", "CONCATENATION", "PAD", "REDUCE_MAX", "TRANSPOSE"),
    *("CONV_2D relu6", "SOFTMAX", "LOGISTIC", "TANH", "LEAKY_RELU", "HARD_SWISH", "RELU", "RELU6"),
)


def read(net: Net, **ends: Sequence[int]) -> TFLiteModel:
    return layers_of(parse_tflite(net.bytes(**ends)))


def costs(net: Net, folder: Path, capsys: pytest.CaptureFixture[str], expected: int = 0, **ends: Sequence[int]) -> dict:
    path = folder / "net.tflite"
    path.write_bytes(net.bytes(**ends))
    assert main(["cost", str(path), "--json"]) == expected
    content: dict = json.loads(capsys.readouterr().out)
    return content


def view(net: Net, name: str, source: int, *shape: int) -> int:
    return net.add(name, [source, net.constant(shape)], *shape)


def causal_layer(
    net: Net, x: int, views: Sequence[str], channels: int, kernel: int, dilation: int, pad_axis: int = 1
) -> int:
    """Conv1D(padding="causal") as converters write it: PAD and views in some order, then a VALID CONV_2D."""
    length, width = net.tensors[x]["shape"][-2:]
    reach = (kernel - 1) * dilation
    padded = (1, length + reach, width)
    amounts = [[0, 0], [reach, 0], [0, 0]]
    if pad_axis == 2:
        x, amounts, padded = view(net, views[0], x, 1, 1, length, width), [[0, 0], *amounts], (1, *padded)
    x = net.add("PAD", [x, net.constant(amounts)], *padded)
    for name in views:
        x = view(net, name, x, 1, length + reach, 1, width) if name == "SQUEEZE" else view(net, name, x, *padded)
    x = view(net, views[-1], x, 1, 1, length + reach, width)
    x = net.conv(x, (1, 1, length, channels), kernel, dilation, FusedActivationFunction=RELU)
    return view(net, views[0], x, 1, length, channels)


@pytest.mark.parametrize("views", [VIEWS, VIEWS[::-1], ("RESHAPE",), ("EXPAND_DIMS", "SQUEEZE"), ("SQUEEZE",)])
@pytest.mark.parametrize("dilation", [1, 4, 8])
@pytest.mark.parametrize("pad_axis", [1, 2])
def test_views_of_a_padded_value_keep_its_padding(views: Sequence[str], dilation: int, pad_axis: int) -> None:
    net = Net()
    x = net.tensor(1, 64, 4)
    for channels in (16, 8):
        x = causal_layer(net, x, views, channels, 5, dilation, pad_axis)
    model = read(net)
    assert model.graph is not None and not any(layer.reason for layer in model.layers)
    made = [(op.kind, op.length_in, op.length_out, op.padding, op.kernel, op.dilation) for op in list(model.graph)[1:]]
    assert made == [("conv", 64, 64, "causal", 5, dilation)] * 2


@pytest.mark.parametrize(
    ("amounts", "stride", "padding", "pads"),
    [((4, 0), 1, "causal", 0), ((4, 0), 2, "causal", 0), ((2, 2), 1, "centred", 0), ((3, 1), 1, "valid", 1)],
)
def test_a_pad_is_taken_in_or_copied(amounts: tuple[int, int], stride: int, padding: str, pads: int) -> None:
    net = Net()
    x = net.tensor(1, 1, 32, 4)
    x = net.add("PAD", [x, net.constant([[0, 0], [0, 0], amounts, [0, 0]])], 1, 1, 36, 4)
    net.conv(x, (1, 1, 32 // stride, 8), kernel=5, stride=stride)
    model = read(net, inputs=[0])
    assert model.graph is not None
    conv = model.graph.output
    assert (conv.padding, conv.length_in, conv.length_out) == (padding, 36 if pads else 32, 32 // stride)
    assert len(model.layers[0].ops) == pads


def test_a_padded_value_read_twice_is_copied_once_and_a_padded_output_too() -> None:
    net = Net()
    x = net.tensor(1, 32, 4)
    padded = net.add("PAD", [x, net.constant([[0, 0], [1, 3], [0, 0]])], 1, 36, 4)
    first, second = (net.add(name, [padded], 1, 36, 4) for name in ("LOGISTIC", "TANH"))
    net.add("ADD", [first, second], 1, 36, 4)
    model = read(net, outputs=[net.operators[-1][2], padded])
    assert model.graph is not None
    assert [op.name for op in model.graph] == ["input", "0 PAD", "1 LOGISTIC", "2 TANH", "3 ADD", "end"]


@needs_compiler
@pytest.mark.parametrize("positions", [256, 400])
def test_a_flattened_classifier_costs_what_its_plain_vector_does(positions: int, tmp_path: Path, capsys) -> None:
    cycles = []
    for flattened in (True, False):
        net = Net()
        x = net.tensor(1, positions, 4) if flattened else net.tensor(1, positions * 4)
        if flattened:
            x = net.conv(view(net, "RESHAPE", x, 1, 1, positions, 4), (1, 1, positions, 4), kernel=1)
            x = view(net, "RESHAPE", x, 1, positions * 4)
        net.add("FULLY_CONNECTED", [x, net.weights(5, positions * 4)], 1, 5)
        content = costs(net, tmp_path, capsys)
        assert content["total_is"] == "complete"
        cycles.append(content["layers"][-1]["cycles"])
    assert cycles[0] == cycles[1]


def usual_block(name: str) -> tuple[Net, bool]:
    """A convolution, then one operator of public 1-D networks; whether its price is an upper bound."""
    net = Net()
    x = net.conv(net.tensor(1, 1, 64, 8), (1, 1, 64, 8), kernel=3, padding=SAME)
    shape, pooled = (1, 1, 64, 8), {"FilterHeight": 1, "FilterWidth": 3, "StrideH": 1, "StrideW": 2, "Padding": SAME}
    constant = net.weights(8)
    if name.endswith("POOL_2D"):
        net.add(name, [x], 1, 1, 32, 8, **pooled)
    elif name == "QUANTIZE":
        net.add(name, [x], *shape, out={"scale": 0.1, "zero_point": 3})
    elif name == "DEQUANTIZE":
        net.add(name, [x], *shape, out={"kind": FLOAT32, "scale": None})
    elif name in ("ADD relu", "ADD relu6", "ADD relu elsewhere"):
        act, zero = (RELU6 if "6" in name else RELU), (5 if "elsewhere" in name else -128)
        net.add("ADD", [x, 0], *shape, out={"zero_point": zero}, FusedActivationFunction=act)
    elif name in ("ADD", "MUL", "SUB"):
        net.add(name, [x, constant], *shape)
    elif name == "MUL scalar":
        net.add("MUL", [x, net.weights(1)], *shape)
    elif name == "MUL gates":
        gates = net.add("LOGISTIC", [net.add("MEAN", [x, net.constant([1, 2])], 1, 1, 1, 8)], 1, 1, 1, 8)
        net.add("MUL", [x, gates], *shape)
    elif name == "CONCATENATION":
        net.add(name, [x, 0, x], 1, 1, 64, 24, Axis=-1)
    elif name == "PAD":
        net.add(name, [x, net.constant([[0, 0], [0, 0], [2, 2], [4, 4]])], 1, 1, 68, 16)
    elif name == "REDUCE_MAX":
        net.add(name, [x, net.constant([1, 2])], 1, 8)
    elif name == "TRANSPOSE":
        net.add(name, [x, net.constant([0, 1, 3, 2])], 1, 1, 8, 64)
    elif name == "CONV_2D relu6":
        net.conv(x, (1, 1, 64, 8), kernel=1, FusedActivationFunction=RELU6)
    elif name == "SOFTMAX":
        net.add("LOGISTIC", [net.add(name, [x], *shape)], *shape)
    else:
        net.add(name, [x], *shape)
    bounds = ("AVERAGE_POOL_2D", "DEQUANTIZE", "ADD", "MUL", "SUB", "MUL gates", "TRANSPOSE", "SOFTMAX")
    return net, name in bounds


@needs_compiler
@pytest.mark.parametrize("name", USUAL_BLOCKS)
def test_usual_blocks_have_a_price_and_bounds_are_marked(name: str, tmp_path: Path, capsys) -> None:
    net, is_bound = usual_block(name)
    content = costs(net, tmp_path, capsys)
    assert content["unsupported"] == [] and content["total"]["cycles"] > 0
    assert content["total_is"] == ("upper bound" if is_bound else "complete")
    assert any(row["upper_bound"] for row in content["layers"]) == is_bound
    for row in content["layers"][1:]:
        assert row["cycles"] > 50 and row["ram_bytes"] > 0
        assert ("upper bound" in row["note"]) == row["upper_bound"]
    assert main(["cost", str(tmp_path / "net.tflite")]) == 0
    assert f"total: {content['total_is']}" in capsys.readouterr().out


@needs_compiler
def test_float_ends_are_priced_and_take_four_bytes_an_element(tmp_path: Path, capsys) -> None:
    net = Net()
    x = net.tensor(1, 64, 4, kind=FLOAT32, scale=None)
    x = view(net, "RESHAPE", net.add("QUANTIZE", [x], 1, 64, 4), 1, 1, 64, 4)
    x = net.conv(x, (1, 1, 64, 4), kernel=1)
    net.add("DEQUANTIZE", [x], 1, 1, 64, 4, out={"kind": FLOAT32, "scale": None})
    content = costs(net, tmp_path, capsys)
    assert content["total_is"] == "upper bound"
    ram = [row["ram_bytes"] for row in content["layers"]]
    assert ram[0] == ram[3] == 5 * 64 * 4


@needs_compiler
def test_a_total_lacks_what_has_no_kernel_and_says_so(tmp_path: Path, capsys) -> None:
    priced, net = Net(), Net()
    for one in (priced, net):
        x = one.conv(one.tensor(1, 1, 64, 8), (1, 1, 64, 8), kernel=3, padding=SAME)
    net.add("LSTM", [x], 1, 1, 64, 8)
    whole, lacking = costs(priced, tmp_path, capsys), costs(net, tmp_path, capsys, expected=2)
    assert lacking["total_is"] == "incomplete" and lacking["total"]["cycles"] == whole["total"]["cycles"]
    assert [one["operator"] for one in lacking["unsupported"]] == ["LSTM"]
    assert main(["cost", str(tmp_path / "net.tflite")]) == 2
    caught = capsys.readouterr()
    assert "total: incomplete, without #1 LSTM" in caught.out
    assert caught.err.splitlines()[-1].endswith("the total is incomplete, 1 of 2 operators have no kernel")


@needs_compiler
def test_several_inputs_and_outputs_have_a_total(tmp_path: Path, capsys) -> None:
    net = Net()
    first, second = net.tensor(1, 1, 64, 4), net.tensor(1, 1, 64, 4)
    x = net.add("CONCATENATION", [first, second], 1, 1, 64, 8, Axis=3)
    one = net.conv(x, (1, 1, 64, 8), kernel=1)
    two = net.conv(x, (1, 1, 64, 8), kernel=3, padding=SAME)
    content = costs(net, tmp_path, capsys, inputs=[first, second], outputs=[one, two])
    assert content["total_is"] == "complete"
    assert content["layers"][2]["ram_bytes"] >= 3 * 64 * 8


def test_an_operator_in_between_does_not_end_what_is_known() -> None:
    net = Net()
    x = net.conv(net.tensor(1, 1, 64, 8), (1, 1, 64, 8), kernel=1)
    x = net.add("LSTM", [x], 1, 1, 64, 8)
    net.conv(x, (1, 1, 64, 8), kernel=1)
    model = read(net)
    assert model.graph is not None and [bool(layer.reason) for layer in model.layers] == [False, True, False]
    assert max(step_bytes(model.graph, {})) == 2 * 64 * 8


@needs_compiler
@pytest.mark.parametrize(
    ("taps", "channels", "stride", "reason"),
    [
        (34, 16, 1, "34 taps"),
        (33, 8, 1, ""),
        (10, 8, 2, "10 taps"),
        (10, 8, 1, ""),
        (9, 8, 1, ""),
        (1, 8, 1, "1 taps"),
        (5, 8, 2, "stride of 2"),
        (3, 6, 1, "multiple of 4"),
        (5, 8, 4, "jumps"),
    ],
)
def test_a_layer_without_a_fast_kernel_says_so_with_its_share(
    taps: int, channels: int, stride: int, reason: str, tmp_path: Path, capsys
) -> None:
    net = Net()
    x = net.conv(net.tensor(1, 1, 128, 4), (1, 1, 128, channels), kernel=5, padding=SAME)
    shape = (1, 1, 128 // stride, channels)
    filters = net.weights(1, 1, taps, channels)
    net.add("DEPTHWISE_CONV_2D", [x, filters], *shape, Padding=SAME, StrideW=stride, StrideH=stride, DepthMultiplier=1)
    content = costs(net, tmp_path, capsys)
    first, second = content["layers"]
    assert first["note"] == ""
    if not reason:
        assert second["note"] == ""
        return
    share = 100 * second["cycles"] / (first["cycles"] + second["cycles"])
    assert "no fast kernel" in second["note"] and reason in second["note"]
    assert f"{share:.1f} % of the cycles" in second["note"]
    assert main(["cost", str(tmp_path / "net.tflite")]) == 0
    assert f"note: #1 DEPTHWISE_CONV_2D: {second['note']}" in capsys.readouterr().out


@needs_compiler
def test_a_layer_whose_shape_suits_no_kernel_is_noted(tmp_path: Path, capsys) -> None:
    net = Net()
    x = net.conv(net.tensor(1, 1, 64, 8), (1, 1, 9, 8), kernel=8, stride=7)
    y = net.add("DEPTHWISE_CONV_2D", [x, net.weights(1, 1, 9, 8)], 1, 1, 1, 8, Padding=VALID, DepthMultiplier=1)
    net.conv(net.add("TILE", [y, net.constant([1, 1, 8, 1])], 1, 1, 8, 8), (1, 1, 8, 7), kernel=1)
    rows = costs(net, tmp_path, capsys)["layers"]
    assert "suits no kernel (1 positions, 8 channels)" in rows[1]["note"]
    assert "odd number" in rows[3]["note"]


@needs_compiler
@pytest.mark.parametrize("factor", [0.0, 1e-9])
def test_a_dead_filter_costs_its_layer_nothing(factor: float, tmp_path: Path, capsys) -> None:
    cycles = []
    for alive in (True, False):
        net, rng = Net(), np.random.default_rng(5)
        x, filters = net.tensor(1, 1, 32, 8), rng.integers(-100, 101, (8, 1, 1, 8)).astype(np.int8)
        scales = np.full(8, 0.01)
        if not alive:
            filters[[2, 5]] = 0 if factor == 0 else 127
            scales[[2, 5]] = 1e-8 / 127
        weights = net.tensor(8, 1, 1, 8, zero_point=0, content=filters, scale=scales.tolist())
        net.add("CONV_2D", [x, weights], 1, 1, 32, 8, Padding=VALID, FusedActivationFunction=RELU)
        (layer,) = costs(net, tmp_path, capsys)["layers"]
        assert layer["fallback"] == ""
        cycles.append(layer["cycles"])
    assert cycles[0] == cycles[1]
