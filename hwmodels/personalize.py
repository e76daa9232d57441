"""Adapting an integer network to its wearer: what hwmodels/training/ppgnet_personal.c computes, in NumPy.

One gain for each pooled feature before the last layer is learnt by gradient descent in integers and folded
into that layer's weights. Gains are shared by all heart rates, so that those which the calibration never
showed are not unlearnt; gains that do not help on the held-out third of the calibration are dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwmodels.c_source import array, braced, sources_in, wrapped
from hwmodels.codegen import generate
from hwmodels.errors import InputError
from hwmodels.graph import Op
from hwmodels.heads import belief_tables, exponential_table, heart_rate_constants, heart_rate_head
from hwmodels.integer import HeartRateSettings, IntegerModel, run
from hwmodels.rounding import clamp_int8, multiply_by_quantized_multiplier
from hwmodels.variants import layer_fields

SOURCES = Path(__file__).parent / "training"
_BLOCK, _PERIOD, _MARGIN = 15, 45, 3
_FIRST_HELD = _PERIOD - _BLOCK
_ONE, _LEAST, _MOST = 1 << 16, 1 << 15, 1 << 17
_EVALUATE_EVERY = 4
_LABEL_ENTRIES, _LABEL_RESOLUTION = 64, 16
_MOST_WINDOWS, _MOST_CHANNELS = 200, 128
_PARTS = """
static const ppgnet_network body = {{steps, {body}}};

void ppgnet_features(int8_t *arena, const int8_t *input, int8_t *features)
{{
    ppgnet_execute(&body, arena, input, (void *)features);
}}

