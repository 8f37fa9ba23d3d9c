"""Agreement against scikit-learn, the krippendorff package and published values."""

import math
import warnings

import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import cohen_kappa_score

from auditor.stats.agreement import agreement_summary, cohen_kappa, gwet_ac1, krippendorff_alpha, raw_agreement

# Krippendorff (2011), section C: four observers, twelve units, five values, 0 for missing; Gwet's handbook uses it too.
FOUR = (
    np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 0],
            [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 3],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
        ]
    )
    - 1
)
# Gwet (2002), the kappa paradox: 118 of 125 agree on one class, 5 and 2 differ, none agree on the other.
PARADOX = np.array([[0] * 123 + [1] * 2, [0] * 118 + [1] * 5 + [0] * 2])


def test_published_values_of_four_raters() -> None:
    found = agreement_summary(FOUR, 5)
    assert found.kappa is None
    assert found.raw.value == pytest.approx(0.8181818, abs=1e-6)
    assert found.alpha.value == pytest.approx(0.743, abs=5e-4)
    assert found.ac1.value == pytest.approx(0.77544, abs=5e-6)
    assert found.raw.n == found.alpha.n == found.ac1.n == 11


def test_published_values_of_the_paradox() -> None:
    found = agreement_summary(PARADOX, 2)
    assert found.kappa is not None
    assert found.raw.value == pytest.approx(0.944)
    assert found.kappa.value == pytest.approx(-0.0234, abs=5e-5)
    assert found.ac1.value == pytest.approx(0.9408, abs=5e-5)
    for interval in (found.raw, found.kappa, found.alpha, found.ac1):
        assert interval.low <= interval.value <= interval.high


two = st.integers(2, 40).flatmap(lambda n: hnp.arrays(np.int64, (2, n), elements=st.integers(0, 2)))
several = st.tuples(st.integers(2, 4), st.integers(1, 25)).flatmap(
    lambda shape: hnp.arrays(np.int64, shape, elements=st.integers(-1, 2))
)


@given(two)
@settings(deadline=None)
def test_kappa_equals_scikit_learn(ratings: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = cohen_kappa_score(ratings[0], ratings[1], labels=[0, 1, 2])
    assert cohen_kappa(ratings, 3, resamples=10).value == pytest.approx(expected, nan_ok=True)
    assert raw_agreement(ratings, 3, resamples=10).value == pytest.approx(np.mean(ratings[0] == ratings[1]))


@given(several)
@settings(deadline=None)
def test_alpha_equals_the_krippendorff_package(ratings: np.ndarray) -> None:
    found = krippendorff_alpha(ratings, 3, resamples=10)
    pairable = ratings[:, (ratings >= 0).sum(axis=0) >= 2]
    used = np.unique(pairable[pairable >= 0])
    assert found.n == pairable.shape[1]
    if used.size < 2:
        assert math.isnan(found.value)
        return
    reliability = np.where(pairable < 0, np.nan, pairable)
    assert found.value == pytest.approx(krippendorff.alpha(reliability, level_of_measurement="nominal"))


@given(two)
@settings(deadline=None)
def test_ac1_of_two_raters_is_the_first_formula(ratings: np.ndarray) -> None:
    equal = np.mean(ratings[0] == ratings[1])
    share = np.array([np.mean(ratings == c) for c in range(3)])
    chance = (share * (1 - share)).sum() / 2
    assert gwet_ac1(ratings, 3, resamples=10).value == pytest.approx((equal - chance) / (1 - chance))


@given(several, st.permutations([0, 1, 2]))
@settings(deadline=None, max_examples=40)
def test_renaming_classes_and_exchanging_raters_changes_nothing(ratings: np.ndarray, names: list[int]) -> None:
    renamed = np.where(ratings < 0, -1, np.array(names)[ratings])[::-1]
    for measure in (raw_agreement, krippendorff_alpha, gwet_ac1):
        first, second = measure(ratings, 3, resamples=10).value, measure(renamed, 3, resamples=10).value
        assert first == pytest.approx(second, nan_ok=True)


def test_one_class_only() -> None:
    found = agreement_summary(np.zeros((2, 10), dtype=int), 2)
    assert found.kappa is not None
    assert (found.raw.value, found.ac1.value) == (1.0, 1.0)
    assert math.isnan(found.kappa.value) and math.isnan(found.alpha.value) and math.isnan(found.kappa.low)


def test_perfect_agreement_on_two_classes_is_one() -> None:
    found = agreement_summary(np.array([[0, 1] * 20] * 2), 2)
    assert found.kappa is not None
    assert (found.kappa.value, found.alpha.value, found.ac1.value) == pytest.approx((1, 1, 1))
    # nobody differed in 40 cards, and still 91.2 % agreement is not excluded (Wilson): bounds of [1, 1] would claim certainty
    assert (found.raw.low, found.raw.high) == pytest.approx((0.9124, 1), abs=1e-4)
    assert (found.kappa.low, found.kappa.high) == pytest.approx((0.8248, 1), abs=1e-4)
    assert found.ac1.low == pytest.approx(0.8248, abs=1e-4) and found.alpha.low == pytest.approx(0.8248, abs=1e-4)


@pytest.mark.slow
def test_the_bounds_cover_the_truth_where_almost_everybody_agrees() -> None:
    """300 double reviews of 30 cards whose true agreement is 95 %: a fifth of them show no difference at all."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(300):
        first = rng.integers(0, 2, 30)
        second = np.where(rng.random(30) < 0.95, first, 1 - first)
        found = agreement_summary(np.stack([first, second]), 2, resamples=300)
        covered += found.raw.low <= 0.95 <= found.raw.high
    assert covered / 300 >= 0.9


def test_nothing_rated_twice_says_nothing() -> None:
    found = agreement_summary(np.array([[0, -1], [-1, 1]]), 2)
    assert found.kappa is not None
    for interval in (found.raw, found.kappa, found.alpha, found.ac1):
        assert math.isnan(interval.value) and math.isnan(interval.low) and interval.n == 0


def test_bad_ratings_are_refused() -> None:
    with pytest.raises(ValueError, match="two raters"):
        raw_agreement([[0, 1]], 2)
    with pytest.raises(ValueError, match="two raters"):
        cohen_kappa(FOUR, 5)
    with pytest.raises(ValueError, match="between"):
        raw_agreement([[0, 2], [0, 1]], 2)
    with pytest.raises(ValueError, match="NaN"):
        raw_agreement([[0.0, math.nan], [0.0, 1.0]], 2)
    with pytest.raises(ValueError, match="two classes"):
        gwet_ac1([[0], [0]], 1)


@pytest.mark.slow
def test_kappa_interval_covers() -> None:
    """1,000 simulated double reviews of 200 items: the 95 % interval covers the true kappa in 92.5 to 97 %."""
    rng = np.random.default_rng(6)
    # Two raters, each right in 85 % of two equally frequent classes: agreement .745, chance .5, kappa .49.
    covered = 0
    for _ in range(1000):
        truth = rng.integers(0, 2, 200)
        ratings = np.where(rng.random((2, 200)) < 0.85, truth, 1 - truth)
        covered += 0.49 in cohen_kappa(ratings, 2, resamples=600, seed=rng)
    assert 0.925 <= covered / 1000 <= 0.97
