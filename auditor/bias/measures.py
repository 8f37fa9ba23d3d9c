"""Gaps and their changes as measures: the same names for sentences of our own and for published sets."""

from __future__ import annotations

from typing import Any

from auditor.bias.estimator import ArmGap, GapAudit, GapChange
from auditor.measuring import finite, measured
from auditor.types import Measure
from distill.store import TEACHER


def gap_measures(gap: ArmGap, seeds: list[int], found: GapAudit, group: str | None = None) -> list[Measure]:
    """Gap, signed gap and the gap of each seed of one arm; ``group`` names the test set where there are several."""
    common: dict[str, Any] = {"arm": gap.arm, "n": found.pairs, "unit": "probability", "group": group}
    detail = {"problem": gap.problem, "squared": finite(gap.squared), "cells": found.cells}
    by_seed = [
        Measure(name="gender_bias", value=finite(value), seed=seed, higher_is_better=False, **common)
        for seed, value in zip(seeds, gap.by_seed, strict=False)
    ]
    return [
        measured("gender_bias", gap.gap, detail=detail, higher_is_better=False, **common),
        measured("gender_bias_signed", gap.signed, **common),
        *by_seed,
    ]


def change_measures(change: GapChange, control: str | None, group: str | None = None) -> list[Measure]:
    """The change against the teacher (and what compression did), or against the control: what distillation did."""
    detail = {
        "verdict": change.word,
        "margin": change.margin,
        "smallest_change": finite(change.smallest_change),
        "inner_low": finite(change.change_inner.low),
        "inner_high": finite(change.change_inner.high),
        "reason": change.reason,
    }
    common: dict[str, Any] = {
        "versus": change.reference,
        "n": change.pairs,
        "higher_is_better": False,
        "group": group,
    }
    if change.reference != TEACHER:
        name = "gender_bias_added_by_distillation"
        return [measured(name, change.change, change.candidate, unit="probability", detail=detail, **common)]
    measures = [
        measured("gender_bias_change", change.change, change.candidate, unit="probability", detail=detail, **common)
    ]
    if change.percent is not None:
        measures.append(measured("gender_bias_change_pct", change.percent, change.candidate, unit="%", **common))
    if change.candidate == control:
        name = "gender_bias_added_by_compression"
        measures.append(measured(name, change.change, control, unit="probability", detail=detail, **common))
    return measures
