"""Multiple choice by log-likelihood: common sense, and whether the model suits a field (legal, medical, reasoning).

Scored as lm-evaluation-harness does: the option with the largest log-likelihood (acc), and, where options are texts, with the largest
log-likelihood per character (acc_norm). Nothing is generated, so a model that cannot follow instructions is scored all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, field_validator

from auditor.bias.scoring import nothing
from auditor.check import AuditInput, check
from auditor.choice_sets import SETS, as_rows, chosen
from auditor.comparing import share_change
from auditor.items import answered, check_items
from auditor.measuring import control_of, proportion, share
from auditor.types import CheckResult, Finding, Measure, Severity
from distill.errors import PackError
from distill.plugins import GENERATION
from distill.spec import Part, RunSpec
from distill.store import TEACHER
from distill.types import Examples, Floats, Ints

NAME = "lm_choice"


class ChoiceOptions(Part):
    """Which sets and how much of each."""

    sets: tuple[str, ...] = Field(tuple(SETS), description="Question sets: " + ", ".join(SETS) + ".")
    items: int = Field(200, ge=20, le=20_000, description="Questions of each set.")
    longest: int = Field(1_500, ge=100, description="Longer questions, in characters, are left out and counted.")

    @field_validator("sets")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in value if name not in SETS]
        if unknown:
            raise ValueError(f"there is no question set '{unknown[0]}': {', '.join(SETS)}")
        return value


def items(spec: RunSpec, examples: Examples, options: ChoiceOptions) -> pd.DataFrame:
    """Every option of every question; a set whose pack is missing is left out and named later."""
    rows: list[dict[str, Any]] = []
    first = 0
    for name in dict.fromkeys(options.sets):
        try:
            questions, too_long = chosen(name, options.items, options.longest)
        except PackError:
            continue
        rows += as_rows(name, questions, first, too_long)
        first += len(questions)
    return pd.DataFrame(rows) if rows else nothing()


@check(
    NAME,
    "How well does each language model answer multiple-choice questions, by field?",
    needs={"answers", "items"},
    tasks=GENERATION,
    options=ChoiceOptions,
    items=items,
    measures={
        "choice_accuracy": "Share of questions whose right option is the likeliest (acc of lm-evaluation-harness; group set=… or field=…).",
        "choice_accuracy_norm": "The same by log-likelihood per character of the option (acc_norm), where options are texts.",
        "choice_agreement": "Share of questions on which arm and teacher find the same option likeliest.",
        "choice_accuracy_difference": "Accuracy minus the teacher's, paired.",
        "choice_accuracy_over_control": "Accuracy minus the sequence-level control's, paired.",
    },
)
def lm_choice(audit: AuditInput, options: ChoiceOptions) -> CheckResult:
    """Accuracy of each set, field and all together; paired with teacher and control; agreement where no answer is known."""
    asked = check_items(audit.items, NAME)
    arms = answered(audit)
    if asked.empty or TEACHER not in arms:
        return CheckResult(name=NAME, skipped="no language model could be asked for the likelihood of the options")
    scored = {arm: _scored(audit, arm, asked) for arm in arms}
    usable = {arm: one for arm, one in scored.items() if one is not None}
    findings = [
        Finding(check=NAME, severity="warning", claim=f"Some log-likelihoods of '{arm}' are NaN, so it is left out.")
        for arm in arms
        if arm not in usable
    ]
    if TEACHER not in usable:
        return CheckResult(name=NAME, findings=tuple(findings), skipped=None)
    about = asked.drop_duplicates("number").reset_index(drop=True)
    about["options"] = asked.groupby("number", sort=False).size().to_numpy()
    measures: list[Measure] = []
    for group, kept in _groups(about, list(options.sets)):
        measures += _measures(audit, usable, about, group, kept)
    findings += [_missing(name) for name in dict.fromkeys(options.sets) if name not in set(about["set"])]
    findings += [*_long(about), *_findings(audit, measures)]
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(findings), tables={"sets": _rows(measures)})


@dataclass(frozen=True, eq=False)
class Scored:
    """One arm's choices.

    Attributes:
        right: 1 where the likeliest option is the right one, [seeds, questions]; ``normed`` the same per character.
        choice: the likeliest option, [seeds, questions].
    """

    right: Floats
    normed: Floats
    choice: Ints


def _scored(audit: AuditInput, arm: str, asked: pd.DataFrame) -> Scored | None:
    """None where a log-likelihood is NaN."""
    places = asked["position"].to_numpy(dtype=np.int64)
    number = pd.factorize(asked["number"])[0]
    first = np.flatnonzero(np.diff(number, prepend=-1))
    length = np.maximum(asked["length"].to_numpy(dtype=np.float64), 1.0)
    known = asked["right"].to_numpy(dtype=np.float64)[first]
    alone = np.array([SETS[name].greedy for name in asked["set"].iloc[first]], dtype=np.bool_)
    rows = []
    for seed in audit.seeds(arm):
        frame = audit.likelihoods(arm, seed)
        loglik = frame["loglik"].to_numpy(dtype=np.float64)[places]
        if not np.isfinite(loglik).all():
            return None
        greedy = frame["greedy"].to_numpy(dtype=np.bool_)[places][first]
        plain, normed = (_largest(values, number, first) for values in (loglik, loglik / length))
        rows.append(
            (
                np.where(alone, greedy, plain == known).astype(np.float64),
                np.where(alone, greedy, normed == known).astype(np.float64),
                np.where(alone, greedy, plain).astype(np.int64),
            )
        )
    right, norm, choice = (np.stack(column) for column in zip(*rows, strict=True))
    return Scored(right, norm, choice)


def _largest(values: Floats, number: Ints, first: Ints) -> Ints:
    """Which option of each question has the largest value; the first of equals, as numpy's argmax in the harness."""
    best = np.maximum.reduceat(values, first)
    hits = np.flatnonzero(values == best[number])
    _, where = np.unique(number[hits], return_index=True)
    return np.asarray(hits[where] - first, dtype=np.int64)


