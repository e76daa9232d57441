"""What a run has chosen and where it lies: its archive, its budgets, its subnet, its bundle."""

from __future__ import annotations

from pathlib import Path

from nas.assembly.run_space import space_of
from nas.run.config import Budgets as BudgetSection
from nas.run.run_directory import RunDirectory, RunError
from nas.run.run_files import digest_files
from search.archive.archive import Archive
from search.costs.budgets import KB, Budgets
from supernet.space.arch import Arch


def archive_path(run: RunDirectory) -> str:
    """The archive of a run."""
    return str(run.path / "archive.sqlite")


def shared_weights(run: RunDirectory) -> str | None:
    """The digest of the trained supernet, as its evaluations are archived with; None when there is none."""
    model = run.path / "supernet" / "model.pt"
    return digest_files([model]) if model.exists() else None


def budgets_of(section: BudgetSection) -> Budgets:
    """The configuration's budgets in the search's units."""
    return Budgets(
        latency_ms=section.latency_ms,
        flash_bytes=None if section.flash_kb is None else section.flash_kb * KB,
        peak_ram_bytes=None if section.ram_kb is None else section.ram_kb * KB,
        power_mw=section.power_mw,
        step_latency_ms=section.step_latency_ms,
    )


def chosen_arch(run: RunDirectory) -> Arch:
    """The arch that the finish stage chose. Raises RunError before that."""
    return arch_of(run, str(run.summary("finish")["chosen"]))


def bundle_path(run: RunDirectory) -> Path:
    """Where the bundle of the chosen subnet lies. Raises RunError before the finish stage is done."""
    return run.subnet(str(run.summary("finish")["chosen"])) / "export"


def arch_of(run: RunDirectory, arch_id: str) -> Arch:
    """The archived arch whose id is, or begins with, `arch_id`.

    Raises RunError when the archive holds none or several.
    """
    with Archive(archive_path(run), create=False) as archive:
        genes = {row.arch_id: row.genes for row in archive.rows() if row.arch_id.startswith(arch_id)}
    if len(genes) != 1:
        what = "no architecture" if not genes else f"{len(genes)} architectures"
        raise RunError(f"{run.path}: the archive holds {what} with id {arch_id!r}; see ppg-nas pareto {run.path}")
    return space_of(run.config).decode([next(iter(genes.values()))])[0]
