"""Intervals of a proportion: Wilson to show, Clopper-Pearson or hypergeometric to decide.

A lot of ``lot`` labels, of which a simple random sample of ``n`` was checked, is a draw without replacement, so the exact
bounds on the number of wrong labels in it are hypergeometric, found by inverting the test (Buonaccorsi 1987).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import FloatArray, Interval, normal_quantile, require_confidence, require_count

Side = Literal["two-sided", "upper", "lower"]
LotWord = Literal["accepted", "refused", "not decidable"]


def wilson(count: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval (Wilson 1927), without continuity correction.

    With n = 0 nothing is excluded: the value is nan and the bounds are 0 and 1.
    """
    require_count(count, n)
    require_confidence(confidence)
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, 0)
    return Interval(count / n, *wilson_bounds(count / n, n, confidence), n)


def wilson_bounds(share: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's bounds of a share of ``n`` items; ``n`` need not be whole (an effective sample size)."""
    z = normal_quantile(0.5 + confidence / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # At 0 and n the formula gives the end exactly, but for rounding.
    low = 0.0 if share == 0 else max(0.0, centre - half)
    high = 1.0 if share == 1 else min(1.0, centre + half)
    return low, high


def wilson_mean(rate: float, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's interval of a share that is a mean over seeds on the same ``n`` items, by the mean count, rounded: more seeds are not more items."""
    shown = wilson(round(rate * n), n, confidence)
    return Interval(rate, min(shown.low, rate), max(shown.high, rate), n)


def clopper_pearson(count: int, n: int, confidence: float = 0.95, side: Side = "two-sided") -> Interval:
    """The exact binomial interval (Clopper & Pearson 1934); one-sided ones spend all their error on that side.

    With n = 0 the value is nan and the bounds are 0 and 1.
    """
    require_count(count, n)
    require_confidence(confidence)
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, 0)
    low, high = clopper_pearson_bounds(count, n, confidence, side)
    return Interval(count / n, low, high, n)


def clopper_pearson_bounds(count: float, n: float, confidence: float, side: Side = "two-sided") -> tuple[float, float]:
    """The same for an effective count and sample size that need not be whole (Korn & Graubard 1998)."""
    from scipy.special import betaincinv

    error = _error(confidence, side)
    low = 0.0 if count <= 0 or side == "upper" else float(betaincinv(count, n - count + 1, error))
    high = 1.0 if count >= n or side == "lower" else float(betaincinv(count + 1, n - count, 1 - error))
    return low, high


def effective_n(hits: npt.ArrayLike, clusters: npt.ArrayLike, confidence: float = 0.95) -> float:
    """How many independent items would tell as much of a share as these clustered ones do (Korn & Graubard 1998).

    That is p (1 - p) over the variance of the mean between clusters (a ratio, so clusters may differ in size), times the squared ratio
    of the normal quantile to t's with one degree of freedom fewer than clusters. Never more than there are items. Where every item is
    alike no variance is seen, and each cluster counts as one item.

    Args:
        hits: ``(n,)``, each item's share of hits over the seeds, 0 to 1.
        clusters: ``(n,)``, any values.

    Returns:
        0 with a single cluster: nothing says how clusters differ.
    """
    from scipy.special import stdtrit

    shares = np.asarray(hits, dtype=np.float64)
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    if names.size < 2:
        return 0.0
    p, n, many = float(shares.mean()), shares.size, names.size
    gaps = np.bincount(member, weights=shares - p)
    variance = many / (many - 1) * float(gaps @ gaps) / n**2
    plain = min(float(n), p * (1 - p) / variance) if variance > 1e-15 else float(many)
    tail = 0.5 + confidence / 2
    return plain * (normal_quantile(tail) / float(stdtrit(many - 1, tail))) ** 2


@dataclass(frozen=True, slots=True)
class LotBound:
    """How many labels of a lot are wrong: ``low`` to ``high`` of ``lot``, after ``wrong`` of ``n`` checked ones were."""

    wrong: int
    n: int
    lot: int
    low: int
    high: int
    confidence: float

    @property
    def rate(self) -> Interval:
        """The same as a share of the lot; the value is the share seen in the sample (nan with n = 0)."""
        value = self.wrong / self.n if self.n else math.nan
        return Interval(value, self.low / self.lot, self.high / self.lot, self.n)


def hypergeometric_cdf(wrong: int, lot: int, bad: int | float | FloatArray, n: int) -> FloatArray:
    """P(at most ``wrong`` bad ones among ``n`` drawn without replacement from ``lot`` with ``bad`` bad ones)."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.cdf(wrong, lot, bad, n), dtype=np.float64)


_ROUNDING = (
    1e-12  # 1 of 10 is a probability of 0.1, and 1 - 0.9 is a little less: which one floats make larger decides nothing
)


def hypergeometric_bound(wrong: int, n: int, lot: int, confidence: float = 0.95, side: Side = "two-sided") -> LotBound:
    """Exact bounds on the number of wrong labels in the lot.

    The upper bound is the largest number D for which seeing ``wrong`` or fewer is still as likely as the allowed error; the
    lower one the smallest D for which seeing ``wrong`` or more is (a tie up to rounding widens the bound). A one-sided bound leaves the other end at what the
    sample itself proves (``wrong`` below, ``lot - n + wrong`` above).

    Raises:
        ValueError: an empty lot, or counts that do not fit.
    """
    require_count(wrong, n, "wrong")
    require_count(n, lot, "the sample size")
    require_confidence(confidence)
    if lot == 0:
        raise ValueError("the lot is empty")
    error = _error(confidence, side) - _ROUNDING
    low, high = wrong, lot - n + wrong
    if side != "lower":
        high = _largest(low, high, lambda bad: float(hypergeometric_cdf(wrong, lot, bad, n)) > error)
    if side != "upper" and wrong > 0:
        # P(X >= wrong) grows with D, so the first D that passes is one above the last that fails.
        fails = _largest(low - 1, high, lambda bad: 1 - float(hypergeometric_cdf(wrong - 1, lot, bad, n)) <= error)
        low = fails + 1
    return LotBound(wrong, n, lot, low, high, confidence)


def hypergeometric_upper(wrong: int, n: int, lot: int, confidence: float = 0.95) -> int:
    """The one-sided upper bound alone: 'with this confidence at most so many labels of the lot are wrong'."""
    return hypergeometric_bound(wrong, n, lot, confidence, side="upper").high


def _error(confidence: float, side: Side) -> float:
    return (1 - confidence) / 2 if side == "two-sided" else 1 - confidence


def _largest(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The largest whole number in low … high for which a falling predicate holds; it is taken to hold at ``low``."""
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