def _groups(about: pd.DataFrame, sets: list[str]) -> list[tuple[str | None, np.ndarray]]:
    """Each set, each field, and everything whose answer is known."""
    names = about["set"].to_numpy(dtype=object)
    fields = np.array([SETS[name].domain for name in names], dtype=object)
    known = about["right"].notna().to_numpy()
    found: list[tuple[str | None, np.ndarray]] = [
        (f"set={name}", names == name) for name in dict.fromkeys(sets) if (names == name).any()
    ]
    found += [(f"field={field}", (fields == field) & known) for field in dict.fromkeys(fields)]
    return [*found, (None, known)]


def _measures(
    audit: AuditInput, scored: dict[str, Scored], about: pd.DataFrame, group: str | None, kept: np.ndarray
) -> list[Measure]:
    settings: dict[str, Any] = {"resamples": audit.spec.audit.resamples, "seed": audit.spec.audit.seed}
    known = kept & about["right"].notna().to_numpy()
    chance = _chance(about[known])
    normed = known & np.array([SETS[name].normalised for name in about["set"]], dtype=np.bool_)
    control = control_of(audit.spec, [arm for arm in scored if arm != TEACHER])
    measures = []
    for arm, one in scored.items():
        more: dict[str, Any] = {"group": group, "higher_is_better": True}
        if known.any():
            detail = {"chance": chance}
            measures.append(proportion("choice_accuracy", one.right[:, known], arm, detail=detail, **settings, **more))
            for name, versus in (("choice_accuracy_difference", TEACHER), ("choice_accuracy_over_control", control)):
                if versus is not None and arm not in (TEACHER, versus) and known.sum() > 1:
                    pair = scored[versus].right[:, known], one.right[:, known]
                    measures.append(share_change(audit, name, *pair, arm, versus, group=group))
        if normed.any():
            measures.append(proportion("choice_accuracy_norm", one.normed[:, normed], arm, **settings, **more))
        if arm != TEACHER and kept.any():
            same = (one.choice[:, kept] == scored[TEACHER].choice[:, kept]).astype(np.float64)
            measures.append(proportion("choice_agreement", same, arm, versus=TEACHER, **settings, **more))
    return measures


