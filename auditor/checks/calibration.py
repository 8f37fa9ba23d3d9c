"""Are the probabilities honest, as they are and after temperature scaling on dev?"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.measuring import affordable, bootstrapped, has_teacher, measured, spoilt, teacher_probs, usable_arms
from auditor.stats.bootstrap import bootstrap_mean
from auditor.stats.calibration import (
    BINS,
    Temperature,
    apply_temperature,
    brier_items,
    calibration_error,
    fit_temperature,
    nll_items,
    reliability_table,
)
from auditor.stats.paired import paired_bootstrap
from auditor.types import CheckResult, Finding, Measure
from distill.spec import Part
from distill.store import TEACHER
from distill.types import Floats, Ints

BADLY = 0.05  # a calibration error that is surely above this is worth a finding


class CalibrationOptions(Part):
    """How confidence is binned."""

    bins: int = Field(BINS, ge=2, le=100, description="Bins of equal mass.")


@check(
    "calibration",
    "When a model says 80 %, is it right in 80 % of the cases?",
    needs={"human_labels"},
    options=CalibrationOptions,
    measures={
        "ece": "Expected calibration error, bins of equal mass.",
        "brier": "Brier score, summed over the classes.",
        "brier_difference": "Brier score minus the teacher's, on the same texts.",
        "nll": "Mean negative log-likelihood of people's labels.",
        "temperature": "Temperature that makes dev's labels most likely; above 1: over-confident.",
        "ece_scaled": "Expected calibration error after temperature scaling on dev.",
        "brier_scaled": "Brier score after temperature scaling on dev.",
        "nll_scaled": "Mean negative log-likelihood after temperature scaling on dev.",
    },
)
def calibration(audit: AuditInput, options: CalibrationOptions) -> CheckResult:
    """ECE, Brier, log-likelihood and the reliability table of each arm, raw and scaled."""
    arms = usable_arms(audit)
    if has_teacher(audit):
        teacher_probs(audit)
        arms = [TEACHER, *arms]
    measures: list[Measure] = []
    findings: list[Finding] = []
    table: list[dict[str, Any]] = []
    y = audit.y[audit.labelled]
    for arm in arms:
        probs = audit.probs(arm)[:, audit.labelled]
        measures += _figures(audit, arm, probs, y, options, "")
        if arm != TEACHER and arms[0] == TEACHER:
            measures.append(_against_teacher(audit, arm, probs, y))
        table += _reliability(arm, probs, y, options, scaled=False)
        fits = _fits(audit, arm)
        if fits:
            scaled = np.stack([apply_temperature(p, fit.value) for p, fit in zip(probs, fits, strict=True)])
            measures.append(_temperature(arm, fits))
            measures += _figures(audit, arm, scaled, y, options, "_scaled")
            table += _reliability(arm, scaled, y, options, scaled=True)
        findings += _finding(audit, arm, measures, probs, y)
    return CheckResult(
        name="calibration", measures=tuple(measures), findings=tuple(findings), tables={"reliability": table}
    )


def _figures(
    audit: AuditInput, arm: str, probs: Floats, y: Ints, options: CalibrationOptions, suffix: str
) -> list[Measure]:
    settings = audit.spec.audit
    resamples = affordable(settings.resamples, y.size)
    found = calibration_error(probs, y, bins=options.bins, resamples=resamples, seed=settings.seed)
    detail = {"noise_floor": found.noise_floor, "resamples": resamples}
    measures = [measured(f"ece{suffix}", found.error, arm, higher_is_better=False, detail=detail)]
    for name, items in (("brier", brier_items), ("nll", nll_items)):
        scores = np.stack([items(p, y) for p in probs])
        drawn = bootstrap_mean(scores, resamples=resamples, seed=settings.seed)
        unit = "nats" if name == "nll" else "1"
        measures.append(measured(f"{name}{suffix}", drawn.interval(), arm, higher_is_better=False, unit=unit))
    return measures


def _against_teacher(audit: AuditInput, arm: str, probs: Floats, y: Ints) -> Measure:
    """The paired difference of the Brier scores, which is sharper than one of calibration errors."""
    settings = audit.spec.audit
    reference = brier_items(audit.probs(TEACHER)[0, audit.labelled], y)
    scores = np.stack([brier_items(p, y) for p in probs])
    resamples = affordable(settings.resamples, y.size)
    paired = paired_bootstrap(reference, scores, resamples=resamples, seed=settings.seed)
    return bootstrapped("brier_difference", paired.difference, arm, versus=TEACHER, higher_is_better=False)


def _fits(audit: AuditInput, arm: str) -> list[Temperature]:
    """The temperature of each seed, from dev's labels; empty where dev has no labels or no predictions."""
    known = audit.dev.y >= 0
    there = all(audit.run.prediction_path(arm, seed, "dev").exists() for seed in audit.seeds(arm))
    if not known.any() or not there or spoilt(audit, arm, "dev"):
        return []
    y = audit.dev.y[known]
    return [fit_temperature(p[known], y) for p in audit.probs(arm, "dev")]


def _temperature(arm: str, fits: list[Temperature]) -> Measure:
    return Measure(
        name="temperature",
        value=float(np.mean([fit.value for fit in fits])),
        n=fits[0].n,
        arm=arm,
        detail={"by_seed": [fit.value for fit in fits], "at_bound": any(fit.at_bound for fit in fits)},
    )


def _reliability(
    arm: str, probs: Floats, y: Ints, options: CalibrationOptions, *, scaled: bool
) -> list[dict[str, Any]]:
    """Rows of the reliability diagram; ``n`` and the intervals are of items, however many seeds answered them."""
    return [
        {
            "arm": arm,
            "scaled": scaled,
            "low": row.low,
            "high": row.high,
            "confidence": row.confidence,
            "accuracy": row.accuracy.value,
            "accuracy_low": row.accuracy.low,
            "accuracy_high": row.accuracy.high,
            "n": row.n,
        }
        for row in reliability_table(probs, y, bins=options.bins)
    ]


def _finding(audit: AuditInput, arm: str, measures: list[Measure], probs: Floats, y: Ints) -> list[Finding]:
    """Say it when the candidate's or the teacher's confidence misleads."""
    if arm not in (TEACHER, audit.spec.candidate):
        return []
    error = next(m for m in measures if m.name == "ece" and m.arm == arm)
    if error.low is None or error.low <= BADLY:
        return []
    sure, right = float(probs.max(axis=-1).mean()), float((probs.argmax(axis=-1) == y).mean())
    word = "over-confident" if sure > right else "under-confident"
    scaled = next((m for m in measures if m.name == "ece_scaled" and m.arm == arm), None)
    helps = f" Scaling on dev brings the error to {scaled.value:.3f}." if scaled and scaled.value is not None else ""
    who = "The teacher" if arm == TEACHER else f"'{arm}'"
    return [
        Finding(
            check="calibration",
            severity="notice",
            claim=f"{who} is {word}: it claims {100 * sure:.0f} % on average and is right in {100 * right:.0f} %.",
            evidence=(error,),
            action=f"Do not read its probabilities as they are.{helps}",
        )
    ]
