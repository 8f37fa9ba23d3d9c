"""Resampling items, or clusters of items, with replacement, and the intervals that are read from the draws.

Two facts keep this fast and its memory bounded. A statistic that depends on items through sums needs only how often each item
was drawn. And items that look alike need not be told apart: resampling 100,000 items of eight kinds is one
multinomial draw over the eight kinds, which has exactly the same distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import (
    FloatArray,
    IntArray,
    Interval,
    Seed,
    as_values,
    generator,
    normal_cdf,
    normal_quantile,
    require_confidence,
)

Method = Literal["percentile", "bca", "basic"]
Alternative = Literal["two-sided", "greater", "less"]

RESAMPLES = 10_000
# A draw of a multinomial cell costs about as much as thirty of a single item (measured with numpy 2.4).
_CELL_COST = 30
# Numbers held at once while counting; small enough that the counters stay in the processor's cache.
_CHUNK = 1 << 18
# Where more than this share of the resamples has no value (no right answer to divide by, say), there are no bounds.
MAX_UNDEFINED = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Bootstrap:
    """A statistic and its values in resamples ``draws (resamples,)``; ``n`` is the number of items.

    ``acceleration`` is BCa's, from the jackknife; 0 turns BCa into the bias-corrected percentile interval.
    Undefined draws are nan; up to 5 % of them are left out, with more there are no bounds.
    """

    value: float
    draws: FloatArray
    n: int
    acceleration: float = 0.0

    def interval(self, confidence: float = 0.95, method: Method = "percentile") -> Interval:
        """Percentile, BCa (Efron 1987) or basic (reflected) interval.

        ``basic`` suits statistics that resampling pushes one way, such as the calibration error. With no variation among
        the items all three give a width of zero: the bootstrap cannot see what the sample does not hold.
        """
        require_confidence(confidence)
        draws = self._defined()
        if draws.size == 0 or math.isnan(self.value):
            return Interval(self.value, math.nan, math.nan, self.n)
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        if method == "bca":
            tails = self._bca_tails(draws, tails)
        low, high = (float(x) for x in np.quantile(draws, tails))
        if method == "basic":
            low, high = 2 * self.value - high, 2 * self.value - low
        return Interval(self.value, low, high, self.n)

    def p_value(self, null: float = 0.0, alternative: Alternative = "two-sided") -> float:
        """The percentile interval turned round: the level at which ``null`` just leaves it (Davison & Hinkley 1997, 4.2 and 5.4).

        ``greater`` tests 'at most null' against 'more than null', as a non-inferiority gate does. Never below
        1 / (resamples + 1); nan where there are no bounds.
        """
        draws = self._defined()
        if draws.size == 0 or math.isnan(self.value):
            return math.nan
        below = (1 + int(np.count_nonzero(draws <= null))) / (draws.size + 1)
        above = (1 + int(np.count_nonzero(draws >= null))) / (draws.size + 1)
        if alternative == "greater":
            return min(1.0, below)
        if alternative == "less":
            return min(1.0, above)
        return min(1.0, 2 * min(below, above))

    @property
    def standard_error(self) -> float:
        draws = self._defined()
        return float(np.std(draws, ddof=1)) if draws.size > 1 else math.nan

    def _defined(self) -> FloatArray:
        bad = ~np.isfinite(self.draws)
        if not bad.any():
            return self.draws
        return self.draws[~bad] if bad.mean() <= MAX_UNDEFINED else self.draws[:0]

    def _bca_tails(self, draws: FloatArray, tails: FloatArray) -> FloatArray:
        # Sums in another order differ in the last digit, so ties are told with a tolerance; half of them lie below.
        tie = np.isclose(draws, self.value, rtol=1e-12, atol=1e-15)
        share = (np.count_nonzero((draws < self.value) & ~tie) + 0.5 * np.count_nonzero(tie)) / draws.size
        edge = 1 / (2 * draws.size)
        bias = normal_quantile(min(max(share, edge), 1 - edge))
        shifted = [bias + normal_quantile(float(t)) for t in tails]
        return np.array([normal_cdf(bias + s / (1 - self.acceleration * s)) for s in shifted])


@dataclass(frozen=True, slots=True, eq=False)
class ResampledMeans:
    """Means of ``m`` quantities in the sample ``(m,)``, in each resample ``(resamples, m)`` and with one unit left out ``(u, m)``.

    ``weights (u,)`` says how many units each row of the jackknife stands for.
    """

    observed: FloatArray
    draws: FloatArray
    left_out: FloatArray
    weights: IntArray
    n: int

    def statistic(self, function: Callable[[FloatArray], FloatArray]) -> Bootstrap:
        """A function of the means: takes ``(…, m)``, returns ``(…)``. Where it divides by zero it shall return nan."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(function(self.observed))
            draws = np.asarray(function(self.draws), dtype=np.float64)
            left_out = np.asarray(function(self.left_out), dtype=np.float64)
        return Bootstrap(value, draws, self.n, _acceleration(left_out, self.weights))


