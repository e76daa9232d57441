"""Every registered operation kind passes the conformance suite; one from outside of the package does as well."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hwmodels.basics.errors import InputError
from hwmodels.c.toolchain import ToolchainError
from hwmodels.codegen.network_source import generate
from hwmodels.kernels.variants import kernel_hash, kernel_sources
from hwmodels.network.graph import GraphError, Op
from hwmodels.network.operation_kind import KINDS, OperationKind, all_kinds, kind_of, register
from hwmodels.network.operations.add import Add
from hwmodels.validation.conformance import CHECKS, Bench, ConformanceError, network_around
from hwmodels.validation.network_check import random_model
from nas.deploy.formats.conformance import FILE_CHECKS

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "operation" / "max_pool.py"
SHIPPED = [kind for kind in all_kinds() if not kind.only_as]


@pytest.fixture(scope="module")
def bench() -> Bench:
    try:
        return Bench.find()
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.fixture
def max_pool() -> Iterator[OperationKind]:
    """The kind of the how-to guide, registered for one test."""
    spec = importlib.util.spec_from_file_location("max_pool_of_the_guide", EXAMPLE)
    assert spec is not None and spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield KINDS["max_pool"]
    KINDS.remove("max_pool")


@pytest.mark.arm
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.name)
def test_a_shipped_kind_conforms(kind: OperationKind, check: str, bench: Bench) -> None:
    CHECKS[check](kind, bench)


@pytest.mark.parametrize("file", FILE_CHECKS)
@pytest.mark.parametrize("kind", SHIPPED, ids=lambda kind: kind.name)
def test_a_shipped_kind_is_the_same_in_model_files(kind: OperationKind, file: str) -> None:
    pytest.importorskip("ai_edge_litert" if file == "tflite" else "onnxruntime")
    FILE_CHECKS[file](kind)


@pytest.mark.arm
@pytest.mark.parametrize("check", CHECKS)
def test_the_kind_of_the_guide_conforms(check: str, max_pool: OperationKind) -> None:
    try:
        CHECKS[check](max_pool, Bench.find())
    except ToolchainError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("file", FILE_CHECKS)
def test_the_kind_of_the_guide_is_the_same_in_model_files(file: str, max_pool: OperationKind) -> None:
    pytest.importorskip("ai_edge_litert" if file == "tflite" else "onnxruntime")
    FILE_CHECKS[file](max_pool)


def test_the_guide_adds_a_kind_in_one_short_python_file_and_one_c_file() -> None:
    assert len(EXAMPLE.read_text().splitlines()) < 60
    assert [path.suffix for path in sorted(EXAMPLE.parent.iterdir()) if path.is_file()] == [".py", ".c"]


def test_a_kind_from_outside_brings_its_c_code_and_changes_no_other_networks(max_pool: OperationKind) -> None:
    example = max_pool.example(np.random.default_rng(1))
    assert example is not None
    with_it = generate(random_model(network_around(example), np.random.default_rng(1)))
    pool = Op("op", "average_pool", 8, 4, 2, 4)
    model = random_model(network_around(pool), np.random.default_rng(1))
    without = generate(model)["ppgnet_model.c"], kernel_hash()
    assert "ppgnet_segment_max.c" in with_it and "ppgnet_kernel ppgnet_segment_max;" in with_it["ppgnet_model.c"]
    KINDS.remove("max_pool")
    assert generate(model)["ppgnet_model.c"] == without[0]
    assert kernel_hash() != without[1] and "ppgnet_segment_max.c" not in kernel_sources()


def test_a_torch_network_runs_the_kind_of_the_guide_as_the_integers_do(max_pool: OperationKind) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).integers(-128, 128, (2, 12, 4)).astype(np.int8)
    op = Op("op", "max_pool", 12, 4, 3, 4)
    made = max_pool.real(op, [torch.from_numpy(values).permute(0, 2, 1)[:, :, None]])
    expected = values.reshape(2, 3, 4, 4).max(axis=2)
    assert (made[:, :, 0].permute(0, 2, 1).numpy() == expected).all()


def test_an_unknown_kind_lists_the_known_ones_and_what_adds_another() -> None:
    with pytest.raises(GraphError, match=r"unknown operation kind 'wavelet'.*average_pool.*ppg_nas\.operation_kinds"):
        Op("op", "wavelet", 4, 4, 4, 4)


def test_a_name_in_use_is_refused() -> None:
    class OtherAdd(Add):
        """Another of the same name."""

    with pytest.raises(InputError, match="'add': registered twice"):
        register(OtherAdd())


def test_the_suite_notices_wrong_arithmetic(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    kind = kind_of(Op("op", "average_pool", 4, 4, 1, 4))
    true = type(kind).compute
    monkeypatch.setattr(type(kind), "compute", lambda *given: np.maximum(true(*given), 0))
    with pytest.raises(ConformanceError, match="makes other numbers"):
        CHECKS["tensors"](kind, bench)
