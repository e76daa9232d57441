"""Shared prefixes: the same figures to the last bit, whatever is kept, in any order; trees cut fairly."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
import torch

from search.loop.prefix_tree import block_work, depth_first, even_work, prefix_tree, shared_factor, split
from supernet.network.shared_prefixes import SharedPrefixes
from supernet.network.supernet import SuperNet
from supernet.space.search_space import SearchSpace, load_space
from supernet.training.window_outputs import calibration_inputs, logits_of, ready_subnet
from supernet.windows.training_set import input_of
from tests.supernet.supernet_sets import sines, small_space

SPACE = small_space()
TRAINING, VALIDATION = sines(40), sines(30, seed=1).normalized()


@pytest.fixture(scope="module", params=["samples", "spectrum"])
def supernet(request: pytest.FixtureRequest) -> SuperNet:
    torch.manual_seed(0)
    space = SPACE if request.param == "samples" else load_space("spectral")
    net = SuperNet(space, np.random.default_rng(2))
    for bank in net.banks.values():
        torch.nn.init.normal_(bank.scale, 1.0, 0.2)
        torch.nn.init.normal_(bank.shift, 0.0, 0.2)
    return net


def shared(supernet: SuperNet, memory_bytes: int) -> SharedPrefixes:
    calibration = [TRAINING.normalized(part) for part in (slice(0, 16), slice(16, 40))]
    return SharedPrefixes(supernet, calibration, VALIDATION, memory_bytes=memory_bytes, batch=16)


def members(count: int, space: SearchSpace = SPACE) -> list:
    """Random members and close relatives of the first ones, in depth-first order."""
    rng = np.random.default_rng(3)
    genes = space.sample(count, rng)
    genes = np.concatenate([genes, space.mutate(np.repeat(genes[:3], count // 3, axis=0), rng, 0.1)])
    return space.decode(depth_first(np.unique(space.canonical(genes), axis=0)))


@pytest.mark.parametrize("memory_bytes", [0, 200_000, 1 << 30])
def test_logits_are_those_of_each_subnet_by_itself_to_the_last_bit(supernet, memory_bytes):
    archs = members(6, supernet.space)
    together = shared(supernet, memory_bytes)
    for arch in [*archs, *archs[::-1]]:
        assert torch.equal(together.logits(arch), shared(supernet, 0).logits(arch))


def test_logits_are_those_of_extracted_calibrated_folded_subnets(supernet):
    for arch in members(6, supernet.space):
        subnet = ready_subnet(supernet, arch, TRAINING, 32)
        calibrated = SharedPrefixes(supernet, calibration_inputs(TRAINING, 32), VALIDATION).logits(arch)
        plain = logits_of(subnet, input_of(VALIDATION, arch))
        torch.testing.assert_close(calibrated, plain, rtol=1e-3, atol=1e-3)
        assert plain.std() > 0.1


def test_kept_features_stay_within_their_memory(supernet):
    everything = shared(supernet, 1 << 30)
    for arch in members(9, supernet.space):
        everything.logits(arch)
    limit = everything._held_bytes // 3
    together = shared(supernet, limit)
    for arch in members(9, supernet.space):
        together.logits(arch)
        assert sum(held.bytes for held in together._held.values()) == together._held_bytes <= limit
    assert together._held_bytes > limit / 2


def test_what_is_used_again_outlives_what_is_used_once(supernet):
    archs = members(12, supernet.space)
    everything = shared(supernet, 1 << 30)
    for arch in archs:
        everything.logits(arch)
    together = shared(supernet, everything._held_bytes // 3)
    again = archs[0]
    for _ in range(8):
        together.logits(again)
    for arch in archs[1:]:
        together.logits(arch)
    assert any(again.path[:end] in together._held for end in range(1, len(again.path) + 1))
    assert together._worth.keys() == together._held.keys()


def test_a_tree_holds_every_prefix_once_and_counts_its_work():
    archs, work = members(30), block_work(SPACE)
    tree = prefix_tree(archs, work)
    assert nx.is_arborescence(tree)
    assert {node for node, ends in tree.nodes(data="ends") if ends} == {arch.path for arch in archs}
    assert len(tree) == 1 + len({arch.path[:end] for arch in archs for end in range(1, len(arch.path) + 1)})
    total = sum(op.macs for op in SPACE.lower(archs[0]) if op.kind != "fully_connected")
    assert sum(work(archs[0])) >= total
    assert shared_factor(archs, work) > 1
    assert shared_factor(archs[:1], work) == 1


def test_depth_first_order_visits_each_branch_in_one_go():
    archs = members(60)
    for depth in range(1, 6):
        prefixes = [arch.path[:depth] for arch in archs if len(arch.path) >= depth]
        changes = 1 + sum(one != other for one, other in pairwise(prefixes))
        assert changes == len(set(prefixes))


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("work", [even_work, block_work(SPACE)])
def test_runs_cover_everything_in_order_and_are_as_even_as_can_be(parts, work):
    archs = members(12)
    runs = split(archs, parts, work)
    assert [archs[i] for run in runs for i in range(len(archs))[run]] == archs
    assert len(runs) <= parts

    def load(run: list) -> float:
        return sum(own for _, own in prefix_tree(run, work).nodes(data="work"))

    largest = max(load(archs[run]) for run in runs)
    ends = range(1, len(archs))
    if parts == 2:
        assert largest == pytest.approx(min(max(load(archs[:e]), load(archs[e:])) for e in ends))
    assert largest >= max(load([arch]) for arch in archs)
    assert split([], parts, work) == []
