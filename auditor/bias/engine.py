"""Point estimates, draws and contributions of all models at once; an arm or a comparison is a weighting of models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from auditor.bias.resample import (
    Draws,
    PairTable,
    calibration,
    cell_means,
    cell_squares,
    signed_contributions,
    squared_contributions,
)
from auditor.stats.bootstrap import Bootstrap
from auditor.stats.interval import FloatArray


class GapEngine:
    """Point estimates, draws and contributions of all models, read by linear combinations of models."""

    def __init__(self, table: PairTable, members: Mapping[str, list[int]], draws: Draws) -> None:
        self.table, self.members, self.draws = table, members, draws
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
        return Bootstrap(value, value + scale * deviation, self.table.pairs)

    def _scale(self, contributions: FloatArray, deviations: FloatArray) -> float:
        return float(calibration(self.table, contributions[:, None], deviations[:, None])[0])

    def gap_draws(self, weights: FloatArray) -> FloatArray:
        """G of each model in each resample, ``(resamples, models)``, scaled for the combination ``weights``."""
        slope = weights * self._slope
        deviation = self.draws.squared - self.squares
        scale = self._scale(self._squared @ slope, deviation @ slope)
        return np.sqrt(np.maximum(self.squares + scale * deviation, 0.0))

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
