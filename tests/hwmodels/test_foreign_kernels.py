"""The kernels of hwmodels/c/kernels/foreign on the emulated core: what they compute, by NumPy and LiteRT."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

pytest.importorskip("tflite")
litert = pytest.importorskip("ai_edge_litert.interpreter")

from hwmodels.c.toolchain import ToolchainError, find_toolchain  # noqa: E402
from hwmodels.device.target import Target  # noqa: E402
from hwmodels.emulation.emulator import Emulator  # noqa: E402
from hwmodels.foreign.foreign_ops import (  # noqa: E402
    COPY,
    FOREIGN_KERNELS,
    LOOKUP,
    MAX_POOL,
    PLAIN_DEQUANTIZE,
    PLAIN_MAX_POOL,
    PLAIN_MOVE,
    PLAIN_PRODUCT,
    PLAIN_QUANTIZE,
    PLAIN_SOFTMAX,
    PLAIN_SUM,
    ForeignCall,
    ForeignKernel,
)
from hwmodels.foreign.foreign_profiling import foreign_image, measure, placed  # noqa: E402
from hwmodels.foreign.tflite_layers import layers_of  # noqa: E402
from hwmodels.foreign.tflite_reader import parse_tflite  # noqa: E402
from hwmodels.network.integer_model import Quantization  # noqa: E402
from hwmodels.network.operations.add import add_factors  # noqa: E402
from hwmodels.network.rounding import quantized_multiplier  # noqa: E402
from tests.hwmodels.tflite_files import SAME, VALID, Net  # noqa: E402

pytestmark = pytest.mark.arm


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    try:
        return Emulator(foreign_image(find_toolchain()))
    except ToolchainError as error:
        pytest.skip(str(error))


def run(
    emulator: Emulator, call: ForeignCall, operands: Sequence[np.ndarray], size: int, constant: bytes = b""
) -> bytes:
    made = placed(call, [operand.tobytes() for operand in operands], constant)
    emulator.write(made.output, b"\x77" * (size + 8))
    emulator.call(made.function, made.arguments, made.writes)
    assert emulator.read(made.output + -(-size // 4) * 4, 4) == b"\x77" * 4, "wrote past its output"
    return emulator.read(made.output, size)


def reference(net: Net, *inputs: np.ndarray) -> np.ndarray:
    """What LiteRT's reference kernels make of a file."""
    kind = litert.OpResolverType.BUILTIN_REF
    numbers = list(range(len(inputs)))
    interpreter = litert.Interpreter(model_content=net.bytes(inputs=numbers), experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    for details, given in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], given.reshape(details["shape"]))
    interpreter.invoke()
    made: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return made


