"""Quality and fairness by group, through fairlearn's MetricFrame, for any group column and any two columns crossed.

fairlearn is binary in places (``demographic_parity_difference`` silently takes class 1 as positive; ``equalized_odds_difference`` raises on three
classes), so everything is binarised first: fairness on the class that the user calls positive, quality one-vs-rest for every class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from auditor.bias.group_bounds import Family, impact_ratios, largest_difference, smallest_ratio
from auditor.stats.interval import Interval
from auditor.stats.proportions import wilson_mean
from distill.errors import DataError

MISSING = "(missing)"
REST = "(all other values)"
FOUR_FIFTHS = 0.8
SMALL_CELL = 30
MOST_VALUES = 20
JOIN = " × "


@dataclass(frozen=True)
class GroupRow:
    """One group.

    Attributes:
        n: rows; ``small`` where fewer than the small-cell limit (shown grey, never hidden, and left out of no difference).
        measures: accuracy and macro F1, and for each class 'recall: c', 'precision: c', 'f1: c' (one-vs-rest); nan where undefined.
        selection_rate, true_positive_rate, false_positive_rate: on the positive class, with Wilson's 95 % interval; bounds nan where n is 0.
        impact: selection rate over that of the best group that is not small (so a small group may exceed 1), with its 95 % interval.
    """

    group: str
    n: int
    small: bool
    measures: dict[str, float]
    selection_rate: Interval
    true_positive_rate: Interval
    false_positive_rate: Interval
    impact: Interval

    @property
    def below_four_fifths(self) -> bool:
        """Whether it is surely under 0.8: the upper bound is."""
        return self.impact.known and self.impact.high < FOUR_FIFTHS


@dataclass(frozen=True)
class Parity:
    """One notion of fairness as the largest difference and the smallest ratio between groups, with 95 % intervals; nan where a rate is undefined."""

    name: str
    difference: Interval
    ratio: Interval


@dataclass(frozen=True)
class GroupAudit:
    """One group column against one arm.

    Attributes:
        rows: largest group first.
        parity: demographic parity, equalised odds, equal opportunity. ``parity_large``: the same over groups that are not small.
        notes: what was done to the column (values joined, missing values, derived).
        skipped: why there is nothing to compare, None otherwise.
    """

    column: str
    positive: str
    rows: tuple[GroupRow, ...]
    parity: tuple[Parity, ...]
    parity_large: tuple[Parity, ...]
    notes: tuple[str, ...]
    skipped: str | None


@dataclass(frozen=True)
class GroupColumn:
    """A column made fit for comparison: every row has a value, and there are at most ``MOST_VALUES`` and the rest."""

    name: str
    values: npt.NDArray[np.object_]
    notes: tuple[str, ...]
    skipped: str | None


def tidy_groups(
    name: str, values: Sequence[object] | npt.ArrayLike | pd.Series, most: int = MOST_VALUES
) -> GroupColumn:
    """Missing values become a group of their own, rare values beyond the ``most`` commonest are joined, and both are said."""
    series = pd.Series(np.asarray(values, dtype=object))
    empty = series.isna() | series.map(lambda v: isinstance(v, str) and not v.strip())
    text = series.where(~empty, MISSING).map(str)
    notes = []
    if empty.any():
        notes.append(f"{int(empty.sum()):,} of {len(text):,} rows have no value and stand as '{MISSING}'.")
    present = text[~empty]
    if present.nunique() > most:
        common = set(present.value_counts(sort=True).index[:most]) | {MISSING}
        joined = ~text.isin(common)
        notes.append(
            f"{present.nunique():,} values: the {most} commonest are shown, {int(joined.sum()):,} rows of the others stand as '{REST}'."
        )
        text = text.where(~joined, REST)
    skipped = None
    if text.nunique() < 2:
        skipped = (
            "there are no rows"
            if not len(text)
            else f"the column '{name}' has one value only ('{text.iloc[0]}'), so there is nothing to compare"
        )
    return GroupColumn(name, text.to_numpy(dtype=object), tuple(notes), skipped)


def cross_groups(first: GroupColumn, second: GroupColumn, most: int = MOST_VALUES) -> GroupColumn:
    """The intersections of two columns as one."""
    if len(first.values) != len(second.values):
        raise DataError(
            f"The columns '{first.name}' and '{second.name}' have different lengths.",
            hint="Take both from the same rows.",
        )
    both = tidy_groups(f"{first.name}{JOIN}{second.name}", first.values + JOIN + second.values, most)
    return GroupColumn(both.name, both.values, (*first.notes, *second.notes, *both.notes), both.skipped)


def positive_class(classes: Sequence[str], chosen: str | None) -> int:
    """Index of the class that the user calls positive.

    Raises:
        DataError: nothing was chosen, or something that is no class. It is never guessed: fairness depends on it.
    """
    if chosen is None:
        raise DataError(
            "Fairness by group needs the class that counts as the good outcome, and none was chosen.",
            hint=f"Choose one of: {', '.join(classes)}.",
        )
    if chosen not in classes:
        raise DataError(
            f"The positive class '{chosen}' is not a label of this task.", hint=f"Choose one of: {', '.join(classes)}."
        )
    return list(classes).index(chosen)


def audit_groups(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    column: GroupColumn,
    classes: Sequence[str],
    positive: str | None,
    small: int = SMALL_CELL,
    seed: int = 0,
) -> GroupAudit:
    """Quality and fairness of one arm by one group column.

    Args:
        true: class indices ``(rows,)``.
        predicted: class indices ``(rows,)``, or ``(seeds, rows)``: every rate is then the mean over the seeds, and intervals rest on the rows,
            not on rows times seeds.
        column: from ``tidy_groups`` or ``cross_groups``.
        classes: names of the classes.
        positive: the class that counts as the good outcome.
        small: groups with fewer rows are flagged.
        seed: of the draws behind the intervals.

    Raises:
        DataError: no positive class, or arrays of different length.
    """
    good = positive_class(classes, positive)
    assert positive is not None
    y, p = np.asarray(true), np.asarray(predicted)
    p = p[None, :] if p.ndim == 1 else p
    seeds = len(p)
    if not len(y) == p.shape[1] == len(column.values):
        raise DataError(
            f"Labels, predictions and the column '{column.name}' have {len(y):,}, {p.shape[1]:,} and {len(column.values):,} rows.",
            hint="Give one value a row.",
        )
    if column.skipped is not None:
        return GroupAudit(column.name, positive, (), (), (), column.notes, column.skipped)
    y, p, groups = np.tile(y, seeds), p.ravel(), np.tile(column.values, seeds)
    rates = _rates(y == good, p == good, groups)
    rates[["n", "positives"]] /= seeds
    quality = _quality(y, p, groups, classes)
    # A handful of rows must not set the mark that everybody else is measured by, unless there are only handfuls.
    steady = rates[rates["n"] >= small]
    marks = rates["n"] >= small if len(steady) else rates["n"] >= 0
    impacts = impact_ratios(rates["selection"], rates["n"], marks, seed)
    rows = [
        _row(str(group), rates.loc[group], quality.loc[group], impact, small)
        for group, impact in zip(rates.index, impacts, strict=True)
    ]
    rows.sort(key=lambda row: (-row.n, row.group))
    notes = list(column.notes)
    if len(steady) < len(rates):
        notes.append(
            f"{len(rates) - len(steady)} of {len(rates)} groups have fewer than {small} rows; their figures are shown, and say little."
        )
    parity, large = _parity(rates, seed), _parity(steady, seed)
    return GroupAudit(column.name, positive, tuple(rows), parity, large, tuple(notes), None)


def _cells(y: npt.NDArray[Any], p: npt.NDArray[Any], groups: npt.NDArray[np.object_]) -> pd.DataFrame:
    """Columns group, y, p and how many rows are alike in all three: fairlearn goes over rows one by one in Python, and every measure here
    depends on these counts alone, so it is given the distinct rows with their weights."""
    frame = pd.DataFrame({"group": groups, "y": y.astype(np.int64), "p": p.astype(np.int64)})
    return frame.value_counts(sort=False).rename("n").reset_index()


def _by_group(cells: pd.DataFrame, metrics: Mapping[str, Callable[..., Any]]) -> pd.DataFrame:
    """fairlearn's MetricFrame over weighted cells."""
    from fairlearn.metrics import MetricFrame

    weights = {"sample_weight": cells["n"].to_numpy()}
    found: pd.DataFrame = MetricFrame(
        metrics=dict(metrics),
        y_true=cells["y"].to_numpy(),
        y_pred=cells["p"].to_numpy(),
        sensitive_features=cells["group"],
        sample_params=dict.fromkeys(metrics, weights),
    ).by_group
    return found


