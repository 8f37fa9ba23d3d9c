"""How labels go with gender, from the people's labels to each arm's: where along the way does the association grow?

Two published measures of growth and one of level, whose own growth is its plain difference, paired by rows:

- bias amplification, Zhao et al., "Men also like shopping", EMNLP 2017, eq. 2: for labels that lean to a gender in the reference labels, how much
  more they lean to it in the predictions;
- BiasAmp→ (attribute to task), Wang & Russakovsky, "Directional bias amplification", ICML 2021, eq. 2: how much further the share of a label
  within a gender has moved in the direction in which it already differed;
- bias-corrected Cramér's V (Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", J. Korean Stat. Soc. 2013): strength of the
  association, near 0 on average where there is none, which the plain V is not.

All rest on one table of counts, gender by reference label by predicted label, so resampling rows is one multinomial draw of that table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.stats.interval import FloatArray, IntArray, Interval, generator
from distill.errors import DataError

RESAMPLES = 5_000
# Numbers held at once while resampling.
_CHUNK = 8_000_000
GENDERS = ("female", "male")


@dataclass(frozen=True)
class LedgerLine:
    """One set of labels in the ledger.

    Attributes:
        name: whose labels ('people', 'teacher', 'synthetic labels', an arm).
        association: bias-corrected Cramér's V of label and gender.
        gaps: for each label share within 'female' minus share within 'male'.
        reference: the line that the amplification is measured from, None for the first.
        growth: ``association`` minus that of the reference, on the same rows in each resample; None for the first.
        zhao, directional: amplification from the reference to this line; None for the first. ``directional`` is above 0 where the
            association has grown. Neither is a difference of associations.
        n: rows with one known gender; ``dropped`` rows with neither or both.
    """

    name: str
    association: Interval
    gaps: Mapping[str, Interval]
    reference: str | None
    growth: Interval | None
    zhao: Interval | None
    directional: Interval | None
    n: int
    dropped: int


def ledger(
    labels: Mapping[str, npt.ArrayLike],
    gender: npt.ArrayLike,
    classes: Sequence[str],
    references: Mapping[str, str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[LedgerLine, ...]:
    """The ledger of one run.

    Args:
        labels: for each line the class index ``(rows,)``, in the order of the flow; an arm of several seeds ``(seeds, rows)``.
        gender: ``(rows,)``, 'female' or 'male'; rows with any other value (both, none) are left out and counted.
        classes: names of the classes.
        references: for a line the name of the line it is measured from; by default the line before it.
        resamples, seed: bootstrap over rows.

    Raises:
        DataError: labels and genders of different length, a class index out of range, or only one gender in the rows.
    """
    who = np.asarray(gender, dtype=object)
    used = np.isin(who, GENDERS)
    code = (who[used] == "male").astype(np.int64)
    if len(np.unique(code)) < 2:
        there = "no row" if not used.any() else f"only '{GENDERS[int(code[0])]}'"
        raise DataError(
            f"The label-gender ledger needs both genders, and {there} is in the data.",
            hint="Choose another group column.",
        )
    given = {name: _seeds(name, values, used, len(classes)) for name, values in labels.items()}
    before = dict(zip(list(labels)[1:], labels, strict=False)) if references is None else dict(references)
    lines = []
    for name, seeds in given.items():
        reference = before.get(name)
        if reference is not None and reference not in given:
            raise DataError(
                f"The ledger line '{name}' is measured from '{reference}', which is not there.",
                hint=f"Known: {', '.join(given)}.",
            )
        lines.append(_line(name, seeds, reference, given, code, classes, resamples, seed, int((~used).sum())))
    return tuple(lines)


def counts(gender: npt.ArrayLike, reference: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> IntArray:
    """Rows by gender (0 female, 1 male), reference label and predicted label, ``(2, classes, classes)``."""
    flat = (np.asarray(gender) * classes + np.asarray(reference)) * classes + np.asarray(predicted)
    table: IntArray = np.bincount(flat, minlength=2 * classes * classes).reshape(2, classes, classes)
    return table


def zhao_amplification(table: npt.ArrayLike) -> FloatArray:
    """Mean bias amplification of Zhao et al. 2017 from ``(..., 2, classes, classes)`` counts, ``(...)``.

    (1 / classes) Σ over genders and labels with b*(label, gender) > 1/2 of b̃ - b*, where b = share of the gender among the rows of the label.
    """
    t = np.asarray(table, dtype=np.float64)
    reference, predicted = (_share(t.sum(axis=axis), -2) for axis in (-1, -2))
    leans = reference > 0.5
    growth: FloatArray = np.where(leans, np.nan_to_num(predicted - reference), 0.0).sum(axis=(-2, -1)) / t.shape[-1]
    return growth


def directional_amplification(table: npt.ArrayLike) -> FloatArray:
    """BiasAmp→ of Wang & Russakovsky 2021, attribute to task, from ``(..., 2, classes, classes)`` counts, ``(...)``.

    Mean over genders a and labels t of y Δ - (1 - y) Δ, with y = 1 where P(a, t) > P(a) P(t) in the reference labels, and
    Δ = P(predicted t | a) - P(reference t | a). Where the reference labels hardly lean to a gender the direction is not known, and the
    bootstrap interval then reaches to both sides.
    """
    t = np.asarray(table, dtype=np.float64)
    reference, predicted = (_share(t.sum(axis=axis), -1) for axis in (-1, -2))
    overall = t.sum(axis=(-3, -1)) / t.sum(axis=(-3, -2, -1))[..., None]
    # P(a, t) > P(a) P(t) is P(t | a) > P(t); a hair's breadth is rounding, not association.
    direction = np.where(reference > overall[..., None, :] + 1e-12, 1.0, -1.0)
    growth: FloatArray = np.nan_to_num(direction * (predicted - reference)).mean(axis=(-2, -1))
    return growth


def corrected_cramers_v(table: npt.ArrayLike) -> FloatArray:
    """Bias-corrected Cramér's V of ``(..., rows, columns)`` counts, ``(...)``; empty rows and columns do not count."""
    t = np.asarray(table, dtype=np.float64)
    n = t.sum(axis=(-2, -1))
    r, k = ((t.sum(axis=axis) > 0).sum(axis=-1).astype(np.float64) for axis in (-1, -2))
    expected = t.sum(axis=-1, keepdims=True) * t.sum(axis=-2, keepdims=True) / n[..., None, None]
    chi2 = np.divide((t - expected) ** 2, expected, out=np.zeros_like(t), where=expected > 0).sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        phi2 = np.maximum(chi2 / n - (k - 1) * (r - 1) / (n - 1), 0.0)
        r, k = r - (r - 1) ** 2 / (n - 1), k - (k - 1) ** 2 / (n - 1)
        smaller = np.minimum(r, k) - 1
        v: FloatArray = np.where(smaller > 0, np.sqrt(phi2 / smaller), 0.0)
    return v


