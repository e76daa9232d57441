"""A causal tracker over successive windows' logits, in integers: hwmodels/c/tracker/ppgnet_tracker.c in NumPy.

A forward filter (Rabiner, Proc. IEEE 77(2), 1989) over the head's bins. It stands behind an integer network;
its figures stand beside those of single windows, never in their place.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.atomic_files import replace_file
from hwmodels.basics.documents import read_json
from hwmodels.basics.errors import InputError
from hwmodels.c.text import C_FOLDER, braced, sources_in, wrapped
from hwmodels.codegen.network_source import default_plan
from hwmodels.network.heads import belief_estimate, belief_tables, exponential_table, heart_rate_constants
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel

SOURCES = C_FOLDER / "tracker"
_ONE_Q15, _LARGEST = 1 << 15, 65535
_MOST_REACH = 32


class TrackerError(InputError):
    """Constants that make no tracker, or a file of them that cannot be read; names the field or file."""


@dataclass(frozen=True)
class Tracker:
    """How beliefs move and how much a window is believed.

    transition_q15: weights of moves by -reach .. +reach bins in 2 s, in 1/32768, summing to at most that.
    floor: belief kept everywhere, in 1/65535 of the largest. sharpness: exponent of the network's belief.
    max_spread_bpm: an expected error above it is invalid; None lets all pass. lead: how much of an estimate's
    distance from the running mean of estimates is added to it, as a filter lags behind a heart rate that changes.
    """

    transition_q15: tuple[int, ...]
    floor: int
    sharpness: float
    max_spread_bpm: float | None
    lead: float = 0.0

    def __post_init__(self) -> None:
        moves = self.transition_q15
        if len(moves) % 2 == 0 or len(moves) > 2 * _MOST_REACH + 1 or min(moves) < 0:
            raise TrackerError("transition_q15: takes an odd number of weights, up to 65, none negative")
        if not _ONE_Q15 // 2 <= sum(moves) <= _ONE_Q15:
            raise TrackerError(f"transition_q15: must sum to 16384 to {_ONE_Q15}, got {sum(moves)}")
        if not 1 <= self.floor <= 4096:
            raise TrackerError(f"floor: must lie in [1, 4096], got {self.floor}")
        if not (0.05 <= self.sharpness <= 4 and 0 <= (self.max_spread_bpm or 0) <= 1000):
            raise TrackerError("sharpness must lie in [0.05, 4] and max_spread_bpm in [0, 1000]")
        if not 0 <= self.lead <= 4:
            raise TrackerError(f"lead: must lie in [0, 4], got {self.lead}")


def track(
    tracker: Tracker, model: IntegerModel, logits: NDArray[np.int8], starts: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Successive windows' logits (n, bins) -> (n, 3) as `heart_rate_head`.

    `starts` (n,) marks windows before which the tracker is reset; the first one always is.
    """
    settings = _settings(tracker, model)
    q = logits.astype(np.int64)
    likelihood = exponential_table(_scale(tracker, model))[q.max(axis=1, keepdims=True) - q]
    move = _move_matrix(tracker, q.shape[1])
    beliefs = np.empty(q.shape, np.int64)
    firsts = np.flatnonzero(starts | (np.arange(len(q)) == 0))
    lengths = np.diff(firsts, append=len(q))
    belief = np.full((len(firsts), q.shape[1]), _LARGEST, np.int64)
    for step in range(lengths.max(initial=0)):  # of all stretches at once
        live = lengths > step
        moved = (belief[live] @ move).astype(np.int64)
        product = np.minimum((moved >> 15) + tracker.floor, _LARGEST) * likelihood[firsts[live] + step]
        _, bits = np.frexp(product.max(axis=1, keepdims=True).astype(np.float64))
        belief[live] = product >> np.maximum(0, bits - 16)
        beliefs[firsts[live] + step] = belief[live]
    return led(belief_estimate(beliefs, settings), starts, tracker.lead, model)


