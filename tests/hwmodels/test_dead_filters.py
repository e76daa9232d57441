"""Filters that make one output whatever they read: they cost no layer its fast kernel, and compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwmodels.c.toolchain import ToolchainError, find_toolchain
from hwmodels.codegen.network_source import fallbacks, generate
from hwmodels.cost.network_cost import CostModel
from hwmodels.cost.profiling import build
from hwmodels.device.device import load_device
from hwmodels.emulation.emulator import Emulator
from hwmodels.emulation.kernel_call import CORE_MEMORY
from hwmodels.kernels.variants import KernelVariant, all_kernels, kernel_image
from hwmodels.network.graph import Op
from hwmodels.network.integer_model import FloatParameters, IntegerModel, IntegerParameters, quantize
from hwmodels.network.operation_kind import FastFormError
from hwmodels.network.operations.matrix_product import is_matrix
from hwmodels.validation.kernel_trials import random_trial
from hwmodels.validation.network_check import check_image, random_model, random_windows
from supernet.space.search_space import load_space

pytestmark = pytest.mark.arm

_FAST = tuple(kernel for kernel in all_kernels() if is_matrix(kernel) or kernel.name.startswith("depthwise"))


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    try:
        return Emulator(kernel_image(find_toolchain()))
    except ToolchainError as error:
        pytest.skip(str(error))


def by_channel(op: Op, weight: np.ndarray) -> np.ndarray:
    """The weights as a view whose rows are filters."""
    return weight.T if op.kind == "depthwise" else weight.reshape(op.channels_out, -1)


def with_dead_filters(op: Op, given: IntegerParameters, rng: np.random.Generator) -> IntegerParameters:
    """Some filters of zeros and some whose shift leaves nothing of their weights, with any bias and multiplier."""
    channels, weight = op.channels_out, given.weight.copy()
    is_dead = rng.random(channels) < 0.4
    is_tiny = ~is_dead & (rng.random(channels) < 0.4)
    by_channel(op, weight)[is_dead] = 0
    bias = rng.integers(-(1 << 30), 1 << 30, channels) >> rng.integers(0, 30, channels)
    return IntegerParameters(
        weight,
        np.where(is_dead, bias, np.where(is_tiny, bias >> 8, given.bias)).astype(np.int32),
        np.where(is_dead & (rng.random(channels) < 0.3), 0, given.multiplier).astype(np.int32),
        np.where(is_dead, rng.integers(-31, 3, channels), np.where(is_tiny, -31, given.shift)).astype(np.int32),
    )


@pytest.mark.parametrize("kernel", _FAST, ids=lambda kernel: kernel.name)
def test_a_filter_of_one_output_keeps_the_fast_kernel_and_its_output(kernel: KernelVariant, emulator: Emulator) -> None:
    rng, compared = np.random.default_rng([51, all_kernels().index(kernel)]), 0
    while compared < 8:
        trial = random_trial(kernel, rng)
        try:
            trial.call(CORE_MEMORY, 0)
        except FastFormError:
            continue
        assert trial.parameters is not None
        trial = replace(trial, parameters=with_dead_filters(trial.op, trial.parameters, rng))
        expected = trial.expected()
        call = trial.call(CORE_MEMORY, len(expected))
        emulator.call(call.function, call.arguments, call.writes)
        assert emulator.read(call.output, len(expected)) == expected, (trial.op, trial.grids)
        compared += 1


def as_trained(model: IntegerModel) -> dict[str, FloatParameters]:
    """Float parameters that quantize to the model's."""
    trained = {}
    for op in filter(lambda op: op.has_parameters, model.graph):
        given, scale = model.parameters[op.name], model.weight_scale(op).astype(np.float64)
        weight = given.weight.astype(np.float64)
        by_channel(op, weight)[:] *= scale[:, None]
        trained[op.name] = FloatParameters(weight, given.bias * scale * model.input_quantization(op).scale)
    return trained


@pytest.mark.parametrize("remaining", [0.0, 1e-9, 1e-6])
@pytest.mark.parametrize("largest_bias", [0.0, 0.1, 5.0])
def test_a_subnet_with_filters_that_training_let_die_runs_its_fast_kernels(
    remaining: float, largest_bias: float
) -> None:
    try:
        toolchain = find_toolchain()
    except ToolchainError as error:
        pytest.skip(str(error))
    space, rng = load_space("demo"), np.random.default_rng([int(1e9 * remaining), int(10 * largest_bias)])
    graph = space.lower(space.decode(space.sample(1, rng))[0])
    alive = random_model(graph, rng)
    trained = as_trained(alive)
    for op in filter(lambda op: op.has_parameters, graph):
        is_dead = rng.random(op.channels_out) < 0.3
        by_channel(op, trained[op.name].weight)[is_dead] *= remaining
        trained[op.name].bias[is_dead] = largest_bias * rng.uniform(-1, 1, is_dead.sum())
    model = quantize(graph, trained, alive.quantization, alive.head, alive.input)
    assert not fallbacks(model)
    costs = CostModel(build(list(graph), toolchain, ""), load_device())
    run = check_image(model, costs, toolchain.link(generate(model)), random_windows(graph, 3, rng))
    assert run.output_mismatches == 0
    assert run.measured_cycles == pytest.approx(costs.cost(graph).cycles, rel=5e-3)
