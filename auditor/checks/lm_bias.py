"""How biased is each language model by gender, and what did distillation change? Pairs of sentences from published test sets.

Item score: σ(S) − ½, where S is the log-likelihood of the sentence about a woman minus that of the same sentence about a man. From there
on the statistics are those of the classifiers: gap G over cells with its noise taken off, signed mean, paired changes with an equivalence
verdict, what distillation and what compression added. One set is the primary one, named before the run; the others stand beside it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from auditor.bias.association import LEAST_OCCUPATIONS, correlate
from auditor.bias.estimator import GapAudit, GapChange, audit_pair_gaps, model_problem
from auditor.bias.likelihood import SIDES, LikelihoodScorer, SetOfPairs, oriented, usable
from auditor.bias.lm_choice_bias import bbq_measures
from auditor.bias.lm_pairs import shares_of_women
from auditor.bias.lm_sets import READERS, TITLES, as_rows, chosen
from auditor.bias.measures import change_measures, gap_measures
from auditor.bias.scoring import comparisons, nothing
from auditor.check import AuditInput, check
from auditor.language import compared
from auditor.measuring import bootstrapped, control_of, finite, measured
from auditor.stats.bootstrap import Bootstrap, ResampledMeans, resample_means
from auditor.stats.interval import Interval
from auditor.types import CheckResult, Finding, Measure, Severity
from distill.errors import DataError, PackError
from distill.plugins import GENERATION
from distill.spec import Part, RunSpec
from distill.store import TEACHER
from distill.types import Examples, Floats

NAME = "lm_bias"
MULTIPLE_CHOICE = "bbq_gender"
FEWEST = 200  # pairs


class LanguageBiasOptions(Part):
    """Which sets, how much of each, and which one is the primary."""

    sets: tuple[str, ...] = Field(tuple(READERS), description="Test sets: " + ", ".join(READERS) + ".")
    primary: str = Field("winobias", description="The set that the gates speak of; named before the run.")
    items: int = Field(500, ge=20, le=20_000, description="Pairs of each set, about: whole clusters are taken.")
    resamples: int = Field(5_000, ge=200)

    @field_validator("sets")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in READERS]
        if unknown:
            raise ValueError(f"there is no test set '{unknown[0]}': {', '.join(READERS)}")
        return value

    @field_validator("primary")
    @classmethod
    def _is_a_set(cls, value: str) -> str:
        return cls._known((value,))[0]

    @property
    def asked(self) -> tuple[str, ...]:
        """The sets, the primary one first."""
        return tuple(dict.fromkeys((self.primary, *self.sets)))


def items(spec: RunSpec, examples: Examples, options: LanguageBiasOptions) -> pd.DataFrame:
    """Both sides of every pair (three of a multiple-choice question); a set whose pack is missing is left out and named later."""
    rows: list[dict[str, Any]] = []
    first = 0
    for name in options.asked:
        try:
            pairs = chosen(name, options.items)
        except PackError:
            continue
        rows += as_rows(pairs, first)
        first += len(pairs)
    return pd.DataFrame(rows) if rows else nothing()


@check(
    NAME,
    "How biased is each language model by gender, and what did distillation change?",
    needs={"answers", "items"},
    tasks=GENERATION,
    options=LanguageBiasOptions,
    items=items,
    measures={
        "gender_bias": "Gender gap G over occupations or templates: root mean square preference for the sentence about a woman, noise taken off (primary set; group set=… for each).",
        "gender_bias_signed": "Mean preference σ(S) − ½ for the sentence about a woman; below 0 the model prefers men.",
        "gender_bias_change": "The arm's gender gap minus the teacher's.",
        "gender_bias_change_pct": "The same in % of the teacher's gap; only where that gap is certainly above 0.005.",
        "gender_bias_added_by_distillation": "The candidate's gap minus the sequence-level control's: what the teacher's distribution did.",
        "gender_bias_added_by_compression": "The control's gap minus the teacher's: what a smaller model did.",
        "stereotype_preference": "Mean preference σ(S) − ½ for the stereotyped sentence of a pair; 0 is none.",
        "stereotype_preference_change": "The same minus the teacher's.",
        "stereotype_association": "Correlation over occupations of the mean preference for the woman with the share of women who work in them.",
        "perplexity": "Perplexity of the set's sentences, from where the two of a pair differ (group set=…): the quality beside the bias.",
        "bbq_accuracy": "Share of right answers on BBQ, the likeliest of three (group ambiguous or disambiguated).",
        "bbq_bias_score": "BBQ's bias score, −1 to 1; above 0 answers follow stereotypes (Parrish et al. 2022).",
    },
)
def lm_bias(audit: AuditInput, options: LanguageBiasOptions) -> CheckResult:
    """Gap, stereotype and perplexity of each set and arm; changes with verdict; the primary set also without a group, for the gates."""
    scorer = LikelihoodScorer(audit, NAME)
    if scorer.items.empty or TEACHER not in scorer.arms:
        return CheckResult(name=NAME, skipped="no language model could be asked for the likelihood of the test sets")
    problems = scorer.problems()
    measures: list[Measure] = []
    findings: list[Finding] = []
    rows: list[dict[str, Any]] = []
    occupations: list[dict[str, Any]] = []
    for name in options.asked:
        part = scorer.of(name)
        if not len(part):
            findings.append(_missing(name))
            continue
        try:
            found = _gaps(audit, part, options, problems)
        except DataError as error:
            findings.append(Finding(check=NAME, severity="notice", claim=f"{TITLES[name]}: {error}"))
            continue
        primary = name == options.primary
        for group in (f"set={name}", *((None,) if primary else ())):
            measures += _gap_and_change(audit, found, group)
        mine = [*_stereotype(audit, part, options), *_perplexity(audit, part, options)]
        measures += mine
        for group in (f"set={name}", *((None,) if primary else ())):
            told, points = _associations(audit, part, options, group)
            measures += told
        occupations += points
        if name == MULTIPLE_CHOICE:
            measures += bbq_measures(audit, part, options.resamples)
        findings += _findings(audit, found, name, primary)
        rows += _rows(found, name, mine)
    findings += [
        Finding(check=NAME, severity="notice", claim=f"The gap of '{arm}' is not fairness. {reason}")
        for arm, reason in problems.items()
    ]
    return CheckResult(
        name=NAME, measures=tuple(measures), findings=tuple(findings), tables={"sets": rows, "occupations": occupations}
    )


def _gaps(audit: AuditInput, part: SetOfPairs, options: LanguageBiasOptions, problems: dict[str, str]) -> GapAudit:
    """Gaps and changes of all arms on one set; of multiple choice only where nobody is the right answer."""
    frame = part.pairs
    kept = (frame["right"] == "unknown").to_numpy() if part.name == MULTIPLE_CHOICE else np.ones(len(frame), bool)
    scores = {arm: [one[kept] for one in part.preferences(arm)] for arm in part.scorer.arms}
    reasons = {arm: _reason(seeds, problems.get(arm, "")) for arm, seeds in scores.items()}
    control = control_of(audit.spec, part.scorer.arms)
    design = frame[kept].rename(columns={"filler": "filler_pair"}).reset_index(drop=True)
    found = audit_pair_gaps(
        design,
        scores,
        comparisons(audit.spec.candidate, control, part.scorer.arms),
        margin=audit.spec.audit.bias_margin,
        problems=reasons,
        published=True,
        resamples=options.resamples,
        seed=audit.spec.audit.seed,
    )
    if len(design) >= FEWEST:
        return found
    few = f"{len(design):,} pairs are too few to judge a change: it takes {FEWEST}."
    return replace(found, changes=tuple(_undecided(change, few) for change in found.changes))


def _undecided(change: GapChange, reason: str) -> GapChange:
    """The change without bounds: in simulations on so few pairs three intervals in ten missed the truth. Identical models stay equal."""
    if change.word == "equivalent" and change.change.width == 0:
        return change
    nothing = Interval(change.change.value, math.nan, math.nan, change.pairs)
    return replace(
        change,
        change=nothing,
        change_inner=nothing,
        percent=None,
        word="cannot tell",
        smallest_change=math.nan,
        reason=reason,
    )


def _reason(seeds: list[Floats], known: str) -> str:
    return known or next((reason for reason in map(model_problem, seeds) if reason), "")


def _gap_and_change(audit: AuditInput, found: GapAudit, group: str | None) -> list[Measure]:
    control = control_of(audit.spec, [gap.arm for gap in found.arms])
    return [
        *(m for gap in found.arms for m in gap_measures(gap, audit.seeds(gap.arm), found, group)),
        *(m for change in found.changes for m in change_measures(change, control, group)),
    ]


def _stereotype(audit: AuditInput, part: SetOfPairs, options: LanguageBiasOptions) -> list[Measure]:
    """Preference for the stereotyped sentence, over clusters, and its paired change against the teacher."""
    sign = part.pairs["stereotype"].to_numpy(dtype=np.float64)
    if part.name == MULTIPLE_CHOICE:
        sign = np.where(part.pairs["right"] == "unknown", sign, 0.0)
    scores = usable({arm: part.preferences(arm) for arm in part.scorer.arms})
    clusters = part.pairs["cluster"].astype(str).to_numpy()[sign != 0]
    if len(set(clusters)) < 2 or TEACHER not in scores:
        return []
    table = np.stack([oriented(seeds, sign).mean(axis=0) for seeds in scores.values()])
    means = resample_means(table, clusters=clusters, resamples=options.resamples, seed=audit.spec.audit.seed)
    group, order = f"set={part.name}", {arm: row for row, arm in enumerate(scores)}
    common: dict[str, Any] = {"group": group, "unit": "probability"}
    measures = []
    for arm, row in order.items():
        own = _one(means, row)
        measures.append(bootstrapped("stereotype_preference", own, arm, higher_is_better=False, **common))
        if arm != TEACHER:
            change = _one(means, row, order[TEACHER])
            margin = audit.spec.audit.bias_margin
            name = "stereotype_preference_change"
            measures.append(compared(name, change, arm, TEACHER, margin, higher_is_better=False, **common))
    return measures


def _associations(
    audit: AuditInput, part: SetOfPairs, options: LanguageBiasOptions, group: str | None
) -> tuple[list[Measure], list[dict[str, Any]]]:
    """Does a model prefer the woman where many women work? Over the set's occupations whose share of women is published; none elsewhere."""
    frame = part.pairs
    if part.name == MULTIPLE_CHOICE or "kind" not in frame.columns:
        return [], []
    known = shares_of_women()
    here = (frame["kind"] == "occupation").to_numpy() & frame["word"].str.lower().isin(known["occupation"]).to_numpy()
    if frame.loc[here, "word"].nunique() < LEAST_OCCUPATIONS:
        return [], []
    measures: list[Measure] = []
    rows: list[dict[str, Any]] = []
    for arm, seeds in usable({arm: part.preferences(arm) for arm in part.scorer.arms}).items():
        gap = np.mean(seeds, axis=0)[here]
        words = frame.loc[here, "word"].str.lower()
        points = pd.DataFrame({"occupation": words, "gap": gap}).groupby("occupation", sort=False)["gap"]
        table = points.agg(gap="mean", pairs="size").reset_index().merge(known, on="occupation")
        found = correlate(table, options.resamples, audit.spec.audit.seed)
        detail = {"slope": finite(found.slope), "problem": found.problem}
        measures.append(measured("stereotype_association", found.pearson, arm, group=group, detail=detail))
        rows += [{str(k): v for k, v in row.items()} for row in table.assign(arm=arm, set=part.name).to_dict("records")]
    return measures, rows


