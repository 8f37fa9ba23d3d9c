"""Accuracy of every arm against the teacher's, slice by slice: intervals, correction for looking often, and the worst slice by name.

A slice with too few rows is not judged, but it stays in the list and says how many rows it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from auditor.check import AuditInput
from auditor.comparing import p_of, widened
from auditor.measuring import finite, measured, point_range, points, proportion, teacher_probs, usable_arms
from auditor.stats.multiplicity import benjamini_hochberg
from auditor.stats.paired import paired_bootstrap
from auditor.types import CheckResult, Finding, Measure
from distill.spec import Part
from distill.store import TEACHER
from distill.types import Floats, Strings

LEVEL = 0.05
Mask = npt.NDArray[np.bool_]


class SlicesOptions(Part):
    """Which slices are looked at."""

    min_rows: int = Field(30, ge=2, description="Slices with fewer labelled test rows are listed, but not judged.")
    max_values: int = Field(40, ge=2, description="Group columns with more values are named, but not taken apart.")
    resamples: int = Field(2_000, ge=200)


def by_value(name: str, values: Strings) -> dict[str, Mask]:
    """A slice 'name=value' for each value but the empty one, shape [n] each."""
    known = np.array(["" if value is None else str(value) for value in values], dtype=object)
    return {f"{name}={value}": np.asarray(known == value, dtype=np.bool_) for value in sorted(set(known) - {"", "nan"})}


def judged(
    audit: AuditInput, check: str, worst: str, slices: Mapping[str, Mask], options: SlicesOptions
) -> CheckResult:
    """Accuracy in each slice, the paired difference to the teacher, and the worst slice of each arm.

    Args:
        check: whose result it is.
        worst: name of the measure of the worst slice.
        slices: mask over the labelled test rows, by name.
    """
    parts = [(name, mask) for name, mask in slices.items() if mask.sum() >= options.min_rows]
    few = {name: int(mask.sum()) for name, mask in slices.items() if mask.sum() < options.min_rows}
    if not parts:
        listed = "; ".join(f"{name}: n = {n}" for name, n in few.items())
        return CheckResult(
            name=check, skipped=f"no slice has {options.min_rows} labelled test rows ({listed or 'none'})"
        )
    y, seed = audit.y[audit.labelled], audit.spec.audit.seed
    teacher = (teacher_probs(audit)[audit.labelled].argmax(axis=-1) == y).astype(np.float64)[None]
    measures = _accuracies(TEACHER, teacher, parts, options, seed)
    findings: list[Finding] = []
    for arm in usable_arms(audit):
        right = (audit.probs(arm)[:, audit.labelled].argmax(axis=-1) == y).astype(np.float64)
        differences = _differences(arm, teacher, right, parts, options, seed)
        last = _worst(worst, differences)
        measures += [*_accuracies(arm, right, parts, options, seed), *differences, *_too_few(arm, few), last]
        if arm == audit.spec.candidate:
            lost = [m for m in differences if _lost(m)]
            twins = _twins(parts)
            findings = [_finding(check, m, twins[m.group or ""]) for m in lost if m.group in twins]
            findings += [] if lost else [_worst_finding(check, last)]
    return CheckResult(name=check, measures=tuple(measures), findings=tuple(findings))


def _accuracies(
    arm: str, right: Floats, parts: list[tuple[str, Mask]], options: SlicesOptions, seed: int
) -> list[Measure]:
    return [
        proportion("slice_accuracy", right[:, mask], arm, options.resamples, seed, group=name) for name, mask in parts
    ]


def _differences(
    arm: str, teacher: Floats, right: Floats, parts: list[tuple[str, Mask]], options: SlicesOptions, seed: int
) -> list[Measure]:
    paired = [
        paired_bootstrap(teacher[:, mask], right[:, mask], resamples=options.resamples, seed=seed) for _, mask in parts
    ]
    pairs = [(teacher[:, mask], right[:, mask]) for _, mask in parts]
    raw = [p_of(one, *pair) for one, pair in zip(paired, pairs, strict=True)]
    adjusted = benjamini_hochberg(raw)
    common: dict[str, Any] = {"arm": arm, "versus": TEACHER, "higher_is_better": True}
    return [
        measured(
            "slice_difference",
            widened(one, *pair)[1],
            group=name,
            detail={"p": finite(p), "p_adjusted": finite(float(q))},
            **common,
        )
        for (name, _), one, pair, p, q in zip(parts, paired, pairs, raw, adjusted, strict=True)
    ]


def _too_few(arm: str, few: Mapping[str, int]) -> list[Measure]:
    return [
        Measure(
            name="slice_difference",
            value=None,
            arm=arm,
            group=name,
            n=n,
            versus=TEACHER,
            higher_is_better=True,
            detail={"p": None, "p_adjusted": None, "reason": f"n = {n}: too few to judge"},
        )
        for name, n in few.items()
    ]


def _worst(name: str, differences: list[Measure]) -> Measure:
    """The slice with the largest loss. The interval is that of the slice alone: the worst of many looks worse than it is."""
    last = min(differences, key=lambda m: m.value if m.value is not None else 0.0)
    detail = {**last.detail, "slice": last.group, "of": len(differences)}
    return last.model_copy(update={"name": name, "group": None, "detail": detail})


def _lost(measure: Measure) -> bool:
    adjusted = measure.detail["p_adjusted"]
    return measure.value is not None and measure.value < 0 and adjusted is not None and adjusted < LEVEL


def _twins(parts: list[tuple[str, Mask]]) -> dict[str, list[str]]:
    """The first slice of those that are the very same rows, with the others' names: their figures are one, and are told once."""
    found: dict[bytes, list[str]] = {}
    for name, mask in parts:
        found.setdefault(mask.tobytes(), []).append(name)
    return {first: others for first, *others in found.values()}


def _finding(check: str, measure: Measure, same: list[str]) -> Finding:
    rows = "".join(f", the same rows as {name}" for name in same)
    return Finding(
        check=check,
        severity="warning",
        claim=(
            f"'{measure.arm}' lost {points(measure.value)} {point_range(measure.low, measure.high)} of accuracy "
            f"in {measure.group} (n = {measure.n:,}{rows}), after correction for the number of slices."
        ),
        evidence=(measure,),
        action="See these texts on the page Examples; more labels of this kind may help.",
    )


def _worst_finding(check: str, measure: Measure) -> Finding:
    return Finding(
        check=check,
        severity="info",
        claim=(
            f"The worst of {measure.detail['of']} slices for '{measure.arm}' is {measure.detail['slice']}: "
            f"{points(measure.value)} {point_range(measure.low, measure.high)} of accuracy against the teacher "
            f"(n = {measure.n:,}); after correction for the number of slices that is no clear loss."
        ),
        evidence=(measure,),
    )
