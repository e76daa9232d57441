"""What a loader of recordings is, and the registry of all; read without any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwmodels.basics.registry import Registry

if TYPE_CHECKING:
    from nas.data.recording import Recording


def _no_files(_: Path) -> list[Path]:
    return []


@dataclass(frozen=True)
class Loader:
    """One kind of recordings: finds its files under a path (folder or file), loads everything under a path.

    load(path, with_labels=True) gives every recording, and raises InputError naming file and field for whatever does
    not fit; without labels it reads the signals alone, whatever lies where labels should be. labels: finds the label
    files that lie apart from the recordings, for kinds that have such. claims: for a published set, the files that are
    surely its own, read or not: where kinds are recognized, no other kind takes them and this one takes no others; by
    default, all that it finds. reference: what the labels were measured with,
    for legends; "" where the kind does not say. splits: names of the parts that a configuration may choose from, as
    `load(path, splits=...)`. is_set: whether it is one published set, and not a format that anybody writes.
    """

    find: Callable[[Path], list[Path]]
    load: Callable[..., list[Recording]]
    labels: Callable[[Path], list[Path]] = _no_files
    claims: Callable[[Path], list[Path]] | None = None
    reference: str = ""
    splits: tuple[str, ...] = ()
    is_set: bool = False

    def claimed(self, path: Path) -> list[Path]:
        """Which files under a path are this set's and no other kind's; none for a kind that is no set."""
        if self.claims is not None:
            return self.claims(path)
        return [*self.find(path), *self.labels(path)] if self.is_set else []


LOADERS: Registry[Loader] = Registry("kind", "ppg_nas.loaders", Loader, package="nas.data.loaders", attribute="LOADER")
