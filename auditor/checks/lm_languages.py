"""Which languages are the prompts in, and does a small language model follow its teacher in each?"""

from __future__ import annotations

import numpy as np

from auditor.check import AuditInput, check
from auditor.language import column, resampled, usable_writers
from auditor.measuring import bootstrapped
from auditor.tongues import LanguagesOptions, in_words, large, mix, worse_elsewhere
from auditor.types import CheckResult, Finding, Measure
from distill.errors import DataError
from distill.plugins import GENERATION
from distill.store import TEACHER
from distill.types import Strings

NAME = "lm_languages"


@check(
    NAME,
    "Which languages are the prompts in, and is the teacher followed in each?",
    needs={"answers", "student", "texts"},
    tasks=GENERATION,
    options=LanguagesOptions,
    measures={
        "language_share": "Share of the prompts in a language (lingua's guess).",
        "language_agreement": "Token agreement with the teacher on the prompts in a language.",
    },
)
def lm_languages(audit: AuditInput, options: LanguagesOptions) -> CheckResult:
    """Language mix of pool and test prompts; token agreement of every arm in each language with enough prompts."""
    test, measures = mix(audit, options)
    for language in large(test, options):
        measures += _agreement(audit, language, test)
    claim = f"Languages of the prompts, as guessed: {in_words(test)}."
    findings = [Finding(check=NAME, severity="info", claim=claim)]
    findings += worse_elsewhere(NAME, measures, audit.spec.candidate)
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(findings))


def _agreement(audit: AuditInput, language: str, test: Strings) -> list[Measure]:
    """Token agreement on the prompts of one language, with an interval over prompts."""
    arms = usable_writers(audit)
    table = {f"{arm} {name}": column(audit, arm, name) for arm in arms for name in ("agree_sum", "forced_tokens")}
    if not table or not all(np.isfinite(values).all() for values in table.values()):
        return []
    try:
        part = resampled(audit, table, test == language)
    except DataError:
        return []  # one prompt has no interval
    return [
        bootstrapped(
            "language_agreement",
            part.ratio(f"{arm} agree_sum", f"{arm} forced_tokens"),
            arm,
            group=f"language={language}",
            versus=TEACHER,
            higher_is_better=True,
        )
        for arm in arms
    ]
