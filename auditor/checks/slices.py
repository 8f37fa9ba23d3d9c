"""Where did a student lose? Accuracy against the teacher within each class and each group, corrected for looking often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.measuring import finite, measured, point_range, points, proportion, teacher_probs, usable_arms
from auditor.stats.multiplicity import benjamini_hochberg
from auditor.stats.paired import paired_bootstrap
from auditor.types import CheckResult, Finding, Measure
from distill.spec import Part
from distill.store import TEACHER
from distill.types import Floats

LEVEL = 0.05


class SlicesOptions(Part):
    """Which slices are looked at."""

    min_rows: int = Field(30, ge=2, description="Slices with fewer labelled test rows are left out.")
    max_values: int = Field(40, ge=2, description="Group columns with more values are left out.")
    resamples: int = Field(2_000, ge=200)


@check(
    "slices",
    "In which classes and groups did a student lose against its teacher?",
    needs={"human_labels", "probabilities", "student"},
    options=SlicesOptions,
    measures={
        "slice_accuracy": "Accuracy within a class or group.",
        "slice_difference": "Accuracy minus the teacher's within a class or group; p values by Benjamini-Hochberg.",
    },
)
def slices(audit: AuditInput, options: SlicesOptions) -> CheckResult:
    """Accuracy of each arm in each slice, the paired difference, and findings for the candidate."""
    y = audit.y[audit.labelled]
    teacher = (teacher_probs(audit)[audit.labelled].argmax(axis=-1) == y).astype(np.float64)[None]
    parts = list(_slices(audit, options))
    if not parts:
        return CheckResult(name="slices", skipped=f"no class or group has {options.min_rows} labelled test rows")
    seed = audit.spec.audit.seed
    measures = [
        proportion("slice_accuracy", teacher[:, mask], TEACHER, options.resamples, seed, group=name)
        for name, mask in parts
    ]
    findings: list[Finding] = []
    for arm in usable_arms(audit):
        right = (audit.probs(arm)[:, audit.labelled].argmax(axis=-1) == y).astype(np.float64)
        measures += [
            proportion("slice_accuracy", right[:, mask], arm, options.resamples, seed, group=name)
            for name, mask in parts
        ]
        differences = _differences(arm, teacher, right, parts, options, seed)
        measures += differences
        if arm == audit.spec.candidate:
            findings = [_finding(m) for m in differences if m.detail["p_adjusted"] is not None and _lost(m)]
    return CheckResult(name="slices", measures=tuple(measures), findings=tuple(findings))


def _slices(audit: AuditInput, options: SlicesOptions) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Name and mask (over the labelled test rows) of each slice that is large enough."""
    y = audit.y[audit.labelled]
    for index, label in enumerate(audit.labels):
        if (y == index).sum() >= options.min_rows:
            yield f"class={label}", y == index
    for column, values in audit.test.groups.items():
        known = np.array(["" if value is None else str(value) for value in values[audit.labelled]], dtype=object)
        names = sorted(set(known) - {"", "nan"})
        if len(names) > options.max_values:
            continue
        for name in names:
            mask = np.asarray(known == name, dtype=np.bool_)
            if mask.sum() >= options.min_rows:
                yield f"{column}={name}", mask


def _differences(
    arm: str,
    teacher: Floats,
    right: Floats,
    parts: list[tuple[str, npt.NDArray[np.bool_]]],
    options: SlicesOptions,
    seed: int,
) -> list[Measure]:
    paired = [
        paired_bootstrap(teacher[:, mask], right[:, mask], resamples=options.resamples, seed=seed).difference
        for _, mask in parts
    ]
    raw = [one.p_value() for one in paired]
    adjusted = benjamini_hochberg(raw)
    common: dict[str, Any] = {"arm": arm, "versus": TEACHER, "higher_is_better": True}
    return [
        measured(
            "slice_difference",
            one.interval(),
            group=name,
            detail={"p": finite(p), "p_adjusted": finite(float(q))},
            **common,
        )
        for (name, _), one, p, q in zip(parts, paired, raw, adjusted, strict=True)
    ]


def _lost(measure: Measure) -> bool:
    return bool(measure.value is not None and measure.value < 0 and measure.detail["p_adjusted"] < LEVEL)


def _finding(measure: Measure) -> Finding:
    return Finding(
        check="slices",
        severity="warning",
        claim=(
            f"'{measure.arm}' lost {points(measure.value)} {point_range(measure.low, measure.high)} of accuracy "
            f"in {measure.group} (n = {measure.n:,}), after correction for the number of slices."
        ),
        evidence=(measure,),
        action="See these texts on the page Examples; more labels of this kind may help.",
    )
