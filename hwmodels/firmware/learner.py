"""Adapting an integer network to its wearer: what hwmodels/c/learner/ppgnet_personal.c computes, in NumPy.

One gain for each feature before the last layer is learnt by gradient descent in integers and folded into that
layer's weights. Gains are shared by all heart rates, so that those which the calibration never showed are not
unlearnt; gains that do not help on the held-out third of the calibration are dropped.

A network over samples pools its features over time. One over spectra has features at every heart rate: there
a window is kept at those few rates alone that its label or the network names, and only every few windows, so
that a calibration stays within 40 KB.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwmodels.basics.errors import InputError
from hwmodels.network.graph import LayerGraph, Op
from hwmodels.network.heads import exponential_table, heart_rate_constants, heart_rate_head
from hwmodels.network.interpreter import HeartRateSettings, IntegerModel, run
from hwmodels.network.rounding import clamp_int8, multiply_by_quantized_multiplier

LABEL_ENTRIES = 64
NEAR_ENTRIES = 32
"""Of the label's table, which reaches four sigma: within two, a position is near the label."""
_LABEL_RESOLUTION = 16
_BLOCK, _PERIOD, _MARGIN = 15, 45, 3
_FIRST_HELD = _PERIOD - _BLOCK
_ONE, _LEAST, _MOST = 1 << 16, 1 << 15, 1 << 17
_EVALUATE_EVERY = 4
_MOST_WINDOWS, _MOST_CHANNELS, _MOST_POSITIONS = 200, 128, 256
_ROWS = 24
_FEATURE_BYTES = 40 * 1024
_ENDS = {
    "pooled": ("average_pool", "fully_connected", "heart_rate_head"),
    "spectrum": ("conv", "heart_rate_head"),
}


@dataclass(frozen=True)
class PersonalSettings:
    """How the wearer is learnt: from at most `windows` in a row and at least `fewest`; gradient descent with
    momentum 7/8 for `iterations` at `rate`; labels are Gaussians of `sigma_bpm`.
    """

    windows: int = 160
    fewest: int = 60
    iterations: int = 64
    rate: float = 0.0375
    sigma_bpm: float = 4.0

    def __post_init__(self) -> None:
        if not _PERIOD < self.fewest <= self.windows <= _MOST_WINDOWS:
            raise InputError(
                f"personalization keeps {_PERIOD + 1} to {_MOST_WINDOWS} windows, got {self.fewest} of {self.windows}"
            )
        if not (self.iterations > 0 and self.rate > 0 and self.sigma_bpm > 0):
            raise InputError("personalization: iterations, rate and sigma_bpm must be positive")


@dataclass(frozen=True)
class LearntForm:
    """What is kept of a calibration: of `positions` before the `logits` layer, each of which makes `outputs`
    of the bins, `rows`; and one window of `every`. `features` is the op whose output is kept.
    """

    features: Op
    logits: Op
    rows: int
    every: int

    @property
    def positions(self) -> int:
        """Positions of the features: one after pooling, or one a bin."""
        return self.features.length_out

    @property
    def outputs(self) -> int:
        """Bins whose logits one position makes."""
        return self.logits.channels_out

    @property
    def bins(self) -> int:
        """Logits of one window."""
        return self.positions * self.outputs


@dataclass(frozen=True, eq=False)
class Personalized:
    """The wearer's network. `kept_iteration` 0 means that nothing helped and the network is as it was.

    `held_out_bpm` is the mean absolute error on the held-out calibration windows before and after; over
    spectra, of the positions that are kept.
    """

    model: IntegerModel
    gain_q16: NDArray[np.int64]
    kept_iteration: int
    held_out_bpm: tuple[float, float]


@dataclass(frozen=True, eq=False)
class LearningConstants:
    """Integers of the descent; a step of one learning rate moves a gain by rate * mean gradient."""

    slope_q15: NDArray[np.int64]
    label: NDArray[np.int64]
    label_index_q16: int
    rate_q24: int


def last_features(model: IntegerModel, windows: NDArray[np.int8]) -> NDArray[np.int8]:
    """Windows int8 (n, T, channels) -> the features before the last layer, int8 (n, positions, features).

    Raises InputError for a network that `learnt_form` refuses.
    """
    return run(model, windows)[learnt_form(model.graph, PersonalSettings()).features.name]


