"""How closely does each student follow its teacher, the teacher's mistakes included?"""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.measuring import affordable, bootstrapped, proportion, share, spoilt_sentences, teacher_probs, usable_arms
from auditor.stats.bootstrap import bootstrap_mean
from auditor.stats.fidelity import gains, kl_divergence, mass_matched, regressions
from auditor.types import CheckResult, Finding, Measure
from auditor.verdict import counted
from distill.plugins import NoOptions
from distill.store import TEACHER
from distill.types import Floats, Ints

LOYAL = 0.8  # from this share of repeated mistakes on, a finding says that the teacher's errors were inherited


@check(
    "fidelity",
    "How closely does each student follow its teacher, mistakes included?",
    needs={"probabilities", "student"},
    measures={
        "agreement": "Share of texts on which student and teacher give the same label.",
        "kl_divergence": "Mean KL(teacher || student) of a text.",
        "mass_matched": "Share of the probability mass that both place alike.",
        "agreement_where_teacher_wrong": "Share of the teacher's mistakes that the student repeats.",
        "regressions": "Texts that the teacher gets right and the student wrong (mean probabilities of the seeds).",
        "gains": "Texts that the student gets right and the teacher wrong (mean probabilities of the seeds).",
        "disagreements": "Texts with another label than the teacher's (mean probabilities of the seeds).",
    },
)
def fidelity(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Agreement, divergence, matched mass, inherited mistakes; counts of regressions and gains."""
    teacher = teacher_probs(audit)
    measures: list[Measure] = []
    for arm in usable_arms(audit):
        probs = audit.probs(arm)
        measures += _closeness(audit, arm, teacher, probs)
        measures += _changes(audit, arm, teacher, probs)
    claims = list(spoilt_sentences(audit).values()) if not audit.labelled.any() else []
    findings = [Finding(check="fidelity", severity="warning", claim=claim) for claim in claims]
    return CheckResult(name="fidelity", measures=tuple(measures), findings=(*findings, *_inherited(audit, measures)))


def _closeness(audit: AuditInput, arm: str, teacher: Floats, probs: Floats) -> list[Measure]:
    """Seed-means with intervals over items, and agreement of each seed."""
    settings: dict[str, Any] = {"resamples": audit.spec.audit.resamples, "seed": audit.spec.audit.seed}
    fewer = {**settings, "resamples": affordable(audit.spec.audit.resamples, len(teacher))}
    common: dict[str, Any] = {"arm": arm, "versus": TEACHER, "higher_is_better": True}
    same = (probs.argmax(axis=-1) == teacher.argmax(axis=-1)).astype(np.float64)
    divergence = np.stack([kl_divergence(teacher, p) for p in probs])
    matched = np.stack([mass_matched(teacher, p) for p in probs])
    per_seed = [
        Measure(name="agreement", value=float(row.mean()), n=row.size, seed=seed, **common)
        for seed, row in zip(audit.seeds(arm), same, strict=True)
    ]
    result = [
        *per_seed,
        proportion("agreement", same, **settings, **common),
        bootstrapped(
            "kl_divergence",
            bootstrap_mean(divergence, **fewer),
            **{**common, "unit": "nats", "higher_is_better": False},
        ),
        bootstrapped("mass_matched", bootstrap_mean(matched, **fewer), **common),
    ]
    wrong = audit.labelled & (teacher.argmax(axis=-1) != audit.y)
    if wrong.any():
        result.append(
            proportion(
                "agreement_where_teacher_wrong", same[:, wrong], **settings, **{**common, "higher_is_better": None}
            )
        )
    return result


def _changes(audit: AuditInput, arm: str, teacher: Floats, probs: Floats) -> list[Measure]:
    """Counts, for the mean probabilities of the seeds (what the Examples page shows) and for each seed."""
    measures = []
    members: list[tuple[int | None, Ints]] = [(None, probs.mean(axis=0).argmax(axis=-1))]
    members += [(seed, p.argmax(axis=-1)) for seed, p in zip(audit.seeds(arm), probs, strict=True)]
    first = teacher.argmax(axis=-1)
    y, known = audit.y, audit.labelled
    for seed, second in members:
        common: dict[str, Any] = {"arm": arm, "versus": TEACHER, "seed": seed, "unit": "texts"}
        counts = {"disagreements": (int((first != second).sum()), y.size)}
        if known.any():
            counts["regressions"] = (int(regressions(y[known], first[known], second[known]).sum()), int(known.sum()))
            counts["gains"] = (int(gains(y[known], first[known], second[known]).sum()), int(known.sum()))
        measures += [Measure(name=name, value=value, n=n, **common) for name, (value, n) in counts.items()]
    return measures


def _inherited(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """A student that repeats nearly all of its teacher's mistakes has inherited them."""
    candidate = audit.spec.candidate
    mine = {m.name: m for m in measures if m.arm == candidate and m.seed is None}
    findings = []
    repeated = mine.get("agreement_where_teacher_wrong")
    if repeated is not None and repeated.low is not None and repeated.low > LOYAL:
        findings.append(
            Finding(
                check="fidelity",
                severity="notice",
                claim=f"'{candidate}' repeats {share(repeated.value)} of the teacher's {repeated.n:,} mistakes.",
                evidence=(repeated,),
                action="Review the synthetic labels, or give the human labels a weight in training.",
            )
        )
    if "regressions" in mine:
        lost, won = mine["regressions"], mine["gains"]
        findings.append(
            Finding(
                check="fidelity",
                severity="info",
                claim=counted(lost, won, len(audit.seeds(candidate)), " texts"),
                evidence=(lost, won),
                action="See them on the page Examples.",
            )
        )
    return findings