void ppgnet_head(const int8_t *logits, ppgnet_result *result)
{{
    uint32_t scratch[(PPGNET_PERSONAL_BINS + 1) / 2];
    steps[{head}].kernel(steps[{head}].parameters, logits, 0, result, scratch);
}}
"""


@dataclass(frozen=True)
class PersonalSettings:
    """How the wearer is learnt: at most `windows` are kept and at least `fewest` needed; gradient descent
    with momentum 7/8 for `iterations` at `rate`; labels are Gaussians of `sigma_bpm`.
    """

    windows: int = 160
    fewest: int = 60
    iterations: int = 64
    rate: float = 0.0375
    sigma_bpm: float = 4.0

    def __post_init__(self) -> None:
        if not _PERIOD < self.fewest <= self.windows <= _MOST_WINDOWS:
            raise InputError(
                f"personalization keeps {_PERIOD + 1} to {_MOST_WINDOWS} windows, got {self.fewest} of "
                f"{self.windows}"
            )
        if not (self.iterations > 0 and self.rate > 0 and self.sigma_bpm > 0):
            raise InputError("personalization: iterations, rate and sigma_bpm must be positive")


@dataclass(frozen=True, eq=False)
class Personalized:
    """The wearer's network. `kept_iteration` 0 means that nothing helped and the network is as it was.

    `held_out_bpm` is the mean absolute error on the held-out calibration windows before and after.
    """

    model: IntegerModel
    gain_q16: NDArray[np.int64]
    kept_iteration: int
    held_out_bpm: tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Constants:
    slope_q15: NDArray[np.int64]
    label: NDArray[np.int64]
    label_index_q16: int
    rate_q24: int


def pooled_features(model: IntegerModel, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """Windows int8 (n, T, channels) -> the features before the last layer, int8 (n, features).

    Raises InputError for a network that does not end in pooling, one layer and a heart-rate head.
    """
    pool, _ = _last_layer(model)
    return run(model, windows)[pool.name][:, 0]


def personalize(
    model: IntegerModel,
    features: NDArray[np.int8],
    heart_rate_bpm: NDArray[np.floating],
    settings: PersonalSettings | None = None,
) -> Personalized:
    """Learn a wearer from successive windows' features (n, channels) and heart rates (n,) in BPM.

    Windows are taken in the order given, one every 2 s. Raises InputError for too few or too many windows,
    or a heart rate outside of the bins.
    """
    settings = settings or PersonalSettings()
    _, logits = _last_layer(model)
    head = model.head
    assert isinstance(head, HeartRateSettings)
    if not settings.fewest <= len(features) <= settings.windows:
        raise InputError(
            f"personalization takes {settings.fewest} to {settings.windows} windows, got {len(features)}; "
            "give about five minutes of labelled recording"
        )
    labels = np.rint(np.asarray(heart_rate_bpm, np.float64) * 256).astype(np.int64)
    if labels.min() < head.first_bpm * 256 or labels.max() > head.last_bpm * 256:
        raise InputError(
            f"personalization: a heart rate lies outside of the network's {head.first_bpm:g} to "
            f"{head.last_bpm:g} BPM; leave that window out"
        )
    made = _constants(model, logits, settings)
    number = np.arange(len(features))
    place = number % _PERIOD
    is_held = place >= _FIRST_HELD
    is_learnt = (place < _FIRST_HELD - _MARGIN) & ((number < _PERIOD) | (place >= _MARGIN))
    exported = model.parameters[logits.name].weight.astype(np.int64)
    centred = features.astype(np.int64) - model.input_quantization(logits).zero_point
    targets = _labels(model, logits, made, labels)
    scale = model.quantization[logits.name].scale
    table = exponential_table(scale)

    def fold(gain: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip((exported * gain + 32768) >> 16, -127, 127)

    def outputs(weight: NDArray[np.int64], rows: NDArray[np.bool_]) -> NDArray[np.int8]:
        own = model.parameters[logits.name]
        scaled = multiply_by_quantized_multiplier(
            centred[rows] @ weight.T + own.bias.astype(np.int64), own.multiplier, own.shift
        )
        return clamp_int8(scaled + model.quantization[logits.name].zero_point)

    def held_error(weight: NDArray[np.int64]) -> int:
        found = heart_rate_head(outputs(weight, is_held), scale, head)[:, 0].astype(np.int64)
        return int(np.abs(found - labels[is_held]).sum())

    def gradient(weight: NDArray[np.int64]) -> NDArray[np.int64]:
        q = outputs(weight, is_learnt).astype(np.int64)
        belief = table[q.max(axis=1, keepdims=True) - q]
        error = (belief << 15) // belief.sum(axis=1, keepdims=True) - targets[is_learnt]
        sums = ((error * made.slope_q15) >> 15) @ exported
        return ((sums >> 8) * centred[is_learnt]).sum(axis=0)

    gain = np.full(exported.shape[1], _ONE, np.int64)
    velocity = np.zeros_like(gain)
    kept, kept_iteration = gain, 0
    before = least = held_error(fold(gain))
    rate = made.rate_q24 // int(is_learnt.sum())
    for iteration in range(1, settings.iterations + 1):
        velocity = velocity - (velocity >> 3) + ((gradient(fold(gain)) * rate) >> 24)
        gain = np.clip(gain - velocity, _LEAST, _MOST)
        if iteration % _EVALUATE_EVERY == 0:
            error = held_error(fold(gain))
            if error < least:
                least, kept, kept_iteration = error, gain, iteration
    own = dataclasses.replace(model.parameters[logits.name], weight=fold(kept).astype(np.int8))
    adapted = dataclasses.replace(model, parameters={**model.parameters, logits.name: own})
    count = 256.0 * int(is_held.sum())
    return Personalized(adapted, kept, kept_iteration, (before / count, least / count))


def generate_personal(model: IntegerModel, settings: PersonalSettings | None = None) -> dict[str, str]:
    """The C sources of a network that can learn its wearer, file name to text.

    Raises InputError for a network that cannot.
    """
    settings = settings or PersonalSettings()
    _, logits = _last_layer(model)
    sources = generate(model)
    steps = len(model.graph) - 1
    sources["ppgnet_model.c"] = sources["ppgnet_model.c"].replace(
        '#include "ppgnet_model.h"', '#include "ppgnet_personal_model.h"'
    ) + _PARTS.format(body=steps - 2, head=steps - 1)
    return {
        **sources,
        **sources_in(SOURCES),
        "ppgnet_personal_model.h": _header(logits, settings),
        "ppgnet_personal_model.c": _source(model, logits, settings),
    }


def _last_layer(model: IntegerModel) -> tuple[Op, Op]:
    ops = list(model.graph)
    pool, logits = ops[-3], ops[-2]
    ends = [op.kind for op in ops[-3:]]
    if ends != ["average_pool", "fully_connected", "heart_rate_head"] or pool.length_out != 1:
        raise InputError(
            "personalization needs a network that ends in pooling, one fully connected layer and a "
            f"heart-rate head; this one ends in {', '.join(ends)}"
        )
    if logits.channels_in > _MOST_CHANNELS or logits.channels_in % 4:
        raise InputError(
            f"op {logits.name!r}: personalization takes features in fours, up to {_MOST_CHANNELS}, got "
            f"{logits.channels_in}"
        )
    return pool, logits


def _constants(model: IntegerModel, logits: Op, settings: PersonalSettings) -> _Constants:
    """Integers of the descent. A step of one learning rate moves a gain by rate * mean gradient."""
    own = model.parameters[logits.name]
    slope = own.multiplier.astype(np.float64) * 2.0 ** own.shift.astype(np.float64)
    steepest = float(slope.max()) / (1 << 31) * model.quantization[logits.name].scale
    entries = np.arange(_LABEL_ENTRIES) / _LABEL_RESOLUTION
    return _Constants(
        slope_q15=np.minimum(np.rint(32768 * slope / slope.max()), 32767).astype(np.int64),
        label=np.rint(32767 * np.exp(-0.5 * entries**2)).astype(np.int64),
        label_index_q16=round(65536 * _LABEL_RESOLUTION / (settings.sigma_bpm * 256)),
        rate_q24=round(settings.rate * 512 * steepest * (1 << 24)),
    )


def _labels(
    model: IntegerModel, logits: Op, made: _Constants, labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Heart rates in 1/256 BPM (n,) -> Gaussian beliefs in 1/32768 (n, bins)."""
    assert isinstance(model.head, HeartRateSettings)
    head = heart_rate_constants(model.head, logits.channels_out)
    centres = head.first_q8 + ((np.arange(logits.channels_out) * head.step_q16) >> 8)
    apart = (np.abs(centres[None] - labels[:, None]) * made.label_index_q16) >> 16
    found = np.where(apart < _LABEL_ENTRIES, made.label[np.minimum(apart, _LABEL_ENTRIES - 1)], 0)
    return (found << 15) // found.sum(axis=1, keepdims=True)


