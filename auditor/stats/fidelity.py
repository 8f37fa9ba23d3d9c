"""How faithfully the student repeats its teacher, item by item.

Per-item scores come back as arrays ``(n,)``; `bootstrap_mean` and `paired_bootstrap` give their means an interval.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import BoolArray, FloatArray, Interval, as_probabilities
from auditor.stats.proportions import wilson

# A student's probability below this counts as this, so that the divergence is finite: float32 rounds to 0 near it.
FLOOR = 1e-12


def agreement(teacher: npt.ArrayLike, student: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Share of items with the same predicted label, of labels ``(n,)``, with Wilson's interval."""
    first, second = _same(teacher, student)
    return wilson(int(np.count_nonzero(first == second)), first.size, confidence)


def kl_divergence(teacher: npt.ArrayLike, student: npt.ArrayLike) -> FloatArray:
    """KL(teacher || student) of each item ``(n,)`` in nats, from probabilities ``(n, k)``.

    Where the teacher gives 0, a class adds nothing; the student's probabilities are floored at 1e-12. Never negative.
    """
    p, q = _same_probabilities(teacher, student)
    log_p = np.log(np.where(p > 0, p, 1.0))
    return np.asarray(np.maximum(0.0, (p * (log_p - np.log(np.maximum(q, FLOOR)))).sum(axis=-1)))


def mass_matched(teacher: npt.ArrayLike, student: npt.ArrayLike) -> FloatArray:
    """Share of the output mass that both place alike, of each item ``(n,)``: sum of min(p, q) = 1 - total variation."""
    p, q = _same_probabilities(teacher, student)
    return np.asarray(np.minimum(p, q).sum(axis=-1))


def regressions(true: npt.ArrayLike, teacher: npt.ArrayLike, student: npt.ArrayLike) -> BoolArray:
    """Which items ``(n,)`` the teacher gets right and the student wrong."""
    truth, first = _same(true, teacher)
    _, second = _same(teacher, student)
    return np.asarray((first == truth) & (second != truth))


def gains(true: npt.ArrayLike, teacher: npt.ArrayLike, student: npt.ArrayLike) -> BoolArray:
    """Which items ``(n,)`` the student gets right and the teacher wrong."""
    return regressions(true, student, teacher)


def _same(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]]:
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"labels must have the same shape (n,), not {a.shape} and {b.shape}")
    return a, b


def _same_probabilities(teacher: npt.ArrayLike, student: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, q = (
        as_probabilities(teacher, "the teacher's probabilities"),
        as_probabilities(student, "the student's probabilities"),
    )
    if p.shape != q.shape:
        raise ValueError(f"teacher and student need the same items and classes, not {p.shape} and {q.shape}")
    return p, q
