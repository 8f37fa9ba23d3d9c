"""Is the pool like the test? A student learns on the one and is judged on the other."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.measuring import measured
from auditor.stats.interval import Interval
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import BOTH
from distill.spec import Part
from distill.store import TEACHER
from distill.types import Floats, Ints


class DriftOptions(Part):
    """From where on a difference matters."""

    tolerated: float = Field(0.1, gt=0, lt=1, description="Distance from which a finding is a warning.")
    resamples: int = Field(1_000, ge=100)


@check(
    "drift",
    "Is the pool like the test, in labels and in length?",
    needs={"probabilities", "synthetic_labels", "texts"},
    tasks=BOTH,
    options=DriftOptions,
    measures={
        "label_drift": "Total variation distance between the teacher's labels on pool and test (0 = same mix).",
        "length_drift": "Kolmogorov-Smirnov distance between the lengths in words of pool and test (0 = same).",
    },
)
def drift(audit: AuditInput, options: DriftOptions) -> CheckResult:
    """Both distances with bootstrap intervals; the null value that chance alone would give stands in ``detail``."""
    rng = np.random.default_rng(audit.spec.audit.seed)
    length_pool = _lengths(audit.examples.part("pool").texts)
    length_test = _lengths(audit.test.texts)
    measures = [_labels(audit, options, rng)] if audit.labels else []
    measures.append(_length_drift(length_pool, length_test, options, rng))
    findings = [_finding(m) for m in measures if m.low is not None and m.low > options.tolerated]
    return CheckResult(name="drift", measures=tuple(measures), findings=tuple(findings))


def _labels(audit: AuditInput, options: DriftOptions, rng: np.random.Generator) -> Measure:
    classes = len(audit.labels)
    pool = audit.synthetic["teacher_label"].to_numpy(dtype=np.int64)
    test = np.asarray(audit.signal(TEACHER, 0).argmax)
    return _label_drift(np.bincount(pool, minlength=classes), np.bincount(test, minlength=classes), options, rng)


def _lengths(texts: list[str]) -> Ints:
    return np.array([len(text.split()) for text in texts], dtype=np.int64)


def _label_drift(pool: Ints, test: Ints, options: DriftOptions, rng: np.random.Generator) -> Measure:
    def distance(one: Floats, two: Floats) -> Floats:
        gap = np.abs(one / one.sum(axis=-1, keepdims=True) - two / two.sum(axis=-1, keepdims=True))
        return np.asarray(gap.sum(axis=-1) / 2, dtype=np.float64)

    both = (pool + test) / (pool + test).sum()
    draws = distance(*(rng.multinomial(c.sum(), c / c.sum(), options.resamples).astype(float) for c in (pool, test)))
    chance = distance(*(rng.multinomial(c.sum(), both, options.resamples).astype(float) for c in (pool, test)))
    value = float(distance(pool.astype(float), test.astype(float)))
    return _measure("label_drift", value, draws, chance, int(test.sum()))


def _length_drift(pool: Ints, test: Ints, options: DriftOptions, rng: np.random.Generator) -> Measure:
    top = int(max(pool.max(initial=0), test.max(initial=0))) + 1
    counts = [np.bincount(lengths, minlength=top) for lengths in (pool, test)]

    def distance(one: Floats, two: Floats) -> Floats:
        cumulated = [np.cumsum(c, axis=-1) / c.sum(axis=-1, keepdims=True) for c in (one, two)]
        return np.asarray(np.abs(cumulated[0] - cumulated[1]).max(axis=-1), dtype=np.float64)

    both = sum(counts) / sum(c.sum() for c in counts)
    draws = distance(*(rng.multinomial(c.sum(), c / c.sum(), options.resamples).astype(float) for c in counts))
    chance = distance(*(rng.multinomial(c.sum(), both, options.resamples).astype(float) for c in counts))
    value = float(distance(*(c.astype(float) for c in counts)))
    return _measure("length_drift", value, draws, chance, int(counts[1].sum()))


def _measure(name: str, value: float, draws: Floats, chance: Floats, n: int) -> Measure:
    """A distance is biased upwards by chance, so the basic bootstrap interval, cut at zero, is used (Davison & Hinkley 1997, 5.2)."""
    low, high = (2 * value - q for q in np.quantile(draws, [0.975, 0.025]))
    interval = Interval(value, max(0.0, min(low, value)), min(1.0, max(high, value)), n)
    detail = {"chance_95": float(np.quantile(chance, 0.95))}
    return measured(name, interval, "data", higher_is_better=False, detail=detail)


def _finding(measure: Measure) -> Finding:
    what = "labels" if measure.name == "label_drift" else "lengths"
    return Finding(
        check="drift",
        severity="warning",
        claim=f"The {what} of pool and test differ (distance {measure.value:.2f}; chance alone stays below "
        f"{measure.detail['chance_95']:.2f}).",
        evidence=(measure,),
        action="Take the pool from where the student will work.",
    )
