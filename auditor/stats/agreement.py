"""Do reviewers agree, and by more than chance? Raw agreement, Cohen's kappa, Krippendorff's alpha, Gwet's AC1.

Ratings are ``(raters, n)`` class indices with -1 where a rater did not see the item. Intervals resample items (percentile
bootstrap). Defined on purpose:

- Items with fewer than two ratings say nothing of agreement; n counts the others.
- Without such items every value and bound is nan.
- When everybody always gives the same single class, kappa and alpha are 0 / 0, so nan; raw agreement and AC1 are 1.
- Bounds are nan where more than 5 % of the resamples are undefined in that way.
- Where nobody ever differed, resampling sees no spread; `agreement_summary` then takes Wilson's bound of raw agreement, and the others' from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.stats.bootstrap import Bootstrap, resample_means
from auditor.stats.interval import BoolArray, FloatArray, IntArray, Interval, Seed, as_labels
from auditor.stats.proportions import wilson

RESAMPLES = 5_000
MISSING = -1


@dataclass(frozen=True, slots=True)
class Agreement:
    """All four for the same ratings; ``kappa`` is None unless there are exactly two raters."""

    raw: Interval
    kappa: Interval | None
    alpha: Interval
    ac1: Interval


def agreement_summary(
    ratings: npt.ArrayLike, classes: int, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Agreement:
    """The four measures; the same seed for each, so that all speak of the same resamples."""
    table = _ratings(ratings, classes)
    found = Agreement(
        raw=raw_agreement(table, classes, confidence=confidence, resamples=resamples, seed=seed),
        kappa=cohen_kappa(table, classes, confidence=confidence, resamples=resamples, seed=seed)
        if len(table) == 2
        else None,
        alpha=krippendorff_alpha(table, classes, confidence=confidence, resamples=resamples, seed=seed),
        ac1=gwet_ac1(table, classes, confidence=confidence, resamples=resamples, seed=seed),
    )
    return _unanimous(found, table, classes, confidence) if found.raw.value == 1 else found


def _unanimous(found: Agreement, table: IntArray, classes: int, confidence: float) -> Agreement:
    """Bounds for ratings in which nobody differs: as few agreements as Wilson's bound allows, chance agreement as it was observed."""
    n = found.raw.n
    low = wilson(n, n, confidence).low
    counts, several = _counts(table, classes)
    share = counts[several].sum(axis=0) / max(int(counts[several].sum()), 1)
    same, spread = float((share**2).sum()), float((share * (1 - share)).sum()) / max(classes - 1, 1)

    def beyond(interval: Interval, chance: float) -> Interval:
        if math.isnan(interval.value) or chance >= 1:
            return interval
        return Interval(interval.value, max(-1.0, (low - chance) / (1 - chance)), interval.value, interval.n)

    return Agreement(
        raw=Interval(1.0, low, 1.0, n),
        kappa=None if found.kappa is None else beyond(found.kappa, same),
        alpha=beyond(found.alpha, same),
        ac1=beyond(found.ac1, spread),
    )


def raw_agreement(
    ratings: npt.ArrayLike, classes: int, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: Seed = 0
) -> Interval:
    """Share of pairs of ratings of an item that are equal, averaged over items."""
    counts, several = _counts(_ratings(ratings, classes), classes)
    features = _pair_agreement(counts[several])[None]
    return _interval(features, lambda m: m[..., 0], confidence, resamples, seed)


def cohen_kappa(
    ratings: npt.ArrayLike, classes: int, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: Seed = 0
) -> Interval:
    """Cohen's kappa (1960), unweighted, of exactly two raters, over the items that both rated."""
    table = _ratings(ratings, classes)
    if len(table) != 2:
        raise ValueError(f"Cohen's kappa is for two raters, not {len(table)}")
    first, second = table[:, (table != MISSING).all(axis=0)]
    kinds = np.arange(classes)[:, None]
    features = np.concatenate([(first == second)[None], first == kinds, second == kinds]).astype(np.float64)

    def kappa(m: FloatArray) -> FloatArray:
        chance = (m[..., 1 : 1 + classes] * m[..., 1 + classes :]).sum(axis=-1)
        return _beyond_chance(m[..., 0], chance)

    return _interval(features, kappa, confidence, resamples, seed)


