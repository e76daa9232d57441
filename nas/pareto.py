"""The archive of a run as rows for tables, plots and files, in the units that people read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nas.run_directory import RunDirectory
from nas.stages.choice import archive_path, shared_weights
from search.archive import Archive
from search.query import Answer, Query, run_query


def query_run(run: RunDirectory, query: Query) -> Answer:
    """The answer of a run's archive, by default for the run's own device.

    Rows that an earlier supernet of this run measured, from other recordings, are left out.
    """
    query = replace(
        query, device=query.device or run.config.device, weights=query.weights or shared_weights(run)
    )
    with Archive(archive_path(run), create=False) as archive:
        return run_query(archive, query)


def rows_for_pictures(answer: Answer) -> list[dict[str, Any]]:
    """The answer's rows with the error and its interval under the same names for every metric."""
    return [
        {**row, "error": held.error, "error_low": held.error_low, "error_high": held.error_high}
        for row, held in zip(answer.table(), answer.rows, strict=True)
    ]
