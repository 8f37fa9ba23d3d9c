"""Cascade: the student answers where it is sure, the teacher takes the rest. What would that keep, and what would it cost?

The threshold is chosen on dev: the fewest deferred texts with which the lower confidence bound of the cascade's accuracy minus the teacher's
is not below the allowed loss (the run's margin). A point that equals the teacher on a few hundred rows would promise too much. Test is only
measured. A deferred text pays for both models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.comparing import no_narrower
from auditor.measuring import bootstrapped, has_teacher, measured, point_range, points, proportion, usable_arms
from auditor.stats.bootstrap import Bootstrap, bootstrap_mean
from auditor.stats.latency import bootstrap_percentile
from auditor.timing import latency_rounds, matrix, thread_counts, usable
from auditor.types import CheckResult, Finding, Measure
from distill.plugins import NoOptions
from distill.store import TEACHER, SetName
from distill.types import Floats

STEPS = 21  # points of the curve
ONE_SIDED = 1.6449  # normal quantile at 95 %


@check(
    "cascade",
    "What if the student passed on to the teacher what it is not sure of?",
    needs={"human_labels", "student", "probabilities"},
    measures={
        "cascade_threshold": "Confidence from which on the student answers itself; chosen on dev by a one-sided 95 % bound.",
        "cascade_accuracy": "Accuracy of student and teacher together at that threshold.",
        "cascade_accuracy_difference": "That minus the teacher's accuracy.",
        "cascade_deferred": "Share of texts that go to the teacher (by group as well).",
        "cascade_latency_ms": "Mean time of a text: the student's median, and the teacher's for what is deferred.",
        "cascade_speedup": "The teacher's median time divided by that.",
    },
)
def cascade(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Threshold from dev, figures on test, the share deferred by group, and the curve over thresholds."""
    arm = audit.spec.candidate
    if not has_teacher(audit) or arm not in usable_arms(audit):
        return CheckResult(name="cascade", skipped="teacher or candidate has no usable predictions")
    labelled = audit.dev.y >= 0
    if not labelled.any():
        return CheckResult(
            name="cascade", skipped="no dev row carries a human label, and the threshold is chosen there"
        )
    threshold = choose(*_answers(audit, arm, "dev", labelled), audit.dev.y[labelled], audit.spec.audit.margin)
    sure, right, teacher = _on_test(audit, arm)
    measures = _measures(audit, arm, threshold, sure, right, teacher)
    times = _times(audit, arm)
    measures += _timed(audit, arm, (_confidence(audit, arm) < threshold).astype(np.float64), times)
    return CheckResult(
        name="cascade",
        measures=tuple(measures),
        findings=(_finding(arm, threshold, measures, audit.spec.audit.margin),),
        tables={"curve": _curve(sure, right, teacher, times)},
    )


def choose(confidence: Floats, student: Floats, teacher: Floats, y: Any, margin: float = 0.0) -> float:
    """The lowest threshold from which on the cascade is no worse than the teacher by more than ``margin``, with 95 % confidence.

    Thresholds are tried from the one that defers everything downwards, and the first that fails ends it: testing in a fixed
    sequence keeps the error of the whole search at 5 % (Angelopoulos et al. 2021, "Learn then Test", section 3).

    The bound is one-sided and normal, of the paired difference in accuracy over the n rows; the seeds of a row are averaged first.
    A difference that is 0 in every row counts as certain: nothing that the student would answer differs in rightness there.

    Args:
        confidence: of the student, [seeds, n].
        student: its label, [seeds, n].
        teacher: the teacher's label, [n].
        y: the right label, [n].
        margin: loss of accuracy that is allowed.

    Returns:
        A confidence; 0 defers nothing. Above 1 would defer everything, which always reaches the teacher.
    """
    right = (teacher == y).astype(np.float64)[None, :]
    gains = (student == y).astype(np.float64) - right
    found = float(np.nextafter(1.0, 2.0))
    for threshold in [*np.unique(confidence)[::-1], 0.0]:
        apart = np.where(confidence >= threshold, gains, 0.0).mean(axis=0)
        spread = float(apart.std(ddof=1)) / np.sqrt(len(apart)) if len(apart) > 1 else np.inf
        if float(apart.mean()) - ONE_SIDED * spread < -margin:
            break
        found = float(threshold)
    return found


def _answers(audit: AuditInput, arm: str, part: SetName, rows: Any) -> tuple[Floats, Floats, Floats]:
    """Confidence and label of the student [seeds, n], label of the teacher [n], of the chosen rows."""
    probs = audit.probs(arm, part)[:, rows]
    return probs.max(axis=2), probs.argmax(axis=2), audit.signal(TEACHER, 0, part).argmax[rows]


def _confidence(audit: AuditInput, arm: str) -> Floats:
    return np.asarray(audit.probs(arm).max(axis=2))


def _on_test(audit: AuditInput, arm: str) -> tuple[Floats, Floats, Floats]:
    """Confidence [seeds, n], student right [seeds, n], teacher right [n], of the labelled test rows."""
    y = audit.y[audit.labelled]
    sure, student, teacher = _answers(audit, arm, "test", audit.labelled)
    return sure, (student == y[None, :]).astype(np.float64), (teacher == y).astype(np.float64)


