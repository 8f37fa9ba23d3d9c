"""Gap of a model on the swapped rows of the user's own data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auditor.stats.bootstrap import bootstrap_mean
from distill.errors import DataError


@dataclass(frozen=True)
class SwapGap:
    """One model on swapped rows.

    Attributes:
        signed: mean of score(about a woman) minus score(about a man).
        absolute: mean of the absolute difference; above 0 even for harmless noise, so never a measure of bias by itself.
        flipped: share of rows whose predicted class changes.
    """

    signed: tuple[float, float, float]
    absolute: float
    flipped: float | None
    n: int


def swap_gap(
    female: np.ndarray,
    male: np.ndarray,
    classes: tuple[np.ndarray, np.ndarray] | None = None,
    resamples: int = 5_000,
    seed: int = 0,
) -> SwapGap:
    """Gap of a model on the user's swapped rows, with a 95 % bootstrap interval over rows.

    Args:
        female, male: scores ``(rows,)`` of the text about a woman and about a man.
        classes: predicted classes of both, for the share of flips.
    """
    gap = np.asarray(female, dtype=np.float64) - np.asarray(male, dtype=np.float64)
    if not len(gap):
        raise DataError("There are no swapped rows to compare.", hint="Choose data with gendered words.")
    if not np.isfinite(gap).all():
        raise DataError("The scores of the swapped rows hold NaN or infinite values.", hint="Leave the model out.")
    interval = bootstrap_mean(gap, resamples=resamples, seed=seed).interval()
    flipped = None if classes is None else float(np.mean(np.asarray(classes[0]) != np.asarray(classes[1])))
    return SwapGap((interval.value, interval.low, interval.high), float(np.abs(gap).mean()), flipped, len(gap))
