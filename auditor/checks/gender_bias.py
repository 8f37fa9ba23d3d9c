"""How biased is each model by gender, and what did distillation change about it? Counterfactual sentences of our own."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import Field

from auditor.bias.association import occupation_association
from auditor.bias.estimator import GapAudit, audit_gaps, slice_changes
from auditor.bias.items import build_items
from auditor.bias.measures import change_measures, gap_measures
from auditor.bias.scoring import LexiconOptions, Scorer, comparisons, lexicon_of, nothing, single_texts
from auditor.check import AuditInput, check
from auditor.gates import limit_said
from auditor.measuring import control_of, finite, measured
from auditor.types import CheckResult, Finding, Severity
from distill.errors import DataError
from distill.spec import RunSpec
from distill.store import TEACHER
from distill.types import Examples

NAME = "gender_bias"


class GenderBiasOptions(LexiconOptions):
    """How many sentences, and which."""

    pairs_per_cell: int = Field(5, ge=2, le=50, description="Pairs of sentences in each cell of template and word.")


def items(spec: RunSpec, examples: Examples, options: GenderBiasOptions) -> pd.DataFrame:
    """The counterfactual sentences; none where the check will be skipped."""
    if not single_texts(examples) or spec.data.positive is None:
        return nothing()
    try:
        lexicon = lexicon_of(spec, options)
        if not lexicon.templates:
            return nothing()
        # the number of the pair keeps two alike sentences apart; 'pair' itself means a second text to whoever predicts
        return build_items(lexicon, options.pairs_per_cell).frame.rename(columns={"pair": "pair_number"})
    except DataError:
        return nothing()  # the check gives the reason: an audit goes on without one of its checks


@check(
    NAME,
    "How biased is each model by gender, and what did distillation change?",
    needs={"probabilities"},
    options=GenderBiasOptions,
    items=items,
    measures={
        "gender_bias": "Gender gap G: root mean square difference between the same sentences about women and men, noise taken off.",
        "gender_bias_signed": "Mean score about women minus mean score about men.",
        "gender_bias_change": "The arm's gender gap minus the teacher's.",
        "gender_bias_change_pct": "The same in % of the teacher's gap; only where that gap is certainly above 0.005.",
        "gender_bias_added_by_distillation": "The candidate's gap minus the hard-label control's: what soft targets did.",
        "gender_bias_added_by_compression": "The hard-label control's gap minus the teacher's: what a smaller model did.",
        "stereotype_association": "Correlation over occupations of the gap with the share of women who work in them.",
    },
)
def gender_bias(audit: AuditInput, options: GenderBiasOptions) -> CheckResult:
    """Gap of each arm, changes with verdict, slices with Benjamini-Hochberg, association with occupations."""
    if not single_texts(audit.examples):
        return CheckResult(
            name=NAME, skipped="the task has two texts a row, and the sentences of this check are single"
        )
    scorer = Scorer(audit, NAME)
    lexicon = lexicon_of(audit.spec, options)
    _ = scorer.positive  # no positive class is a clearer reason than no sentences
    if scorer.items.empty or TEACHER not in scorer.arms:
        return CheckResult(name=NAME, skipped="no model could be asked for the check's own sentences")
    frame, index = scorer.items, scorer.items["position"].to_numpy()
    control = control_of(audit.spec, scorer.arms)
    scores = {arm: scorer.scores(arm) for arm in scorer.arms}
    settings: dict[str, Any] = {"resamples": options.resamples, "seed": audit.spec.audit.seed}
    pairs = comparisons(audit.spec.candidate, control, scorer.arms)
    found = audit_gaps(
        frame, index, scores, pairs, margin=audit.spec.audit.bias_margin, quality=scorer.quality(), **settings
    )
    measures = [m for gap in found.arms for m in gap_measures(gap, audit.seeds(gap.arm), found)]
    measures += [m for change in found.changes for m in change_measures(change, control)]
    tables: dict[str, list[dict[str, Any]]] = {"occupations": []}
    for arm in scorer.arms:
        if not found.arm(arm).gap.known:
            continue
        seeds = pd.DataFrame(dict(enumerate(scores[arm]))).to_numpy()
        association = occupation_association(frame, index, seeds, lexicon.occupations, **settings)
        detail = {"slope": finite(association.slope), "problem": association.problem}
        measures.append(measured("stereotype_association", association.pearson, arm, detail=detail))
        tables["occupations"] += [
            {str(k): v for k, v in row.items()} for row in association.points.assign(arm=arm).to_dict("records")
        ]
    if (audit.spec.candidate, TEACHER) in pairs and found.arm(audit.spec.candidate).gap.known:
        comparison = (audit.spec.candidate, TEACHER)
        tables["slices"] = [
            _slice_row(s) for s in slice_changes(frame, index, scores, comparison, seed=settings["seed"])
        ]
    return CheckResult(name=NAME, measures=tuple(measures), findings=_findings(found, audit, control), tables=tables)


def _slice_row(found: Any) -> dict[str, Any]:
    change = found.change
    return {
        "slice": f"{found.dimension}={found.value}",
        "change": finite(change.value),
        "low": finite(change.low),
        "high": finite(change.high),
        "n": change.n,
        "p_adjusted": finite(found.adjusted_p),
    }


def _findings(found: GapAudit, audit: AuditInput, control: str | None) -> tuple[Finding, ...]:
    candidate = audit.spec.candidate
    severity: dict[str, Severity] = {
        "amplified": "warning",
        "reduced": "info",
        "equivalent": "info",
        "cannot tell": "notice",
    }
    findings = []
    for change in found.changes:
        if change.candidate != candidate:
            continue
        what = "Distillation" if change.reference == TEACHER else "Soft targets, against hard labels,"
        evidence = tuple(change_measures(change, control))
        action = "See the pairs on the page Bias, or run again with a mitigation." if change.word == "amplified" else ""
        findings.append(
            Finding(
                check=NAME,
                severity=severity[change.word],
                claim=change.sentence(what)
                + "".join(limit_said(m, audit.spec.audit) for m in evidence if m.versus == TEACHER),
                evidence=evidence,
                action=action,
            )
        )
    findings += [
        Finding(check=NAME, severity="notice", claim=f"The gap of '{gap.arm}' is not fairness. {gap.problem}")
        for gap in found.arms
        if gap.problem
    ]
    return tuple(findings)
