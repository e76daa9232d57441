"""What a quantized subnet learns for incremental mode is what its integer form then computes."""

from __future__ import annotations

import numpy as np
import torch

from hwmodels.network.interpreter import HeartRateSettings, InputSettings, initial_states, quantize_input, run
from hwmodels.schedule.step_graph import lengthened, streaming_model
from nas.compress.fake_quantization import FakeQuantNetwork
from nas.compress.streaming_subnets import Streamed, stretches_of
from nas.evaluation.streamed_windows import streams
from supernet.network.subnet import Subnet
from supernet.space.search_space import load_space
from tests.nas.test_streaming import followed_windows

_SPACE = load_space("default")


def test_training_sees_what_the_steps_compute() -> None:
    rng = np.random.default_rng(0)
    arch = next(a for a in _SPACE.decode(_SPACE.sample(20, rng)) if a.rate_hz == 16)
    network = FakeQuantNetwork(Subnet(_SPACE.lower(arch), rng).eval())
    x = torch.from_numpy(rng.normal(0, 1, (6, arch.channels, 128)).astype(np.float32))
    network.calibrate([x])
    model = network.eval().export(HeartRateSettings(30, 220, 20), InputSettings(16, 8, arch.sensors, (0.4, 8), 0.3))
    context = 32 * (round(_SPACE.receptive_field_s(arch) / 2) + 1)
    samples = torch.from_numpy(rng.normal(0, 1, (1, arch.channels, context + 128)).astype(np.float32))
    with torch.no_grad():
        learnt = Streamed(network, context)(samples)[0].numpy()
    step, logits = streaming_model(model, 32), model.graph.sources("head")[0]
    states = initial_states(step, 1)
    inputs = quantize_input(model, samples.numpy().transpose(0, 2, 1))
    for chunk in np.split(inputs, context // 32 + 4, axis=1):
        out = run(step, chunk, states)[logits]
    grid = model.quantization[logits]
    computed = (out[0, 0].astype(float) - grid.zero_point) * grid.scale
    window_alone = run(model, quantize_input(model, samples[:, :, -128:].numpy().transpose(0, 2, 1)))[logits]
    alone = (window_alone[0, 0].astype(float) - grid.zero_point) * grid.scale
    # Roundings of single precision differ by a step here and there, and add up over the layers.
    assert np.abs(computed - learnt).mean() <= 2 * grid.scale
    assert np.abs(computed - learnt).mean() < 0.25 * np.abs(computed - alone).mean()


def test_a_lengthened_graph_has_the_same_layers() -> None:
    graph = _SPACE.lower(_SPACE.largest())
    longer = lengthened(graph, 2 * graph.input.length_in)
    assert [op.name for op in longer] == [op.name for op in graph]
    assert longer.parameter_count == graph.parameter_count
    assert lengthened(longer, graph.input.length_in) == graph


def test_stretches_hold_each_window_after_its_context() -> None:
    windows = followed_windows(np.random.default_rng(1))
    found = stretches_of(windows, 16, 4, 2.0, 64)
    normalized = windows.normalized(16)
    wanted = [index for stretch in streams(windows, 2.0) for index in stretch[2:]]
    assert sorted(found.window) == sorted(wanted)
    batch = found.batch(np.arange(len(found.window))).numpy()
    assert batch.shape == (len(wanted), 4, 64 + 128)
    for x, index in zip(batch, found.window, strict=True):
        assert (x[:, -32:] == normalized[index][:, -32:]).all()
