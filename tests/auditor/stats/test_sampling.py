"""Plans against published values and plain search, allocations by property, the stratified estimator by enumeration and simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, hypergeom

from auditor.stats.sampling import (
    allocate_neyman,
    allocate_proportional,
    fraction_size,
    limiting_quality_plan,
    operating_characteristic,
    simple_random_sample,
    stratified_estimate,
)


def test_published_plan() -> None:
    plan = limiting_quality_plan(None, 0.01, 0.05, alpha=0.05, beta=0.10)
    assert (plan.n, plan.c) == (132, 3)
    # The points of its OC curve, as R's AcceptanceSampling prints them.
    accept = operating_characteristic(plan, [0.01, 0.05])
    assert accept == pytest.approx([0.9557, 0.0992], abs=5e-5)
    assert (plan.producer_risk, plan.consumer_risk) == pytest.approx((1 - accept[0], accept[1]))


def test_a_large_lot_has_the_published_plan_too() -> None:
    plan = limiting_quality_plan(15_000)
    assert (plan.n, plan.c) == (132, 3)


@given(st.integers(20, 120), st.sampled_from([(0.0, 0.1), (0.02, 0.12), (0.05, 0.25)]))
@settings(deadline=None, max_examples=25)
def test_plan_is_the_smallest_that_plain_search_finds(lot: int, rates: tuple[float, float]) -> None:
    good, bad = math.floor(rates[0] * lot + 1e-9), math.ceil(rates[1] * lot - 1e-9)
    plan = limiting_quality_plan(lot, *rates)
    smallest = next(
        n
        for n in range(1, lot + 1)
        if any(hypergeom.cdf(c, lot, good, n) >= 0.95 and hypergeom.cdf(c, lot, bad, n) <= 0.10 for c in range(n + 1))
    )
    assert plan.n == smallest
    assert hypergeom.cdf(plan.c, lot, good, plan.n) >= 0.95
    assert hypergeom.cdf(plan.c, lot, bad, plan.n) <= 0.10


def test_operating_characteristic_falls_from_one() -> None:
    for lot in (None, 5000):
        curve = operating_characteristic(limiting_quality_plan(lot), np.linspace(0, 0.2, 41))
        assert curve[0] == 1.0
        assert (np.diff(curve) <= 1e-12).all()
    finite = limiting_quality_plan(5000)
    assert operating_characteristic(finite, [0.03]) == pytest.approx(hypergeom.cdf(finite.c, 5000, 150, finite.n))
    endless = limiting_quality_plan(None)
    assert operating_characteristic(endless, [0.03]) == pytest.approx(binom.cdf(3, 132, 0.03))


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(ValueError, match="aql < lq"):
        limiting_quality_plan(1000, 0.05, 0.01)
    with pytest.raises(ValueError, match="risks"):
        limiting_quality_plan(1000, alpha=0)
    with pytest.raises(ValueError, match="too small"):
        limiting_quality_plan(0)
    assert limiting_quality_plan(10).c == 0
    with pytest.raises(ValueError, match="share"):
        operating_characteristic(limiting_quality_plan(1000), [1.5])


def test_fraction_and_simple_random_sample() -> None:
    assert fraction_size(10_000, 0.15) == 1500
    assert fraction_size(7, 0.15) == 2
    assert fraction_size(0, 0.15) == 0
    with pytest.raises(ValueError, match="fraction"):
        fraction_size(10, 0)
    drawn = simple_random_sample(1000, 150, seed=1)
    assert len(set(drawn.tolist())) == 150
    assert drawn.min() >= 0 and drawn.max() < 1000
    assert np.array_equal(drawn, simple_random_sample(1000, 150, seed=1))
    assert not np.array_equal(drawn, np.sort(drawn))
    with pytest.raises(ValueError, match="sample size"):
        simple_random_sample(5, 6, seed=0)


frames = st.tuples(
    st.lists(st.integers(0, 200), min_size=1, max_size=8), st.integers(0, 5), st.floats(0, 1), st.integers(0, 99)
)


@given(frames)
def test_allocations_keep_their_promises(case: tuple[list[int], int, float, int]) -> None:
    sizes, minimum, share, seed = case
    floor = sum(min(minimum, size) for size in sizes)
    n = floor + round(share * (sum(sizes) - floor))
    deviations = np.random.default_rng(seed).choice([0.0, 0.1, 0.5], len(sizes))
    for given_out in (
        allocate_proportional(sizes, n, minimum),
        allocate_neyman(sizes, deviations, n, minimum),
    ):
        assert given_out.sum() == n
        assert (given_out <= sizes).all()
        assert (given_out >= np.minimum(minimum, sizes)).all()


def test_allocations_by_hand() -> None:
    assert allocate_proportional([600, 300, 100], 100).tolist() == [60, 30, 10]
    assert allocate_neyman([600, 300, 100], [0.1, 0.2, 0.4], 80).tolist() == [30, 30, 20]
    assert allocate_neyman([100, 100], [0.0, 0.0], 10).tolist() == [5, 5]
    # A stratum that is used up gives the rest to the others.
    assert allocate_neyman([10, 500, 500], [1.0, 0.01, 0.01], 50).tolist() == [10, 20, 20]
    assert allocate_proportional([990, 10], 20, minimum=5).tolist() == [15, 5]


def test_impossible_allocations_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        allocate_proportional([10, 10], 5, minimum=3)
    with pytest.raises(ValueError, match="hold 20"):
        allocate_proportional([10, 10], 21)
    with pytest.raises(ValueError, match="whole numbers"):
        allocate_proportional([1.5, 2], 1)
    with pytest.raises(ValueError, match="deviation"):
        allocate_neyman([10, 10], [0.1, math.nan], 5)


def test_stratified_rate_and_variance_are_unbiased() -> None:
    """Over every possible sample of two small strata, both estimates average to what they estimate."""
    strata = [np.array([1, 0, 0, 1, 0]), np.array([0, 0, 1, 0])]
    rates, variances = [], []
    for first in itertools.combinations(strata[0], 3):
        for second in itertools.combinations(strata[1], 2):
            found = stratified_estimate([5, 4], [3, 2], [sum(first), sum(second)])
            rates.append(found.rate.value)
            variances.append(found.variance)
    assert np.mean(rates) == pytest.approx(3 / 9)
    assert np.mean(variances) == pytest.approx(np.var(rates))


def test_stratified_degenerate_cases() -> None:
    census = stratified_estimate([5, 1], [5, 1], [2, 1])
    assert (census.rate.value, census.rate.low, census.rate.high) == (0.5, 0.5, 0.5)
    assert census.variance == 0
    clean = stratified_estimate([1000, 200], [50, 20], [0, 0])
    assert clean.rate.low == 0 and clean.rate.high > 0.01 and clean.variance == 0
    single = stratified_estimate([1000, 200], [50, 1], [2, 0])
    assert math.isnan(single.variance) and single.rate.known
    left_out = stratified_estimate([1000, 0], [50, 0], [2, 0])
    assert left_out.rate == stratified_estimate([1000], [50], [2]).rate
    with pytest.raises(ValueError, match="stratum 1"):
        stratified_estimate([10, 10], [5, 0], [0, 0])
    with pytest.raises(ValueError, match="empty"):
        stratified_estimate([0], [0], [0])
    with pytest.raises(ValueError, match="wrong <= checked"):
        stratified_estimate([10], [5], [6])
    with pytest.raises(ValueError, match="shape"):
        stratified_estimate([10, 10], [5], [1])


@pytest.mark.slow
@pytest.mark.parametrize("rates", [(0.01, 0.05, 0.20), (0.002, 0.01, 0.03), (0.3, 0.3, 0.3)])
def test_stratified_interval_covers(rates: tuple[float, float, float]) -> None:
    """3,000 simulated reviews of three unequal strata: the 95 % interval covers at least 94 % of the time, rare errors too."""
    rng = np.random.default_rng(7)
    sizes, checked = np.array([6000, 3000, 1000]), np.array([120, 90, 60])
    bad = np.rint(sizes * rates).astype(int)
    truth = bad.sum() / sizes.sum()
    covered = 0
    for _ in range(3000):
        wrong = rng.hypergeometric(bad, sizes - bad, checked)
        covered += truth in stratified_estimate(sizes, checked, wrong).rate
    assert covered / 3000 >= 0.94
