"""Many tests at once: adjusted p values, to be held against the level as they are.

A p value of nan belongs to a test that could not be made: it stays nan and does not count in the family.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import FloatArray


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Holm's step-down adjustment (1979): controls the chance of any false rejection."""

    def adjust(p: FloatArray) -> FloatArray:
        order = np.argsort(p, kind="stable")
        stepped = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
        return _back(stepped, order)

    return _family(p_values, adjust)


def benjamini_hochberg(p_values: npt.ArrayLike) -> FloatArray:
    """Benjamini and Hochberg's step-up adjustment (1995): controls the expected share of false ones among the rejections."""

    def adjust(p: FloatArray) -> FloatArray:
        order = np.argsort(p, kind="stable")
        scaled = p[order] * p.size / np.arange(1, p.size + 1)
        return _back(np.minimum.accumulate(scaled[::-1])[::-1], order)

    return _family(p_values, adjust)


def _family(p_values: npt.ArrayLike, adjust: Callable[[FloatArray], FloatArray]) -> FloatArray:
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1:
        raise ValueError(f"p values must have shape (m,), not {p.shape}")
    there = ~np.isnan(p)
    if np.any((p[there] < 0) | (p[there] > 1)):
        raise ValueError("a p value lies between 0 and 1")
    adjusted = np.full(p.shape, np.nan)
    adjusted[there] = adjust(p[there])
    return adjusted


def _back(stepped: FloatArray, order: npt.NDArray[np.intp]) -> FloatArray:
    result = np.empty_like(stepped)
    result[order] = np.minimum(stepped, 1.0)
    return result
