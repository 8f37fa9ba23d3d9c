"""How many human labels would fine-tuning need to match the distilled student? The curve over budgets, and the answer as an interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.comparing import no_narrower
from auditor.measuring import measured, usable_arms
from auditor.stats.bootstrap import bootstrap_mean
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import NoOptions
from distill.types import Floats

NAME = "data_efficiency"
KIND = "label_budget"  # not 'fine_tuned', whose student may start from layers that the teacher has taught already
CLAIMED = 87.5  # % fewer labels, as the article says of Google and Snorkel


@dataclass(frozen=True)
class Budget:
    """One point of the curve: human labels, and accuracy minus the student's with its 95 % interval."""

    labels: int
    difference: float
    low: float
    high: float


@check(
    NAME,
    "How many human labels would fine-tuning need to match the student?",
    needs={"human_labels", "student"},
    measures={
        "budget_difference": "Accuracy of fine-tuning on a budget of human labels minus the candidate's (group labels=N).",
        "labels_to_match": "Human labels with which fine-tuning is as accurate as the candidate; no value when the labels do not suffice, or when the smallest budget does already.",
        "label_saving": "Human labels saved against that number, in %; those that the teacher learnt from count as used.",
    },
)
def data_efficiency(audit: AuditInput, options: NoOptions) -> CheckResult:
    """The curve, where it meets the candidate, and what that says of the claimed saving."""
    candidate = audit.spec.candidate
    kinds = {arm.name: arm.kind for arm in audit.spec.arms}
    arms = [arm for arm in usable_arms(audit) if kinds.get(arm) == KIND and arm != candidate]
    labels = {card.name: card.human_labels for card in audit.cards}
    arms = sorted((arm for arm in arms if labels.get(arm)), key=labels.__getitem__)
    if len(arms) < 2 or candidate not in usable_arms(audit):
        return CheckResult(name=NAME, skipped="there are not two budgets of human labels beside the candidate")
    measures = [_difference(audit, arm, labels[arm]) for arm in arms]
    curve = [Budget(labels[arm], _number(m.value), _number(m.low), _number(m.high)) for arm, m in zip(arms, measures, strict=True)]  # fmt: skip
    matched = _matched(candidate, curve, measures[0].n)
    used = audit.teacher_card.human_labels
    saving = _saving(candidate, matched, used)
    measures += [matched, *([saving] if saving else [])]
    return CheckResult(
        name=NAME,
        measures=tuple(measures),
        findings=(_finding(candidate, matched, saving, curve[-1].labels, used),),
        tables={"curve": [vars(point) for point in curve]},
    )


def _hits(audit: AuditInput, arm: str) -> Floats:
    right = audit.probs(arm).argmax(axis=2)[:, audit.labelled] == audit.y[audit.labelled][None, :]
    return np.asarray(right.mean(axis=0), dtype=np.float64)


def _difference(audit: AuditInput, arm: str, labels: int) -> Measure:
    """Paired over the test rows, seed means."""
    mine, candidate = _hits(audit, arm), _hits(audit, audit.spec.candidate)
    spec = audit.spec.audit
    found = bootstrap_mean((mine - candidate)[None, :], resamples=spec.resamples, seed=spec.seed).interval()
    return measured(
        "budget_difference",
        no_narrower(found, candidate, mine),
        arm,
        group=f"labels={labels}",
        versus=audit.spec.candidate,
        higher_is_better=True,
    )


@dataclass(frozen=True)
class Crossing:
    """Where a curve reaches 0 for good.

    ``labels`` is None where it never does within the budgets (``beyond``), or where it is never below 0 (``before``): then the smallest
    budget is enough, and fewer labels may be.
    """

    labels: float | None
    before: bool = False
    beyond: bool = False


def match(curve: Sequence[Budget]) -> tuple[Crossing, Crossing, Crossing]:
    """Labels at which the curve reaches the student: estimate, and the fewest and most that the intervals allow.

    Between two budgets the difference is taken as straight in the logarithm of the labels. The fewest is where the upper bound
    of the difference reaches 0, the most where its lower bound does.
    """
    points = [(one.labels, one.difference, one.high, one.low) for one in curve]
    value, fewest, most = (_crossing([(p[0], p[k]) for p in points]) for k in (1, 2, 3))
    return value, fewest, most


