"""Which subnet a run has chosen, and which architectures its archive knows."""

from __future__ import annotations

from nas.run_directory import RunDirectory, RunError
from nas.space import space_of
from search.archive import Archive
from supernet.arch import Arch


def archive_path(run: RunDirectory) -> str:
    """The archive of a run."""
    return str(run.path / "archive.sqlite")


def chosen_arch(run: RunDirectory) -> Arch:
    """The arch that the finish stage chose. Raises RunError before that."""
    return arch_of(run, str(run.summary("finish")["chosen"]))


def arch_of(run: RunDirectory, arch_id: str) -> Arch:
    """The archived arch whose id is, or begins with, `arch_id`.

    Raises RunError when the archive holds none or several.
    """
    with Archive(archive_path(run), create=False) as archive:
        genes = {row.arch_id: row.genes for row in archive.rows() if row.arch_id.startswith(arch_id)}
    if len(genes) != 1:
        what = "no architecture" if not genes else f"{len(genes)} architectures"
        raise RunError(
            f"{run.path}: the archive holds {what} with id {arch_id!r}; see ppg-nas pareto {run.path}"
        )
    return space_of(run.config).decode([next(iter(genes.values()))])[0]
