"""Cycle counts from a real board -> a look-up table: measured entries as they are, others by a scaled model.

The CSV is what `bench_firmware` prints. Per kernel the model is scaled by the median ratio of measured to
modelled cycles; how well that predicts calls it has not seen is told by cross-validation.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwmodels.basics.documents import DocumentError, read_text
from hwmodels.basics.errors import InputError
from hwmodels.cost.board_project import TITLE
from hwmodels.cost.lut import Entry, LookUpTable
from hwmodels.kernels.variants import kernel_hash

_FEWEST_FOR_OWN_SCALE = 3
_MOST_TIMES_THE_MODEL = 50
_FOLDS = 5
_MOST_DIGITS = 18
_MOST_SHOWN = 120
_DUAL_ISSUE = {"cortex-m7": 2, "cortex-m4": 1}


class MeasurementError(InputError):
    """A file of measurements that cannot be used; names the file, the line and the remedy."""


@dataclass(frozen=True)
class HeldOut:
    """How far scaled entries were from measurements that had no part in the scale, in percent; 0 folds when
    there were too few."""

    calls: int
    folds: int
    median_pct: float
    p90_pct: float
    max_pct: float


@dataclass(frozen=True)
class MeasuredTable:
    """A table with its scales per kernel (measured over modelled cycles) and its held-out error."""

    table: LookUpTable
    scales: Mapping[str, float]
    overall_scale: float
    held_out: HeldOut

    @property
    def counts(self) -> dict[str, int]:
        """Entries by origin."""
        origins = [entry.origin for entry in self.table.entries.values()]
        return {origin: origins.count(origin) for origin in ("measured", "scaled")}


def read_measurements(path: Path, table: LookUpTable, device: str) -> dict[str, int]:
    """Cycles by key of a benchmark's CSV, checked against the modelled `table` of the device.

    Raises MeasurementError: no such file, other kernels or device, a capture that was cut off, columns that
    are missing, other units, repeated or foreign keys, figures that no core can reach.
    """
    try:
        text = read_text(path)
    except DocumentError as error:
        raise MeasurementError(f"{error}; give the lines that the board printed") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    comments = dict(line[1:].strip().split(":", 1) for _, line in lines if line.startswith("#") and ":" in line)
    _check_origin(path, {name.strip(): value.strip() for name, value in comments.items()}, device)
    rows = [(number, line) for number, line in lines if not line.startswith("#")]
    found = _rows(path, rows, table)
    ends = [line.split()[-1] for _, line in lines if line.startswith("# end ")]
    if ends != [str(len(found))] and any(TITLE in line for _, line in lines):
        told = f"its last line says {ends[-1][:_MOST_SHOWN]}" if ends else "its line '# end' is missing"
        raise MeasurementError(f"{path}: holds {len(found)} rows, but {told}: record the whole output again")
    return found


def _check_origin(path: Path, comments: Mapping[str, str], device: str) -> None:
    made_for = comments.get("device", device)
    if made_for != device:
        made_for = made_for[:_MOST_SHOWN]
        raise MeasurementError(f"{path}: measured on {made_for}, not on {device}; give --device {made_for}")
    if comments.get("kernels", kernel_hash()) != kernel_hash():
        raise MeasurementError(f"{path}: measured with other kernels; export the firmware again and measure")
    if comments.get("unit", "cycles") != "cycles":
        raise MeasurementError(f"{path}: unit {comments['unit'][:_MOST_SHOWN]!r}; give core cycles (DWT->CYCCNT)")


def _rows(path: Path, lines: Sequence[tuple[int, str]], table: LookUpTable) -> dict[str, int]:
    if not lines:
        raise MeasurementError(f"{path}: holds no rows; record the board's output")
    header = [name.strip() for name in lines[0][1].split(",")]
    for column in ("key", "cycles"):
        if header.count(column) != 1:
            raise MeasurementError(
                f"{path}, line {lines[0][0]}: needs one column {column!r}, found {', '.join(header)[:_MOST_SHOWN]}; "
                "cycles are counts of the core's clock"
            )
    found: dict[str, int] = {}
    for number, line in lines[1:]:
        try:
            values = next(csv.reader([line]))
        except csv.Error as error:
            raise MeasurementError(f"{path}, line {number}: {error}; record it again") from None
        if len(values) != len(header):
            raise MeasurementError(
                f"{path}, line {number}: {len(values)} values for {len(header)} columns; record it again"
            )
        row = dict(zip(header, values, strict=True))
        key, cycles = row["key"].strip(), row["cycles"].strip()
        where = f"{path}, line {number}: {key[:_MOST_SHOWN]}"
        if key not in table.entries:
            raise MeasurementError(f"{where} is no kernel call of this space; give another --space")
        if key in found:
            raise MeasurementError(f"{where} stands there twice; keep one measurement")
        found[key] = _cycles(where, cycles, table.entries[key], table.provenance.core)
    if not found:
        raise MeasurementError(f"{path}: holds no rows; record the board's output")
    return found


def _cycles(where: str, text: str, entry: Entry, core: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise MeasurementError(f"{where}: cycles must be a whole number, got {text[:40]!r}")
    cycles, fewest = int(text), -(-entry.instructions // _DUAL_ISSUE[core])
    if cycles < fewest - 2:
        raise MeasurementError(
            f"{where}: {cycles} cycles for {entry.instructions} instructions, the core needs {fewest}; "
            "give core cycles, not microseconds or timer ticks"
        )
    if cycles > _MOST_TIMES_THE_MODEL * entry.cycles:
        raise MeasurementError(f"{where}: {cycles} cycles, the model says {entry.cycles}; give core cycles of one call")
    return cycles


def measured_table(modelled: LookUpTable, measured: Mapping[str, int], source: str, seed: int = 0) -> MeasuredTable:
    """The table of a board: `measured` cycles by key, all other entries and the runner by the scaled model.

    `source` says in the provenance what was measured. A kernel with fewer than three measurements is scaled
    by the median over all kernels.
    """
    models = {key: modelled.entries[key].cycles for key in measured}
    scales, overall = _scales(measured, models)
    entries = {
        key: replace(entry, cycles=measured[key], origin="measured")
        if key in measured
        else replace(entry, cycles=round(entry.cycles * scales.get(_kernel(key), overall)), origin="scaled")
        for key, entry in modelled.entries.items()
    }
    runner = replace(
        modelled.runner,
        cycles=round(modelled.runner.cycles * overall),
        step_cycles=round(modelled.runner.step_cycles * overall),
    )
    digest = hashlib.sha256(repr(sorted(measured.items())).encode()).hexdigest()[:16]
    held_out = _held_out(measured, models, seed)
    told = f"{source}, {len(measured)} calls measured, held-out error {held_out.median_pct:.2f} % ({digest})"
    provenance = replace(modelled.provenance, source=told)
    table = replace(modelled, provenance=provenance, runner=runner, entries=entries)
    return MeasuredTable(table, scales, overall, held_out)


def _kernel(key: str) -> str:
    """Kernels of one kind scale together: what they are unrolled for differs, their loops do not."""
    return re.sub("^(matrix|depthwise)_.*", r"\1", key.split("|")[0])


def _scales(measured: Mapping[str, int], models: Mapping[str, int]) -> tuple[dict[str, float], float]:
    """Median ratio per kernel with enough measurements, and over all."""
    ratios: dict[str, list[float]] = {}
    for key, cycles in measured.items():
        ratios.setdefault(_kernel(key), []).append(cycles / models[key])
    overall = float(np.median([ratio for family in ratios.values() for ratio in family]))
    enough = {name: family for name, family in ratios.items() if len(family) >= _FEWEST_FOR_OWN_SCALE}
    return {name: float(np.median(family)) for name, family in sorted(enough.items())}, overall


def _held_out(measured: Mapping[str, int], models: Mapping[str, int], seed: int) -> HeldOut:
    keys = sorted(measured)
    folds = min(_FOLDS, len(keys))
    if folds < 2:
        return HeldOut(len(keys), 0, float("nan"), float("nan"), float("nan"))
    order = np.random.default_rng(seed).permutation(len(keys))
    errors = []
    for fold in range(folds):
        out = {keys[place] for place in order[fold::folds]}
        scales, overall = _scales({key: measured[key] for key in keys if key not in out}, models)
        for key in out:
            predicted = models[key] * scales.get(_kernel(key), overall)
            errors.append(100 * abs(predicted / measured[key] - 1))
    median, p90, most = np.percentile(errors, (50, 90, 100))
    return HeldOut(len(keys), folds, float(median), float(p90), float(most))
