"""Quality of a classifier from its confusion matrix, with intervals that resample the items.

A confusion matrix is ``(…, k, k)``: rows are the true class, columns the predicted one, any number of leading dimensions. What is
undefined (recall of a class without items, precision of one never predicted) is nan, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.stats.bootstrap import RESAMPLES, Bootstrap, resample_counts
from auditor.stats.interval import FloatArray, IntArray, Interval, Seed, as_labels, generator
from auditor.stats.paired import PairedBootstrap

# From confusion matrices (…, k, k) to one number each (…), or to one for each class (…, k).
Metric = Callable[[IntArray], FloatArray]


def confusion_matrix(true: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> IntArray:
    """Counts ``(k, k)`` from labels ``(n,)``, or ``(seeds, k, k)`` from predictions ``(seeds, n)``."""
    _, cells = _cells(true, predicted, classes)
    flat = np.stack([np.bincount(row, minlength=classes * classes) for row in cells])
    shape = (classes, classes) if np.ndim(predicted) == 1 else (len(cells), classes, classes)
    return flat.reshape(shape).astype(np.int64)


def accuracy(confusion: IntArray) -> FloatArray:
    """Share of right predictions ``(…)``; nan without items."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum(axis=(-2, -1)))


def precision(confusion: IntArray) -> FloatArray:
    """Per class ``(…, k)``: of those predicted so, the share that is; nan if never predicted."""
    return _ratio(_hits(confusion), confusion.sum(axis=-2))


def recall(confusion: IntArray) -> FloatArray:
    """Per class ``(…, k)``: of those that are, the share predicted so; nan without items."""
    return _ratio(_hits(confusion), confusion.sum(axis=-1))


def f1(confusion: IntArray) -> FloatArray:
    """Per class ``(…, k)``: 2 TP / (2 TP + FP + FN); nan only if the class occurs neither in truth nor in prediction."""
    return _ratio(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2))


def macro_f1(confusion: IntArray) -> FloatArray:
    """Mean F1 over the classes that occur in truth or prediction, as scikit-learn takes it by default."""
    return _mean_defined(f1(confusion))


@dataclass(frozen=True, slots=True)
class ClassReport:
    """One class, seed-averaged: how well it is found, with its number of true items ``support``."""

    label: int
    support: int
    precision: Interval
    recall: Interval
    f1: Interval