def int8s(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(-128, 128, shape).astype(np.int8)


def only_call(net: Net) -> ForeignCall:
    """What the reader makes of a file of one operator."""
    (layer,) = layers_of(parse_tflite(net.bytes(inputs=[0]))).layers
    assert not layer.reason
    (call,) = layer.ops[0].calls  # type: ignore[union-attr]
    return call


def test_a_look_up_is_any_function_of_one_value(emulator: Emulator) -> None:
    rng = np.random.default_rng(1)
    for elements in (1, 3, 4, 50, 256):
        table, x = rng.bytes(256), int8s(rng, elements)
        call = ForeignCall(LOOKUP, (-(-elements // 4),), 256)
        expected = np.frombuffer(table, np.uint8)[x.view(np.uint8)].tobytes()
        assert run(emulator, call, [x], elements, table) == expected


@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pooling_is_tflites(name: str, emulator: Emulator) -> None:
    rng, kernels = np.random.default_rng(2), set()
    for _ in range(25):
        kernel, stride, length = (int(rng.integers(1, most)) for most in (7, 5, 40))
        channels, padding = int(rng.choice([1, 3, 4, 8])), int(rng.choice([SAME, VALID]))
        length += kernel
        made = -(-(length if padding == SAME else length - kernel + 1) // stride)
        net = Net()
        options = {"FilterWidth": kernel, "FilterHeight": 1, "StrideW": stride, "StrideH": 1, "Padding": padding}
        net.add(name, [net.tensor(1, 1, length, channels)], 1, 1, made, channels, **options)
        if made * kernel == length and kernel == stride and name == "AVERAGE_POOL_2D":
            continue
        call, x = only_call(net), int8s(rng, length, channels)
        kernels.add(call.kernel)
        assert run(emulator, call, [x], made * channels) == reference(net, x).tobytes(), call
    assert len(kernels) == (2 if name == "MAX_POOL_2D" else 1)


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize("shape", [(12, 5), (1, 5), (1, 1)])
def test_pairs_are_tflites(name: str, shape: tuple[int, int], emulator: Emulator) -> None:
    rng = np.random.default_rng([3, *shape])
    for _ in range(6):
        grids = [Quantization(float(rng.uniform(0.01, 0.1)), int(rng.integers(-128, 128))) for _ in range(3)]
        first, second, made = ({"scale": grid.scale, "zero_point": grid.zero_point} for grid in grids)
        net = Net()
        operands = [net.tensor(1, 1, 12, 5, **first), net.tensor(1, 1, *shape, **second)]
        net.add(name, operands, 1, 1, 12, 5, out=made)
        factors = add_factors((grids[0], grids[1], grids[2]))
        if name == "SUB":
            factors[1] = (-factors[1][0], factors[1][1])
        elif name == "MUL":
            factors[2] = quantized_multiplier(grids[0].scale * grids[1].scale / grids[2].scale)
        numbers = [grid.zero_point for grid in grids] + [m for m, _ in factors] + [s for _, s in factors] + [-128]
        distances = (5, 1, shape[1] if shape[0] > 1 else 0, 1 if shape[1] > 1 else 0)
        call = ForeignCall(PLAIN_PRODUCT if name == "MUL" else PLAIN_SUM, (12, 5, *distances, *numbers))
        a, b = int8s(rng, 12, 5), int8s(rng, *shape)
        assert run(emulator, call, [a, b], 60) == reference(net, a, b).tobytes()
        constant = dataclasses.replace(call, constant_bytes=b.nbytes)
        assert run(emulator, constant, [a], 60, b.tobytes()) == reference(net, a, b).tobytes()


def test_padding_is_tflites(emulator: Emulator) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        length, channels = (int(rng.integers(1, 12)) for _ in range(2))
        rows, columns = rng.integers(0, 5, 2).tolist(), rng.integers(1, 4, 2).tolist()
        net = Net()
        x = net.tensor(1, 1, length, channels, zero_point=0)
        made = (length + sum(rows), channels + sum(columns))
        net.add("PAD", [x, net.constant([[0, 0], [0, 0], rows, columns])], 1, 1, *made, out={"zero_point": 0})
        given = int8s(rng, length, channels)
        assert run(emulator, only_call(net), [given], made[0] * made[1]) == np.pad(given, [rows, columns]).tobytes()


def test_runs_are_copied_to_their_places(emulator: Emulator) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        runs, size, step_in, step_out = (int(rng.integers(1, 20)) for _ in range(4))
        step_out = max(size, step_out)
        x = int8s(rng, runs * step_in + size)
        total = (runs - 1) * step_out + size
        expected = np.full(total, 0x77, np.int8)
        for index in range(runs):
            expected[index * step_out :][:size] = x[index * step_in :][:size]
        call = ForeignCall(COPY, (runs, size, step_in, step_out))
        assert run(emulator, call, [x], total) == expected.tobytes()


def test_elements_move_along_any_axes(emulator: Emulator) -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        x = int8s(rng, *rng.integers(1, 6, 4))
        turned = x.transpose(rng.permutation(4))
        call = ForeignCall(PLAIN_MOVE, (*turned.shape[::-1], *turned.strides[::-1]))
        assert run(emulator, call, [x], x.size) == turned.tobytes()


def test_softmax_is_within_one_step_of_the_function(emulator: Emulator) -> None:
    rng = np.random.default_rng(7)
    for rows, channels in ((1, 5), (3, 2), (4, 40)):
        x, scale = int8s(rng, rows, channels), 0.05
        table = np.rint(65535 * np.exp(-scale * np.arange(256))).astype("<u2").tobytes()
        call = ForeignCall(PLAIN_SOFTMAX, (rows, channels), len(table))
        got = np.frombuffer(run(emulator, call, [x], x.size, table), np.int8).reshape(x.shape)
        shares = np.exp(scale * x) / np.exp(scale * x).sum(axis=1, keepdims=True)
        assert abs(got - np.clip(256 * shares - 128, -128, 127)).max() <= 1


def test_floats_become_integers_and_integers_floats(emulator: Emulator) -> None:
    rng = np.random.default_rng(8)
    reals = rng.normal(0, 40, 50).astype("<f4")
    reals[:6] = (np.inf, -np.inf, 1e20, -1e20, 0.25, -0.25)
    got = np.frombuffer(run(emulator, ForeignCall(PLAIN_QUANTIZE, (2, 3, 50)), [reals], 50), np.int8)
    rounded = np.sign(reals) * np.floor(np.abs(2 * reals.astype(float)) + 0.5)
    np.testing.assert_array_equal(got, np.clip(rounded + 3, -128, 127))
    q = int8s(rng, 50)
    made = run(emulator, ForeignCall(PLAIN_DEQUANTIZE, (2, 3, 50)), [q], 200)
    np.testing.assert_array_equal(np.frombuffer(made, "<f4"), 2.0 * (q.astype(np.float32) - 3))


def call_of(kernel: ForeignKernel) -> ForeignCall:
    """A call of a kernel as the rules make it."""
    if kernel in (MAX_POOL, PLAIN_MAX_POOL) or "average" in kernel.function:
        return ForeignCall(kernel, (20, 4 if kernel == MAX_POOL else 3, 10, 3, 2, 0))
    if kernel.record.startswith("PIIIIII"):
        return ForeignCall(kernel, (8, 6, 6, 1, 0, 1, 3, -5, 7, *[1 << 30] * 3, -1, -2, -3, -128), 6)
    sizes = {LOOKUP: ((16,), 256), COPY: ((4, 6, 6, 9), 0), PLAIN_SOFTMAX: ((3, 9), 512)}
    sizes |= {PLAIN_MOVE: ((3, 4, 5, 1, 1, 3, 12, 0), 0)}
    numbers, constant = sizes.get(kernel, ((7, 5, 2, 6, 1, 9, 0) if "pad" in kernel.function else (1, 3, 40), 0))
    return ForeignCall(kernel, numbers, constant)


@pytest.mark.parametrize("kernel", FOREIGN_KERNELS, ids=lambda kernel: kernel.function)
@pytest.mark.parametrize("core", ["cortex-m7", "cortex-m4"])
def test_cycles_depend_on_a_calls_numbers_alone(kernel: ForeignKernel, core: str) -> None:
    toolchain = find_toolchain().for_core(core)
    call = call_of(kernel)
    emulator, counts = Emulator(foreign_image(toolchain)), set()
    for seed in range(3):
        rng = np.random.default_rng(seed)
        constant = rng.integers(1, 256, call.constant_bytes).astype(np.uint8).tobytes()
        made = placed(call, [rng.bytes(4096)], constant)
        counts.add(emulator.call(made.function, made.arguments, made.writes).instructions)
    assert len(counts) == 1
    assert measure([call], find_toolchain(), Target(core))[call.key].cycles > 0
