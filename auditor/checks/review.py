"""Were the teacher's labels right? What people found in a sample of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.judged import (
    ReviewOptions,
    agreement_measures,
    earlier_finding,
    lot_finding,
    overconfident,
    unsettled_finding,
)
from auditor.measuring import bracket, finite, measured, proportion, usable_arms
from auditor.review.agreement import agreements
from auditor.review.meaning import meanings
from auditor.review.outcome import (
    Lot,
    LotOutcome,
    Outcome,
    Rate,
    lot_sentence,
    outcome,
)
from auditor.stats.interval import Interval
from auditor.types import CheckResult, Finding, Measure
from distill.store import TEACHER
from distill.types import Strings

NAME = "review"


@check(
    NAME,
    "Were the teacher's synthetic labels right, in the eyes of people?",
    needs={"decisions", "synthetic_labels"},
    options=ReviewOptions,
    measures={
        "label_error_rate": "Share of synthetic labels that are wrong, by review of a probability sample.",
        "label_error_bound": "One-sided upper bound on the share of wrong labels in the whole lot.",
        "label_review_coverage": "Share of the planned sample that was decided.",
        "reviewer_raw_agreement": "Share of double-review cards on which two people agree.",
        "reviewer_kappa": "Agreement of two people beyond chance (Cohen).",
        "reviewer_alpha": "Agreement of people beyond chance (Krippendorff, nominal).",
        "reviewer_ac1": "Agreement of people beyond chance (Gwet).",
        "teacher_raw_agreement": "Share of reviewed cards on which people and teacher agree.",
        "teacher_kappa": "Agreement of people and teacher beyond chance (Cohen).",
        "teacher_alpha": "Agreement of people and teacher beyond chance (Krippendorff, nominal).",
        "teacher_ac1": "Agreement of people and teacher beyond chance (Gwet).",
        "accuracy_given_review": "What accuracy can be, given agreement with the teacher and the bound on its wrong labels.",
    },
)
def review(audit: AuditInput, options: ReviewOptions) -> CheckResult:
    """Error rates with their bounds, the lot's verdict, agreement, and what the bound means for figures against synthetic labels."""
    found = outcome(audit.decisions, lot_of(audit))
    said = agreements(audit.decisions, found.round, len(audit.labels), options.resamples)
    implied = _implied(audit, found.lot)
    measures = [
        *_rates(found, audit.labels),
        _bound(found),
        Measure(name="label_review_coverage", value=found.lot.n / found.plan.n, n=found.plan.n, higher_is_better=True),
        *agreement_measures("reviewer", said.people),
        *(
            m
            for pair in said.pairs
            for m in agreement_measures("reviewer", pair.agreement, f"people={' and '.join(pair.who)}")
        ),
        *agreement_measures("teacher", said.teacher),
        *implied,
    ]
    tables: dict[str, list[dict[str, Any]]] = {
        "reasons": [{"reason": reason, "labels": n} for reason, n in found.reasons.items()],
        "honesty": [_honesty(rate) for rate in found.slices if rate.kind == "confidence"],
        "targeted": [{"decided": found.targeted[0], "wrong": found.targeted[1]}],
    }
    findings = _findings(found, measures, implied) + earlier_finding(NAME, audit.decisions, lot_of(audit), found)
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(findings), tables=tables)


def lot_of(audit: AuditInput) -> Lot:
    """The labels under review from the run's files: those that no person had corrected before."""
    frame = audit.synthetic
    frame = frame[~frame["corrected"].to_numpy(dtype=np.bool_)]
    groups: dict[str, Strings] = {}
    if audit.examples.groups:
        rows = audit.examples.frame.set_index("row_id").reindex(frame["row_id"])
        groups = {name: rows[f"group_{name}"].fillna("").to_numpy(dtype=object) for name in audit.examples.groups}
    return Lot(
        frame["row_id"].to_numpy(dtype=object),
        frame["label"].to_numpy(dtype=np.int64),
        frame["confidence"].to_numpy(dtype=np.float64),
        groups,
    )


def _rates(found: Outcome, labels: tuple[str, ...]) -> list[Measure]:
    return [_rate(rate, labels) for rate in (found.overall, *found.slices) if rate.n]


