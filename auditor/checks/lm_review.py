"""Would people let the teacher's answers stand? What they accepted, mended and rejected in a sample of them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from auditor.check import AuditInput, check
from auditor.judged import (
    ReviewOptions,
    agreement_measures,
    earlier_finding,
    lot_finding,
    unsettled_finding,
)
from auditor.measuring import measured
from auditor.review import answers
from auditor.review.agreement import agreements
from auditor.review.outcome import Lot, Outcome, Rate, item_verdicts, lot_sentence, outcome
from auditor.stats.interval import Interval
from auditor.stats.proportions import hypergeometric_bound
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import GENERATION
from distill.store import TEACHER

NAME = "lm_review"
HALLUCINATED = "hallucinated"


@check(
    NAME,
    "Would people let the teacher's answers stand?",
    needs={"decisions", "synthetic_labels"},
    options=ReviewOptions,
    tasks=GENERATION,
    measures={
        "answer_error_rate": "Share of answers that people would not let stand, by review of a probability sample.",
        "answer_error_bound": "One-sided upper bound on the share of such answers in the whole lot.",
        "answer_review_coverage": "Share of the planned sample that was decided.",
        "answer_reject_rate": "Share of answers that people reject, in the simple random sample.",
        "hallucination_rate": "Share of answers in which people found something invented, in the simple random sample.",
        "reviewer_raw_agreement": "Share of double-review cards on which two people agree.",
        "reviewer_kappa": "Agreement of two people beyond chance (Cohen).",
        "reviewer_alpha": "Agreement of people beyond chance (Krippendorff, nominal).",
        "reviewer_ac1": "Agreement of people beyond chance (Gwet).",
    },
)
def lm_review(audit: AuditInput, options: ReviewOptions) -> CheckResult:
    """Error rates with their bounds, the lot's verdict, why answers fell, and whether people agree. A teacher's confidence in its tokens is no
    chance of being right, so nothing holds one against the other."""
    found = outcome(audit.decisions, lot_of(audit))
    said = agreements(audit.decisions, found.round, len(answers.WORDS), options.resamples)
    lot = found.lot
    bound = Measure(
        name="answer_error_bound",
        value=lot.upper,
        low=lot.lower,
        high=lot.upper,
        n=lot.n,
        higher_is_better=False,
        detail={"word": lot.word, "final": lot.final, "limit": lot.limit, "round": found.round},
    )
    coverage = Measure(name="answer_review_coverage", value=lot.n / lot.planned, n=lot.planned, higher_is_better=True)
    rates = [_rate(rate) for rate in (found.overall, *found.slices) if rate.n]
    shares = _shares(audit.decisions, found)
    return CheckResult(
        name=NAME,
        measures=(*rates, bound, coverage, *shares, *agreement_measures("reviewer", said.people)),
        findings=(*_findings(found, bound, shares), *earlier_finding(NAME, audit.decisions, lot_of(audit), found)),
        tables={
            "reasons": [{"reason": reason, "answers": n} for reason, n in found.reasons.items()],
            "targeted": [{"decided": found.targeted[0], "wrong": found.targeted[1]}],
        },
    )


def lot_of(audit: AuditInput) -> Lot:
    """The answers under review from the run's files: those that no person had mended before."""
    frame = audit.synthetic
    frame = frame[~frame["corrected"].to_numpy(dtype=np.bool_)].reset_index(drop=True)
    confidence = frame["confidence"].to_numpy(dtype=np.float64)
    ids = frame["row_id"].to_numpy(dtype=object)
    return Lot(ids, answers.no_codes(len(frame)), confidence, answers.slices_of(frame, audit.examples))


def _rate(rate: Rate) -> Measure:
    group = None if rate.kind == "all" else f"{rate.kind.removeprefix('group:')}={rate.name}"
    detail = {"wrong": rate.wrong, "open": rate.open, "size": rate.size, "how": rate.how}
    return measured(
        "answer_error_rate", rate.interval, TEACHER, n=rate.n, group=group, higher_is_better=False, detail=detail
    )


def _shares(decisions: pd.DataFrame, found: Outcome) -> list[Measure]:
    """What became of the answers of the simple random sample; open cards count in the upper end only."""
    cards = item_verdicts(decisions, found.round)
    cards = cards[cards["queue"] == "sample"]
    still = int(cards["open"].sum())
    answered = cards[~cards["open"].astype(bool)]
    hits = {
        "answer_reject_rate": int((answered["kind"] == "none").sum()),
        "hallucination_rate": int((answered["reason"] == HALLUCINATED).sum()),
    }
    made = []
    for name, k in hits.items():
        low = hypergeometric_bound(k, len(cards), found.plan.lot, found.plan.wishes.confidence).rate.low
        high = hypergeometric_bound(k + still, len(cards), found.plan.lot, found.plan.wishes.confidence).rate.high
        value = k / len(answered) if len(answered) else math.nan
        interval = Interval(value, low, high, len(cards))
        made.append(measured(name, interval, TEACHER, n=len(cards), higher_is_better=False, detail={"count": k}))
    return made


def _findings(found: Outcome, bound: Measure, shares: list[Measure]) -> list[Finding]:
    claim = (
        f"{lot_sentence(found.lot, found.plan.wishes.confidence)} Wrong is an answer that people mended or rejected."
    )
    said = [lot_finding(NAME, found.lot, claim, (bound,))]
    invented = next(m for m in shares if m.name == "hallucination_rate")
    if invented.detail["count"]:
        said.append(
            Finding(
                check=NAME,
                severity="warning",
                claim=f"People found something invented in {invented.detail['count']:,} of {invented.n:,} answers of the sample.",
                evidence=(invented,),
                action="Students learn to invent from such answers: apply the decisions, or ask a better teacher.",
            )
        )
    return said + unsettled_finding(NAME, found)