def _count(y_true: npt.NDArray[np.int64], y_pred: npt.NDArray[np.int64], sample_weight: npt.ArrayLike) -> int:
    return int(np.sum(sample_weight))


def _positives(y_true: npt.NDArray[np.int64], y_pred: npt.NDArray[np.int64], sample_weight: npt.ArrayLike) -> int:
    return int(np.sum(np.asarray(sample_weight)[y_true == 1]))


def _rates(y: npt.NDArray[np.bool_], p: npt.NDArray[np.bool_], groups: npt.NDArray[np.object_]) -> pd.DataFrame:
    """Counts and rates of each group on the binarised task."""
    from fairlearn.metrics import false_positive_rate, selection_rate, true_positive_rate

    metrics = {
        "n": _count,
        "positives": _positives,
        "selection": selection_rate,
        "tpr": true_positive_rate,
        "fpr": false_positive_rate,
    }
    rates = _by_group(_cells(y, p, groups), metrics).astype(float)
    # fairlearn gives 0 where a group has no row to divide by; a rate over nothing is unknown, not bad.
    rates.loc[rates["positives"] == 0, "tpr"] = np.nan
    rates.loc[rates["positives"] == rates["n"], "fpr"] = np.nan
    return rates


def _quality(
    y: npt.NDArray[np.int64], p: npt.NDArray[np.int64], groups: npt.NDArray[np.object_], classes: Sequence[str]
) -> pd.DataFrame:
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    every = np.arange(len(classes))

    def per_class(
        y_true: npt.NDArray[np.int64], y_pred: npt.NDArray[np.int64], sample_weight: npt.ArrayLike
    ) -> npt.NDArray[np.float64]:
        precision, recall, f1, _ = precision_recall_fscore_support(
            y_true, y_pred, labels=every, zero_division=np.nan, sample_weight=sample_weight
        )
        return np.concatenate([precision, recall, f1])

    found = _by_group(_cells(y, p, groups), {"accuracy": accuracy_score, "classes": per_class})
    names = [f"{measure}: {c}" for measure in ("precision", "recall", "f1") for c in classes]
    table = pd.DataFrame(np.vstack(found["classes"].to_list()), index=found.index, columns=names)
    macro = table[[f"f1: {c}" for c in classes]].mean(axis=1, skipna=True)
    table.insert(0, "accuracy", found["accuracy"].astype(float))
    table.insert(1, "macro F1", macro)
    return table


