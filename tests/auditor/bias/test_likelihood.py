"""The bounded preference and what the estimator makes of it: formulas on planted likelihoods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from auditor.bias.estimator import audit_pair_gaps
from auditor.bias.likelihood import oriented, preference
from auditor.bias.lm_sets import chosen
from auditor.bias.selftest import set_coverage


def design(name: str = "winobias", items: int = 500) -> pd.DataFrame:
    pairs = pd.DataFrame([vars(pair) for pair in chosen(name, items)])
    return pairs.rename(columns={"filler": "filler_pair"})


def test_preference_is_the_logistic_function_minus_a_half() -> None:
    female, male = np.array([-3.0, -800.0, 0.0, -2.0]), np.array([-4.0, 0.0, -800.0, -2.0])
    np.testing.assert_allclose(preference(female, male), expit(female - male) - 0.5, atol=1e-12)
    np.testing.assert_array_equal(preference(female, male), -preference(male, female))
    assert np.isnan(preference(np.array([np.nan]), np.array([0.0]))).all()


def test_oriented_turns_towards_the_stereotype() -> None:
    scores = [np.array([0.2, 0.3, -0.1])]
    np.testing.assert_allclose(oriented(scores, [1, 0, -1]), [[0.2, 0.1]])


def test_exchanged_genders_turn_the_sign_and_keep_the_gap() -> None:
    frame, rng = design(), np.random.default_rng(0)
    gaps = 0.1 + 0.1 * rng.normal(size=len(frame))
    one, other = (audit_pair_gaps(frame, {"teacher": [g]}, [], margin=0.01, resamples=200) for g in (gaps, -gaps))
    assert one.arm("teacher").signed.value == pytest.approx(-other.arm("teacher").signed.value)
    assert one.arm("teacher").gap.value == pytest.approx(other.arm("teacher").gap.value)


def test_identical_models_change_exactly_nothing() -> None:
    frame, rng = design(), np.random.default_rng(1)
    gaps = 0.2 * rng.normal(size=len(frame))
    found = audit_pair_gaps(
        frame, {"teacher": [gaps], "student": [gaps.copy()]}, [("student", "teacher")], margin=0.01, resamples=200
    )
    change = found.change("student", "teacher")
    assert (change.change.value, change.change.low, change.change.high) == (0, 0, 0)
    assert change.word == "equivalent"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mean", "spread", "shift"),
    [
        ("winobias", 0.10, 0.08, 0.05),
        ("winobias", 0.10, 0.02, 0.05),
        ("winobias", 0.0, 0.03, 0.0),
        ("winogender", 0.0, 0.03, 0.0),
        ("bec_pro", 0.0, 0.03, 0.0),
    ],
)
def test_planted_bias_is_covered(name: str, mean: float, spread: float, shift: float) -> None:
    """Signed mean and change of the gap within their 95 % intervals, on the very designs of the sets at 500 pairs."""
    signed, change = set_coverage(design(name), mean, spread, shift, simulations=200)
    least = 0.93
    error = np.sqrt(0.95 * 0.05 / signed.simulations)  # of the simulation itself
    assert signed.covered >= least - error, signed
    assert change.covered >= least - error, change