def resample_means(
    values: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> ResampledMeans:
    """Bootstrap the means of several quantities over the same items.

    Args:
        values: ``(m, n)``, or ``(n,)`` for one quantity; finite.
        clusters: ``(n,)``, any values; items with the same one are drawn together (cluster bootstrap). A mean is then a
            ratio: sum over the drawn clusters by their number of items.
        resamples: how many.
        seed: a seed or a Generator.

    Raises:
        ValueError: no items, NaN, shapes that do not fit, or fewer than one resample.
    """
    table = np.atleast_2d(as_values(values))
    if table.ndim != 2:
        raise ValueError(f"values must have shape (m, n) or (n,), not {table.shape}")
    if resamples < 1:
        raise ValueError("at least one resample is needed")
    n = table.shape[1]
    units = np.column_stack([table.T, np.ones(n)])
    if clusters is not None:
        units = _sum_by(np.asarray(clusters), units)
    kinds, frequency = np.unique(units, axis=0, return_counts=True)
    frequency = frequency.astype(np.int64)
    # einsum keeps to one thread: BLAS gains nothing on so narrow a product and loses much on a busy machine.
    columns = np.ascontiguousarray(kinds.T)
    draws = resample_counts(frequency, resamples, generator(seed))
    sums = np.concatenate([np.einsum("ru,mu->rm", counts.astype(np.float64), columns) for counts in draws])
    total = frequency @ kinds
    rest = total - kinds
    with np.errstate(divide="ignore", invalid="ignore"):
        left_out = rest[:, :-1] / rest[:, -1:]
    return ResampledMeans(total[:-1] / total[-1], sums[:, :-1] / sums[:, -1:], left_out, frequency, n)


def resample_counts(frequency: IntArray, resamples: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """How often each kind of item is drawn, ``frequency (u,)`` items of each being there; chunks of ``(r, u)``.

    The size of a chunk depends on the data alone, so the same seed gives the same draws on every machine.
    """
    kinds, n = frequency.size, int(frequency.sum())
    few = kinds * _CELL_COST < n
    rows = max(1, _CHUNK // max(1, kinds if few else max(kinds, n)))
    owner = None if kinds == n else np.repeat(np.arange(kinds), frequency)
    for start in range(0, resamples, rows):
        r = min(rows, resamples - start)
        if few:
            yield rng.multinomial(n, frequency / n, size=r)
            continue
        drawn = rng.integers(0, n, size=(r, n))
        if owner is not None:
            drawn = owner[drawn]
        drawn += np.arange(r)[:, None] * kinds
        yield np.bincount(drawn.ravel(), minlength=r * kinds).reshape(r, kinds)


def bootstrap_mean(
    values: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> Bootstrap:
    """The mean of ``values (n,)``, or of the seed-mean of ``values (seeds, n)``, over items."""
    return resample_means(seed_mean(values), clusters=clusters, resamples=resamples, seed=seed).statistic(
        lambda means: means[..., 0]
    )


def seed_mean(values: npt.ArrayLike, what: str = "values") -> FloatArray:
    """``(seeds, n)`` or ``(n,)`` to ``(n,)``: each item's mean over the seeds."""
    array = as_values(values, what)
    if array.ndim not in (1, 2):
        raise ValueError(f"{what} must have shape (n,) or (seeds, n), not {array.shape}")
    return array if array.ndim == 1 else array.mean(axis=0)


def _sum_by(clusters: npt.NDArray[np.generic], units: FloatArray) -> FloatArray:
    if clusters.shape != (units.shape[0],):
        raise ValueError(f"clusters must have shape ({units.shape[0]},), not {clusters.shape}")
    names, member = np.unique(clusters, return_inverse=True)
    if names.size < 2:
        raise ValueError("a cluster bootstrap needs at least two clusters")
    return np.stack([np.bincount(member, weights=column, minlength=names.size) for column in units.T], axis=1)


def _acceleration(left_out: FloatArray, weights: IntArray) -> float:
    """BCa's acceleration from the jackknife (Efron 1987); 0 where nothing varies or a left-out value is undefined."""
    if not np.all(np.isfinite(left_out)):
        return 0.0
    gap = np.average(left_out, weights=weights) - left_out
    spread = float(weights @ gap**2)
    # Below rounding noise the skewness is noise too.
    if spread <= 1e-24 * max(1.0, float(weights @ left_out**2)):
        return 0.0
    return float(weights @ gap**3 / (6 * spread**1.5))
