"""Settings given on the command line, `teacher.epochs=2`, laid over what a configuration file says."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from hwmodels.basics.documents import parse_yaml
from hwmodels.basics.errors import InputError


def overridden(content: dict[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """A configuration's content with every `PATH=VALUE` applied in order; the content given stays as it is.

    PATH is a field's name, or names and positions in lists, joined by dots; VALUE is YAML. What the values may be is
    checked where configurations are. Raises InputError for a setting without `=`, a path that leads nowhere, a value
    that is not YAML.
    """
    changed = deepcopy(content)
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path:
            raise InputError(f"--set {setting}: expected PATH=VALUE, such as teacher.epochs=2")
        try:
            value = parse_yaml(text, "value")
        except InputError:
            raise InputError(f"--set {setting}: the value is not valid YAML; quote it as YAML asks") from None
        *parents, last = path.split(".")
        place: Any = changed
        for name in parents:
            place = _inside(place, name, setting)
        if isinstance(place, dict):
            place[last] = value
        else:
            _inside(place, last, setting)
            place[int(last)] = value
    return changed


def _inside(place: Any, name: str, setting: str) -> Any:
    """The part of a mapping or list that a name or a position stands for."""
    if isinstance(place, dict) and name in place:
        return place[name]
    if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
        return place[int(name)]
    known = f"known here are {', '.join(map(str, place))}" if isinstance(place, dict) else "nothing below it can be set"
    if isinstance(place, list):
        known = f"positions here are 0 to {len(place) - 1}"
    raise InputError(f"--set {setting}: no {name} there; {known}")
