"""Which tasks does a recipe suit? What a suite's runs measured, ordered, with a word on legal, medical and multi-step tasks where measured.

Runs are independent, so differences between them have the sum of their variances; half widths of the intervals stand for 1.96 standard errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auditor.audit import load_report
from auditor.stats.proportions import wilson
from auditor.types import AuditReport, Measure
from distill.errors import HeirloomError
from distill.store import TEACHER, Run, RunStore
from distill.suite import SuiteRecord

LESS = "keeps less than the general tasks of the suite"


@dataclass(frozen=True)
class Line:
    """One task of a suite.

    Attributes:
        status: of its run; 'deleted' when it is gone.
        retention: accuracy in % of the teacher's; student, teacher: their accuracies.
        commonest: share of test rows with the commonest label: what 'always the same' reaches.
        remark: what the figures say of this task, in a sentence; empty where there is nothing to add.
    """

    task: str
    domain: str
    run: str
    status: str
    retention: Measure | None = None
    student: Measure | None = None
    teacher: Measure | None = None
    commonest: float | None = None
    remark: str = ""

    @property
    def at_chance(self) -> bool:
        """True where the teacher is not surely better than always saying the commonest label: what is kept of that says nothing."""
        if self.teacher is None or self.commonest is None or not self.teacher.n:
            return False
        always = wilson(round(self.commonest * self.teacher.n), self.teacher.n)
        return self.teacher.low is not None and self.teacher.low <= always.value

    @property
    def warned(self) -> bool:
        """True where it was measured that a legal, medical or multi-step task keeps less."""
        return LESS in self.remark


def summary(store: RunStore, record: SuiteRecord) -> list[Line]:
    """Every task, the best kept first; then those whose teacher is at chance, and tasks without figures last."""
    lines = [_line(store, task, record.domains.get(task, "general"), run) for task, run in record.runs.items()]
    lines = [_remarked(line, lines) for line in lines]
    return sorted(
        lines, key=lambda line: (line.retention is None, line.at_chance, -(_value(line.retention) or 0), line.task)
    )


def _line(store: RunStore, task: str, domain: str, run_id: str) -> Line:
    folder = store.workspace.runs / run_id
    if not (folder / "spec.yaml").exists():
        return Line(task, domain, run_id, "deleted", remark="Its run was deleted.")
    run = Run(folder)
    try:
        report = load_report(run)
        return _measured(run, report, task, domain) if report is not None else Line(task, domain, run_id, run.status())
    except HeirloomError as error:
        return Line(task, domain, run_id, run.status(), remark=error.message)


def _measured(run: Run, report: AuditReport, task: str, domain: str) -> Line:
    arm = run.spec.candidate
    y = run.examples.part("test").y
    y = y[y >= 0]
    return Line(
        task,
        domain,
        run.id,
        run.status(),
        report.measure("accuracy_retention", arm),
        report.measure("accuracy", arm),
        report.measure("accuracy", TEACHER),
        float(np.bincount(y).max() / y.size) if y.size else None,
    )


def _remarked(line: Line, lines: Sequence[Line]) -> Line:
    return line if line.remark else Line(**{**vars(line), "remark": remark(line, lines)})


def remark(line: Line, lines: Sequence[Line]) -> str:
    """What is measured of one task: a teacher at chance first, then a hard domain against the general tasks of the suite."""
    if line.at_chance and line.commonest is not None:
        return (
            f"The teacher is not surely better than always saying the commonest label ({100 * line.commonest:.1f} %), "
            "so what is kept of it says nothing."
        )
    if line.domain == "general" or line.retention is None:
        return ""
    general = [
        one.retention for one in lines if one.domain == "general" and one.retention is not None and not one.at_chance
    ]
    difference = _difference(line.retention, general)
    if difference is None:
        return f"Whether {line.domain} tasks keep less cannot be told: there is no general task to hold it against."
    value, half = difference
    span = f"{value:+.1f} points [{value - half:+.1f}, {value + half:+.1f}]".replace("-", "−")
    if value + half < 0:
        return f"Measured: this {line.domain} task {LESS}, {span}."
    if value - half > 0:
        return f"Measured: this {line.domain} task keeps more than the general tasks of the suite, {span}."
    return f"Whether this {line.domain} task keeps less than the general ones cannot be told: {span}."


def _difference(one: Measure, others: Sequence[Measure]) -> tuple[float, float] | None:
    """One retention minus the mean of others, and the half width of its 95 % interval; None where something is unknown."""
    halves = [_half(m) for m in (one, *others)]
    values = [_value(m) for m in (one, *others)]
    if not others or any(v is None for v in values) or any(h is None for h in halves):
        return None
    known = [v for v in values if v is not None]
    spread = [h for h in halves if h is not None]
    k = len(others)
    return known[0] - sum(known[1:]) / k, math.sqrt(spread[0] ** 2 + sum(h**2 for h in spread[1:]) / k**2)


def _value(measure: Measure | None) -> float | None:
    return None if measure is None else measure.value


def _half(measure: Measure) -> float | None:
    return None if measure.low is None or measure.high is None else (measure.high - measure.low) / 2
