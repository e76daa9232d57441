"""The search space: genes and architectures are two forms of one thing, and every member is sound."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph
from supernet.space.arch import Arch, parse_arch
from supernet.space.search_space import SearchSpace, SpaceError, load_space
from supernet.space.students import STUDENTS, handmade, spectral_cnn, student_in

SPACE = load_space("default")
TINY = """
name: tiny
sensors: [ppg, ppg_acc]
stems: [{rate_hz: 16, kernel: 5, stride: 1}]
stem_widths: [4, 8]
stages:
  - stride: 1
    widths: [4, 8]
    min_depth: 1
    blocks:
      - inverted_residual: {kernels: [3, 5], dilations: [1], expansions: [1, 2]}
      - inverted_residual: {kernels: [3], dilations: [1, 2], expansions: [1]}
        dilated: {kernels: [3], dilations: [2]}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> SearchSpace:
    """A space small enough to list."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    return load_space(tmp_path / "tiny.yaml")


def weight_bytes(graph: LayerGraph) -> int:
    """int8 weights, with bias, multiplier and shift of four bytes each per output channel."""
    return sum(op.weight_count + 12 * op.channels_out for op in graph if op.has_parameters)


def sampled(seed: int, count: int = 50) -> list[Arch]:
    """Random members of the default space."""
    return SPACE.decode(SPACE.sample(count, np.random.default_rng(seed)))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_decoding_what_was_encoded_gives_the_same_architectures(seed: int) -> None:
    genes = SPACE.sample(20, np.random.default_rng(seed))
    archs = SPACE.decode(genes)
    assert (SPACE.encode(archs) == genes).all()
    assert SPACE.decode(SPACE.encode(archs)) == archs


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_variation_stays_in_the_space_and_in_canonical_form(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = SPACE.sample(20, rng), SPACE.sample(20, rng)
    for genes in (SPACE.mutate(first, rng, 0.3), SPACE.crossover(first, second, rng)):
        assert (SPACE.canonical(genes) == genes).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_genes_that_differ_in_skipped_blocks_alone_are_one_architecture(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.integers(SPACE.lows, SPACE.highs + 1, (20, SPACE.gene_count)).astype(np.int16)
    again = raw.copy()
    for block, before in zip(SPACE.block_columns[1:], SPACE.block_columns, strict=False):
        if block.stage == before.stage:
            is_skipped = (SPACE.canonical(raw)[:, before.column] == 0) & (raw[:, block.column] >= 0)
            others = rng.integers(0, SPACE.highs[block.column] + 1, len(raw))
            again[:, block.column] = np.where(is_skipped, others, again[:, block.column])
    assert SPACE.decode(raw) == SPACE.decode(again)


def test_size_counts_what_brute_force_lists(tiny: SearchSpace) -> None:
    ranges = [range(low, high + 1) for low, high in zip(tiny.lows, tiny.highs, strict=True)]
    archs = set(tiny.decode(np.array(list(product(*ranges)), np.int16)))
    assert len(archs) == tiny.size()
    assert len({str(arch) for arch in archs}) == len(archs)
    graphs = {(arch.rate_hz, tuple(tiny.lower(arch).nodes())) for arch in archs}
    assert len(graphs) == len(archs)


def test_sampling_a_tiny_space_reaches_every_member(tiny: SearchSpace) -> None:
    found = set(tiny.decode(tiny.sample(20 * tiny.size(), np.random.default_rng(0))))
    assert len(found) == tiny.size()


def test_the_default_space_spans_every_budget() -> None:
    assert SPACE.size() > 10**12
    assert weight_bytes(SPACE.lower(SPACE.smallest())) < 4 * 1024
    assert weight_bytes(SPACE.lower(SPACE.largest())) > 80 * 1024


def test_every_member_sees_at_least_two_seconds() -> None:
    for arch in [SPACE.smallest(), SPACE.largest(), *sampled(1, 500)]:
        assert SPACE.receptive_field_s(arch) >= 2.0, arch


def test_the_receptive_field_is_the_span_of_samples_that_reach_one_output() -> None:
    """Oracle: march the set of input samples back through the graph of convolutions."""
    for arch in sampled(2, 20):
        graph = SPACE.lower(arch)
        convolutions = [op for op in graph if op.kind in ("conv", "depthwise")]
        first = last = convolutions[-1].length_out - 1
        for op in reversed(convolutions):
            first = first * op.stride - (op.kernel - 1) * op.dilation
            last = last * op.stride
        assert (last - first + 1) / arch.rate_hz == pytest.approx(SPACE.receptive_field_s(arch))


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs" / "spaces").glob("*.yaml")))
def test_an_architecture_is_read_from_how_it_is_written(path: Path) -> None:
    space = load_space(path)
    for arch in space.decode(space.sample(50, np.random.default_rng(0))):
        assert parse_arch(str(arch)) == arch
    for wrong in ("", f"x{arch}", f"{arch},", f"{arch}/8:", str(arch).replace(":", ":x")):
        with pytest.raises(InputError, match="expected a form such as"):
            parse_arch(wrong)


@pytest.mark.parametrize("name", STUDENTS)
def test_hand_made_students_are_members(name: str) -> None:
    for sensors, rate in product(("ppg", "ppg_acc"), SPACE.rates):
        arch = STUDENTS[name](rate, sensors)
        assert SPACE.decode(SPACE.encode([arch])) == [arch]
        assert weight_bytes(SPACE.lower(arch)) < 80 * 1024


def test_lowering_keeps_shapes_of_input_and_head() -> None:
    for arch in sampled(3):
        graph = SPACE.lower(arch)
        assert (graph.input.channels_out, graph.input.length_out) == (arch.channels, 8 * arch.rate_hz)
        assert graph.output.kind == "heart_rate_head" and graph.output.channels_out == SPACE.outputs
        assert all(op.channels_out % 4 == 0 for op in graph if op.has_parameters)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("stride: 1}]", "stride: 0}]"), "stems"),
        (("[4, 8]", "[4, 6]"), "multiple of 4"),
        (("[4, 8]", "[4, 4]"), "repeated"),
        (("min_depth: 1", "min_depth: 3"), "min_depth"),
        (("name: tiny", "name: tiny\ncolour: red"), "colour"),
    ],
)
def test_a_faulty_space_is_refused_in_one_line(tmp_path: Path, change: tuple[str, str], field: str) -> None:
    path = tmp_path / "faulty.yaml"
    path.write_text(TINY.replace(*change))
    with pytest.raises(SpaceError) as caught:
        load_space(path)
    assert field in str(caught.value) and "\n" not in str(caught.value)


def test_an_architecture_of_another_space_is_refused(tiny: SearchSpace) -> None:
    with pytest.raises(SpaceError, match="tiny"):
        tiny.encode([SPACE.smallest()])


def test_every_space_names_its_hand_made_students() -> None:
    spectral = load_space("spectral", outputs=104)
    assert set(handmade(spectral)) == {"spectral-cnn"} and set(handmade(load_space("default"))) == set(STUDENTS)
    assert student_in(spectral, None) == spectral_cnn()
    with pytest.raises(SpaceError, match="holds no student tcn; there are spectral-cnn, largest, smallest"):
        student_in(spectral, "tcn")
