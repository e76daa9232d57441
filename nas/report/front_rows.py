"""The archive of a run as rows for tables, plots and files, in the units that people read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hwmodels.device.device import Device
from nas.assembly.choice import archive_path, shared_weights
from nas.assembly.hardware import cost_plan
from nas.run.run_directory import RunDirectory
from search.archive.archive import Archive
from search.archive.query import Answer, Query, run_query
from search.archive.rows import Row


def query_run(run: RunDirectory, query: Query) -> Answer:
    """The answer of a run's archive, by default for the run's own device; for a device that no search was
    made for, the archived architectures are costed anew.

    Rows that an earlier supernet of this run measured, from other recordings, are left out.
    """
    device, own = run.device(query.device), run.device().name
    query = replace(query, device=device.name, weights=query.weights or shared_weights(run))
    with Archive(archive_path(run), create=False) as archive:
        if device.name == own or len(archive) == 0 or archive.count("device = ?", [device.name]):
            return run_query(archive, query)
        rows = archive.rows("device = ? AND weights = ?", [own, query.weights])
    return _on_other_device(run, query, device, rows)


def _on_other_device(run: RunDirectory, query: Query, device: Device, rows: list[Row]) -> Answer:
    """The same architectures, with what they cost on a device that no search was made for."""
    plan = cost_plan(run, device)
    costs = plan.costs(np.array([row.genes for row in rows]))
    moved = []
    for index, row in enumerate(rows):
        own: dict[str, Any] = {**costs.row(index), "device": device.name}
        moved.append(replace(row, **own))
    with TemporaryDirectory() as folder, Archive(Path(folder) / "other.sqlite") as archive:
        archive.append(moved)
        return run_query(archive, query)


def rows_for_pictures(answer: Answer) -> list[dict[str, Any]]:
    """The answer's rows with the error and its interval under the same names for every metric."""
    return [
        {**row, "error": held.error, "error_low": held.error_low, "error_high": held.error_high}
        for row, held in zip(answer.table(), answer.rows, strict=True)
    ]
