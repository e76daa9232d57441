"""Rows of the archive: one evaluation each, with what its figures depend on; how they are written and read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from hwmodels.basics.documents import parse_json
from hwmodels.basics.errors import InputError
from search.costs.names import COST_NAMES, STEP_NAMES
from supernet.space.arch import Arch
from supernet.space.search_space import Genes

COST_COLUMNS = (*COST_NAMES, *STEP_NAMES)


class DamagedCellError(InputError):
    """A cell that does not hold what its column must; the message names it, without the file."""


@dataclass(frozen=True)
class Provenance:
    """What an evaluation's figures depend on besides the architecture; equal values, equal figures.

    `weights` is the hash of the shared weights, `fold` the data split, `protocol` the hash of how
    errors were measured (windows, batch-norm re-estimation, resamples), `metric` the error's name.
    """

    weights: str
    fold: str
    protocol: str
    metric: str = "mae_bpm"


@dataclass(frozen=True)
class Origin:
    """What the rows of one space, on one device, measured in one way, have in common."""

    space: str
    device: str
    provenance: Provenance


@dataclass(frozen=True)
class Metrics:
    """Accuracy of one architecture: the mean-of-subjects error and its interval over subjects."""

    error: float
    error_low: float
    error_high: float
    subject_errors: dict[str, float]
    windows: int


@dataclass(frozen=True)
class Row:
    """One archived evaluation: architecture, device and costs, metrics, and where they came from.

    The costs of a streaming step are None where the network cannot stream.
    """

    arch_id: str
    arch: str
    genes: tuple[int, ...]
    space: str
    device: str
    latency_ms: float
    cycles: int
    flash_bytes: int
    peak_ram_bytes: int
    energy_mj: float
    power_mw: float
    metric: str
    error: float
    error_low: float
    error_high: float
    subject_errors: dict[str, float]
    windows: int
    weights: str
    fold: str
    protocol: str
    seed: int
    generation: int
    step_latency_ms: float | None = None
    step_cycles: int | None = None
    step_ram_bytes: int | None = None
    step_energy_mj: float | None = None

    def values(self, names: Sequence[str]) -> list[Any]:
        """The named columns, as SQLite takes them."""
        written = {
            "genes": genes_text(self.genes),
            "subject_errors": json.dumps(self.subject_errors, sort_keys=True),
        }
        return [written[name] if name in written else getattr(self, name) for name in names]


COLUMNS = tuple(field.name for field in fields(Row))
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(COLUMNS, (str,)),
    **dict.fromkeys(("latency_ms", "energy_mj", "power_mw", "error", "error_low", "error_high"), (float,)),
    **dict.fromkeys(("cycles", "flash_bytes", "peak_ram_bytes", "windows", "seed", "generation"), (int,)),
    **dict.fromkeys(STEP_NAMES, (int, float, type(None))),
}
"""What SQLite may hold in a column."""


def genes_text(genes: Iterable[int]) -> str:
    """Canonical genes as the archive keys them."""
    return ",".join(str(int(gene)) for gene in genes)


def make_row(
    arch: Arch,
    genes: Genes,
    costs: Mapping[str, Any],
    metrics: Metrics,
    origin: Origin,
    seed: int = 0,
    generation: int = 0,
) -> Row:
    """Put one evaluation's parts together; `genes` (genes,), `costs` by the names of COST_COLUMNS;
    those of steps may be missing.
    """
    steps: dict[str, Any] = {name: costs.get(name) for name in STEP_NAMES}
    return Row(
        arch_id=arch.id,
        arch=str(arch),
        genes=tuple(int(gene) for gene in genes),
        space=origin.space,
        device=origin.device,
        latency_ms=float(costs["latency_ms"]),
        cycles=int(costs["cycles"]),
        flash_bytes=int(costs["flash_bytes"]),
        peak_ram_bytes=int(costs["peak_ram_bytes"]),
        energy_mj=float(costs["energy_mj"]),
        power_mw=float(costs["power_mw"]),
        **vars(metrics),
        **vars(origin.provenance),
        seed=seed,
        generation=generation,
        **steps,
    )


def read_row(values: Sequence[Any]) -> Row:
    """A row of the table, its cells in the order of COLUMNS. Raises DamagedCellError naming the cell."""
    record = dict(zip(COLUMNS, values, strict=True))
    for name, value in record.items():
        if not isinstance(value, _TYPES[name]):
            raise DamagedCellError(f"{name} of subnet {str(record['arch_id'])[:40]} is {str(value)[:40]!r}")
    try:
        record["genes"] = tuple(map(int, record["genes"].split(",")))
    except ValueError:
        raise DamagedCellError(f"genes of subnet {record['arch_id'][:40]}") from None
    record["subject_errors"] = _subject_errors(record["subject_errors"])
    return Row(**record)


def read_metrics(error: Any, low: Any, high: Any, subjects: Any, windows: Any) -> Metrics:
    """Metrics of their five cells. Raises DamagedCellError."""
    if not all(isinstance(value, float) for value in (error, low, high)) or type(windows) is not int:
        raise DamagedCellError("an error is no number")
    return Metrics(error, low, high, _subject_errors(subjects), windows)


def _subject_errors(text: Any) -> dict[str, float]:
    """Errors by subject, as their cell holds them."""
    try:
        content = parse_json(text, "subject_errors") if isinstance(text, str) else None
    except InputError as error:
        raise DamagedCellError(str(error)) from None
    if not isinstance(content, dict) or not all(isinstance(value, int | float) for value in content.values()):
        raise DamagedCellError("subject_errors are no numbers")
    return {name: float(value) for name, value in content.items()}
