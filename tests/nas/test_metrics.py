"""Metrics: every figure against an independent computation, and intervals against a plain bootstrap."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.basics.errors import InputError
from nas.evaluation.metrics import COVERAGES, heart_rate_metrics, rhythm_metrics, risk_coverage


def _case(seed: int, n: int = 300, subjects: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    subject = rng.integers(subjects, size=n)
    reference = rng.uniform(45, 190, size=n)
    estimate = reference + rng.standard_normal(n) * (1 + 4 * subject)
    return estimate, reference, subject.astype(str)


def _auroc(score: np.ndarray, positive: np.ndarray) -> float:
    high, low = score[positive][:, None], score[~positive][None, :]
    return float(((high > low) + 0.5 * (high == low)).mean())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_heart_rate_figures_are_what_they_say(seed: int) -> None:
    estimate, reference, subject = _case(seed)
    metrics = heart_rate_metrics(estimate, reference, subject, resamples=20)
    error = np.abs(estimate - reference)
    by_subject = [error[subject == name].mean() for name in np.unique(subject)]
    assert metrics.mae_bpm.value == pytest.approx(np.mean(by_subject))
    assert metrics.mae_pooled_bpm.value == pytest.approx(error.mean())
    assert metrics.median_bpm.value == pytest.approx(np.median(error))
    assert metrics.p90_bpm.value == pytest.approx(np.quantile(error, 0.9))
    assert metrics.share_within_5.value == pytest.approx((error <= 5).mean())
    assert metrics.share_within_10.value == pytest.approx((error <= 10).mean())
    assert metrics.bland_altman.bias_bpm == pytest.approx((estimate - reference).mean())
    assert metrics.mae_by_subject_bpm[subject[0]] == pytest.approx(error[subject == subject[0]].mean())
    band = (reference >= 80) & (reference < 100)
    assert metrics.by_band["80 to 100"].bias_bpm.value == pytest.approx((estimate - reference)[band].mean())
    assert sum(group.windows for group in metrics.by_band.values()) == reference.size


def test_intervals_are_a_bootstrap_over_subjects() -> None:
    estimate, reference, subject = _case(3, n=400, subjects=8)
    error = np.abs(estimate - reference)
    metrics = heart_rate_metrics(estimate, reference, subject, resamples=4000)
    rng = np.random.default_rng(99)
    names = np.unique(subject)
    means, medians, pooled = [], [], []
    for _ in range(4000):
        drawn = [error[subject == name] for name in rng.choice(names, names.size)]
        means.append(np.mean([values.mean() for values in drawn]))
        pooled.append(np.concatenate(drawn).mean())
        medians.append(np.median(np.concatenate(drawn)))
    for measured, plain in (
        (metrics.mae_bpm, means),
        (metrics.mae_pooled_bpm, pooled),
        (metrics.median_bpm, medians),
    ):
        low, high = np.quantile(plain, [0.025, 0.975])
        width = high - low
        assert measured.low == pytest.approx(low, abs=0.08 * width)
        assert measured.high == pytest.approx(high, abs=0.08 * width)


def test_figures_repeat_for_a_seed_and_ignore_the_order_of_windows() -> None:
    estimate, reference, subject = _case(5)
    order = np.random.default_rng(0).permutation(reference.size)
    first = heart_rate_metrics(estimate, reference, subject, seed=3)
    second = heart_rate_metrics(estimate[order], reference[order], subject[order], seed=3)
    assert first.mae_bpm.low == pytest.approx(second.mae_bpm.low)
    assert first.median_bpm.low == pytest.approx(second.median_bpm.low)
    assert heart_rate_metrics(estimate, reference, subject, seed=3) == first


def test_invalid_windows_count_in_every_figure_but_the_two_that_name_them() -> None:
    reference, subject = np.full(10, 80.0), np.array(["a"] * 5 + ["b"] * 5)
    estimate = reference + np.array([0, 0, 0, 0, 50] * 2)
    valid = np.array([True, True, True, True, False] * 2)
    metrics = heart_rate_metrics(estimate, reference, subject, valid=valid, resamples=10)
    assert metrics.mae_bpm.value == pytest.approx(10)
    assert metrics.share_valid.value == pytest.approx(0.8)
    assert metrics.mae_valid_bpm.value == pytest.approx(0)
    none = heart_rate_metrics(estimate, reference, subject, valid=np.zeros(10, bool), resamples=10)
    assert none.to_dict()["mae_valid_bpm"]["value"] is None


def test_activities_are_told_apart() -> None:
    estimate, reference, subject = _case(1)
    activity = np.where(reference > 100, "walking", "")
    metrics = heart_rate_metrics(estimate, reference, subject, activity=activity, resamples=10)
    assert list(metrics.by_activity) == ["walking"]
    chosen = reference > 100
    assert metrics.by_activity["walking"].mae_bpm.value == pytest.approx(np.abs(estimate - reference)[chosen].mean())


def test_risk_falls_with_coverage_when_the_spread_is_honest() -> None:
    error = np.arange(100.0)
    honest = risk_coverage(error, error)
    assert honest.coverage == COVERAGES
    assert honest.mae_bpm[-1] == pytest.approx(error.mean())
    assert all(np.diff(honest.mae_bpm) > 0)
    assert risk_coverage(error, -error).area_bpm > honest.area_bpm


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_rhythm_figures_are_what_they_say(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    n, classes = 240, ("sinus", "AF", "noise")
    truth = rng.integers(3, size=n)
    scores = rng.random((n, 3)) + 0.5 * np.eye(3)[truth]
    scores = np.round(scores, 1) if ties else scores
    subject = rng.integers(5, size=n).astype(str)
    metrics = rhythm_metrics(scores, truth, subject, classes, resamples=20)
    chosen = scores.argmax(axis=1)
    f1 = []
    for k, name in enumerate(classes):
        hits = ((chosen == k) & (truth == k)).sum()
        f1.append(2 * hits / ((chosen == k).sum() + (truth == k).sum()))
        assert metrics.f1[name].value == pytest.approx(f1[-1])
        assert metrics.auroc[name].value == pytest.approx(_auroc(scores[:, k], truth == k))
    assert metrics.macro_f1.value == pytest.approx(np.mean(f1))
    assert metrics.accuracy.value == pytest.approx((chosen == truth).mean())
    hot = (truth[:, None] == np.arange(3)).ravel()
    assert metrics.micro_auroc.value == pytest.approx(_auroc(scores.ravel(), hot))
    assert np.sum(metrics.confusion) == n


def test_auroc_intervals_are_a_bootstrap_over_subjects() -> None:
    rng = np.random.default_rng(0)
    n = 200
    truth = rng.integers(2, size=n)
    subject = rng.integers(6, size=n)
    score = rng.standard_normal(n) + truth * subject / 2
    scores = np.stack([-score, score], axis=1)
    metrics = rhythm_metrics(scores, truth, subject.astype(str), ("no", "yes"), resamples=3000)
    plain = []
    for _ in range(3000):
        drawn = np.concatenate([np.flatnonzero(subject == s) for s in rng.integers(6, size=6)])
        if 0 < truth[drawn].sum() < drawn.size:
            plain.append(_auroc(score[drawn], truth[drawn] == 1))
    low, high = np.quantile(plain, [0.025, 0.975])
    assert metrics.auroc["yes"].low == pytest.approx(low, abs=0.02)
    assert metrics.auroc["yes"].high == pytest.approx(high, abs=0.02)


def test_a_class_that_is_absent_is_left_out_of_averages_and_becomes_null_in_json() -> None:
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]] * 4)
    metrics = rhythm_metrics(scores, [0, 1] * 4, list("aabbccdd"), ("a", "b", "never"), resamples=50)
    assert metrics.macro_f1.value == 1.0 and metrics.macro_auroc.value == 1.0
    plain = json.loads(json.dumps(metrics.to_dict(), allow_nan=False))
    assert plain["f1"]["never"]["value"] is None


def test_json_of_heart_rate_figures_has_no_nan() -> None:
    metrics = heart_rate_metrics([80.0, 90.0], [81.0, 92.0], ["a", "a"], spread_bpm=[1.0, 2.0], resamples=5)
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False))["mae_bpm"]["value"] == pytest.approx(1.5)


def test_what_cannot_be_scored_is_named() -> None:
    for call, words in (
        (lambda: heart_rate_metrics([], [], []), "no windows"),
        (lambda: heart_rate_metrics([1.0], [1.0, 2.0], ["a"]), "differ"),
        (lambda: heart_rate_metrics([np.nan], [1.0], ["a"]), "diverged"),
        (lambda: heart_rate_metrics([1.0], [np.nan], ["a"]), "unlabelled"),
        (lambda: rhythm_metrics([[0.5, 0.5]], [2], ["a"], ("x", "y")), "outside 0 to 1"),
        (lambda: rhythm_metrics([[0.5]], [0], ["a"], ("x", "y")), "shape"),
    ):
        with pytest.raises(InputError, match=words):
            call()
