"""How much of the noise comes from templates, words, names, cells and single pairs, and what that makes of a mean's variance.

Henderson's first method (Biometrics 1953): sums of squares of the cluster sums are set equal to their expectations, which are linear in the
variance components with coefficients that the design alone decides. Unlike the sandwich of multiway clustering (Cameron, Gelbach & Miller
2011) it stays unbiased with a dozen templates; ``selftest.variance_ratio`` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.stats.interval import FloatArray, IntArray, normal_quantile


@dataclass(frozen=True, eq=False)
class Spread:
    """Variance ``(columns,)`` of a weighted mean, and Satterthwaite's degrees of freedom ``(columns,)``."""

    variance: FloatArray
    degrees: FloatArray

    def widening(self, confidence: float = 0.95) -> FloatArray:
        """Quantile of t over that of the normal, ``(columns,)``."""
        from scipy.stats import t

        tail = 0.5 + confidence / 2
        quantile: FloatArray = np.asarray(t.ppf(tail, self.degrees), dtype=np.float64)
        return quantile / normal_quantile(tail)


class Components:
    """The design: which template, word, filler and cell each entry belongs to, and its weight in the mean.

    Args:
        factors: codes ``(entries,)`` of each crossed factor (template, word, filler, cell).
        groups: code ``(entries,)`` of the stratum whose mean is fixed, not drawn.
        weight: ``(entries,)``, of sum 1.
    """

    def __init__(self, factors: tuple[IntArray, ...], groups: IntArray, weight: FloatArray) -> None:
        self._factors, self._groups, self._weight = factors, groups, weight
        self._mass = np.bincount(groups, weight)
        by_group = [_cross(f, groups, weight) for f in factors]
        size = len(factors) + 1
        expected = np.zeros((size, size))
        for k, f in enumerate(factors):
            for j in range(k, len(factors)):
                left = _cross(f, factors[j], weight) - (by_group[k] / self._mass) @ by_group[j].T
                expected[k, j] = expected[j, k] = (left**2).sum()
            share = by_group[k] / self._mass
            own = share[f, groups]
            expected[k, -1] = expected[-1, k] = (weight**2 * (1 - 2 * own + (share**2).sum(axis=0)[groups])).sum()
        within = np.bincount(groups, weight**2) / self._mass**2
        expected[-1, -1] = (weight**2 * (1 - 2 * weight / self._mass[groups] + within[groups])).sum()
        self._solve = np.linalg.pinv(expected, rcond=1e-10)
        self._reach = np.array([*((np.bincount(f, weight) ** 2).sum() for f in factors), (weight**2).sum()])
        clusters = [len(np.unique(f)) - _groups_of(f, groups) for f in factors]
        self._clusters = np.maximum(np.array([*clusters, len(weight) - 1], dtype=np.float64), 1.0)

    def centred(self, values: FloatArray) -> FloatArray:
        """Weighted deviations from the stratum's mean, ``(entries, columns)``: what each entry adds to the mean."""
        totals = np.column_stack([np.bincount(self._groups, self._weight * column) for column in values.T])
        result: FloatArray = self._weight[:, None] * (values - (totals / self._mass[:, None])[self._groups])
        return result

    def spread(self, contributions: FloatArray) -> Spread:
        """Variance of the mean whose ``centred`` contributions these are; never below that of independent pairs."""
        pairs = (contributions**2).sum(axis=0)
        squares = np.vstack([*((_sums(f, contributions) ** 2).sum(axis=0) for f in self._factors), pairs])
        parts = (self._solve @ squares) * self._reach[:, None]
        variance = np.maximum(parts.sum(axis=0), pairs)
        doubt = (np.maximum(parts, 0.0) ** 2 / self._clusters[:, None]).sum(axis=0)
        degrees = np.divide(variance**2, doubt, out=np.full_like(variance, np.inf), where=doubt > 0)
        return Spread(variance, np.maximum(degrees, 1.0))


def _cross(rows: IntArray, columns: IntArray, weight: FloatArray) -> FloatArray:
    table = np.zeros((int(rows.max()) + 1, int(columns.max()) + 1))
    np.add.at(table, (rows, columns), weight)
    return table


def _sums(codes: IntArray, values: FloatArray) -> FloatArray:
    sums = np.zeros((int(codes.max()) + 1, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums


def _groups_of(codes: IntArray, groups: IntArray) -> int:
    """How many strata the units of a factor are split into: units that meet the same strata share one."""
    meets = _cross(codes, groups, np.ones(len(codes))) > 0
    return len(np.unique(meets, axis=0))
