"""Point estimates, draws and contributions of all models at once; an arm or a comparison is a weighting of models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from auditor.bias.resample import (
    Draws,
    PairTable,
    calibration,
    cell_means,
    cell_squares,
    jackknife_means,
    jackknife_squares,
    signed_contributions,
    squared_contributions,
)
from auditor.stats.bootstrap import Bootstrap
from auditor.stats.interval import FloatArray


class GapEngine:
    """Point estimates, draws and contributions of all models, read by linear combinations of models."""

    def __init__(
        self, table: PairTable, members: Mapping[str, list[int]], draws: Draws, *, published: bool = False
    ) -> None:
        self.table, self.members, self.draws = table, members, draws
        self.published = published  # a set of sentences that others wrote: small, of unequal parts
        measurable = bool((table.fillers_per_cell >= 2).any())
        self.squares = np.nanmean(cell_squares(table), axis=0) if measurable else np.full(len(table.models), np.nan)
        self.gaps = np.sqrt(np.maximum(self.squares, 0.0))
        self.means = cell_means(table).mean(axis=0)
        self._signed = signed_contributions(table)
        self._squared = squared_contributions(table)
        spread = table.components.spread(self._squared).variance
        # Slope of the root: 1 / 2G, with G no smaller than its own noise, where a slope would mean nothing.
        self._slope = 0.5 / np.maximum(self.gaps, np.maximum(spread, 1e-30) ** 0.25)

    def weights(self, arm: str) -> FloatArray:
        """The arm's mean over its seeds as weights of the models."""
        mine = self.members[arm]
        return np.bincount(mine, minlength=len(self.table.models)) / len(mine)

    def signed(self, weights: FloatArray) -> Bootstrap:
        value = float(self.means @ weights)
        deviation = (self.draws.signed - self.means) @ weights
        scale = self._scale(self._signed @ weights, deviation)
        scale *= self._widening(self._signed @ weights, lambda: self._means_without @ weights)
        return Bootstrap(value, value + scale * deviation, self.table.pairs)

    def _scale(self, contributions: FloatArray, deviations: FloatArray) -> float:
        return float(calibration(self.table, contributions[:, None], deviations[:, None])[0])

    def gap_draws(self, weights: FloatArray) -> FloatArray:
        """G of each model in each resample, ``(resamples, models)``, scaled for the combination ``weights``."""
        slope = weights * self._slope
        deviation = self.draws.squared - self.squares
        scale = self._scale(self._squared @ slope, deviation @ slope) * self._widening(
            self._squared @ slope, lambda: self._gaps_without @ weights
        )
        return np.sqrt(np.maximum(self.squares + scale * deviation, 0.0))

    @cached_property
    def _gaps_without(self) -> FloatArray:
        """G of each model without one word, ``(words, models)``."""
        return np.sqrt(np.maximum(jackknife_squares(self.table), 0.0))

    @cached_property
    def _means_without(self) -> FloatArray:
        return jackknife_means(self.table)

    def _widening(self, contributions: FloatArray, without: Callable[[], FloatArray]) -> float:
        """At least 1: how much wider a figure is by the delete-one jackknife over words, which follows the root of G², than by its slope.

        For published sets only. There some forty words of unequal size decide, whose squares have long tails, and in simulations on
        WinoBias's design the slope's intervals covered 89 to 92 % instead of 95 (``selftest.set_coverage``). In the full designs of the
        project's own sentences the components hold.
        """
        if not self.published:
            return 1.0
        spread = self.table.components.spread(contributions[:, None])
        linear = float(np.sqrt(spread.variance[0]) * spread.widening()[0])
        return max(1.0, _half_width(without()) / linear) if linear > 0 else 1.0

    def gap(self, weights: FloatArray) -> Bootstrap:
        value = float(self.gaps @ weights)
        return Bootstrap(value, self.gap_draws(weights) @ weights, self.table.pairs)

    def percent(self, candidate: str, reference: str) -> Bootstrap:
        """100 (G_candidate / G_reference - 1)."""
        a, b = self.weights(candidate), self.weights(reference)
        draws = self.gap_draws(a - b)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 100 * ((draws @ a) / (draws @ b) - 1)
        return Bootstrap(100 * (float(self.gaps @ a) / float(self.gaps @ b) - 1), ratio, self.table.pairs)


def _half_width(without: FloatArray) -> float:
    """Standard error from values ``(units,)`` each without one unit, times the quantile of t over that of the normal.

    Degrees of freedom follow the kurtosis of what each unit contributes: Var(s²) = σ⁴ (κ − (m − 3)/(m − 1)) / m, and a variance that is that
    uncertain has 2 σ⁴ / Var(s²) degrees (O'Neill 2014). With normal contributions these are m − 1.
    """
    from scipy.stats import t

    pulls = without[np.isfinite(without)]
    pulls, m = pulls - pulls.mean(), len(pulls)
    second = float((pulls**2).mean()) if m else 0.0
    if m < 5 or second <= 0:
        return 0.0
    excess = float((pulls**4).mean()) / second**2 - (m - 3) / (m - 1)
    degrees = min(m - 1.0, max(3.0, 2 * m / max(excess, 1e-9)))
    error = np.sqrt((m - 1) * second)
    return float(error * t.ppf(0.975, degrees) / t.ppf(0.975, np.inf))


def distinct_models(arms: Mapping[str, Sequence[FloatArray]]) -> tuple[list[FloatArray], dict[str, list[int]]]:
    """Each different array of gaps once, and which of them are each arm's seeds: identical models then differ by exactly 0."""
    distinct: list[FloatArray] = []
    position: dict[bytes, int] = {}
    members: dict[str, list[int]] = {}
    for arm, seeds in arms.items():
        for seed in seeds:
            gaps = np.ascontiguousarray(seed, dtype=np.float64)
            key = gaps.tobytes()
            if key not in position:
                position[key] = len(distinct)
                distinct.append(gaps)
            members.setdefault(arm, []).append(position[key])
    return distinct, members