def _row(group: str, rates: pd.Series, quality: pd.Series, impact: Interval, small: int) -> GroupRow:
    n, positives = int(rates["n"]), int(rates["positives"])
    return GroupRow(
        group=group,
        n=n,
        small=n < small,
        measures={str(k): float(v) for k, v in quality.items()},
        selection_rate=_rate(rates["selection"], n),
        true_positive_rate=_rate(rates["tpr"], positives),
        false_positive_rate=_rate(rates["fpr"], n - positives),
        impact=impact,
    )


def _rate(rate: float, n: int) -> Interval:
    if not n or not math.isfinite(rate):
        return Interval(math.nan, math.nan, math.nan, n)
    return wilson_mean(float(rate), n)


def _parity(rates: pd.DataFrame, seed: int) -> tuple[Parity, ...]:
    """Differences and ratios between groups, as fairlearn defines them; unknown rates are left out."""
    n, positives = rates["n"], rates["positives"]
    selection, tpr, fpr = (rates["selection"], n), (rates["tpr"], positives), (rates["fpr"], n - positives)
    notions: tuple[tuple[str, list[Family]], ...] = (
        ("demographic parity", [selection]),
        # The worse of both rates; where one is unknown, so is the whole.
        ("equalised odds", [tpr, fpr]),
        ("equal opportunity", [tpr]),
    )
    return tuple(
        Parity(name, largest_difference(families, seed), smallest_ratio(families, seed)) for name, families in notions
    )
