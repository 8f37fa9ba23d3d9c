"""What the checks of people's judgement share, of labels as of answers: agreement as measures, and what became of the lot as findings."""

from __future__ import annotations

import math

import pandas as pd
from pydantic import Field

from auditor.measuring import measured
from auditor.review.outcome import Lot, LotOutcome, Outcome, Rate, earlier_rounds, earlier_sentence
from auditor.stats.agreement import Agreement
from auditor.types import Finding, Measure, Severity
from distill.spec import Part
from distill.store import TEACHER


class ReviewOptions(Part):
    """How precise the intervals of agreement are."""

    resamples: int = Field(2_000, ge=200)


def agreement_measures(who: str, found: Agreement | None, group: str | None = None) -> list[Measure]:
    """Agreement of people ('reviewer') or of people and teacher, each figure that could be told."""
    if found is None:
        return []
    pieces = {"raw_agreement": found.raw, "kappa": found.kappa, "alpha": found.alpha, "ac1": found.ac1}
    return [
        measured(f"{who}_{name}", interval, TEACHER, group=group, higher_is_better=True)
        for name, interval in pieces.items()
        if interval is not None and not math.isnan(interval.value)
    ]


# decided cards below which a band is not judged: with one interval a band, some exclude the truth by chance
FEWEST = 10


def overconfident(rate: Rate) -> bool:
    """True where even the kindest reading of the sample leaves fewer right labels than the teacher's confidence says."""
    return rate.kind == "confidence" and rate.n - rate.open >= FEWEST and 1 - rate.interval.low < rate.mean_confidence


def earlier_finding(check: str, decisions: pd.DataFrame, lot: Lot, found: Outcome) -> list[Finding]:
    """Rounds before this one; a warning where one refused what this one accepts."""
    before = earlier_rounds(decisions, lot, found.round)
    if not before:
        return []
    chosen = found.lot.word == "accepted" and any(other.word != "accepted" for _, other in before)
    severity: Severity = "warning" if chosen else "info"
    return [Finding(check=check, severity=severity, claim=earlier_sentence(before))]


def unsettled_finding(check: str, found: Outcome) -> list[Finding]:
    """Differences between people that nobody has decided."""
    if not found.unsettled:
        return []
    claim = f"{len(found.unsettled):,} differences between reviewers are not settled."
    return [Finding(check=check, severity="notice", claim=claim, action="Adjudicate them on the page Review.")]


def lot_finding(check: str, lot: LotOutcome, claim: str, evidence: tuple[Measure, ...]) -> Finding:
    """What became of the lot: the more serious the worse."""
    severity: Severity = "info" if lot.word == "accepted" else "serious" if lot.word == "refused" else "notice"
    action = "" if lot.word == "accepted" else "Apply the decisions, or finish the review."
    return Finding(check=check, severity=severity, claim=claim, evidence=evidence, action=action)
