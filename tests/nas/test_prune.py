"""Pruning keeps a network whole: tied channels go together, what stays computes what it did."""

import numpy as np
import pytest
import torch

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph
from nas.compress.prune import channel_groups, filter_norms, prune_in_steps, pruned
from nas.compress.quantize import quantized
from nas.run.config import Config
from supernet.network.subnet import Subnet
from supernet.space.search_space import load_space
from supernet.space.students import STUDENTS, convolutional, spectral_cnn
from supernet.training.methods import SingleNetwork
from tests.supernet.supernet_sets import sines

SPACE = load_space("default")


def networks() -> list[LayerGraph]:
    """The hand-made students and random members."""
    members = SPACE.decode(SPACE.sample(6, np.random.default_rng(4)))
    handmade = [SPACE.lower(make()) for make in STUDENTS.values()]
    spectral = load_space("spectral", outputs=104)
    over_spectra = [*spectral.decode(spectral.sample(3, np.random.default_rng(5))), spectral_cnn()]
    return [*handmade, convolutional(SPACE), *map(SPACE.lower, members), *map(spectral.lower, over_spectra)]


def settled(graph: LayerGraph, seed: int = 0) -> Subnet:
    """A network whose norms have statistics, scales and shifts of their own."""
    subnet = Subnet(graph, np.random.default_rng(seed))
    torch.manual_seed(seed)
    for norm in subnet.norms().values():
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias)
        norm.running_mean.normal_()  # type: ignore[union-attr]
        norm.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return subnet.eval()


@pytest.mark.parametrize("graph", networks(), ids=lambda graph: f"{graph.macs} MAC")
def test_a_pruned_network_is_smaller_in_fours_and_runs(graph: LayerGraph) -> None:
    subnet = settled(graph)
    smaller = pruned(subnet, 0.5)
    for op in smaller.graph:
        before = graph[op.name]
        if op.name == "logits":
            continue
        if op.kind in ("conv", "depthwise", "add"):
            assert op.channels_out % 4 == 0 and 4 <= op.channels_out <= before.channels_out
        if op.kind == "conv":
            assert op.channels_out == max(4, -(-round(0.5 * before.channels_out) // 4) * 4)
    source = next(op for op in graph if op.kind == "input")
    logits = smaller(torch.randn(2, source.channels_out, source.length_out))
    assert logits.shape == (2, graph.output.channels_out) and smaller.graph.macs < graph.macs
    assert pruned(subnet, 1.0).graph == graph or pruned(subnet, 1.0).graph.macs == graph.macs


@pytest.mark.parametrize("graph", networks(), ids=lambda graph: f"{graph.macs} MAC")
def test_channels_that_do_nothing_go_first_and_nothing_changes(graph: LayerGraph) -> None:
    """Silenced filters have norm 0 and give 0, so without them the network computes what it did."""
    subnet, groups = settled(graph), channel_groups(graph)
    importance = filter_norms(subnet)
    silent = {group: torch.randperm(len(norms))[: len(norms) // 2] for group, norms in importance.items()}
    with torch.no_grad():
        for name, layer in subnet.layers.items():
            gone = silent.get(groups[name])
            if gone is None:
                continue
            if layer.op.kind == "conv":
                layer.weight[gone] = 0
            assert layer.norm is not None
            for held in (layer.norm.bias, layer.norm.running_mean):
                held[gone] = 0  # type: ignore[index]
    source = next(op for op in graph if op.kind == "input")
    x = torch.randn(3, source.channels_out, source.length_out)
    assert torch.allclose(pruned(subnet, 0.5)(x), subnet(x), atol=1e-4)


def test_iterative_pruning_retrains_after_each_step() -> None:
    seen: list[int] = []

    def retrain(subnet: Subnet) -> Subnet:
        seen.append(subnet.graph["stage1.block1.expand"].channels_out)
        return subnet

    prune_in_steps(settled(networks()[0]), (0.8, 0.6, 0.4), retrain)
    assert seen == sorted(seen, reverse=True) and len(set(seen)) == 3
    with pytest.raises(InputError, match="above 0"):
        pruned(settled(networks()[0]), 0.0)


@pytest.mark.parametrize("at", [0, -1], ids=["samples", "spectra"])
def test_a_pruned_network_is_quantized_like_any_other(at: int) -> None:
    graph = pruned(settled(networks()[at]), 0.4).graph
    source = next(iter(graph))
    told = {} if source.reads == "samples" else {"bins": 104, "last_bpm": 223.125}
    config = Config(name="x", data={"sources": [{"kind": "synthetic"}]}, task=told)
    rate = 32 if source.reads == "samples" else 16
    task = config.task_kind.training(config.task)
    method = SingleNetwork(settled(graph), task, rate, source.channels_out, reads=source.reads)
    training = sines(32)
    method.calibrate(training)
    model = quantized(config, method, training, task)
    assert model.graph.macs == graph.macs and model.input.sensors == "ppg_acc"