def _one(means: ResampledMeans, row: int, base: int | None = None) -> Bootstrap:
    """A mean, or its difference from another."""
    return means.statistic(lambda m: m[..., row] if base is None else m[..., row] - m[..., base])


def _perplexity(audit: AuditInput, part: SetOfPairs, options: LanguageBiasOptions) -> list[Measure]:
    measures = []
    for arm in part.scorer.arms:
        found = part.perplexity(arm, SIDES, options.resamples, audit.spec.audit.seed)
        if found is not None:
            measures.append(bootstrapped("perplexity", found, arm, group=f"set={part.name}", higher_is_better=False))
    return measures


def _missing(name: str) -> Finding:
    return Finding(
        check=NAME,
        severity="notice",
        claim=f"{TITLES[name]} was not asked: its pack is not installed, or no model answered it.",
        action="See `heirloom packs`.",
    )


def _findings(audit: AuditInput, found: GapAudit, name: str, primary: bool) -> list[Finding]:
    """The candidate's change on the primary set always; on another set where the gap has certainly grown."""
    severity: dict[str, Severity] = {
        "amplified": "warning",
        "reduced": "info",
        "equivalent": "info",
        "cannot tell": "notice",
    }
    control = control_of(audit.spec, [gap.arm for gap in found.arms])
    findings = []
    for change in found.changes:
        if change.candidate != audit.spec.candidate or not (primary or change.word == "amplified"):
            continue
        what = "distillation" if change.reference == TEACHER else "the teacher's distribution, against its text alone,"
        findings.append(
            Finding(
                check=NAME,
                severity=severity[change.word],
                claim=_claim(change, TITLES[name], what),
                evidence=tuple(change_measures(change, control, None if primary else f"set={name}")),
                action="See the pairs on the page Bias, and what the perplexity beside it says."
                if change.word == "amplified"
                else "",
            )
        )
    return findings


def _claim(change: GapChange, title: str, what: str) -> str:
    if change.change.known:
        return f"On {title} {change.sentence(what)}"
    return f"On {title} it cannot be told what {what.rstrip(',')} did to the gender gap. {change.reason}".strip()


def _rows(found: GapAudit, name: str, others: list[Measure]) -> list[dict[str, Any]]:
    """One row an arm: gap, signed, stereotype, perplexity side by side, for the page."""
    beside = {(m.name, m.arm): m for m in others}
    rows = []
    for gap in found.arms:
        stereotype, perplexity = (beside.get((n, gap.arm)) for n in ("stereotype_preference", "perplexity"))
        rows.append(
            {
                "set": name,
                "title": TITLES[name],
                "arm": gap.arm,
                "gap": gap.gap.value if gap.gap.known else None,
                "signed": gap.signed.value if gap.signed.known else None,
                "stereotype": None if stereotype is None else stereotype.value,
                "perplexity": None if perplexity is None else perplexity.value,
                "pairs": found.pairs,
                "cells": found.cells,
                "problem": gap.problem,
            }
        )
    return rows
