"""Fidelity against scipy's entropy, and the identities that hold between its parts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cityblock
from scipy.stats import entropy

from auditor.stats.fidelity import agreement, gains, kl_divergence, mass_matched, regressions
from auditor.stats.proportions import wilson


def _probabilities(seed: int, n: int, k: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.5), size=n)


pairs = st.tuples(st.integers(0, 999), st.integers(1, 20), st.integers(2, 6)).map(
    lambda c: (_probabilities(c[0], c[1], c[2]), _probabilities(c[0] + 1000, c[1], c[2]))
)


@given(pairs)
def test_divergence_equals_scipy(pair: tuple[np.ndarray, np.ndarray]) -> None:
    p, q = pair
    floored = np.maximum(q, 1e-12)
    expected = (p * (np.log(np.maximum(p, 1e-300)) - np.log(floored))).sum(axis=1)
    assert kl_divergence(p, q) == pytest.approx(np.maximum(expected, 0), abs=1e-9)
    if q.min() > 1e-9:
        assert kl_divergence(p, q) == pytest.approx(entropy(p, q, axis=1), rel=1e-9, abs=1e-12)
    assert (kl_divergence(p, q) >= 0).all()
    assert kl_divergence(p, p) == pytest.approx(np.zeros(len(p)), abs=1e-9)


@given(pairs)
def test_mass_is_one_less_half_the_distance(pair: tuple[np.ndarray, np.ndarray]) -> None:
    p, q = pair
    expected = [1 - cityblock(a, b) / 2 for a, b in zip(p, q, strict=True)]
    assert mass_matched(p, q) == pytest.approx(expected)
    assert mass_matched(p, p) == pytest.approx(np.ones(len(p)))
    # Pinsker: total variation is at most the root of half the divergence.
    assert (1 - mass_matched(p, q) <= np.sqrt(kl_divergence(p, q) / 2) + 1e-6).all()


def test_zeros_stay_finite() -> None:
    assert kl_divergence([[1.0, 0.0]], [[0.0, 1.0]]) == pytest.approx([-math.log(1e-12)])
    assert kl_divergence([[1.0, 0.0]], [[1.0, 0.0]]) == pytest.approx([0.0])


labels = st.lists(st.tuples(*[st.integers(0, 2)] * 3), max_size=40).map(
    lambda rows: np.array(rows, dtype=np.int64).reshape(-1, 3).T
)


@given(labels)
def test_parts_add_up(rows: np.ndarray) -> None:
    true, teacher, student = rows
    lost, won = regressions(true, teacher, student), gains(true, teacher, student)
    assert not (lost & won).any()
    assert np.sum(student == true) - np.sum(teacher == true) == won.sum() - lost.sum()
    assert agreement(teacher, student) == wilson(int(np.sum(teacher == student)), len(true)) or len(true) == 0


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="shape"):
        agreement([0, 1], [0])
    with pytest.raises(ValueError, match="same items"):
        kl_divergence([[0.5, 0.5]], [[0.2, 0.3, 0.5]])
    with pytest.raises(ValueError, match="NaN"):
        mass_matched([[0.5, math.nan]], [[0.5, 0.5]])