def _crossing(points: Sequence[tuple[int, float]]) -> Crossing:
    """After its last point below 0."""
    below = [position for position, (_, height) in enumerate(points) if height < 0]
    if not below:
        return Crossing(None, before=True)
    last = below[-1]
    if last == len(points) - 1:
        return Crossing(None, beyond=True)
    (x0, y0), (x1, y1) = points[last], points[last + 1]
    share = -y0 / (y1 - y0)
    return Crossing(math.exp(math.log(x0) + share * (math.log(x1) - math.log(x0))))


def _matched(candidate: str, curve: Sequence[Budget], n: int) -> Measure:
    value, fewest, most = match(curve)
    smallest = curve[0].labels
    # The most is an upper bound: that fewer than the smallest budget might do leaves the budget itself as one.
    high = float(smallest) if most.before else most.labels
    detail: dict[str, Any] = {"budgets": [one.labels for one in curve], "available": curve[-1].labels}
    if value.before:
        detail |= {"at_most": smallest, "reason": f"the smallest budget, {smallest:,} labels, is enough already"}
    if value.beyond:
        detail["reason"] = "not within the labels available"
    common: dict[str, Any] = {"n": n, "arm": candidate, "unit": "labels", "detail": detail}
    return Measure(name="labels_to_match", value=value.labels, low=fewest.labels, high=high, **common)


def _saving(candidate: str, matched: Measure, used: int) -> Measure | None:
    """1 − labels used ÷ labels to match, in %; without a match, the least it must be is not known either."""
    if matched.value is None:
        return None
    low, high = (None if bound is None else 100 * (1 - used / bound) for bound in (matched.low, matched.high))
    detail = {"claimed": CLAIMED, "used": used}
    value = 100 * (1 - used / matched.value)
    common: dict[str, Any] = {"unit": "%", "n": matched.n, "arm": candidate, "higher_is_better": True}
    return Measure(name="label_saving", value=value, low=low, high=high, detail=detail, **common)


def _finding(candidate: str, matched: Measure, saving: Measure | None, most: int, used: int) -> Finding:
    if matched.value is None:
        return Finding(
            check=NAME, severity="info", claim=_unmatched(candidate, matched, most, used), evidence=(matched,)
        )
    fewest = "fewer than the smallest budget" if matched.low is None else f"{matched.low:,.0f}"
    highest = "more than there are" if matched.high is None else f"{matched.high:,.0f}"
    percent = (
        f" That saves {saving.value:.0f} % of the labels; {CLAIMED} % is claimed." if saving and saving.value else ""
    )
    claim = f"Fine-tuning matches '{candidate}' with about {matched.value:,.0f} human labels [{fewest}, {highest}]; {used:,} stand behind the teacher.{percent}"
    return Finding(check=NAME, severity="info", claim=claim, evidence=(matched, *([saving] if saving else [])))


def _unmatched(candidate: str, matched: Measure, most: int, used: int) -> str:
    """No number: the labels do not suffice, or the smallest budget does already."""
    ends = f"The {used:,} labels behind the teacher count as used; the claimed saving of {CLAIMED} % can be neither confirmed nor refuted."
    if (smallest := matched.detail.get("at_most")) is not None:
        highest = "more than there are" if matched.high is None else f"{matched.high:,.0f}"
        return (
            f"Fine-tuning matches '{candidate}' with at most {smallest:,} human labels, the smallest budget tried; with how few is not known, and "
            f"the interval reaches up to {highest}. {ends}"
        )
    fewest = f"at least {matched.low:,.0f}, and " if matched.low is not None else ""
    return f"Fine-tuning does not match '{candidate}' within the {most:,} human labels available: it needs {fewest}more than there are. {ends}"


def _number(value: float | None) -> float:
    return math.nan if value is None else value