def _measures(
    audit: AuditInput, arm: str, threshold: float, sure: Floats, right: Floats, teacher: Floats
) -> list[Measure]:
    options = audit.spec.audit
    together = np.where(sure >= threshold, right, teacher[None, :])
    apart = bootstrap_mean(together - teacher[None, :], resamples=options.resamples, seed=options.seed)
    difference = no_narrower(apart.interval(), teacher, together)
    deferred = (_confidence(audit, arm) < threshold).astype(np.float64)
    common: dict[str, Any] = {"resamples": options.resamples, "seed": options.seed}
    measures = [
        Measure(name="cascade_threshold", value=threshold, arm=arm, n=int((audit.dev.y >= 0).sum())),
        proportion("cascade_accuracy", together, arm, higher_is_better=True, **common),
        measured("cascade_accuracy_difference", difference, arm, versus=TEACHER, higher_is_better=True),
        proportion("cascade_deferred", deferred, arm, higher_is_better=False, **common),
    ]
    for column, values in audit.test.groups.items():
        names = np.array([str(value) for value in values], dtype=object)
        for name in sorted(set(names)):
            inside = deferred[:, names == name]
            measures.append(proportion("cascade_deferred", inside, arm, group=f"{column}={name}", **common))
    return measures


@dataclass(frozen=True, eq=False)
class Times:
    """Median milliseconds of student and teacher at batch 1 with all threads, the same rounds drawn for both."""

    student: Bootstrap
    teacher: Bootstrap

    def mean(self, share: float) -> float:
        """Mean milliseconds of a text when ``share`` of the texts goes to the teacher as well."""
        return self.student.value + share * self.teacher.value


def _times(audit: AuditInput, arm: str) -> Times | None:
    """None where they were not timed in the same rounds."""
    timings = audit.timings if audit.timings.empty else usable(audit.timings)
    if timings.empty or not (counts := thread_counts(timings)):
        return None
    student, teacher = (latency_rounds(timings, name, counts[-1]) for name in (arm, TEACHER))
    shared = student.index.intersection(teacher.index)
    if shared.empty:
        return None
    seed = audit.spec.audit.seed  # of both: the draws are pairs of medians over the same rounds
    return Times(*(bootstrap_percentile(matrix(one.loc[shared]), 50, seed=seed) for one in (student, teacher)))


def _timed(audit: AuditInput, arm: str, deferred: Floats, times: Times | None) -> list[Measure]:
    """Time of a text and speed-up; rounds are drawn for the medians, and, apart from them, texts for the share that is deferred."""
    if times is None:
        return []
    mean, rounds = times.mean(float(deferred.mean())), times.student.n
    drawn = times.student.draws
    if drawn.size:
        share = bootstrap_mean(deferred, resamples=drawn.size, seed=audit.spec.audit.seed + 1).draws
        drawn = drawn + share * times.teacher.draws
    spent = Bootstrap(mean, drawn, rounds)
    gained = Bootstrap(times.teacher.value / mean, times.teacher.draws / drawn, rounds)
    return [
        bootstrapped("cascade_latency_ms", spent, arm, unit="ms", higher_is_better=False),
        bootstrapped("cascade_speedup", gained, arm, unit="×", versus=TEACHER, higher_is_better=True),
    ]


def _curve(sure: Floats, right: Floats, teacher: Floats, times: Times | None) -> list[dict[str, Any]]:
    """Quality, share deferred and mean time at thresholds that defer 0, 5, … 100 % of the texts."""
    rows = []
    for share in np.linspace(0, 1, STEPS):
        threshold = float(np.quantile(sure, share)) if share < 1 else float(np.nextafter(1.0, 2.0))
        own = sure >= threshold
        deferred = float(1 - own.mean())
        rows.append(
            {
                "threshold": threshold,
                "deferred": deferred,
                "accuracy": float(np.where(own, right, teacher[None, :]).mean()),
                "latency_ms": times.mean(deferred) if times else None,
            }
        )
    return rows


def _finding(arm: str, threshold: float, measures: list[Measure], margin: float) -> Finding:
    found = {m.name: m for m in measures if m.group is None}
    share, apart = found["cascade_deferred"], found["cascade_accuracy_difference"]
    speed = found.get("cascade_speedup")
    faster = f", {speed.value:.1f} times as fast as the teacher" if speed and speed.value else ""
    claim = (
        f"With '{arm}' answering from a confidence of {min(threshold, 1.0):.2f} on, {100 * (share.value or 0):.0f} % of the texts go to the "
        f"teacher; accuracy changes by {points(apart.value)} {point_range(apart.low, apart.high)} against it{faster}. "
        f"The threshold is the lowest at which dev rules out, with 95 % confidence, a loss of more than {100 * margin:.1f} points."
    )
    return Finding(check="cascade", severity="info", claim=claim, evidence=(share, apart))