def led(rows: NDArray[np.int32], starts: NDArray[np.bool_], lead: float, model: IntegerModel) -> NDArray[np.int32]:
    """What `track` makes of rows (n, 3) whose heart rates it has filtered, but not yet led."""
    assert isinstance(model.head, HeartRateSettings)
    bins = model.graph.output.channels_in
    first_q8, *_, last_q8 = heart_rate_constants(model.head, bins).centres_q8(bins).tolist()
    lead_q8, mean = _lead_q8(lead), 0
    found = rows.copy()
    for index, estimate in enumerate(rows[:, 0].tolist()):
        if starts[index] or index == 0:
            mean = estimate
        mean += (estimate - mean) >> 1
        found[index, 0] = min(max(estimate + (((estimate - mean) * lead_q8) >> 8), first_q8), last_q8)
    return found


def generate_tracker(tracker: Tracker, model: IntegerModel) -> dict[str, str]:
    """The tracker's C sources for the code of `model`, file name to text."""
    bins, last = model.graph.output.channels_in, model.graph.sources(model.graph.output.name)[0]
    head = heart_rate_constants(_settings(tracker, model), bins)
    belief = ", ".join(wrapped(braced(table)) for table in belief_tables(_scale(tracker, model)))
    reach = len(tracker.transition_q15) // 2
    last_q8 = head.centres_q8(bins)[-1]
    header = f"""\
/* Generated by ppg-nas: the tracker's sizes and constants. */
#ifndef PPGNET_TRACKER_MODEL_H
#define PPGNET_TRACKER_MODEL_H

#include "ppgnet_kernels.h"

#define PPGNET_TRACKER_BINS {bins}
#define PPGNET_TRACKER_REACH {reach}
#define PPGNET_LOGITS_OFFSET {default_plan(model).offsets[last]}

typedef struct {{
    uint16_t transition_q15[{2 * reach + 1}];
    uint16_t floor, lead_q8;
    int32_t last_q8;
    ppgnet_heart_rate_parameters head;
}} ppgnet_tracker_settings;

extern const ppgnet_tracker_settings ppgnet_tracker_constants;

#endif
"""
    source = f"""\
/* Generated by ppg-nas: how heart rates move, learnt from training subjects. */
#include "ppgnet_tracker_model.h"

const ppgnet_tracker_settings ppgnet_tracker_constants = {{
    {wrapped(braced(tracker.transition_q15))},
    {tracker.floor}, {_lead_q8(tracker.lead)}, {last_q8},
    {{{head.first_q8}, {head.step_q16}, {head.max_spread_q8}, {bins},
     {{{belief}}}}},
}};
"""
    return {**sources_in(SOURCES), "ppgnet_tracker_model.h": header, "ppgnet_tracker_model.c": source}


def save_tracker(tracker: Tracker, path: Path) -> None:
    """Write the tracker as JSON, whole or not at all."""
    text = json.dumps(dataclasses.asdict(tracker), indent=1) + "\n"
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load_tracker(path: Path) -> Tracker:
    """Read what `save_tracker` wrote. Raises TrackerError naming the file."""
    try:
        content = read_json(path)
        moves = tuple(int(value) for value in content.pop("transition_q15"))
        limit_bpm = content["max_spread_bpm"]
        return Tracker(
            moves,
            int(content["floor"]),
            float(content["sharpness"]),
            None if limit_bpm is None else float(limit_bpm),
            float(content.get("lead", 0.0)),
        )
    except (InputError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise TrackerError(f"{path}: not a tracker's constants ({error}); delete it and run again") from None


def _move_matrix(tracker: Tracker, bins: int) -> NDArray[np.float64]:
    """Weights (bins, bins) from each bin to each; products with beliefs are whole and exact in doubles."""
    reach = len(tracker.transition_q15) // 2
    distance = np.arange(bins)[:, None] - np.arange(bins)[None]
    weights = np.array(tracker.transition_q15, np.float64)[np.clip(distance + reach, 0, 2 * reach)]
    return np.where(np.abs(distance) <= reach, weights, 0.0)


def _lead_q8(lead: float) -> int:
    return round(lead * 256)


def _scale(tracker: Tracker, model: IntegerModel) -> float:
    """A step of the logits, as the tracker believes it."""
    return model.input_quantization(model.graph.output).scale * tracker.sharpness


def _settings(tracker: Tracker, model: IntegerModel) -> HeartRateSettings:
    if not isinstance(model.head, HeartRateSettings):
        raise TrackerError("a tracker follows heart rates; this network tells rhythms apart")
    return dataclasses.replace(model.head, max_spread_bpm=tracker.max_spread_bpm)
