"""What the bound means elsewhere, against the truth in simulated worlds: however the errors fall, it holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.review.meaning import meanings
from auditor.types import Measure


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 10**6), teacher_errs=st.floats(0, 1), student_errs=st.floats(0, 1), together=st.floats(0, 1))
def test_the_truth_lies_within_for_every_figure(
    seed: int, teacher_errs: float, student_errs: float, together: float
) -> None:
    rng = np.random.default_rng(seed)
    n, k = 60, 3
    truth = rng.integers(0, k, n)
    teacher = np.where(rng.random(n) < teacher_errs, rng.integers(0, k, n), truth)
    student = np.where(rng.random(n) < student_errs, rng.integers(0, k, n), truth)
    student = np.where(rng.random(n) < together, teacher, student)
    here = np.arange(n) < 20  # one language
    upper = float((teacher != truth).mean())
    same, differ = student == teacher, int((student != teacher).sum())
    measures = [
        Measure(name="agreement", value=float(same.mean()), n=n, arm="distilled"),
        Measure(name="language_agreement", value=float(same[here].mean()), n=20, arm="distilled", group="language=en"),
        Measure(name="disagreements", value=differ, n=n, arm="distilled"),
        Measure(name="kl_divergence", value=0.2, n=n, arm="distilled"),
    ]
    found = {m.measure.name: m for m in meanings(measures, upper)}
    right = student == truth
    told = {
        "agreement": right.mean(),
        "language_agreement": right[here].mean(),
        "disagreements": (~right).sum(),
    }
    assert set(found) == set(told)
    for name, value in told.items():
        low, high = found[name].low, found[name].high
        assert low is not None and high is not None and low - 1e-9 <= value <= high + 1e-9, name


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), errs=st.floats(0, 0.6))
def test_a_drift_of_the_true_labels_lies_within(seed: int, errs: float) -> None:
    rng = np.random.default_rng(seed)

    def shares(labels: np.ndarray) -> np.ndarray:
        return np.bincount(labels, minlength=3) / len(labels)

    truths = [rng.choice(3, 50, p=rng.dirichlet(np.ones(3))) for _ in range(2)]
    said = [np.where(rng.random(50) < errs, rng.integers(0, 3, 50), truth) for truth in truths]
    upper = max(float((a != b).mean()) for a, b in zip(truths, said, strict=True))
    told, true = (np.abs(shares(a) - shares(b)).sum() / 2 for a, b in (said, truths))
    (found,) = meanings([Measure(name="label_drift", value=float(told), n=50, arm="data")], upper)
    assert found.low is not None and found.high is not None
    assert found.low - 1e-9 <= true <= found.high + 1e-9


def test_a_figure_s_own_interval_is_in_it_and_seeds_are_not() -> None:
    measures = [
        Measure(name="agreement", value=0.9, low=0.85, high=0.94, n=100, arm="distilled"),
        Measure(name="agreement", value=0.9, n=100, arm="distilled", seed=1),
        Measure(name="label_gender_association", value=0.1, n=100, arm="synthetic labels"),
        Measure(name="label_gender_association", value=0.1, n=100, arm="people"),
    ]
    first, second = meanings(measures, 0.02)
    assert (first.read_as, first.slack) == ("accuracy", 0.02)
    assert (first.low, first.high) == pytest.approx((0.83, 0.96))
    assert second.low is None and "no bound" in second.why
