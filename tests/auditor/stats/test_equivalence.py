"""The rule of three words, gates, and the n that would decide: by construction, by property, and by simulated error rates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import DescrStatsW

from auditor.stats.bootstrap import Bootstrap, bootstrap_mean
from auditor.stats.equivalence import gate_decision, n_to_decide, tost, tost_intervals
from auditor.stats.interval import Interval
from auditor.stats.paired import paired_bootstrap


def _intervals(value: float, error: float, n: int = 1000) -> tuple[Interval, Interval]:
    return (
        Interval(value, value - 1.6449 * error, value + 1.6449 * error, n),
        Interval(value, value - 1.95996 * error, value + 1.95996 * error, n),
    )


@pytest.mark.parametrize(
    ("value", "error", "higher", "word"),
    [
        (0.000, 0.005, True, "equivalent"),
        (0.005, 0.001, True, "equivalent"),  # significant, and inside the margin all the same
        (0.050, 0.010, True, "better"),
        (-0.050, 0.010, True, "worse"),
        (0.050, 0.010, False, "worse"),
        (-0.050, 0.010, False, "better"),
        (0.010, 0.010, True, "cannot tell"),
        (0.000, 0.100, True, "cannot tell"),
    ],
)
def test_rule(value: float, error: float, higher: bool, word: str) -> None:
    found = tost_intervals(*_intervals(value, error), 0.02, higher_is_better=higher)
    assert found.word == word
    assert (found.n_to_decide is not None) == (word == "cannot tell")
    assert found.smallest_change == pytest.approx(2.8016 * error, rel=1e-3)


@given(st.floats(-0.2, 0.2), st.floats(1e-4, 0.1), st.floats(1e-3, 0.1))
def test_mirror(value: float, error: float, margin: float) -> None:
    opposite = {"better": "worse", "worse": "better"}
    one = tost_intervals(*_intervals(value, error), margin).word
    other = tost_intervals(*_intervals(-value, error), margin).word
    assert other == opposite.get(one, one)


@given(st.integers(0, 1000))
def test_equivalence_is_statsmodels_tost(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.05, 1, size=80)
    sample = DescrStatsW(values)
    p = sample.ttost_mean(-0.25, 0.25)[0]
    ends = [sample.tconfint_mean(alpha) for alpha in (0.10, 0.05)]
    inner, outer = (Interval(float(values.mean()), float(low), float(high), 80) for low, high in ends)
    assert (tost_intervals(inner, outer, 0.25).word == "equivalent") == (p < 0.05)


def test_identical_models_are_equivalent() -> None:
    right = np.random.default_rng(0).random(100) < 0.8
    found = tost(paired_bootstrap(right, right).difference, 0.01)
    assert found.word == "equivalent"
    assert (found.inner.value, found.inner.low, found.inner.high) == (0, 0, 0)


def test_unknown_bounds_cannot_tell() -> None:
    found = tost(Bootstrap(0.0, np.empty(0), 5), 0.01)
    assert found.word == "cannot tell"
    assert found.n_to_decide is None
    assert math.isnan(found.smallest_change)


def test_bad_margin_and_exchanged_intervals_are_refused() -> None:
    inner, outer = _intervals(0.0, 0.01)
    for margin in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match="margin"):
            tost_intervals(inner, outer, margin)
    with pytest.raises(ValueError, match="exchanged"):
        tost_intervals(outer, inner, 0.02)
    with pytest.raises(ValueError, match="same items"):
        tost_intervals(inner, Interval(0, -1, 1, 5), 0.02)


def test_n_to_decide_published() -> None:
    # Chow, Shao & Wang's formula by hand: margin 0.05, no true change, sd 0.1: ((1.6449 + 1.2816) · 0.1 / 0.05)² = 34.26.
    assert n_to_decide(0.0, 0.1 / math.sqrt(10), 10, margin=0.05) == 35
    # A difference: ((1.95996 + 0.84162) · 1 / 0.5)² = 31.4.
    assert n_to_decide(0.5, 1 / math.sqrt(10), 10, margin=0.4) == 32


def test_n_to_decide_is_none_where_no_n_would() -> None:
    assert n_to_decide(0.0, 1.0, 10, margin=1e-9) is None
    assert n_to_decide(math.nan, 1.0, 10, margin=0.1) is None
    assert n_to_decide(0.0, math.nan, 10, margin=0.1) is None
    assert n_to_decide(0.0, 1.0, 0, margin=0.1) is None


@given(st.floats(-0.05, 0.05), st.floats(0.005, 0.1))
def test_n_to_decide_is_more_than_there_are_and_grows_with_the_noise(value: float, error: float) -> None:
    found = tost_intervals(*_intervals(value, error), 0.02)
    noisier = tost_intervals(*_intervals(value, 2 * error), 0.02)
    if found.n_to_decide is not None and noisier.n_to_decide is not None:
        assert 1000 < found.n_to_decide <= noisier.n_to_decide


@pytest.mark.parametrize(
    ("low", "high", "direction", "word"),
    [
        (-0.01, 0.01, "at least", "pass"),
        (-0.02, 0.01, "at least", "pass"),
        (-0.05, -0.03, "at least", "fail"),
        (-0.03, 0.01, "at least", "cannot tell"),
        (-0.05, -0.03, "at most", "pass"),
        (-0.01, 0.01, "at most", "fail"),
        (-0.03, 0.01, "at most", "cannot tell"),
        (-0.01, math.inf, "at most", "fail"),
        (-0.03, math.inf, "at most", "cannot tell"),
        (math.nan, math.nan, "at least", "cannot tell"),
    ],
)
def test_gate(low: float, high: float, direction: str, word: str) -> None:
    value = (low + high) / 2 if math.isfinite(high) else 0.0
    found = gate_decision(Interval(value, low, high, 100), -0.02, direction)  # type: ignore[arg-type]
    assert found.word == word


def test_gate_says_what_would_decide() -> None:
    # Half-width 0.03 at 95 %, 0.01 from the limit: n · ((1.96 + 0.8416) · 0.03 / 1.96 / 0.01)² = 1839.
    found = gate_decision(Interval(-0.01, -0.04, 0.02, 100), -0.02)
    assert found.word == "cannot tell"
    assert found.n_to_decide == 1839
    assert gate_decision(Interval(-0.02, -0.04, 0.0, 100), -0.02).n_to_decide is None
    assert gate_decision(Interval(-0.01, -0.015, 0.0, 100), -0.02).n_to_decide is None
    assert gate_decision(Interval(math.nan, 0.0, 1.0, 0), 0.5).n_to_decide is None


def test_gate_wants_a_number_and_a_direction() -> None:
    interval = Interval(0.0, -1.0, 1.0, 10)
    with pytest.raises(ValueError, match="number"):
        gate_decision(interval, math.nan)
    with pytest.raises(ValueError, match="direction"):
        gate_decision(interval, 0.0, "over")  # type: ignore[arg-type]


@pytest.mark.slow
def test_error_rates() -> None:
    """At the margin 'equivalent' is said in at most 5 % of 2,000 simulations, and without a change 'better' or 'worse' in 5 %."""
    rng = np.random.default_rng(3)
    at_margin = [tost(bootstrap_mean(rng.normal(0.1, 1, 300), resamples=600, seed=rng), 0.1).word for _ in range(2000)]
    assert np.mean([word == "equivalent" for word in at_margin]) <= 0.06
    nothing = [tost(bootstrap_mean(rng.normal(0.0, 1, 300), resamples=600, seed=rng), 0.01).word for _ in range(2000)]
    assert 0.035 <= np.mean([word in ("better", "worse") for word in nothing]) <= 0.065


@pytest.mark.slow
@pytest.mark.parametrize("change", [0.0, 0.08, 0.25])
def test_the_n_that_would_decide_decides_four_times_in_five(change: float) -> None:
    rng = np.random.default_rng(4)
    n = n_to_decide(change, 0.1, 100, margin=0.12)
    assert n is not None
    words = [tost(bootstrap_mean(rng.normal(change, 1, n), resamples=600, seed=rng), 0.12).word for _ in range(400)]
    assert np.mean([word != "cannot tell" for word in words]) >= 0.76