def _line(
    name: str,
    seeds: IntArray,
    reference: str | None,
    given: Mapping[str, IntArray],
    gender: IntArray,
    classes: Sequence[str],
    resamples: int,
    seed: int,
    dropped: int,
) -> LedgerLine:
    base = seeds if reference is None else given[reference]
    found, draws = _resampled(gender, base, seeds, len(classes), resamples, seed)
    n = len(gender)
    return LedgerLine(
        name=name,
        association=_interval(found[:, 0], draws[..., 0], n),
        gaps={c: _interval(found[:, 4 + k], draws[..., 4 + k], n) for k, c in enumerate(classes)},
        reference=reference,
        growth=None if reference is None else _interval(found[:, 3], draws[..., 3], n),
        zhao=None if reference is None else _interval(found[:, 1], draws[..., 1], n),
        directional=None if reference is None else _interval(found[:, 2], draws[..., 2], n),
        n=n,
        dropped=dropped,
    )


def _statistics(tables: IntArray) -> FloatArray:
    """Association, both amplifications, growth and the gap of each label from ``(..., 2, c, c)`` counts, ``(..., 4 + c)``."""
    labels = tables.sum(axis=-2)
    shares = _share(labels, -1)
    association = corrected_cramers_v(labels)
    growth = association - corrected_cramers_v(tables.sum(axis=-1))
    four = [association, zhao_amplification(tables), directional_amplification(tables), growth]
    result: FloatArray = np.concatenate([np.stack(four, axis=-1), shares[..., 0, :] - shares[..., 1, :]], axis=-1)
    return result


def _resampled(
    gender: IntArray, base: IntArray, seeds: IntArray, classes: int, resamples: int, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Statistics of each seed ``(seeds, s)`` and of its resamples ``(resamples, seeds, s)``; all seeds see the same drawn rows.

    Rows that look alike in everything need not be told apart, so a draw is one multinomial over the distinct combinations.
    """
    total = max(len(base), len(seeds))
    kinds, times = np.unique(np.vstack([gender, *base, *seeds]), axis=1, return_counts=True)
    who, first, later = kinds[0], kinds[1 : 1 + len(base)], kinds[1 + len(base) :]
    cells = np.stack([(who * classes + first[k % len(base)]) * classes + later[k % len(seeds)] for k in range(total)])
    found = _statistics(_count(cells, times[None], classes)[0])
    rng = generator(seed)
    step = max(1, _CHUNK // (total * 2 * classes * classes + len(times)))
    parts = [
        _statistics(
            _count(cells, rng.multinomial(len(gender), times / times.sum(), size=min(step, resamples - start)), classes)
        )
        for start in range(0, resamples, step)
    ]
    return found, np.concatenate(parts)


def _count(cells: IntArray, drawn: IntArray, classes: int) -> IntArray:
    """``(draws, seeds, 2, c, c)`` counts from how often each combination was drawn, ``(draws, combinations)``."""
    tables = np.zeros((len(drawn), len(cells), 2 * classes * classes), dtype=np.int64)
    for k, cell in enumerate(cells):
        order = np.argsort(cell, kind="stable")
        places, starts = np.unique(cell[order], return_index=True)
        tables[:, k, places] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return tables.reshape(len(drawn), len(cells), 2, classes, classes)


def _interval(seeds: FloatArray, draws: FloatArray, n: int) -> Interval:
    """Mean over seeds, with the percentile interval of the mean over seeds."""
    finite = draws.mean(axis=1)
    low, high = (
        (float(x) for x in np.nanquantile(finite, [0.025, 0.975]))
        if np.isfinite(finite).any()
        else (math.nan, math.nan)
    )
    return Interval(float(seeds.mean()), low, high, n)


def _share(counts_: FloatArray | IntArray, axis: int) -> FloatArray:
    total = counts_.sum(axis=axis, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: FloatArray = counts_ / total
    return share


def _seeds(name: str, values: npt.ArrayLike, used: npt.NDArray[np.bool_], classes: int) -> IntArray:
    array = np.atleast_2d(np.asarray(values))
    if array.shape[1] != len(used):
        raise DataError(
            f"The labels of '{name}' have {array.shape[1]:,} rows and the group column {len(used):,}.",
            hint="Give one label a row.",
        )
    kept = array[:, used]
    if not np.issubdtype(kept.dtype, np.integer) or kept.min() < 0 or kept.max() >= classes:
        raise DataError(
            f"The labels of '{name}' are not class numbers from 0 to {classes - 1}.",
            hint="Encode labels in the order of the classes.",
        )
    return kept.astype(np.int64)
