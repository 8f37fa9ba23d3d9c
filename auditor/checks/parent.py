"""What did the change do? The student beside that of the run which this one follows from, on the same test texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.comparing import paired, widened
from auditor.measuring import measured, point_range, points, proportion, usable_arms
from auditor.parents import PARENT, parent_of
from auditor.types import CheckResult, Finding, Measure
from distill.errors import DataError
from distill.files import read_json
from distill.plugins import NoOptions
from distill.types import Floats, Ints

NAME = "parent"


@check(
    NAME,
    "What changed against the run that this one follows from, by corrected labels or otherwise?",
    needs={"probabilities"},
    measures={
        "accuracy_over_parent": "Accuracy of the candidate minus that of the parent run's, on the same texts.",
        "agreement_with_parent": "Share of test texts with the same label as the parent run's candidate.",
    },
)
def parent(audit: AuditInput, options: NoOptions) -> CheckResult:
    """The candidate against the copy of its parent's candidate that lies beside the run."""
    about = parent_of(audit.run)
    if not audit.spec.parent:
        raise DataError("the run follows from no other")
    if not about or about.get("reason"):
        raise DataError(
            str(about.get("reason") or f"the run {audit.spec.parent} was not here when this one was audited")
        )
    arm = audit.spec.candidate
    if arm not in usable_arms(audit):
        raise DataError("the candidate has no usable predictions")
    before = np.stack([audit.run.prediction(PARENT, seed).aligned(audit.test.ids).argmax for seed in about["seeds"]])
    said = audit.probs(arm).argmax(axis=-1).astype(np.int64)
    settings = audit.spec.audit
    drawn: dict[str, Any] = {"resamples": settings.resamples, "seed": settings.seed}
    common: dict[str, Any] = {"versus": NAME, "higher_is_better": True, "detail": _detail(audit, about)}
    measures = [proportion("agreement_with_parent", _same(said, before), arm, **drawn, **common)]
    known = audit.labelled
    if known.any():
        y = audit.y[known]
        right = before[:, known] == y, said[:, known] == y
        both = paired(audit, *right)
        common["detail"] |= {"parent_accuracy": both.reference.value, "discordant": both.discordant}
        measures.append(measured("accuracy_over_parent", widened(both, *right)[1], arm, **common))
    return CheckResult(name=NAME, measures=tuple(measures), findings=(_finding(audit, about, measures),))


def _same(said: Ints, before: Ints) -> Floats:
    """Whether both give the same label, shape [pairs of seeds, n]: each seed against each of the parent's, since no two belong together."""
    same = said[:, None] == before[None]
    return np.asarray(same.reshape(-1, said.shape[1]), dtype=np.float64)


def _detail(audit: AuditInput, about: dict[str, Any]) -> dict[str, Any]:
    changed, dropped = _applied(audit)
    return {"run": about["run"], "label_version": audit.spec.label_version, "changed": changed, "dropped": dropped}


def _applied(audit: AuditInput) -> tuple[int, int]:
    """How many synthetic labels people changed before this run's students learnt, and how many rows they left out."""
    path = audit.run.folder / "stages" / "labels.json"
    summary = read_json(path) if path.exists() else {}
    return int(summary.get("corrected", 0)), int(summary.get("dropped", 0))


def _why(audit: AuditInput, about: dict[str, Any]) -> str:
    if audit.spec.label_version <= int(about.get("label_version") or 0):
        return "With what was changed"
    changed, dropped = _applied(audit)
    return f"With label version {audit.spec.label_version} ({changed:,} labels changed by people, {dropped:,} rows left out)"


def _finding(audit: AuditInput, about: dict[str, Any], measures: list[Measure]) -> Finding:
    changed = next((m for m in measures if m.name == "accuracy_over_parent"), measures[0])
    why = _why(audit, about)
    if changed.name != "accuracy_over_parent":
        same = 100 * (changed.value or 0)
        claim = f"{why} the student gives the same label as that of run {about['run']} on {same:.3g} % of {changed.n:,} test texts."
        return Finding(check=NAME, severity="info", claim=claim, evidence=tuple(measures))
    low, high = changed.low or 0.0, changed.high or 0.0
    word = "better" if low > 0 else "worse" if high < 0 else "not shown to differ"
    claim = (
        f"{why} the student's accuracy differs by {points(changed.value)} {point_range(changed.low, changed.high)} from that of run "
        f"{about['run']}, on the same {changed.n:,} test texts: {word}."
    )
    return Finding(check=NAME, severity="warning" if word == "worse" else "info", claim=claim, evidence=tuple(measures))
