"""Percentile intervals against scipy's quantile_test, speed-up on made-up rounds, and simulated coverage under drift."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import quantile_test

from auditor.stats.latency import bootstrap_percentile, paired_speedup, percentile_interval


@given(st.integers(2, 400), st.sampled_from([50, 95, 99]), st.sampled_from([0.9, 0.95]))
@settings(deadline=None)
def test_order_statistics_equal_scipy(n: int, percent: float, confidence: float) -> None:
    times = np.random.default_rng(n).gamma(2, size=n)
    found = percentile_interval(times, percent, confidence)
    oracle: Any = quantile_test(times, q=0, p=percent / 100).confidence_interval(confidence)
    assert found.low == pytest.approx(0.0 if math.isnan(oracle.low) else oracle.low)
    assert found.high == pytest.approx(math.inf if math.isnan(oracle.high) else oracle.high)
    assert found.value == pytest.approx(np.percentile(times, percent))


def test_too_few_timings_have_no_upper_bound() -> None:
    assert math.isinf(percentile_interval(np.arange(1, 300), 99).high)
    assert math.isfinite(percentile_interval(np.arange(1, 400), 99).high)
    single = percentile_interval([5.0], 50)
    assert (single.value, single.low, single.high, single.n) == (5.0, 0.0, math.inf, 1)


def test_percentile_over_rounds() -> None:
    times = np.random.default_rng(0).gamma(9, size=(40, 10))
    found = bootstrap_percentile(times, 95)
    assert found.value == pytest.approx(np.percentile(times, 95))
    assert found.n == 40
    assert found.value in found.interval()
    # Rounds that differ as wholes make a wider interval than independent calls would.
    drift = np.repeat(np.random.default_rng(1).gamma(9, size=40), 10).reshape(40, 10)
    assert bootstrap_percentile(drift, 50).standard_error > 2 * bootstrap_percentile(drift.ravel(), 50).standard_error


def test_one_round_has_no_bounds() -> None:
    found = bootstrap_percentile([[1.0, 2.0, 3.0]], 50)
    assert found.value == 2.0 and math.isnan(found.interval().low)
    assert math.isnan(paired_speedup([[4.0]], [[2.0]]).interval().high)


def test_speedup_is_the_median_of_the_rounds_ratios() -> None:
    rng = np.random.default_rng(0)
    slow, fast = rng.gamma(9, size=(30, 7)), rng.gamma(9, size=(30, 5)) / 3
    found = paired_speedup(slow, fast)
    ratios = np.median(slow, axis=1) / np.median(fast, axis=1)
    assert found.value == pytest.approx(np.exp(np.median(np.log(ratios))))
    assert paired_speedup(fast, slow).value == pytest.approx(1 / found.value)
    assert paired_speedup(slow, slow).interval().width == 0


def test_shared_noise_cancels_between_interleaved_arms() -> None:
    rng = np.random.default_rng(0)
    noise = rng.lognormal(0, 0.5, size=(60, 1))
    slow, fast = 3 * noise * rng.normal(1, 0.01, (60, 9)), noise * rng.normal(1, 0.01, (60, 9))
    paired = paired_speedup(slow, fast).interval()
    unpaired = paired_speedup(slow, fast[::-1]).interval()
    assert pytest.approx(paired.value, rel=0.05) == 3.0
    assert paired.width < unpaired.width / 10


@pytest.mark.parametrize("percent", [0, 100, -1])
def test_bad_percentiles_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile_interval([1.0], percent)


def test_bad_timings_are_refused() -> None:
    for bad in ([], [math.nan], [-1.0]):
        with pytest.raises(ValueError):
            percentile_interval(bad, 50)
    with pytest.raises(ValueError, match="same rounds"):
        paired_speedup([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="clock"):
        paired_speedup([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="shape"):
        bootstrap_percentile([[[1.0]]], 50)


@pytest.mark.slow
def test_speedup_interval_covers_on_a_noisy_machine() -> None:
    """1,000 simulated benchmarks of 40 rounds on a machine whose speed drifts: the 95 % interval covers 92.5 to 98 %."""
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(1000):
        noise = rng.lognormal(0, 0.3, size=(40, 1))
        slow = 2.5 * noise * rng.lognormal(0, 0.05, (40, 5))
        fast = noise * rng.lognormal(0, 0.05, (40, 5))
        covered += 2.5 in paired_speedup(slow, fast, resamples=400, seed=rng).interval()
    assert 0.925 <= covered / 1000 <= 0.98
