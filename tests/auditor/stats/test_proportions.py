"""Wilson, Clopper-Pearson and the hypergeometric bounds against statsmodels, scipy and plain enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, hypergeom
from statsmodels.stats.proportion import proportion_confint

from auditor.stats.proportions import (
    clopper_pearson,
    effective_n,
    hypergeometric_bound,
    hypergeometric_upper,
    wilson,
    wilson_bounds,
)

counts = st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(counts, confidences)
def test_wilson_equals_statsmodels(count: tuple[int, int], confidence: float) -> None:
    k, n = count
    low, high = proportion_confint(k, n, 1 - confidence, "wilson")
    found = wilson(k, n, confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)
    assert found.low <= found.value <= found.high


@given(counts, confidences)
def test_clopper_pearson_equals_statsmodels(count: tuple[int, int], confidence: float) -> None:
    k, n = count
    low, high = proportion_confint(k, n, 1 - confidence, "beta")
    found = clopper_pearson(k, n, confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9)


@given(counts)
def test_one_sided_clopper_pearson_equals_scipy(count: tuple[int, int]) -> None:
    k, n = count
    upper = binomtest(k, n, alternative="less").proportion_ci(0.95, "exact")
    lower = binomtest(k, n, alternative="greater").proportion_ci(0.95, "exact")
    assert clopper_pearson(k, n, side="upper").high == pytest.approx(upper.high, abs=1e-9)
    assert clopper_pearson(k, n, side="lower").low == pytest.approx(lower.low, abs=1e-9)


def test_nothing_seen_excludes_nothing() -> None:
    for found in (wilson(0, 0), clopper_pearson(0, 0)):
        assert math.isnan(found.value)
        assert (found.low, found.high, found.n) == (0.0, 1.0, 0)


@pytest.mark.parametrize(("count", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_impossible_counts_are_refused(count: int, n: int) -> None:
    with pytest.raises(ValueError):
        wilson(count, n)
    with pytest.raises(ValueError):
        clopper_pearson(count, n)


def test_confidence_must_be_a_share() -> None:
    with pytest.raises(ValueError, match="confidence"):
        wilson(1, 2, 95)


lots = st.integers(1, 60).flatmap(
    lambda lot: st.integers(0, lot).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n), st.just(lot)))
)


@given(lots, st.sampled_from([0.9, 0.95]))
def test_lot_bounds_are_what_plain_enumeration_finds(case: tuple[int, int, int], confidence: float) -> None:
    wrong, n, lot = case
    possible = range(wrong, lot - n + wrong + 1)
    error = 1 - confidence - 1e-12  # ties count as possible
    upper = max(bad for bad in possible if hypergeom.cdf(wrong, lot, bad, n) > error)
    lower = min(bad for bad in possible if hypergeom.sf(wrong - 1, lot, bad, n) > error)
    assert hypergeometric_upper(wrong, n, lot, confidence) == upper
    assert hypergeometric_bound(wrong, n, lot, confidence, side="lower").low == lower
    both = hypergeometric_bound(wrong, n, lot, confidence)
    assert both.low <= lower and both.high >= upper
    assert both.low <= both.high


@given(st.integers(5, 40), st.data())
def test_the_upper_bound_covers_as_often_as_it_says(lot: int, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, lot))
    bad = data.draw(st.integers(0, lot))
    covered = sum(
        hypergeom.pmf(x, lot, bad, n)
        for x in range(max(0, n - (lot - bad)), min(n, bad) + 1)
        if hypergeometric_upper(x, n, lot, 0.95) >= bad
    )
    assert covered >= 0.95 - 1e-9


def test_a_whole_lot_checked_is_known() -> None:
    found = hypergeometric_bound(3, 50, 50)
    assert (found.low, found.high) == (3, 3)
    assert found.rate.value == pytest.approx(0.06)


def test_nothing_checked_says_nothing() -> None:
    found = hypergeometric_bound(0, 0, 50)
    assert (found.low, found.high) == (0, 50)
    assert math.isnan(found.rate.value)


def test_large_lot_approaches_the_binomial_bound() -> None:
    upper = hypergeometric_upper(3, 132, 10_000_000) / 10_000_000
    assert upper == pytest.approx(clopper_pearson(3, 132, side="upper").high, abs=1e-4)


def test_an_empty_lot_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        hypergeometric_bound(0, 0, 0)


def test_wilson_of_a_whole_n_is_statsmodels() -> None:
    assert wilson_bounds(7 / 40, 40) == pytest.approx(proportion_confint(7, 40, method="wilson"))


def test_independent_items_keep_nearly_all_of_their_n() -> None:
    hits = np.random.default_rng(0).random(600) < 0.3
    assert effective_n(hits, np.arange(600)) == pytest.approx(600, rel=0.01)
    assert effective_n(hits, np.zeros(600)) == 0
    assert effective_n(np.zeros(60), np.repeat(np.arange(12), 5)) < 12  # each cluster is one item, less what t costs


def test_equal_items_of_a_cluster_are_one_item() -> None:
    alone = np.random.default_rng(1).random(100) < 0.4
    once, often = effective_n(alone, np.arange(100)), effective_n(np.repeat(alone, 7), np.repeat(np.arange(100), 7))
    assert often == pytest.approx(once)


@pytest.mark.parametrize(
    ("clusters", "size", "share", "alike"), [(30, 6, 0.3, 0.5), (12, 10, 0.1, 0.2), (60, 2, 0.5, 0.9)]
)
def test_coverage_where_items_share_templates(clusters: int, size: int, share: float, alike: float) -> None:
    """1,000 simulations of beta-binomial templates: Wilson on the effective n holds the truth, on the items it does not."""
    rng, member = np.random.default_rng(3), np.repeat(np.arange(clusters), size)
    total = (1 - alike) / alike  # a + b of the beta whose intraclass correlation is ``alike``
    held = plain = 0
    for _ in range(1_000):
        rate = rng.beta(share * total, (1 - share) * total, clusters)
        hits = rng.random(clusters * size) < rate[member]
        low, high = wilson_bounds(float(hits.mean()), effective_n(hits, member))
        held += low <= share <= high
        shown = wilson(int(hits.sum()), hits.size)
        plain += shown.low <= share <= shown.high
    assert held / 1_000 >= 0.93
    assert plain / 1_000 < 0.9
