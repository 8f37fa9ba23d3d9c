"""Was the exam in the textbook? Overlap of the frozen test with everything that teacher or student was trained on.

A test row that the teacher saw while it was fine-tuned measures memory; a student trained on the teacher's answer to it repeats that:
circular validation. Two views, as in Brown et al. 2020 (GPT-3, appendix C) and the data stage: shared 13-word runs, and near-duplicates
by Jaccard similarity. Texts of the bias check are looked for as well. What lies in the teacher's own pre-training cannot be seen from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from auditor.check import AuditInput, check
from auditor.measuring import measured, share
from auditor.stats.proportions import wilson
from auditor.types import CheckResult, Finding, Measure
from distill.data.near_duplicates import find_matches
from distill.plugins import BOTH
from distill.spec import Part
from distill.types import Examples

_WORD = re.compile(r"\w+")
Text = tuple[str, str | None]


class ContaminationOptions(Part):
    """What counts as an overlap."""

    words: int = Field(13, ge=3, le=50, description="Length of a shared run of words.")
    similarity: float = Field(0.8, gt=0.3, le=1, description="Jaccard similarity of a near-duplicate.")
    tolerated: float = Field(0.01, ge=0, lt=1, description="Share of the test from which overlap is a warning.")


@check(
    "contamination",
    "Had teacher or student seen the test before?",
    needs={"texts"},
    tasks=BOTH,
    options=ContaminationOptions,
    measures={
        "shared_ngrams": "Share of texts with a run of 13 words that also stands in the training texts.",
        "near_duplicates": "Share of texts that nearly repeat a training text.",
    },
)
def contamination(audit: AuditInput, options: ContaminationOptions) -> CheckResult:
    """Overlap of test and bias sentences with the teacher's training rows and with the pool."""
    exams = {"test": _texts(audit.test)}
    if len(audit.items):
        pairs = [pair if isinstance(pair, str) else None for pair in audit.items["pair"]]
        exams["check sentences"] = list(zip(audit.items["text"], pairs, strict=True))
    measures: list[Measure] = []
    for source, rows in (("teacher training", audit.examples.part("train")), ("pool", audit.examples.part("pool"))):
        if not len(rows):
            continue
        seen = _texts(rows)
        runs = {run for text in seen for run in _runs(text, options.words)}
        for exam, asked in exams.items():
            group = f"{exam} in {source}"
            shared = sum(any(run in runs for run in _runs(text, options.words)) for text in asked)
            near = len(find_matches(seen, asked, options.similarity))
            for name, count in (("shared_ngrams", shared), ("near_duplicates", near)):
                interval = wilson(count, len(asked))
                measures.append(
                    measured(name, interval, "data", group=group, higher_is_better=False, detail={"texts": count})
                )
    if not measures:
        return CheckResult(name="contamination", skipped="the run trained nothing, so there are no training texts")
    return CheckResult(name="contamination", measures=tuple(measures), findings=(_finding(measures, options),))


def _texts(rows: Examples) -> list[Text]:
    pairs = [pair if isinstance(pair, str) else None for pair in rows.frame["pair"]]
    return list(zip(rows.texts, pairs, strict=True))


def _runs(text: Text, length: int) -> Iterator[int]:
    """Hashes of every run of ``length`` words; none for a shorter text (near-duplicates cover those)."""
    words: Sequence[str] = _WORD.findall(f"{text[0]} {text[1] or ''}".casefold())
    for start in range(len(words) - length + 1):
        yield hash(" ".join(words[start : start + length]))


def _finding(measures: list[Measure], options: ContaminationOptions) -> Finding:
    worst = max(measures, key=lambda m: m.value or 0.0)
    over = (worst.value or 0.0) > options.tolerated
    how = f"share a run of {options.words} words with" if worst.name == "shared_ngrams" else "nearly repeat"
    exam, _, source = str(worst.group).partition(" in ")
    return Finding(
        check="contamination",
        severity="warning" if over else "info",
        claim=f"{worst.detail['texts']:,} of {worst.n:,} texts of the {exam} ({share(worst.value)}) {how} a text of the {source}. "
        "What a teacher met in its pre-training cannot be seen from here.",
        evidence=(worst,),
        action="Remove these texts from training, or test on texts that were written later." if over else "",
    )
