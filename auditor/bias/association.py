"""Stereotype: does the she-minus-he gap of an occupation follow how many women work in it? The 'nurse is female' effect."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from auditor.bias.resample import pair_gaps
from auditor.stats.interval import FloatArray, Interval, generator
from distill.errors import DataError

RESAMPLES = 5_000
# Fewer points than this make no correlation worth showing.
LEAST_OCCUPATIONS = 5


@dataclass(frozen=True)
class Association:
    """Correlation across occupations of the mean gap (female minus male score) with the published share of women.

    Attributes:
        pearson, spearman: with 95 % bootstrap intervals over occupations; nan bounds where the gap is the same everywhere.
        slope: change of the gap, in score units, from an occupation without women to one of women only.
        points: columns occupation, share_women, gap, pairs, source, year: the scatter.
        problem: why there is no correlation, '' otherwise.
    """

    pearson: Interval
    spearman: Interval
    slope: float
    points: pd.DataFrame
    problem: str


def occupation_association(
    frame: pd.DataFrame,
    index: npt.ArrayLike,
    scores: npt.ArrayLike,
    occupations: pd.DataFrame,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Association:
    """Association of one arm.

    Args:
        frame, index: from ``ItemSet``.
        scores: ``(texts,)`` or, for an arm of several seeds, ``(texts, seeds)``; gaps are averaged over seeds.
        occupations: ``Lexicon.occupations``.

    Raises:
        DataError: fewer than five occupations with a share of women, or scores that are not numbers.
    """
    gaps = pair_gaps(frame, index, scores)
    gap = gaps.mean(axis=1) if gaps.ndim == 2 else gaps
    pairs = frame.iloc[::2].assign(gap=gap)
    pairs = pairs[pairs["kind"] == "occupation"]
    if not np.isfinite(pairs["gap"]).all():
        raise DataError(
            "The scores of the occupation sentences hold NaN or infinite values.", hint="Leave the model out."
        )
    points = (
        pairs.groupby("word", sort=False)
        .agg(gap=("gap", "mean"), pairs=("gap", "size"))
        .rename_axis("occupation")
        .reset_index()
    )
    points = points.merge(occupations[["occupation", "share_women", "source", "year"]], on="occupation")
    points = points[["occupation", "share_women", "gap", "pairs", "source", "year"]]
    return correlate(points, resamples, seed)


def correlate(points: pd.DataFrame, resamples: int = RESAMPLES, seed: int = 0) -> Association:
    """Pearson and Spearman correlation of the columns share_women and gap.

    Spearman's is resampled on the ranks of the whole sample, as is usual where each point is a unit of its own.
    """
    n = len(points)
    if n < LEAST_OCCUPATIONS:
        raise DataError(
            f"Only {n} occupations have a share of women, and a correlation needs {LEAST_OCCUPATIONS}.",
            hint="Add occupations.",
        )
    share = points["share_women"].to_numpy(dtype=np.float64)
    gap = points["gap"].to_numpy(dtype=np.float64)
    if np.ptp(gap) < 1e-12 or np.ptp(share) < 1e-12:
        nothing = Interval(math.nan, math.nan, math.nan, n)
        return Association(
            nothing, nothing, 0.0, points, "The gap is the same for every occupation, so it follows nothing."
        )
    drawn = generator(seed).integers(0, n, size=(resamples, n))
    ranks = [np.asarray(pd.Series(x).rank(), dtype=np.float64) for x in (share, gap)]
    return Association(
        pearson=_interval(share, gap, drawn),
        spearman=_interval(ranks[0], ranks[1], drawn),
        slope=float(np.cov(share, gap)[0, 1] / np.var(share, ddof=1)),
        points=points,
        problem="",
    )


def _interval(x: FloatArray, y: FloatArray, drawn: npt.NDArray[np.int64]) -> Interval:
    value = float(_pearson(x[None], y[None])[0])
    draws = _pearson(x[drawn], y[drawn])
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Interval(value, float(low), float(high), len(x))


def _pearson(x: FloatArray, y: FloatArray) -> FloatArray:
    x = x - x.mean(axis=1, keepdims=True)
    y = y - y.mean(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        r: FloatArray = (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    return r
