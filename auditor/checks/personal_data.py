"""Which personal data did the teacher get to see? Counted by kind; never shown in clear."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import Field

from auditor.check import AuditInput, check
from auditor.measuring import measured, share
from auditor.stats.proportions import wilson
from auditor.types import CheckResult, Finding
from distill.data.personal import Span, find
from distill.errors import DataError
from distill.plugins import BOTH
from distill.spec import Part

PUBLIC = {"handle"}  # written to be seen, unlike an address or a number


class PersonalDataOptions(Part):
    """How personal data are looked for."""

    engine: Literal["rules", "presidio"] = Field(
        "rules", description="Own rules with checksums, or Microsoft's presidio."
    )
    examples: int = Field(20, ge=0, description="How many row ids to list for each kind.")


@check(
    "personal_data",
    "Which personal data did the teacher see?",
    needs={"texts"},
    tasks=BOTH,
    options=PersonalDataOptions,
    measures={"personal_data": "Share of the texts given to the teacher in which personal data of a kind stand."},
)
def personal_data(audit: AuditInput, options: PersonalDataOptions) -> CheckResult:
    """Share of the prompts (training rows and pool) with each kind; row ids in a table, texts nowhere."""
    seen = audit.examples.part("train", "pool")
    if not len(seen):
        return CheckResult(name="personal_data", skipped="the teacher was given no texts by this run")
    spans = _find(seen.texts, options.engine, audit.spec.data.language)
    if seen.pairs is not None:
        pairs = [pair if isinstance(pair, str) else "" for pair in seen.pairs]  # not every row has a second text
        second = _find(pairs, options.engine, audit.spec.data.language)
        spans = [[*one, *two] for one, two in zip(spans, second, strict=True)]
    texts: Counter[str] = Counter(kind for found in spans for kind in {span.kind for span in found})
    measures = [
        measured("personal_data", wilson(count, len(seen)), "data", group=f"kind={kind}", detail={"texts": count})
        for kind, count in texts.most_common()
    ]
    rows: list[dict[str, Any]] = []
    for kind in texts:
        ids = [str(row) for row, found in zip(seen.ids, spans, strict=True) if any(s.kind == kind for s in found)]
        rows += [{"kind": kind, "row_id": row} for row in ids[: options.examples]]
    private = sum(any(span.kind not in PUBLIC for span in found) for found in spans)
    finding = Finding(
        check="personal_data",
        severity="warning" if private else "info",
        claim=f"{private:,} of {len(seen):,} texts given to the teacher ({share(private / len(seen))}) hold personal data "
        f"beyond public handles.",
        evidence=tuple(measures),
        action="Set data.personal_data to 'mask' or 'drop' and run again." if private else "",
    )
    return CheckResult(
        name="personal_data", measures=tuple(measures), findings=(finding,), tables={"personal_data": rows}
    )


def _find(texts: list[str], engine: str, language: str | None) -> list[list[Span]]:
    return find(texts) if engine == "rules" else _presidio(texts, language or "en")


def _presidio(texts: list[str], language: str) -> list[list[Span]]:
    """Spans found by presidio-analyzer, which is installed by the user because it brings a language model of its own."""
    try:
        from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise DataError(
            "The personal-data check is set to presidio, which is not installed.",
            hint="pip install presidio-analyzer and a spaCy model, or set engine: rules.",
        ) from error
    analyzer = AnalyzerEngine()
    return [
        [Span(r.start, r.end, r.entity_type.lower()) for r in analyzer.analyze(text=text, language=language)]
        for text in texts
    ]
