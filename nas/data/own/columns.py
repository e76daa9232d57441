"""What a column is, by the name that its logger gave it: time, light, acceleration, a label, or nothing of use.

Read by the loaders of CSV, WFDB and EDF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hwmodels.basics.errors import InputError
from nas.data.own.acceleration_unit import counts_per_g

SECONDS: Mapping[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_TIME_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "usec", "µs", "micros", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nanos", "nanosecond", "nanoseconds"), "ns"),
}
_TIME = re.compile(
    r"(?:(?:sensor|phone|device|system|local|unix|utc|host|recording|sample|elapsed)_)?"
    r"(?:time|times|timestamp|timestamps|time_stamp|timer|t|ts|datetime|date_time|date|clock)"
    r"(?:_(?:unix|utc|formattedunix|formatted))?|unix|utc|elapsed|epoch"
)
_SECOND_CHOICE = re.compile(r"date|formatted|phone|local|host|system|utc")
_LIGHT = (
    re.compile(r"ppg(?:_?\d+)?"),
    re.compile(r"hrm_r"),
    re.compile(r"ppg_r"),
    re.compile(r"bvp|pleth|pleths|plethysmogram|(?:raw|wrist|finger)_(?:ppg|pleth)|ppg_(?:raw|value|signal|a\d+)"),
    re.compile(r"(?:ppg_|led_)?(?:green|red|ir|infrared)(?:_?\d+|_led|_ppg)?"),
    re.compile(r"channel_?\d+"),
)
"""Names of light signals; the first kind that is present gives the channels. hrm_r and ppg_r are a Bangle.js watch's:
the light with and without what its changing exposure shifts."""
_AXIS = re.compile(
    r"(?P<stem>(?:[a-z0-9_]*_)?(?:acc|accel|accelerometer|acceleration)(?:_[a-z]+)*?|a)_?(?P<axis>[xyz])"
)
_BARE_AXIS = re.compile(r"(?P<axis>[xyz])(?P<stem>(?:_?(?:acc|accel|accelerometer|acceleration))?)")
_MOST_SHOWN = 60
_MOST_LISTED = 12
HEART_RATES = ("heart_rate_bpm", "heart_rate", "hr_bpm", "bpm", "hr", "heartrate")
_LABELS = {"heart_rate_bpm": "heart_rate_bpm", "bthrm": "heart_rate_bpm", "rhythm": "rhythm", "activity": "activity"}
"""Columns of labels in a recording; bthrm is the chest strap that such a watch listens to."""


@dataclass(frozen=True)
class Columns:
    """Names, as the file writes them, of what each column is. acc: three or none. unused: what nothing reads."""

    time: str | None
    time_unit: str
    ppg: tuple[str, ...]
    acc: tuple[str, ...]
    acc_unit: str
    labels: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()


def plain_name(name: str) -> tuple[str, str]:
    """A column's name in lower case with underscores, and its unit ("" if it names none): "Acc X [mg]" -> acc_x, mg."""
    match = re.fullmatch(r"(.*?)\s*[\[(]([^\[\]]*?)[\])]\s*", name.strip())
    bare, unit = (match[1], match[2].strip()) if match else (name, "")
    bare = re.sub(r"[^a-z0-9µ]+", "_", bare.lower()).strip("_")
    bare = re.sub(r"_(?:un)?cal$", "", re.sub(r"^shimmer_[0-9a-f]{4}_", "", bare))
    stem, _, tail = bare.rpartition("_")
    if not unit and stem and (_TIME.fullmatch(stem) and tail in _TIME_UNITS):
        return stem, tail
    if not unit and (axis := re.fullmatch(r"(.+_?[xyz])_(g|mg|ms2|mps2|m_s2|m_s_2)", bare)):
        return axis[1], "m/s2" if axis[2].startswith("m_") else axis[2]
    return ("time", _TIME_UNITS[bare]) if bare in _TIME_UNITS else (bare, unit)


def sort_columns(names: Sequence[str], units: Mapping[str, str] | None = None) -> Columns:
    """What each column is. `units` may give those of a line of units. Raises InputError for two of one name, and for
    an accelerometer of less than three axes."""
    twice = next((name for place, name in enumerate(names) if name and name in names[:place]), None)
    if twice is not None:
        raise InputError(f"column {twice[:_MOST_SHOWN]!r} stands twice; rename one of them")
    plain = {name: plain_name(name) for name in names if name}
    if units:
        plain = {name: (bare, unit or units.get(name, "")) for name, (bare, unit) in plain.items()}
    time = _time(plain)
    light = next((kept for kind in _LIGHT if (kept := [n for n in plain if kind.fullmatch(plain[n][0])])), [])
    acc = _axes(plain)
    labels: dict[str, str] = {}
    for name, (bare, _) in plain.items():
        if bare in _LABELS:
            labels.setdefault(_LABELS[bare], name)
    used = {time, *light, *acc, *labels.values()}
    return Columns(
        time=time,
        time_unit=_TIME_UNITS.get(plain[time][1].lower(), "") if time else "",
        ppg=tuple(light),
        acc=acc,
        acc_unit=_known(plain[acc[0]][1]) if acc else "",
        labels=labels,
        unused=tuple(name for name in plain if name not in used),
    )


def _known(unit: str) -> str:
    return unit if unit and counts_per_g(unit) is not None else ""


def _time(plain: Mapping[str, tuple[str, str]]) -> str | None:
    times = [name for name, (bare, _) in plain.items() if _TIME.fullmatch(bare)]

    def rank(name: str) -> tuple[bool, bool]:
        bare, unit = plain[name]
        return unit.lower() not in _TIME_UNITS, bool(_SECOND_CHOICE.search(bare))

    return min(times, key=rank, default=None)


def _axes(plain: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    """The columns of the first accelerometer with three axes."""
    sensors: dict[str, dict[str, str]] = {}
    for name, (bare, _) in plain.items():
        match = _AXIS.fullmatch(bare) or _BARE_AXIS.fullmatch(bare)
        if match:
            sensors.setdefault(match["stem"], {})[match["axis"]] = name
    complete = [stem for stem, axes in sensors.items() if len(axes) == 3]
    if complete:
        # Linear acceleration is without gravity, by which motion of the wrist is told from a turned one.
        axes = sensors[min(complete, key=lambda stem: "linear" in stem)]
        return axes["x"], axes["y"], axes["z"]
    for stem, axes in sensors.items():
        if stem:
            missing = sorted(set("xyz") - set(axes))
            given = next(iter(axes.values()))
            raise InputError(f"{given[:_MOST_SHOWN]!r} is there, but not axis {missing[0]}; give three axes, or none")
    return ()


def unused_note(names: Iterable[str]) -> str:
    """What is to be said of columns that nothing reads."""
    listed = [name[:_MOST_SHOWN] for name in names]
    noun = "column" if len(listed) == 1 else "columns"
    more = f" and {len(listed) - _MOST_LISTED} more" if len(listed) > _MOST_LISTED else ""
    return f"{noun} not used: {', '.join(listed[:_MOST_LISTED])}{more}"
