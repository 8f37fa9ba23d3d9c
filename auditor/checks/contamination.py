"""Was the exam in the textbook? Overlap of the frozen test with everything that teacher or student was trained on.

A test row that the teacher saw while it was fine-tuned measures memory; a student trained on the teacher's answer to it repeats that:
circular validation. A pool row that the teacher was fine-tuned on flatters its labels: the review then finds fewer errors than elsewhere.
Two views, as in Brown et al. 2020 (GPT-3, appendix C) and the data stage: shared 13-word runs, and near-duplicates by Jaccard
similarity. The checks' own sentences are looked for everywhere. What lies in the teacher's pre-training, or what a teacher from elsewhere
was fine-tuned on, cannot be seen from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pydantic import Field

from auditor.check import NOBODYS, AuditInput, check
from auditor.measuring import measured, share
from auditor.stats.proportions import wilson
from auditor.types import CheckResult, Finding, Measure
from distill.data.near_duplicates import find_matches
from distill.plugins import BOTH
from distill.spec import Part
from distill.types import Examples

_WORD = re.compile(r"\w+")
Text = tuple[str, str | None]
TRAINING, SENTENCES = "teacher training", "check sentences"
# in which texts which others are looked for
LOOKED_FOR = {TRAINING: ("test", "pool", SENTENCES), "pool": ("test", SENTENCES), "test": (SENTENCES,)}
UNSEEN = "What a teacher met in its pre-training cannot be seen from here."
ACTIONS = {
    "test": "Remove these texts from training, or test on texts that were written later.",
    "pool": "Review labels of other pool texts: on these the teacher repeats what it was taught.",
    SENTENCES: "Read the bias figures without these sentences, or take them out of the data.",
}


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
    """Overlap of test, pool and the checks' sentences with what was trained on, and of those sentences with the test."""
    parts = {
        TRAINING: _texts(audit.examples.part("train")),
        "pool": _texts(audit.examples.part("pool")),
        "test": _texts(audit.test),
    }
    items = audit.items[audit.items["check"].isin(NOBODYS)] if len(audit.items) else audit.items
    if len(items):  # sentences that a check makes of test rows repeat them by design
        pairs = [pair if isinstance(pair, str) else None for pair in items["pair"]]
        parts[SENTENCES] = list(zip(items["text"], pairs, strict=True))
    if not parts[TRAINING] and not parts["pool"]:
        return CheckResult(name="contamination", skipped="the run trained nothing, so there are no training texts")
    measures: list[Measure] = []
    for source, exams in LOOKED_FOR.items():
        seen = parts[source]
        runs = {run for text in seen for run in _runs(text, options.words)}
        for exam in exams:
            asked = parts.get(exam, [])
            if seen and asked:
                measures += _overlap(f"{exam} in {source}", seen, runs, asked, options)
    findings = _findings(measures, options, audit.teacher_card.trained_on > 0)
    return CheckResult(name="contamination", measures=tuple(measures), findings=findings)


def _overlap(
    group: str, seen: list[Text], runs: set[int], asked: list[Text], options: ContaminationOptions
) -> list[Measure]:
    """Both views of one pair; ``runs`` are those of ``seen``."""
    shared = sum(any(run in runs for run in _runs(text, options.words)) for text in asked)
    near = len(find_matches(seen, asked, options.similarity))
    return [
        measured(name, wilson(count, len(asked)), "data", group=group, higher_is_better=False, detail={"texts": count})
        for name, count in (("shared_ngrams", shared), ("near_duplicates", near))
    ]


def _texts(rows: Examples) -> list[Text]:
    pairs = [pair if isinstance(pair, str) else None for pair in rows.frame["pair"]]
    return list(zip(rows.texts, pairs, strict=True))


def _runs(text: Text, length: int) -> Iterator[int]:
    """Hashes of every run of ``length`` words; none for a shorter text (near-duplicates cover those)."""
    words: Sequence[str] = _WORD.findall(f"{text[0]} {text[1] or ''}".casefold())
    for start in range(len(words) - length + 1):
        yield hash(" ".join(words[start : start + length]))


def _findings(measures: list[Measure], options: ContaminationOptions, tuned_here: bool) -> tuple[Finding, ...]:
    """A warning for each set of texts that overlaps too much, by its worst overlap; one sentence where none does."""
    worst: dict[str, Measure] = {}
    for measure in measures:
        exam = str(measure.group).partition(" in ")[0]
        if exam not in worst or (measure.value or 0.0) > (worst[exam].value or 0.0):
            worst[exam] = measure
    over = [measure for measure in worst.values() if (measure.value or 0.0) > options.tolerated]
    unseen = (
        UNSEEN if tuned_here else f"{UNSEEN} Nor what this teacher was fine-tuned on: that was done before the run."
    )
    if not over:
        return (_finding(max(worst.values(), key=lambda m: m.value or 0.0), options, unseen, warn=False),)
    last = len(over) - 1
    return tuple(
        _finding(measure, options, unseen if place == last else "", warn=True) for place, measure in enumerate(over)
    )


def _finding(worst: Measure, options: ContaminationOptions, unseen: str, *, warn: bool) -> Finding:
    how = f"share a run of {options.words} words with" if worst.name == "shared_ngrams" else "nearly repeat"
    exam, _, source = str(worst.group).partition(" in ")
    whose = exam if exam == SENTENCES else f"texts of the {exam}"
    claim = f"{worst.detail['texts']:,} of {worst.n:,} {whose} ({share(worst.value)}) {how} a text of the {source}."
    return Finding(
        check="contamination",
        severity="warning" if warn else "info",
        claim=f"{claim} {unseen}".strip(),
        evidence=(worst,),
        action=ACTIONS[exam] if warn else "",
    )
