"""The resampling core: right distribution, right intervals (scipy.stats.bootstrap), bounded memory, the same draws each time."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from auditor.stats.bootstrap import Bootstrap, Method, bootstrap_mean, resample_counts, resample_means


@pytest.mark.parametrize("frequency", [[1] * 40, [300, 100, 1], [2, 1, 4, 3]])
def test_counts_have_the_mean_and_spread_of_drawing_items(frequency: list[int]) -> None:
    items = np.array(frequency)
    n = items.sum()
    counts = np.concatenate(list(resample_counts(items, 20_000, np.random.default_rng(1))))
    assert counts.shape == (20_000, items.size)
    assert (counts.sum(axis=1) == n).all()
    assert counts.mean(axis=0) == pytest.approx(items, rel=0.05)
    assert counts.var(axis=0) == pytest.approx(items * (1 - items / n), rel=0.08)


def test_same_seed_same_draws_and_a_generator_moves_on() -> None:
    values = np.random.default_rng(0).random(50)
    assert np.array_equal(bootstrap_mean(values, seed=3).draws, bootstrap_mean(values, seed=3).draws)
    assert not np.array_equal(bootstrap_mean(values, seed=3).draws, bootstrap_mean(values, seed=4).draws)
    rng = np.random.default_rng(3)
    assert not np.array_equal(bootstrap_mean(values, seed=rng).draws, bootstrap_mean(values, seed=rng).draws)


@given(hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-100, 100)), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_order_of_items_does_not_matter(values: np.ndarray, random: object) -> None:
    shuffled = np.random.default_rng(5).permutation(values)
    first, second = bootstrap_mean(values, resamples=200), bootstrap_mean(shuffled, resamples=200)
    assert first.value == pytest.approx(second.value, abs=1e-9)
    assert first.draws == pytest.approx(second.draws, abs=1e-9)


METHODS: tuple[Method, ...] = ("percentile", "bca", "basic")


@pytest.mark.parametrize("method", METHODS)
def test_intervals_agree_with_scipy(method: Method) -> None:
    values = np.random.default_rng(2).gamma(0.7, size=60)
    ours = bootstrap_mean(values, resamples=60_000, seed=1).interval(0.95, method)
    rng = np.random.default_rng(2)
    oracle: Any = stats.bootstrap([values.tolist()], np.mean, n_resamples=60_000, method=method, rng=rng)
    low, high = oracle.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=0.012)


def test_bca_acceleration_is_the_jackknife_one() -> None:
    values = np.random.default_rng(2).gamma(0.5, size=30)
    # For a mean it has a closed form: a sixth of the skewness over the root of n (Efron 1987, 7.3).
    assert bootstrap_mean(values).acceleration == pytest.approx(stats.skew(values) / (6 * math.sqrt(30)), rel=1e-9)
    repeated = np.repeat([0.0, 1.0], [90, 10])
    assert bootstrap_mean(repeated).acceleration == pytest.approx(stats.skew(repeated) / 60, rel=1e-9)


def test_clusters_are_drawn_whole() -> None:
    rng = np.random.default_rng(0)
    effect = rng.normal(size=40)
    values = np.repeat(effect, 25)
    clusters = np.repeat(np.arange(40), 25)
    alone = bootstrap_mean(values, seed=1).standard_error
    together = bootstrap_mean(values, clusters=clusters, seed=1)
    assert together.standard_error == pytest.approx(effect.std() / math.sqrt(40), rel=0.05)
    assert together.standard_error > 4 * alone
    assert together.n == 1000


def test_clusters_of_one_item_are_the_plain_bootstrap() -> None:
    values = np.random.default_rng(0).random(30)
    plain, clustered = bootstrap_mean(values), bootstrap_mean(values, clusters=[f"c{i}" for i in range(30)])
    assert clustered.draws == pytest.approx(plain.draws, abs=1e-12)


def test_unequal_clusters_keep_the_mean_over_items() -> None:
    found = bootstrap_mean([0, 0, 0, 1], clusters=["a", "a", "a", "b"], resamples=1000)
    assert found.value == 0.25
    assert set(np.round(found.draws, 6)) == {0.0, 0.25, 1.0}


def test_one_cluster_is_refused() -> None:
    with pytest.raises(ValueError, match="two clusters"):
        bootstrap_mean([1, 2], clusters=[0, 0])
    with pytest.raises(ValueError, match="shape"):
        bootstrap_mean([1, 2], clusters=[0])


@pytest.mark.parametrize("values", [[], [math.nan, 1.0], [[[1.0]]]])
def test_bad_values_are_refused(values: list[object]) -> None:
    with pytest.raises(ValueError):
        bootstrap_mean(values)  # type: ignore[arg-type]


def test_one_resample_at_least() -> None:
    with pytest.raises(ValueError, match="resample"):
        resample_means([1.0, 2.0], resamples=0)


def test_constant_values_have_no_width() -> None:
    for method in METHODS:
        found = bootstrap_mean([0.3] * 20).interval(method=method)
        assert (found.low, found.high) == pytest.approx((0.3, 0.3))


def test_one_item_has_no_width_either() -> None:
    found = bootstrap_mean([2.0]).interval(method="bca")
    assert (found.value, found.low, found.high, found.n) == (2.0, 2.0, 2.0, 1)


def test_some_undefined_draws_are_left_out_and_many_leave_no_bounds() -> None:
    draws = np.arange(100.0)
    few, many = draws.copy(), draws.copy()
    few[:5], many[:6] = math.nan, math.nan
    assert Bootstrap(50.0, few, 9).interval().known
    assert math.isnan(Bootstrap(50.0, many, 9).interval().low)
    assert math.isnan(Bootstrap(50.0, many, 9).p_value())
    assert math.isnan(Bootstrap(50.0, many, 9).standard_error)
    assert math.isnan(Bootstrap(math.nan, draws, 9).interval().high)


def test_p_value_and_interval_say_the_same() -> None:
    found = bootstrap_mean(np.random.default_rng(0).normal(0.2, 1, size=100), seed=1)
    for confidence in (0.8, 0.9, 0.95, 0.99):
        interval = found.interval(confidence)
        for null in np.linspace(-0.2, 0.6, 33):
            if abs(null - interval.low) > 0.005 and abs(null - interval.high) > 0.005:
                assert (found.p_value(null) < 1 - confidence) == (null not in interval)


def test_one_sided_p_values_point_the_right_way() -> None:
    found = bootstrap_mean(np.random.default_rng(0).normal(1, 1, size=100))
    assert found.p_value(0, "greater") == pytest.approx(1 / 10_001)
    assert found.p_value(0, "less") == 1.0


def test_memory_stays_bounded_for_many_items() -> None:
    values = np.random.default_rng(0).random(100_000)
    tracemalloc.start()
    bootstrap_mean(values, resamples=20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
