"""The archive of a run as rows for tables, plots and files, in the units that people read."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas.run_directory import RunDirectory
from nas.stages.choice import archive_path
from search.archive import Archive, Row
from search.pareto import non_dominated

KB = 1024
OBJECTIVES = ("error", "latency_ms", "flash_bytes", "peak_ram_bytes")


def readable(row: Row) -> dict[str, Any]:
    """One archived evaluation as people read it; KB = 1024 bytes."""
    return {
        "id": row.arch_id,
        row.metric: row.error,
        "error": row.error,
        "error_low": row.error_low,
        "error_high": row.error_high,
        "latency_ms": row.latency_ms,
        "flash_kb": row.flash_bytes / KB,
        "ram_kb": row.peak_ram_bytes / KB,
        "energy_mj": row.energy_mj,
        "power_mw": row.power_mw,
        "device": row.device,
        "arch": row.arch,
    }


def run_rows(run: RunDirectory, device: str | None = None) -> list[dict[str, Any]]:
    """Every evaluated subnet of a run as costed for `device` (default: the run's own)."""
    return [readable(row) for row in _rows(run, device)]


def front_rows(run: RunDirectory, device: str | None = None) -> list[dict[str, Any]]:
    """The Pareto front of error, latency, flash and RAM, best error first."""
    rows = _rows(run, device)
    if not rows:
        return []
    table = np.array([[getattr(row, name) for name in OBJECTIVES] for row in rows], float)
    kept = [row for row, is_kept in zip(rows, non_dominated(table), strict=True) if is_kept]
    return [readable(row) for row in sorted(kept, key=lambda row: (row.error, row.latency_ms, row.arch))]


def _rows(run: RunDirectory, device: str | None) -> list[Row]:
    with Archive(archive_path(run), create=False) as archive:
        return archive.rows("device = ?", [device or run.config.device])