def _header(logits: Op, settings: PersonalSettings) -> str:
    return f"""\
/* Generated by ppg-nas: the sizes of one network's learning, and its constants. */
#ifndef PPGNET_PERSONAL_MODEL_H
#define PPGNET_PERSONAL_MODEL_H

#include "ppgnet_model.h"

#define PPGNET_PERSONAL_WINDOWS {settings.windows}
#define PPGNET_PERSONAL_FEWEST {settings.fewest}
#define PPGNET_PERSONAL_ITERATIONS {settings.iterations}
#define PPGNET_PERSONAL_CHANNELS {logits.channels_in}
#define PPGNET_PERSONAL_BINS {logits.channels_out}

typedef struct {{
    const int8_t *weight; /* bins x features, as exported */
    const int32_t *bias, *multiplier, *shift;
    const int16_t *slope_q15; /* weight step of each bin over the largest */
    int32_t first_q8, last_q8, step_q16, rate_q24;
    uint32_t label_index_q16;
    uint16_t label[{_LABEL_ENTRIES}];
    ppgnet_belief belief;
    ppgnet_layer layer;
}} ppgnet_personal_settings;

extern const ppgnet_personal_settings ppgnet_personal_constants;
extern const uint32_t ppgnet_personal_bytes;

/* The features before the last layer, and the head alone. */
void ppgnet_features(int8_t *arena, const int8_t *input, int8_t *features);
void ppgnet_head(const int8_t *logits, ppgnet_result *result);

#endif
"""


def _source(model: IntegerModel, logits: Op, settings: PersonalSettings) -> str:
    own, made = model.parameters[logits.name], _constants(model, logits, settings)
    assert isinstance(model.head, HeartRateSettings)
    head = heart_rate_constants(model.head, logits.channels_out)
    arrays: Mapping[str, tuple[str, NDArray]] = {
        "weight": ("int8_t", own.weight.ravel()),
        "bias": ("int32_t", own.bias),
        "multiplier": ("int32_t", own.multiplier),
        "shift": ("int32_t", own.shift),
        "slope": ("int16_t", made.slope_q15),
    }
    grids = model.input_quantization(logits), model.quantization[logits.name]
    fields = ", ".join(map(str, layer_fields(logits, grids[0].zero_point, grids[1].zero_point)))
    coarse, fine = (wrapped(braced(table)) for table in belief_tables(grids[1].scale))
    last_q8 = head.first_q8 + (((logits.channels_out - 1) * head.step_q16) >> 8)
    return "\n".join(
        [
            "/* Generated by ppg-nas: what one network needs to learn its wearer. */",
            '#include "ppgnet_personal_model.h"\n',
            *(array(kind, f"personal_{name}", values) for name, (kind, values) in arrays.items()),
            "",
            "const ppgnet_personal_settings ppgnet_personal_constants = {",
            "    personal_weight, personal_bias, personal_multiplier, personal_shift, personal_slope,",
            f"    {head.first_q8}, {last_q8}, {head.step_q16}, {made.rate_q24}, {made.label_index_q16},",
            f"    {wrapped(braced(made.label))},",
            f"    {{{coarse}, {fine}}},",
            f"    {{{fields}, 0}},",
            "};",
            "",
        ]
    )
