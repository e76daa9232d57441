"""Families that one more file extends: names, what they stand for, and what other packages add by entry points."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from hwmodels.basics.errors import InputError
from hwmodels.basics.suggestions import did_you_mean

T = TypeVar("T")


class RegistryError(InputError):
    """A name that is registered twice, or an entry point that does not give what its family holds."""


class UnknownNameError(InputError, KeyError):
    """A name that nothing is registered under; the message lists the known ones and how to add another."""


class Registry(Mapping[str, T], Generic[T]):
    """Objects of one family by name, in the order of registration; those of other packages come last.

    noun: what one of them is called in messages, such as "distillation loss". group: the entry-point group in
    which installed packages name theirs; an entry point is imported when its name is looked up, not before.
    item_type: the class of all entries, or where it stands, as "module:Name". package: a package whose modules
    register themselves on import, which happens at the first look-up; or, with `attribute`, whose modules are named
    for their entries and hold each in that attribute: then names are known without any import.
    """

    def __init__(self, noun: str, group: str, item_type: type | str, package: str = "", attribute: str = "") -> None:
        self.noun, self.group = noun, group
        self._item_type, self._package, self._attribute = item_type, package, attribute
        self._items: dict[str, T] = {}
        self._imported: dict[str, T] = {}

    @cached_property
    def item_type(self) -> type:
        """The class of all entries."""
        found: type = pkgutil.resolve_name(self._item_type) if isinstance(self._item_type, str) else self._item_type
        return found

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it stands above. Raises RegistryError for a name that is taken."""

        def registered(item: T) -> T:
            self.add(name, item)
            return item

        return registered

    def add(self, name: str, item: T) -> None:
        """Register an object. Raises RegistryError for a name that is taken or an object of another class."""
        if name in self._items and self._items[name] is not item:
            raise RegistryError(f"{self.noun} {name!r}: registered twice; give one of them another name")
        self._items[name] = self._checked(name, item)

    def _checked(self, name: str, item: T) -> T:
        if not isinstance(item, self.item_type):
            raise RegistryError(
                f"{self.noun} {name!r}: is a {type(item).__name__}, but {self.group} holds {self.item_type.__name__}"
            )
        return item

    def remove(self, name: str) -> None:
        """Take an object away again, as tests do that register one of their own."""
        self._items.pop(name, None)

    def unknown(self, name: str) -> str:
        """What to tell somebody who wrote a name that nothing is registered under."""
        return (
            f"unknown {self.noun} {name!r}, known are {', '.join(self)}{did_you_mean(name, self)}; "
            f"an installed package adds another by an entry point in the group {self.group}"
        )

    def __getitem__(self, name: str) -> T:
        """The object of a name. Raises UnknownNameError, or RegistryError when its entry point cannot be used."""
        # What was found once is not looked for again: kernels ask for their kind in every call.
        for known in (self._items, self._imported):
            if name in known:
                return known[name]
        self._import_modules()
        if name in self._items:
            return self._items[name]
        if name not in self._entry_points:
            raise UnknownNameError(self.unknown(name))
        self._imported[name] = self._checked(name, self._loaded(self._entry_points[name]))
        return self._imported[name]

    def __contains__(self, name: object) -> bool:
        return name in tuple(self)

    def __iter__(self) -> Iterator[str]:
        self._import_modules()
        return iter(dict.fromkeys((*self._items, *self._entry_points)))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _import_modules(self) -> None:
        package, self._package = ("", self._package) if self._attribute else (self._package, "")
        for name in _modules_of(package):
            importlib.import_module(f"{package}.{name}")

    @cached_property
    def _entry_points(self) -> dict[str, EntryPoint]:
        """Entry points of the group by name. Raises RegistryError where one has the name of another or of ours."""
        own = _modules_of(self._package) if self._attribute else []
        found = {name: EntryPoint(name, f"{self._package}.{name}:{self._attribute}", self.group) for name in own}
        for point in entry_points(group=self.group):
            if point.name in self._items or found.get(point.name, point).value != point.value:
                raise RegistryError(
                    f"{self.noun} {point.name!r}: the entry point {point.value} takes a name that is registered "
                    f"already; rename it or uninstall its package"
                )
            found[point.name] = point
        return found

    def _loaded(self, point: EntryPoint) -> T:
        try:
            item: T = point.load()
        except (ImportError, AttributeError) as error:
            raise RegistryError(
                f"{self.noun} {point.name!r}: its entry point {point.value} cannot be imported ({error}); "
                f"install or uninstall its package"
            ) from error
        return item


def _modules_of(package: str) -> list[str]:
    """Names of a package's modules, none of which is imported; none where no package is named."""
    spec = importlib.util.find_spec(package) if package else None
    places = None if spec is None else spec.submodule_search_locations
    return [module.name for module in pkgutil.iter_modules(places)] if places else []
