"""Do the answers run in circles, stop short, stay empty, or slip into another language? Small language models do so first."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.comparing import share_change
from auditor.language import answers, asked_again, compared, resampled
from auditor.measuring import bootstrapped, proportion, share
from auditor.stats.text import distinct_share, repeated_share
from auditor.tongues import UNKNOWN, LanguagesOptions, detect
from auditor.types import CheckResult, Finding, Measure
from distill.errors import DataError
from distill.plugins import GENERATION
from distill.store import TEACHER
from distill.types import Floats, Strings

NAME = "lm_degeneration"
SHARES = ("empty_rate", "truncated_rate", "language_switch_rate")  # yes or no an answer
BETTER_HIGH = {"distinct_2"}
WORDS = {
    "repetition_rate": "repeats runs of four words",
    "distinct_2": "uses different pairs of words",
    "empty_rate": "answers with nothing",
    "truncated_rate": "is cut at the longest answer",
    "language_switch_rate": "answers in another language than it was asked in",
}


class DegenerationOptions(LanguagesOptions):
    """How runs and languages are counted."""

    run: int = Field(4, ge=2, le=10, description="Words of a repeated run.")


@check(
    NAME,
    "Do the answers repeat themselves, break off, stay empty or change language?",
    needs={"answers", "texts"},
    tasks=GENERATION,
    options=DegenerationOptions,
    measures={
        "repetition_rate": "Mean share of an answer's runs of four words that stood in it before (seq-rep-4).",
        "distinct_2": "Mean share of different pairs of words within an answer.",
        "empty_rate": "Share of empty answers.",
        "truncated_rate": "Share of answers that were cut at the limit of tokens.",
        "language_switch_rate": "Share of answers in another language than the prompt's, both guessed by lingua.",
        "degeneration_change": "One of these minus the teacher's (group names it).",
    },
)
def lm_degeneration(audit: AuditInput, options: DegenerationOptions) -> CheckResult:
    """Each rate for teacher and arms on the same prompts, and the paired change against the teacher."""
    arms = (TEACHER, *audit.arms)
    asked = _asked_in(audit, options)
    values: dict[str, dict[str, Floats]] = {arm: _values(audit, arm, options, asked) for arm in arms}
    measures: list[Measure] = []
    for name in WORDS:
        measures += _measures(audit, name, {arm: values[arm][name] for arm in arms})
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(_findings(audit, measures)))


def _asked_in(audit: AuditInput, options: DegenerationOptions) -> Strings:
    """Language of each prompt: the one that the spec states, or lingua's guess."""
    stated = audit.spec.data.language
    if stated is not None:
        return np.full(len(audit.test), stated.lower(), dtype=object)
    return detect(audit.test.texts, options)


def _values(audit: AuditInput, arm: str, options: DegenerationOptions, asked: Strings) -> dict[str, Floats]:
    """Each figure of every answer, [seeds, n]; NaN where an answer has none (too short, or a language nobody can tell)."""
    texts = answers(audit, arm)
    finish = [[str(word) for word in audit.outputs(arm, seed)["finish"]] for seed in audit.seeds(arm)]
    spoken = np.stack([detect(seed, options) for seed in texts])
    known = (spoken != UNKNOWN) & (asked != UNKNOWN)[None, :]

    def each(function: Any) -> Floats:
        found = [[function(text) for text in seed] for seed in texts]
        return np.array([[np.nan if x is None else float(x) for x in seed] for seed in found], dtype=np.float64)

    return {
        "repetition_rate": each(lambda text: repeated_share(text, options.run)),
        "distinct_2": each(lambda text: distinct_share(text, 2)),
        "empty_rate": each(lambda text: not text.strip()),
        "truncated_rate": np.array([[word == "length" for word in seed] for seed in finish], dtype=np.float64),
        "language_switch_rate": np.where(known, (spoken != asked[None, :]).astype(np.float64), np.nan),
    }


def _measures(audit: AuditInput, name: str, values: dict[str, Floats]) -> list[Measure]:
    measures: list[Measure] = []
    better = name in BETTER_HIGH
    settings: dict[str, Any] = {"resamples": audit.spec.audit.resamples, "seed": audit.spec.audit.seed}
    teacher = values[TEACHER]
    for arm, mine in values.items():
        kept = np.isfinite(mine).all(axis=0)
        measures += _one(audit, name, mine, kept, arm, better, settings)
        both = np.asarray(kept & np.isfinite(teacher).all(axis=0), dtype=np.bool_)
        if arm == TEACHER or both.sum() < 2:
            continue
        if name in SHARES:
            more: dict[str, Any] = {"group": name, "higher_is_better": better, "clusters": asked_again(audit, both)}
            pair = teacher[:, both], mine[:, both]
            measures.append(share_change(audit, "degeneration_change", *pair, arm, TEACHER, **more))
            continue
        try:
            whole = resampled(audit, {"arm": np.nan_to_num(mine), "teacher": np.nan_to_num(teacher)}, both)
        except DataError:
            continue
        change = whole.of(lambda of: of("arm") - of("teacher"))
        measures.append(
            compared(
                "degeneration_change",
                change,
                arm,
                TEACHER,
                audit.spec.audit.margin,
                higher_is_better=better,
                group=name,
            )
        )
    return measures


def _one(
    audit: AuditInput, name: str, values: Floats, kept: Any, arm: str, better: bool, settings: dict[str, Any]
) -> list[Measure]:
    """One figure of one arm over the answers that have it; nothing where none does."""
    if kept.sum() < 2:
        return []
    detail = {"left_out": int((~kept).sum())}
    if name in SHARES:
        more: dict[str, Any] = {"detail": detail, "higher_is_better": better, "clusters": asked_again(audit, kept)}
        return [proportion(name, values[:, kept], arm, **settings, **more)]
    try:
        whole = resampled(audit, {"arm": np.nan_to_num(values)}, kept)
    except DataError:
        return []
    return [bootstrapped(name, whole.of(lambda of: of("arm")), arm, detail=detail, higher_is_better=better)]


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """What the candidate does worse than its teacher, a sentence each; one sentence when nothing is."""
    candidate = audit.spec.candidate
    found = {(m.name, m.arm): m for m in measures}
    worse = [
        m
        for m in measures
        if m.name == "degeneration_change" and m.arm == candidate and m.detail["word"] == "worse" and m.group
    ]
    findings = []
    for change in worse:
        name = str(change.group)
        mine, teacher = found[name, candidate], found[name, TEACHER]
        less = "less often" if name in BETTER_HIGH else "more often"
        findings.append(
            Finding(
                check=NAME,
                severity="warning",
                claim=f"'{candidate}' {WORDS[name]} {less} than its teacher: {share(mine.value)} against "
                f"{share(teacher.value)}.",
                evidence=(change, mine, teacher),
                action=_action(name),
            )
        )
    repeats = found.get(("repetition_rate", candidate))
    if not worse and repeats is not None:
        claim = f"'{candidate}' degenerates no more than its teacher; {share(repeats.value)} of its runs of words are repeats."
        findings.append(Finding(check=NAME, severity="info", claim=claim, evidence=(repeats,)))
    return findings


def _action(name: str) -> str:
    return {
        "repetition_rate": "Train on more prompts or on-policy; greedy answers of small models run in circles.",
        "distinct_2": "Train on more prompts or on-policy; greedy answers of small models run in circles.",
        "empty_rate": "Look at the prompts that get nothing; leave empty answers out of the training data.",
        "truncated_rate": "Let the teacher's answers end by themselves (generation.max_new_tokens), so that students learn to stop.",
        "language_switch_rate": "Add prompts of that language to the pool.",
    }[name]