def krippendorff_alpha(
    ratings: npt.ArrayLike, classes: int, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: Seed = 0
) -> Interval:
    """Krippendorff's alpha, nominal, any number of raters, missing ratings allowed (Krippendorff 2011, section E).

    It counts the values as they pair within items: alpha = 1 - (v - 1) (v - sum o_cc) / (v² - sum n_c²), where o_cc are the
    agreeing pairs, n_c the pairable values of class c and v their sum.
    """
    counts, several = _counts(_ratings(ratings, classes), classes)
    counts = counts[several].astype(np.float64)
    agreeing = (counts * (counts - 1)).sum(axis=1) / np.maximum(counts.sum(axis=1) - 1, 1)
    features = np.concatenate([agreeing[None], counts.T])
    # v - 1 needs sums, not means; a resample has as many items as the sample.
    n = counts.shape[0]

    def alpha(m: FloatArray) -> FloatArray:
        sums = m * n
        values = sums[..., 1:].sum(axis=-1)
        expected = values**2 - (sums[..., 1:] ** 2).sum(axis=-1)
        observed = (values - 1) * (values - sums[..., 0])
        return 1 - _divide(observed, np.where(expected > 1e-9, expected, np.nan))

    return _interval(features, alpha, confidence, resamples, seed)


def gwet_ac1(
    ratings: npt.ArrayLike, classes: int, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: Seed = 0
) -> Interval:
    """Gwet's AC1 (2008), any number of raters, missing ratings allowed: steady where one class is rare and kappa is not.

    Chance is sum pi (1 - pi) / (k - 1) over the k classes of the label set, whether used or not; pi is the mean over all
    rated items of the share of ratings that name the class.

    Raises:
        ValueError: fewer than two classes.
    """
    if classes < 2:
        raise ValueError("AC1 needs at least two classes")
    counts, several = _counts(_ratings(ratings, classes), classes)
    rated = counts.sum(axis=1) > 0
    share = counts[rated] / counts[rated].sum(axis=1, keepdims=True)
    paired = several[rated]
    equal = np.zeros(len(share))
    equal[paired] = _pair_agreement(counts[rated][paired])
    features = np.concatenate([equal[None], paired[None].astype(np.float64), share.T])

    def ac1(m: FloatArray) -> FloatArray:
        chance = (m[..., 2:] * (1 - m[..., 2:])).sum(axis=-1) / (classes - 1)
        return _beyond_chance(_divide(m[..., 0], np.where(m[..., 1] > 0, m[..., 1], np.nan)), chance)

    if not several.any():
        return _nothing()
    found = _interval(features, ac1, confidence, resamples, seed)
    return Interval(found.value, found.low, found.high, int(several.sum()))


def _ratings(ratings: npt.ArrayLike, classes: int) -> IntArray:
    if classes < 1:
        raise ValueError(f"the number of classes must be at least 1, not {classes}")
    table = np.asarray(ratings)
    if table.ndim != 2 or len(table) < 2:
        raise ValueError(f"ratings must have shape (raters, n) with at least two raters, not {table.shape}")
    # Shifted by one, a missing rating is just another class to check.
    return as_labels(table + 1, classes + 1, "ratings (counted from 1, 0 for a missing one)") - 1


def _counts(table: IntArray, classes: int) -> tuple[IntArray, BoolArray]:
    """How many raters gave each class ``(n, k)``, and which items have two ratings or more ``(n,)``."""
    counts = (table[:, :, None] == np.arange(classes)).sum(axis=0).astype(np.int64)
    return counts, counts.sum(axis=1) >= 2


def _pair_agreement(counts: IntArray) -> FloatArray:
    total = counts.sum(axis=1)
    return np.asarray((counts * (counts - 1)).sum(axis=1) / np.maximum(total * (total - 1), 1), dtype=np.float64)


def _interval(
    features: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    confidence: float,
    resamples: int,
    seed: Seed,
) -> Interval:
    if features.shape[1] == 0:
        return _nothing()
    bootstrap: Bootstrap = resample_means(features, resamples=resamples, seed=seed).statistic(statistic)
    return bootstrap.interval(confidence)


def _nothing() -> Interval:
    return Interval(math.nan, math.nan, math.nan, 0)


def _beyond_chance(observed: FloatArray, chance: FloatArray) -> FloatArray:
    room = 1 - chance
    return _divide(observed - chance, np.where(room > 1e-12, room, np.nan))


def _divide(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.asarray(part / whole)
