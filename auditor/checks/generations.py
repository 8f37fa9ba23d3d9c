"""What is left of generation 0? Agreement with it, how spread the answers are, and whether the rarest class is still found."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.comparing import paired, widened
from auditor.lineage import ORIGIN, human_labels_added, label_entropy, origin_of, teacher_run
from auditor.measuring import affordable, bootstrapped, has_teacher, measured, proportion, teacher_probs, usable_arms
from auditor.stats.bootstrap import bootstrap_mean
from auditor.stats.calibration import entropy_items
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import NoOptions
from distill.store import TEACHER
from distill.types import Floats


@check(
    "generations",
    "What is left of the first teacher after each distillation?",
    needs={"probabilities"},
    measures={
        "agreement_with_origin": "Share of test texts with the same label as generation 0, the first teacher of the chain.",
        "accuracy_against_origin": "Accuracy minus that of generation 0, on the same texts.",
        "prediction_entropy": "Mean entropy of a prediction: how unsure the model is.",
        "answer_entropy": "Entropy of how often each label is given; it falls when a model forgets rare labels.",
        "rarest_class_recall": "Recall of the label that people gave least often in the test.",
    },
)
def generations(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Figures of teacher and arms; generation 0 is the copy beside the run, or the teacher when that came from outside."""
    teacher_probs(audit)
    arms = [*([TEACHER] if has_teacher(audit) else []), *usable_arms(audit)]
    origin, reason = _origin(audit)
    measures: list[Measure] = []
    for arm in arms:
        measures += _own(audit, arm)
        if origin is not None:
            measures += _against(audit, arm, origin)
    return CheckResult(name="generations", measures=tuple(measures), findings=tuple(_findings(audit, measures, reason)))


def _origin(audit: AuditInput) -> tuple[Floats | None, str]:
    """Generation 0's probabilities on the test rows, and why there are none."""
    if teacher_run(audit.run) is None:
        generation = int(audit.teacher_card.extra.get("generation", 0))
        if generation:
            return None, f"the teacher is of generation {generation} and came without its ancestors"
        return np.asarray(audit.signal(TEACHER, 0).probs), ""
    about = origin_of(audit.run)
    if not about or about.get("reason"):
        return None, str(about.get("reason") or "the runs before this one were not here when it was audited")
    return audit.run.prediction(ORIGIN, 0).aligned(audit.test.ids).probs, ""


def _own(audit: AuditInput, arm: str) -> list[Measure]:
    probs, settings = audit.probs(arm), audit.spec.audit
    resamples = affordable(settings.resamples, probs.shape[1])
    entropy = bootstrap_mean(np.stack([entropy_items(p) for p in probs]), resamples=resamples, seed=settings.seed)
    said = probs.argmax(axis=-1).astype(np.int64)
    k = probs.shape[-1]
    measures = [
        bootstrapped("prediction_entropy", entropy, arm, unit="nats"),
        _answer_entropy(said, k, arm, settings.seed),
    ]
    y = audit.y[audit.labelled]
    if y.size:
        counts = np.bincount(y, minlength=k)
        rarest = int(np.where(counts > 0, counts, counts.max() + 1).argmin())
        hits = (said[:, audit.labelled][:, y == rarest] == rarest).astype(np.float64)
        common: dict[str, Any] = {"higher_is_better": True, "detail": {"class": audit.labels[rarest]}}
        measures.append(
            proportion("rarest_class_recall", hits, arm, resamples=settings.resamples, seed=settings.seed, **common)
        )
    return measures


def _answer_entropy(said: Any, k: int, arm: str, seed: int) -> Measure:
    """Entropy of the shares of labels, the seeds' answers pooled; items are resampled (a percentile interval around the estimate)."""
    rng = np.random.default_rng(seed)
    n = said.shape[1]
    value = label_entropy(said, k)
    drawn = [label_entropy(said[:, rng.integers(0, n, size=n)], k) for _ in range(400)]
    low, high = (float(bound) for bound in np.percentile(drawn, [2.5, 97.5]))
    return Measure(
        name="answer_entropy", value=value, low=min(low, value), high=max(high, value), n=n, arm=arm, unit="nats"
    )


def _against(audit: AuditInput, arm: str, origin: Floats) -> list[Measure]:
    settings = audit.spec.audit
    drawn: dict[str, Any] = {"resamples": settings.resamples, "seed": settings.seed}
    said, first = audit.probs(arm).argmax(axis=-1), origin.argmax(axis=-1)
    common: dict[str, Any] = {"versus": ORIGIN, "higher_is_better": True}
    measures = [proportion("agreement_with_origin", (said == first).astype(np.float64), arm, **drawn, **common)]
    known = audit.labelled
    if known.any():
        y = audit.y[known]
        right = first[known] == y, said[:, known] == y
        measures.append(measured("accuracy_against_origin", widened(paired(audit, *right), *right)[1], arm, **common))
    return measures


def _findings(audit: AuditInput, measures: list[Measure], reason: str) -> list[Finding]:
    depth = int(audit.teacher_card.extra.get("generation", 0)) + 1
    if depth < 2:
        return []
    findings = []
    mine = tuple(m for m in measures if m.arm == audit.spec.candidate)
    links = origin_of(audit.run).get("chain", [])
    added = sum(int(link.get("human_labels") or 0) for link in links) + human_labels_added(audit.run)
    if not added:
        findings.append(
            Finding(
                check="generations",
                severity="warning",
                claim=f"This student is of generation {depth}, and no human label has been added since generation 0.",
                evidence=mine,
                action="Review some of the synthetic labels, or distil from the first teacher.",
            )
        )
    if reason:
        claim = f"Not comparable with generation 0, because {reason}."
        findings.append(Finding(check="generations", severity="notice", claim=claim))
    changed = next((m for m in mine if m.name == "accuracy_against_origin"), None)
    if changed is not None and changed.high is not None and changed.high < 0:
        claim = f"Generation {depth} is {-100 * (changed.value or 0):.1f} points less accurate than generation 0."
        findings.append(Finding(check="generations", severity="warning", claim=claim, evidence=(changed,)))
    return findings