def bootstrap_metric(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: int,
    metric: Metric = macro_f1,
    *,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> Bootstrap:
    """The seed-mean of a metric of the confusion matrix, items resampled.

    Args:
        true: ``(n,)`` class indices.
        predicted: ``(n,)`` or ``(seeds, n)``.
        classes: k.
        metric: from ``(…, k, k)`` to ``(…)``.
    """
    observed, draws, n = _resample(true, predicted, classes, metric, resamples, seed)
    return Bootstrap(float(observed.mean()), draws.mean(axis=1), n)


def paired_metric(
    true: npt.ArrayLike,
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    classes: int,
    metric: Metric = macro_f1,
    *,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> PairedBootstrap:
    """Two arms on a metric of the confusion matrix, in the same resamples; each ``(n,)`` or ``(seeds, n)``."""
    first = np.atleast_2d(as_labels(reference, classes, "reference"))
    second = np.atleast_2d(as_labels(candidate, classes, "candidate"))
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"both arms need the same items: {first.shape[1]} and {second.shape[1]} were given")
    observed, draws, n = _resample(true, np.concatenate([first, second]), classes, metric, resamples, seed)
    split = len(first)
    a, b = float(observed[:split].mean()), float(observed[split:].mean())
    da, db = draws[:, :split].mean(axis=1), draws[:, split:].mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        retained = 100 * db / np.where(da == 0, np.nan, da)
    everyone = np.concatenate([first, second])
    return PairedBootstrap(
        reference=Bootstrap(a, da, n),
        candidate=Bootstrap(b, db, n),
        difference=Bootstrap(b - a, db - da, n),
        retention=Bootstrap(100 * b / a if a else float("nan"), retained, n),
        discordant=int(np.count_nonzero((everyone != everyone[0]).any(axis=0))),
        n=n,
    )


def class_reports(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    classes: int,
    *,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: Seed = 0,
) -> tuple[ClassReport, ...]:
    """Precision, recall and F1 of each class with intervals; seed-averaged where ``predicted`` is ``(seeds, n)``.

    A class that is missing in more than 5 % of the resamples has no bounds.
    """

    def three(confusion: IntArray) -> FloatArray:
        return np.concatenate([precision(confusion), recall(confusion), f1(confusion)], axis=-1)

    observed, draws, n = _resample(true, predicted, classes, three, resamples, seed)
    values, means = observed.mean(axis=0), draws.mean(axis=1)
    support = np.bincount(as_labels(true, classes, "true labels"), minlength=classes)
    intervals = [Bootstrap(float(values[j]), means[:, j], n).interval(confidence) for j in range(3 * classes)]
    return tuple(
        ClassReport(c, int(support[c]), intervals[c], intervals[classes + c], intervals[2 * classes + c])
        for c in range(classes)
    )


def _resample(
    true: npt.ArrayLike, predicted: npt.ArrayLike, classes: int, metric: Metric, resamples: int, seed: Seed
) -> tuple[FloatArray, FloatArray, int]:
    """The metric of each arm in the sample ``(a, …)`` and in each resample ``(resamples, a, …)``, and n.

    Items with the same truth and the same predictions in all arms are one kind, so a resample is a count of kinds, and an
    arm's confusion matrix sums the counts of the kinds that fall in each cell.
    """
    truth, cells = _cells(true, predicted, classes)
    if truth.size == 0:
        raise ValueError("there are no items")
    if resamples < 1:
        raise ValueError("at least one resample is needed")
    kinds, frequency = np.unique(cells, axis=1, return_counts=True)
    frequency = frequency.astype(np.int64)
    plans = [_cell_plan(row) for row in kinds]

    def confusions(counts: IntArray) -> IntArray:
        out = np.zeros((counts.shape[0], len(plans), classes * classes), dtype=np.int64)
        for arm, (order, starts, filled) in enumerate(plans):
            out[:, arm, filled] = np.add.reduceat(counts[:, order], starts, axis=1)
        return out.reshape(counts.shape[0], len(plans), classes, classes)

    observed = metric(confusions(frequency[None, :]))[0]
    rows = max(1, (1 << 22) // (len(plans) * classes * classes))
    draws = [
        metric(confusions(counts[start : start + rows]))
        for counts in resample_counts(frequency, resamples, generator(seed))
        for start in range(0, len(counts), rows)
    ]
    return observed, np.concatenate(draws), truth.size


def _cell_plan(cells: IntArray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], IntArray]:
    """How to sum kinds by cell: an order that brings equal cells together, where each begins, and which cell it is."""
    order = np.argsort(cells, kind="stable")
    filled, starts = np.unique(cells[order], return_index=True)
    return order, starts, filled


def _cells(true: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> tuple[IntArray, IntArray]:
    """The truth ``(n,)`` and, for each arm, the flat cell ``true * k + predicted`` of each item ``(arms, n)``."""
    if classes < 1:
        raise ValueError(f"the number of classes must be at least 1, not {classes}")
    truth = as_labels(true, classes, "true labels")
    guess = np.atleast_2d(as_labels(predicted, classes, "predicted labels"))
    if truth.ndim != 1 or guess.ndim != 2 or guess.shape[1] != truth.size:
        raise ValueError(
            f"predictions must have shape (n,) or (seeds, n) with n = {truth.size}, not {np.shape(predicted)}"
        )
    return truth, truth * classes + guess


def _hits(confusion: IntArray) -> IntArray:
    return np.diagonal(confusion, axis1=-2, axis2=-1)


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    whole = np.asarray(whole, dtype=np.float64)
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0))


def _mean_defined(values: FloatArray) -> FloatArray:
    """Mean over the last axis, leaving nan out; nan if nothing is left."""
    return _ratio(np.nansum(values, axis=-1), np.count_nonzero(~np.isnan(values), axis=-1))