def _rate(rate: Rate, labels: tuple[str, ...]) -> Measure:
    group = None if rate.kind == "all" else f"{rate.kind.removeprefix('group:')}={_name(rate, labels)}"
    detail = {
        "wrong": rate.wrong,
        "open": rate.open,
        "size": rate.size,
        "how": rate.how,
        "mean_confidence": rate.mean_confidence,
    }
    return measured(
        "label_error_rate", rate.interval, TEACHER, n=rate.n, group=group, higher_is_better=False, detail=detail
    )


def _name(rate: Rate, labels: tuple[str, ...]) -> str:
    return labels[int(rate.name)] if rate.kind == "class" else rate.name


def _bound(found: Outcome) -> Measure:
    lot = found.lot
    detail = {"word": lot.word, "final": lot.final, "limit": lot.limit, "round": found.round}
    return Measure(
        name="label_error_bound",
        value=lot.upper,
        low=lot.lower,
        high=lot.upper,
        n=lot.n,
        higher_is_better=False,
        detail=detail,
    )


def _implied(audit: AuditInput, lot: LotOutcome) -> list[Measure]:
    """|P(student wrong) − P(student differs from teacher)| ≤ P(teacher wrong), whatever the errors are (triangle inequality).

    The interval of the agreement and the bound are added up. It speaks of texts like the pool's; the check 'drift' says whether the
    test is like it. Of the teacher itself the bounds say what share of such labels is right.
    """
    if not audit.seeds(TEACHER):
        return []
    settings = {"resamples": audit.spec.audit.resamples, "seed": audit.spec.audit.seed}
    teacher = audit.signal(TEACHER, 0).argmax
    own = Interval(math.nan, 1 - lot.upper, 1 - lot.lower, lot.n)
    bound = {"label_error_bound": lot.upper, "final": lot.final}
    found = [measured("accuracy_given_review", own, TEACHER, higher_is_better=True, detail=bound)]
    for arm in usable_arms(audit):
        same = (audit.probs(arm).argmax(axis=2) == teacher).astype(np.float64)
        (meaning,) = meanings([proportion("agreement", same, arm, **settings)], lot.upper)
        interval = Interval(math.nan, float(meaning.low or 0), float(meaning.high or 0), len(teacher))
        detail = {"agreement": float(same.mean()), **bound}
        found.append(
            measured("accuracy_given_review", interval, arm, versus=TEACHER, higher_is_better=True, detail=detail)
        )
    return found


def _honesty(rate: Rate) -> dict[str, Any]:
    right = finite(1 - rate.interval.value) if rate.n > rate.open else None
    return {
        "confidence": rate.name,
        "mean_confidence": rate.mean_confidence,
        "right": right,
        "right_low": 1 - rate.interval.high,
        "right_high": 1 - rate.interval.low,
        "cards": rate.n,
        "labels": rate.size,
    }


def _vanity(rate: Rate) -> str:
    """'of confidence 0.90–0.95 (93.1 % on average) 78 % [68.2, 86.1] are right (60 cards)'."""
    right = bracket(100 * (1 - rate.interval.high), 100 * (1 - rate.interval.low))
    sure, value = 100 * rate.mean_confidence, 100 * (1 - rate.interval.value)
    return f"of confidence {rate.name} ({sure:.1f} % on average) {value:.1f} % {right} are right ({rate.n:,} cards)"


def _findings(found: Outcome, measures: list[Measure], implied: list[Measure]) -> list[Finding]:
    lot = found.lot
    bound = tuple(m for m in measures if m.name == "label_error_bound")
    said = [lot_finding(NAME, lot, lot_sentence(lot, found.plan.wishes.confidence), bound)]
    early = "" if lot.final else "Early look, not a result: "
    # a warning is a result: before the sample is complete there is none
    vain = [rate for rate in found.slices if overconfident(rate)] if lot.final else []
    if vain:
        said.append(
            Finding(
                check=NAME,
                severity="warning",
                claim=f"The teacher is surer than it is right: {'; '.join(map(_vanity, vain))}.",
                action="Do not read its probabilities as chances of being right.",
            )
        )
    if implied:
        said.append(
            Finding(
                check=NAME,
                severity="info",
                claim=f"{early}A figure scored against synthetic labels can be off by up to {100 * lot.upper:.3g} points either way, "
                "on texts like the pool's.",
                evidence=tuple(implied),
            )
        )
    return said + unsettled_finding(NAME, found)