def personalize(
    model: IntegerModel,
    features: NDArray[np.int8],
    heart_rate_bpm: NDArray[np.floating],
    settings: PersonalSettings | None = None,
) -> Personalized:
    """Learn a wearer from successive windows' features (n, positions, channels) and heart rates (n,) in BPM.

    Windows are taken in the order given, one every 2 s. Raises InputError for too few or too many windows,
    or a heart rate outside of the bins.
    """
    settings = settings or PersonalSettings()
    form = learnt_form(model.graph, settings)
    logits, head = form.logits, model.head
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
    made = learning_constants(model, logits, settings)
    number = np.arange(0, len(features), form.every)
    labels, place = labels[number], number % _PERIOD
    is_held = place >= _FIRST_HELD
    is_learnt = (place < _FIRST_HELD - _MARGIN) & ((number < _PERIOD) | (place >= _MARGIN))
    own = model.parameters[logits.name]
    exported = own.weight.reshape(form.outputs, -1).astype(np.int64)
    grid = model.quantization[logits.name]
    centred = features[number].astype(np.int64) - model.input_quantization(logits).zero_point
    apart = _apart(head, form, made, labels)
    table = exponential_table(grid.scale)

    def fold(gain: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.clip((exported * gain + 32768) >> 16, -127, 127)

    def layer(weight: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int8]:
        sums = x @ weight.T + own.bias.astype(np.int64)
        scaled = multiply_by_quantized_multiplier(sums, own.multiplier, own.shift)
        return clamp_int8(scaled + grid.zero_point).reshape(len(x), -1)

    position = np.zeros((len(number), form.rows), np.int64) + np.arange(form.rows)
    if form.rows < form.positions:
        marks = np.where(apart < NEAR_ENTRIES, 128, layer(exported, centred).astype(np.int64))
        position = np.argsort(-marks, axis=1, kind="stable")[:, : form.rows]
    kept_rows = np.take_along_axis(centred, position[:, :, None], 1)
    index = (position[:, :, None] + np.arange(form.outputs)).reshape(len(number), -1)
    found = np.where(apart < LABEL_ENTRIES, made.label[np.minimum(apart, LABEL_ENTRIES - 1)], 0)
    targets = (found << 15) // found.sum(axis=1, keepdims=True)

    def outputs(weight: NDArray[np.int64], rows: NDArray[np.bool_]) -> NDArray[np.int8]:
        q = np.full((int(rows.sum()), form.bins), -128, np.int8)
        np.put_along_axis(q, index[rows], layer(weight, kept_rows[rows]), 1)
        return q

    def held_error(weight: NDArray[np.int64]) -> int:
        estimate = heart_rate_head(outputs(weight, is_held), grid.scale, head)[:, 0].astype(np.int64)
        return int(np.abs(estimate - labels[is_held]).sum())

    def gradient(weight: NDArray[np.int64]) -> NDArray[np.int64]:
        q = outputs(weight, is_learnt).astype(np.int64)
        belief = table[q.max(axis=1, keepdims=True) - q]
        error = (belief << 15) // belief.sum(axis=1, keepdims=True) - targets[is_learnt]
        error = np.take_along_axis(error, index[is_learnt], 1).reshape(len(q), form.rows, -1)
        sums = ((error * made.slope_q15) >> 15) @ exported
        return ((sums >> 8) * kept_rows[is_learnt]).sum(axis=(0, 1))

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
    weight = fold(kept).astype(np.int8).reshape(own.weight.shape)
    parameters = {**model.parameters, logits.name: dataclasses.replace(own, weight=weight)}
    count = 256.0 * int(is_held.sum())
    adapted = dataclasses.replace(model, parameters=parameters)
    return Personalized(adapted, kept, kept_iteration, (before / count, least / count))


def learnt_form(graph: LayerGraph, settings: PersonalSettings) -> LearntForm:
    """What is kept of a calibration of a network.

    Raises InputError for a network that neither pools features for one fully connected layer nor makes each
    logit at its own position, or does not tell heart rates.
    """
    ops = list(graph)
    features, logits = ops[-3], ops[-2]
    kinds = tuple(op.kind for op in ops)
    is_pooled = kinds[-3:] == _ENDS["pooled"] and features.length_out == 1
    is_spectrum = kinds[-2:] == _ENDS["spectrum"] and logits.channels_out == logits.kernel == 1
    if not (is_pooled or is_spectrum):
        raise InputError(
            "personalization needs a network that ends in pooling, one fully connected layer and a "
            f"heart-rate head, or one over spectra; this one ends in {', '.join(kinds[-3:])}"
        )
    if logits.channels_in > _MOST_CHANNELS or logits.channels_in % 4:
        raise InputError(
            f"op {logits.name!r}: personalization takes features in fours, up to {_MOST_CHANNELS}, got "
            f"{logits.channels_in}"
        )
    if features.length_out > _MOST_POSITIONS:
        raise InputError(
            f"op {logits.name!r}: personalization takes up to {_MOST_POSITIONS} positions, got {features.length_out}"
        )
    rows = min(_ROWS, features.length_out)
    every = -(-settings.windows * rows * logits.channels_in // _FEATURE_BYTES)
    return LearntForm(features, logits, rows, every)


def learning_constants(model: IntegerModel, logits: Op, settings: PersonalSettings) -> LearningConstants:
    """Integers of the descent for one network's last layer."""
    own = model.parameters[logits.name]
    slope = own.multiplier.astype(np.float64) * 2.0 ** own.shift.astype(np.float64)
    steepest = float(slope.max()) / (1 << 31) * model.quantization[logits.name].scale
    entries = np.arange(LABEL_ENTRIES) / _LABEL_RESOLUTION
    return LearningConstants(
        slope_q15=np.minimum(np.rint(32768 * slope / slope.max()), 32767).astype(np.int64),
        label=np.rint(32767 * np.exp(-0.5 * entries**2)).astype(np.int64),
        label_index_q16=round(65536 * _LABEL_RESOLUTION / (settings.sigma_bpm * 256)),
        rate_q24=round(settings.rate * 512 * steepest * (1 << 24)),
    )


def _apart(
    head: HeartRateSettings, form: LearntForm, made: LearningConstants, labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Heart rates in 1/256 BPM (n,) -> how far each bin lies from them, in entries of the label's table."""
    bins = heart_rate_constants(head, form.bins).centres_q8(form.bins)
    return (np.abs(bins[None] - labels[:, None]) * made.label_index_q16) >> 16
