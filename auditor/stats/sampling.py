"""Review plans: how many labels to check, what that will prove, and what a stratified sample says of the whole.

A lot is judged on a simple random sample of it (hypergeometric, exact). Strata serve the estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import FloatArray, IntArray, Interval, Seed, generator, require_confidence, require_count
from auditor.stats.proportions import clopper_pearson_bounds, hypergeometric_cdf

PlanWord = Literal["accepted", "refused", "not decidable"]


def fraction_size(lot: int, fraction: float) -> int:
    """The sample size for a share of the lot, rounded up."""
    if lot < 0 or not 0 < fraction <= 1:
        raise ValueError(
            f"a lot has at least 0 labels and the fraction lies above 0 and up to 1, not {lot} and {fraction}"
        )
    return min(lot, math.ceil(fraction * lot - 1e-9))


def simple_random_sample(lot: int, n: int, seed: Seed) -> IntArray:
    """Positions ``(n,)`` of a simple random sample without replacement, in the random order in which to review them."""
    require_count(n, lot, "the sample size")
    return generator(seed).choice(lot, size=n, replace=False).astype(np.int64)


@dataclass(frozen=True, slots=True)
class AcceptancePlan:
    """Check ``n`` labels, accept the lot if at most ``c`` are wrong. ``lot`` None means a lot so large that draws are binomial.

    ``producer_risk``: how often a lot with the share ``aql`` of wrong labels is refused; ``consumer_risk``: how often one with ``lq`` is accepted.
    """

    lot: int | None
    n: int
    c: int
    aql: float
    lq: float
    producer_risk: float
    consumer_risk: float


def limiting_quality_plan(
    lot: int | None, aql: float = 0.01, lq: float = 0.05, *, alpha: float = 0.05, beta: float = 0.10
) -> AcceptancePlan:
    """The smallest n, with its c, that passes good lots and refuses bad ones.

    Lots with at most ``aql`` wrong pass with a probability of at least 1 - alpha, lots with at least ``lq`` wrong with at most beta.
    Exact: hypergeometric for a finite lot, binomial for ``lot=None`` (aql 1 %, lq 5 %, 95 % and 90 % give the published n 132, c 3).

    Raises:
        ValueError: an empty lot, rates in the wrong order, or a lot so small that no whole number of wrong labels lies
            between the two rates.
    """
    if not 0 <= aql < lq <= 1:
        raise ValueError(f"the rates must satisfy 0 <= aql < lq <= 1, got {aql} and {lq}")
    if not (0 < alpha < 1 and 0 < beta < 1):
        raise ValueError("both risks must lie between 0 and 1")
    if lot is not None and _bad(lot, lq, up=True) <= _bad(lot, aql, up=False):
        raise ValueError(f"a lot of {lot} labels is too small to tell {aql:.2%} from {lq:.2%} wrong")
    c = 0
    while True:
        # The more are checked, the less often a bad lot slips through: the smallest n for this c is found by halving.
        n = _smallest_n(lot, c, lq, beta)
        good = float(_acceptance(lot, n, c, _rate_or_bad(lot, aql, up=False)))
        if good >= 1 - alpha:
            consumer = float(_acceptance(lot, n, c, _rate_or_bad(lot, lq, up=True)))
            return AcceptancePlan(lot, n, c, aql, lq, 1 - good, consumer)
        c += 1


def operating_characteristic(plan: AcceptancePlan, rates: npt.ArrayLike) -> FloatArray:
    """The chance ``(m,)`` that a lot with such shares of wrong labels ``(m,)`` is accepted.

    In a finite lot the share is rounded to a whole number of labels.
    """
    shares = np.asarray(rates, dtype=np.float64)
    if np.any(~((shares >= 0) & (shares <= 1))):
        raise ValueError("a share of wrong labels lies between 0 and 1")
    bad = shares if plan.lot is None else np.rint(shares * plan.lot)
    return _acceptance(plan.lot, plan.n, plan.c, bad)


def allocate_proportional(sizes: npt.ArrayLike, n: int, minimum: int = 0) -> IntArray:
    """Sample sizes ``(strata,)`` in proportion to the strata's sizes, each at least ``minimum`` or the whole stratum.

    Raises:
        ValueError: n below what the minimum asks for, or above the number of items.
    """
    return _allocate(sizes, np.asarray(sizes, dtype=np.float64), n, minimum)


def allocate_neyman(sizes: npt.ArrayLike, deviations: npt.ArrayLike, n: int, minimum: int = 0) -> IntArray:
    """Neyman's allocation (1934): in proportion to size × standard deviation, taken from a pilot.

    For an error rate p the deviation is sqrt(p (1 - p)). If all are 0 the allocation is proportional.
    """
    spread = np.asarray(deviations, dtype=np.float64)
    whole = np.asarray(sizes, dtype=np.float64)
    if spread.shape != whole.shape or not np.all(np.isfinite(spread)) or np.any(spread < 0):
        raise ValueError("each stratum needs a standard deviation of at least 0")
    share = whole * spread
    return _allocate(sizes, share if share.sum() > 0 else whole, n, minimum)


@dataclass(frozen=True, slots=True)
class StratifiedEstimate:
    """The error rate of the whole frame from a stratified sample.

    ``variance`` is the unbiased estimate of the rate's sampling variance (nan if a stratum with more than one item has only
    one checked); ``effective_n`` the size of a simple random sample that would tell as much.
    """

    rate: Interval
    variance: float
    effective_n: float


def stratified_estimate(
    sizes: npt.ArrayLike, checked: npt.ArrayLike, wrong: npt.ArrayLike, confidence: float = 0.95
) -> StratifiedEstimate:
    """Weighted error rate, its variance with finite population correction (Cochran 1977, 5.6), and an interval.

    The interval is Clopper-Pearson on the effective sample size (Korn & Graubard 1998), with half a wrong label added to each
    stratum for the effective size only, so that strata without errors don't pretend to be certain.

    Args:
        sizes: ``(strata,)`` items of the frame; empty strata are left out.
        checked: ``(strata,)`` items reviewed.
        wrong: ``(strata,)`` of those, wrong ones.

    Raises:
        ValueError: counts that do not fit, or a stratum of which nothing was checked.
    """
    require_confidence(confidence)
    whole, n, bad = (np.asarray(x, dtype=np.float64) for x in (sizes, checked, wrong))
    if not (whole.ndim == 1 and whole.shape == n.shape == bad.shape):
        raise ValueError("sizes, checked and wrong must have the same shape (strata,)")
    if np.any((bad < 0) | (bad > n) | (n > whole)):
        raise ValueError("each stratum needs 0 <= wrong <= checked <= size")
    there = whole > 0
    if not there.any():
        raise ValueError("the frame is empty")
    if np.any(n[there] == 0):
        raise ValueError(f"nothing was checked in stratum {int(np.flatnonzero(there & (n == 0))[0])}")
    whole, n, bad = whole[there], n[there], bad[there]
    weight, rest, p = whole / whole.sum(), 1 - n / whole, bad / n
    value, total = float(weight @ p), int(n.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        # A stratum checked as a whole has no sampling variance, however small it is.
        parts = np.where(rest > 0, weight**2 * rest * p * (1 - p) / (n - 1), 0.0)
    effective = _effective_n(weight, rest, n, bad)
    if math.isinf(effective):
        return StratifiedEstimate(Interval(value, value, value, total), 0.0, effective)
    low, high = clopper_pearson_bounds(value * effective, effective, confidence)
    return StratifiedEstimate(Interval(value, low, high, total), float(parts.sum()), effective)


def _effective_n(weight: FloatArray, rest: FloatArray, n: FloatArray, bad: FloatArray) -> float:
    smooth = (bad + 0.5) / (n + 1)
    overall = float(weight @ smooth)
    variance = float((weight**2 * rest * smooth * (1 - smooth) / n).sum())
    return overall * (1 - overall) / variance if variance > 0 else math.inf


def _allocate(sizes: npt.ArrayLike, share: FloatArray, n: int, minimum: int) -> IntArray:
    whole = np.asarray(sizes)
    if whole.ndim != 1 or whole.dtype.kind not in "iu" or np.any(whole < 0):
        raise ValueError("sizes must be whole numbers of at least 0, of shape (strata,)")
    floor = np.minimum(minimum, whole).astype(np.int64)
    if minimum < 0 or n < floor.sum():
        raise ValueError(
            f"{n} items are too few for at least {minimum} from each stratum; {int(floor.sum())} are needed"
        )
    if n > whole.sum():
        raise ValueError(f"{n} items were asked for and the strata hold {int(whole.sum())}")
    ideal = _water_fill(share, floor, whole.astype(np.int64), n)
    given = np.clip(np.floor(ideal + 1e-9).astype(np.int64), floor, whole)
    # Largest remainders first; a stratum that is full takes no more.
    for stratum in np.argsort(-(ideal - given), kind="stable"):
        if given.sum() == n:
            break
        given[stratum] += int(given[stratum] < whole[stratum])
    return given


def _water_fill(share: FloatArray, floor: IntArray, ceiling: IntArray, n: int) -> FloatArray:
    """The allocation λ · share, cut to floor … ceiling, whose sum is n: λ by halving, the sum grows with it.

    Strata of share 0 get their floor, and more only when all others are full.
    """
    low, high = 0.0, 1.0
    eager = np.where(share > 0, share, 1e-9 * max(float(share.max(initial=0.0)), 1e-300) * np.maximum(ceiling, 1))

    def cut(scale: float) -> FloatArray:
        return np.clip(scale * eager, floor, ceiling)

    while cut(high).sum() < n:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if cut(middle).sum() < n else (low, middle)
    return cut(high)


def _bad(lot: int, rate: float, *, up: bool) -> int:
    """A rate as a number of labels: for a good lot the most that keeps to it, for a bad one the fewest that reaches it."""
    exact = rate * lot
    return math.ceil(exact - 1e-9) if up else math.floor(exact + 1e-9)


def _rate_or_bad(lot: int | None, rate: float, *, up: bool) -> float:
    return rate if lot is None else _bad(lot, rate, up=up)


def _acceptance(lot: int | None, n: int, c: int, bad: float | FloatArray) -> FloatArray:
    """P(at most c wrong in the sample); ``bad`` counts labels, or is a rate where the lot has no size."""
    if lot is not None:
        return hypergeometric_cdf(c, lot, bad, n)
    from scipy.stats import binom

    return np.asarray(binom.cdf(c, n, bad), dtype=np.float64)


def _smallest_n(lot: int | None, c: int, lq: float, beta: float) -> int:
    bad = _rate_or_bad(lot, lq, up=True)
    low, high = c + 1, lot
    if high is None:
        high = 2 * (c + 1)
        while float(_acceptance(None, high, c, bad)) > beta:
            high *= 2
    while low < high:
        middle = (low + high) // 2
        if float(_acceptance(lot, middle, c, bad)) <= beta:
            high = middle
        else:
            low = middle + 1
    return low
