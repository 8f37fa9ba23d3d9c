"""Which languages are in the data, and does the student hold up in each? English-only distillation is known to fail elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.check import AuditInput, check
from auditor.measuring import proportion, teacher_probs, usable_arms
from auditor.tongues import LanguagesOptions, in_words, large, mix, worse_elsewhere
from auditor.types import CheckResult, Finding, Measure
from distill.store import TEACHER


@check(
    "languages",
    "Which languages are in the data, and how do the models fare in each?",
    needs={"probabilities", "student", "texts"},
    options=LanguagesOptions,
    measures={
        "language_share": "Share of the texts in a language (lingua's guess).",
        "language_accuracy": "Accuracy within a language.",
        "language_agreement": "Agreement with the teacher within a language.",
    },
)
def languages(audit: AuditInput, options: LanguagesOptions) -> CheckResult:
    """Language mix of pool and test; accuracy and agreement of every arm in each language with enough rows."""
    test, measures = mix(audit, options)
    for language in large(test, options):
        measures += _quality(audit, language, test == language, options.min_rows)
    findings = [
        Finding(check="languages", severity="info", claim=f"Languages of the test, as guessed: {in_words(test)}."),
        *worse_elsewhere("languages", measures, audit.spec.candidate),
    ]
    return CheckResult(name="languages", measures=tuple(measures), findings=tuple(findings))


def _quality(audit: AuditInput, language: str, mask: npt.NDArray[np.bool_], least: int) -> list[Measure]:
    settings: dict[str, Any] = {"resamples": 2_000, "seed": audit.spec.audit.seed, "group": f"language={language}"}
    teacher = teacher_probs(audit).argmax(axis=-1)
    labelled = mask & audit.labelled
    measures = []
    for arm in (TEACHER, *usable_arms(audit)):
        answers = audit.probs(arm).argmax(axis=-1)
        if labelled.sum() >= least:
            right = (answers[:, labelled] == audit.y[labelled]).astype(np.float64)
            measures.append(proportion("language_accuracy", right, arm, **settings, higher_is_better=True))
        if arm != TEACHER:
            same = (answers[:, mask] == teacher[mask]).astype(np.float64)
            measures.append(proportion("language_agreement", same, arm, **settings, versus=TEACHER))
    return measures