def _chance(about: pd.DataFrame) -> float | None:
    """What guessing reaches, the mean of one over the number of options; questions to be written have none."""
    several = about["options"].to_numpy(dtype=np.float64)
    return float(np.where(several > 1, 1 / several, 0.0).mean()) if len(several) else None


def _long(about: pd.DataFrame) -> list[Finding]:
    """Sets of which most was too long to be asked: what is left may not stand for them."""
    counts = {name: int(part["too_long"].iloc[0]) for name, part in about.groupby("set", sort=False)}
    said = [
        f"{SETS[str(name)].title} ({count:,})" for name, count in counts.items() if count > (about["set"] == name).sum()
    ]
    if not said:
        return []
    claim = f"Questions longer than the check's limit were left out: {', '.join(said)}. What is left may not stand for the set."
    return [Finding(check=NAME, severity="notice", claim=claim, action="Raise the check's option 'longest'.")]


def _missing(name: str) -> Finding:
    return Finding(
        check=NAME,
        severity="notice",
        claim=f"{SETS[name].title} was not asked: its pack is not installed.",
        action="See `heirloom packs`.",
    )


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """All questions in a sentence; fields in which the candidate is certainly worse; sets on which the teacher itself guesses."""
    candidate = audit.spec.candidate
    found = {(m.name, m.arm, m.group): m for m in measures}
    findings = []
    change = found.get(("choice_accuracy_difference", candidate, None))
    if change is not None:
        word = change.detail["word"]
        severity: Severity = "warning" if word == "worse" else "notice" if word == "cannot tell" else "info"
        mine, teacher = (found["choice_accuracy", arm, None] for arm in (candidate, TEACHER))
        claim = (
            f"Of {mine.n:,} multiple-choice questions '{candidate}' gets {share(mine.value)} right, its teacher "
            f"{share(teacher.value)}, and guessing {share(mine.detail['chance'])}: {word}."
        )
        findings.append(Finding(check=NAME, severity=severity, claim=claim, evidence=(change, mine, teacher)))
    worse = [
        m
        for (name, arm, group), m in found.items()
        if name == "choice_accuracy_difference"
        and arm == candidate
        and str(group).startswith("field=")
        and m.detail["word"] == "worse"
    ]
    findings += [_worse(m, str(m.group).removeprefix("field="), candidate) for m in worse]
    guessed = [
        SETS[str(group).removeprefix("set=")].title
        for (name, arm, group), m in found.items()
        if name == "choice_accuracy" and arm == TEACHER and str(group).startswith("set=")
        and m.low is not None and m.detail["chance"] is not None and m.low <= m.detail["chance"]
    ]  # fmt: skip
    if guessed:
        findings.append(
            Finding(
                check=NAME,
                severity="notice",
                claim=f"The teacher itself is not surely above guessing on {', '.join(guessed)}: there is nothing to inherit there.",
            )
        )
    return findings


def _worse(change: Measure, field: str, candidate: str) -> Finding:
    return Finding(
        check=NAME,
        severity="warning",
        claim=f"On {field} questions '{candidate}' is worse than its teacher by {share(-(change.value or 0.0))}.",
        evidence=(change,),
        action=f"Keep the teacher for {field} questions, or add such prompts to the pool.",
    )


def _rows(measures: list[Measure]) -> list[dict[str, Any]]:
    """One row a set and arm, for the page."""
    found = {(m.name, m.arm, m.group): m for m in measures}
    rows = []
    for name, arm, group in found:
        if name != "choice_accuracy" or not str(group).startswith("set="):
            continue
        one = SETS[str(group).removeprefix("set=")]
        m, norm = found[name, arm, group], found.get(("choice_accuracy_norm", arm, group))
        rows.append(
            {
                "set": one.title,
                "field": one.domain,
                "arm": arm,
                "acc": m.value,
                "low": m.low,
                "high": m.high,
                "acc_norm": None if norm is None else norm.value,
                "chance": m.detail["chance"],
                "questions": m.n,
            }
        )
    return rows
