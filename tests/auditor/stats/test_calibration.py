"""Calibration against scikit-learn, scipy's minimiser, a plain loop, and simulated coverage."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import entropy
from sklearn.metrics import brier_score_loss, log_loss

from auditor.stats.calibration import (
    Binning,
    apply_temperature,
    brier_items,
    calibration_error,
    entropy_items,
    fit_temperature,
    nll_items,
    reliability_table,
)


def _ece(p: npt.ArrayLike, y: npt.ArrayLike, **how: Any) -> float:
    """The error alone."""
    return calibration_error(p, y, resamples=1, **how).error.value


def _model(n: int, k: int = 3, temperature: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and labels drawn from them, the former then sharpened (T < 1) or softened (T > 1)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, size=(n, k))
    honest = softmax(logits, axis=1)
    labels = (rng.random(n)[:, None] > honest.cumsum(axis=1)).sum(axis=1).clip(0, k - 1)
    return softmax(logits / temperature, axis=1), labels


models = st.builds(_model, st.integers(2, 60), st.integers(2, 5), st.floats(0.3, 3), st.integers(0, 1000))


@given(models, st.integers(1, 20))
def test_equal_width_error_equals_a_plain_loop(model: tuple[np.ndarray, np.ndarray], bins: int) -> None:
    p, y = model
    sure, right = p.max(axis=1), p.argmax(axis=1) == y
    total = 0.0
    for b in range(bins):
        here = (sure > b / bins) & (sure <= (b + 1) / bins)
        if here.any():
            total += here.mean() * abs(sure[here].mean() - right[here].mean())
    assert _ece(p, y, bins=bins, binning="equal width") == pytest.approx(total, abs=1e-9)


def test_equal_mass_bins_hold_equal_numbers() -> None:
    p, y = _model(1000)
    table = reliability_table(p, y, bins=10)
    assert len(table) == 10
    assert {row.n for row in table} <= {99, 100, 101}
    total = sum(row.n / 1000 * abs(row.confidence - row.accuracy.value) for row in table)
    assert _ece(p, y, bins=10) == pytest.approx(total)
    assert all(row.low <= row.confidence <= row.high for row in table)
    assert all(row.accuracy.low <= row.accuracy.value <= row.accuracy.high for row in table)


@given(models, st.sampled_from(["equal mass", "equal width"]))
def test_every_item_is_in_one_bin_and_order_does_not_matter(
    model: tuple[np.ndarray, np.ndarray], binning: Binning
) -> None:
    p, y = model
    assert sum(row.n for row in reliability_table(p, y, binning=binning)) == y.size
    order = np.random.default_rng(0).permutation(y.size)
    assert _ece(p, y, binning=binning) == pytest.approx(
        _ece(p[order], y[order], binning=binning),
        abs=1e-12,
    )


def test_three_equal_seeds_say_no_more_than_one() -> None:
    p, y = _model(300)
    for one, three in zip(reliability_table(p, y), reliability_table(np.stack([p] * 3), y), strict=True):
        assert (three.n, three.accuracy) == (one.n, one.accuracy)
        assert three.confidence == pytest.approx(one.confidence)


def test_seeds_that_differ_share_the_bins() -> None:
    (p, y), (other, _) = _model(300), _model(300, seed=5)
    table = reliability_table(np.stack([p, other]), y, bins=5)
    assert sum(row.n for row in table) == pytest.approx(300, abs=3)
    assert all(row.accuracy.low <= row.accuracy.value <= row.accuracy.high for row in table)
    right = np.mean([(p.argmax(axis=1) == y).mean(), (other.argmax(axis=1) == y).mean()])
    assert sum(row.n * row.accuracy.value for row in table) / 300 == pytest.approx(right, abs=0.01)


def test_constant_predictions_are_one_bin() -> None:
    p = np.tile([0.7, 0.3], (10, 1))
    y = [0] * 5 + [1] * 5
    assert len(reliability_table(p, y)) == 1
    assert _ece(p, y) == pytest.approx(0.2)
    assert _ece([[1.0, 0.0]], [0]) == 0.0


@given(models)
@settings(deadline=None)
def test_brier_and_likelihood_equal_scikit_learn(model: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = model
    classes = range(p.shape[1])
    assert brier_items(p, y).mean() == pytest.approx(brier_score_loss(y, p, labels=classes, scale_by_half=False))
    assert nll_items(p, y).mean() == pytest.approx(log_loss(y, p, labels=classes))
    assert entropy_items(p) == pytest.approx(entropy(p, axis=1))


def test_ends_of_the_scales() -> None:
    assert brier_items([[1.0, 0.0]], [0]) == [0.0]
    assert brier_items([[1.0, 0.0]], [1]) == [2.0]
    assert nll_items([[1.0, 0.0]], [1]) == pytest.approx([-math.log(1e-12)])
    assert entropy_items([[1.0, 0.0], [0.5, 0.5]]) == pytest.approx([0.0, math.log(2)])


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_temperature_is_recovered(true_temperature: float) -> None:
    p, y = _model(20_000, temperature=true_temperature)
    found = fit_temperature(p, y)
    # Sharpened by T, so the T that mends it is 1 / T.
    assert found.value == pytest.approx(1 / true_temperature, rel=0.05)
    assert not found.at_bound
    assert found.nll_after <= found.nll_before
    assert _ece(apply_temperature(p, found.value), y) < 0.02


@given(models)
@settings(deadline=None)
def test_temperature_is_where_scipy_finds_the_least_loss(model: tuple[np.ndarray, np.ndarray]) -> None:
    p, y = model
    found = fit_temperature(p, y)
    scores = np.log(np.maximum(p, 1e-12))

    def loss(log_t: float) -> float:
        return float(-log_softmax(scores / math.exp(log_t), axis=1)[np.arange(y.size), y].mean())

    best = minimize_scalar(loss, bounds=(math.log(0.02), math.log(50)), method="bounded", options={"xatol": 1e-10})
    assert found.nll_after <= best.fun + 1e-7
    assert found.nll_after == pytest.approx(loss(math.log(found.value)), abs=1e-6)
    assert found.nll_after <= found.nll_before + 1e-9


def test_temperature_stops_at_its_bounds() -> None:
    sure = fit_temperature([[0.6, 0.4], [0.3, 0.7]], [0, 1])
    assert sure.at_bound and sure.value == pytest.approx(0.02)
    wrong = fit_temperature([[0.6, 0.4], [0.3, 0.7]], [1, 0])
    assert wrong.at_bound and wrong.value == pytest.approx(50)
    flat = fit_temperature([[0.5, 0.5]] * 3, [0, 1, 0])
    assert flat.value == 1.0 and not flat.at_bound
    with pytest.raises(ValueError, match="at least one"):
        fit_temperature(np.empty((0, 2)), [])


@given(models, st.floats(0.2, 5), st.floats(0.2, 5))
def test_temperatures_multiply_and_keep_the_ranking(
    model: tuple[np.ndarray, np.ndarray], first: float, second: float
) -> None:
    p, _ = model
    assert apply_temperature(p, 1.0) == pytest.approx(p, abs=1e-9)
    assert (apply_temperature(p, first).argmax(axis=1) == p.argmax(axis=1)).all()
    if apply_temperature(p, first).min() > 1e-10:
        both = apply_temperature(apply_temperature(p, first), second)
        assert both == pytest.approx(apply_temperature(p, first * second), abs=1e-6)


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf])
def test_bad_temperatures_are_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        apply_temperature([[0.5, 0.5]], temperature)


def test_bad_bins_and_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="bins"):
        _ece([[0.5, 0.5]], [0], bins=0)
    with pytest.raises(ValueError, match="binning"):
        _ece([[0.5, 0.5]], [0], binning="wide")
    with pytest.raises(ValueError, match="labels"):
        brier_items([[0.5, 0.5]], [0, 1])
    with pytest.raises(ValueError, match="no items"):
        _ece(np.empty((0, 2)), [])


def test_error_with_interval_has_the_value_of_the_plain_one_for_each_seed() -> None:
    p, y = _model(300)
    softer = apply_temperature(p, 2.0)
    found = calibration_error(np.stack([p, softer]), y, resamples=500).error
    assert found.value == pytest.approx((_ece(p, y) + _ece(softer, y)) / 2)
    assert 0 <= found.low <= found.value <= found.high
    assert found.n == 300
    narrow = calibration_error(np.stack([p, softer]), y, resamples=500, confidence=0.8).error
    assert found.low <= narrow.low and narrow.high <= found.high
    assert calibration_error(p, y, resamples=500) == calibration_error(p, y, resamples=500)


def test_noise_floor_is_what_an_honest_model_shows() -> None:
    errors = [_ece(*_model(400, seed=s)) for s in range(60)]
    floors = [calibration_error(*_model(400, seed=s), resamples=300).noise_floor for s in range(60)]
    assert np.mean(floors) == pytest.approx(np.mean(errors), rel=0.08)


def test_exact_and_constant_models_have_an_interval() -> None:
    exact = calibration_error([[0.5, 0.5]] * 40, [0, 1] * 20).error
    assert exact.value == exact.low == 0.0 and 0 < exact.high < 0.25
    sure = calibration_error([[1.0, 0.0]] * 40, [0] * 40).error
    assert (sure.value, sure.low, sure.high) == (0.0, 0.0, 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [0.4, 0.7, 0.9, 1.0, 1.5])
def test_error_interval_covers(temperature: float) -> None:
    """Off by much, by little or not at all: it covers the error of 200,000 items in at least 87 % of 500 simulations."""
    p, y = _model(200_000, temperature=temperature, seed=1)
    truth = _ece(p, y)
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(500):
        drawn = rng.choice(200_000, 1000, replace=False)
        covered += truth in calibration_error(p[drawn], y[drawn], resamples=1000, seed=rng).error
    assert covered / 500 >= 0.87
