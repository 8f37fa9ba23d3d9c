"""How far apart groups may truly be: intervals of the largest difference, the smallest ratio and the impact ratio.

The largest gap among several groups is larger than the true one by luck alone: in simulations a percentile interval of it (which
is what fairlearn's own bootstrap gives) never held a true gap of 0, and one turned round held it in 57 to 91 %. So the end towards
'no gap' comes from a band that holds for all pairs of groups at once (90 to 99 % in the same simulations,
``tests/auditor/bias/test_group_bounds.py``), the other end from the percentiles, which err to the wide side.

Each rate is drawn from Jeffreys' beta, not from its rows: where none of forty rows was chosen, resampled rows show no spread. Groups are
independent given their sizes, so this costs the same for a hundred rows and for a million.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import FloatArray, Interval

DRAWS = 2_000
TAILS = (0.025, 0.975)
TINY = 1e-12  # a rate that is drawn smaller counts as this, so that its logarithm is a number

# rates (g,) and how many rows each rests on (g,)
Family = tuple[npt.ArrayLike, npt.ArrayLike]


class Rates:
    """One rate of every group and draws of what it may be in truth; groups whose rate is unknown are left out.

    Attributes:
        values: ``(g,)``, the mean over seeds; ``known`` says of which groups ``(all groups,)``.
        draws: ``(draws, g)``; several seeds count as one, on the rows that there are.
        middle: ``(g,)``, the draws' mean.
        total: rows of all groups.
    """

    def __init__(self, rates: npt.ArrayLike, rows: npt.ArrayLike, rng: np.random.Generator) -> None:
        values, n = np.asarray(rates, dtype=np.float64), np.asarray(rows, dtype=np.float64)
        self.known = np.isfinite(values) & (n > 0)
        self.values, n = values[self.known], n[self.known]
        hits = self.values * n
        self.draws: FloatArray = np.maximum(rng.beta(hits + 0.5, n - hits + 0.5, size=(DRAWS, n.size)), TINY)
        self.middle: FloatArray = (hits + 0.5) / (n + 1)
        self.total = int(n.sum())


def largest_difference(families: Sequence[Family], seed: int) -> Interval:
    """Largest difference between two groups, over one or several rates; nan where a rate is known of fewer than two groups."""
    rates = _known(families, seed)
    if rates is None:
        return _nothing()
    value = max(float(np.ptp(one.values)) for one in rates)
    drawn = np.max([np.ptp(one.draws, axis=1) for one in rates], axis=0)
    sure = _least_gap([one.values for one in rates], [one.draws for one in rates])
    high = float(np.quantile(drawn, TAILS[1]))
    return Interval(value, min(sure, value), max(high, value), max(one.total for one in rates))


def smallest_ratio(families: Sequence[Family], seed: int) -> Interval:
    """Smallest ratio of one group's rate to another's, over one or several rates; nan where it is unknown, or all rates are 0."""
    rates = _known(families, seed)
    if rates is None or any(one.values.max() <= 0 for one in rates):
        return _nothing()
    value = min(float(one.values.min() / one.values.max()) for one in rates)
    drawn = np.min([one.draws.min(axis=1) / one.draws.max(axis=1) for one in rates], axis=0)
    sure = math.exp(-_least_gap([np.log(one.middle) for one in rates], [np.log(one.draws) for one in rates]))
    low = float(np.quantile(drawn, TAILS[0]))
    return Interval(value, min(low, value), max(sure, value), max(one.total for one in rates))


def impact_ratios(rates: npt.ArrayLike, rows: npt.ArrayLike, steady: npt.ArrayLike, seed: int) -> list[Interval]:
    """Each group's rate divided by the best one of the ``steady`` groups ``(g,)``.

    It is the smallest of the ratios to each steady group, so its upper end is one that holds against all of them at once.
    """
    found = Rates(rates, rows, np.random.default_rng(seed))
    marks = np.flatnonzero(np.asarray(steady, dtype=np.bool_)[found.known])
    place = iter(range(len(found.values)))
    whole = np.asarray(rows, dtype=np.int64)
    return [
        _impact(found, next(place), marks, int(whole[group]))
        if known
        else Interval(math.nan, math.nan, math.nan, int(whole[group]))
        for group, known in enumerate(found.known)
    ]


def _impact(rates: Rates, group: int, marks: npt.NDArray[np.intp], n: int) -> Interval:
    best = float(rates.values[marks].max(initial=0.0))
    if best <= 0:
        return Interval(math.nan, math.nan, math.nan, n)
    value = float(rates.values[group]) / best
    drawn = rates.draws[:, group] / rates.draws[:, marks].max(axis=1)
    others = marks[marks != group]
    ends = [1.0] if group in marks else []
    if others.size:
        gaps = np.log(rates.draws[:, [group]]) - np.log(rates.draws[:, others])
        seen = np.log(rates.middle[group]) - np.log(rates.middle[others])
        spread = gaps.std(axis=0)
        reach = float(np.quantile(((gaps - seen) / spread).max(axis=1), TAILS[1]))
        ends.append(float(np.exp(np.min(seen + reach * spread))))
    return Interval(value, min(float(np.quantile(drawn, TAILS[0])), value), max(min(ends), value), n)


def _known(families: Sequence[Family], seed: int) -> list[Rates] | None:
    rng = np.random.default_rng(seed)
    found = [Rates(rates, rows, rng) for rates, rows in families]
    return found if all(len(one.values) >= 2 for one in found) else None


def _least_gap(values: Sequence[FloatArray], draws: Sequence[FloatArray]) -> float:
    """The largest gap of which a band over all pairs of all families is sure (95 %); 0 where it is sure of none."""
    seen, gaps = [], []
    for one, drawn in zip(values, draws, strict=True):
        first, second = (np.array(side) for side in zip(*combinations(range(one.size), 2), strict=True))
        seen.append(one[first] - one[second])
        gaps.append(drawn[:, first] - drawn[:, second])
    apart = np.concatenate(gaps, axis=1)
    spread = apart.std(axis=0)
    reach = float(np.quantile(np.abs((apart - apart.mean(axis=0)) / spread).max(axis=1), 0.95))
    return max(0.0, float(np.max(np.abs(np.concatenate(seen)) - reach * spread)))


def _nothing() -> Interval:
    return Interval(math.nan, math.nan, math.nan, 0)
