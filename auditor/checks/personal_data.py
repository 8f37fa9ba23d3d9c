"""Which personal data did the teacher get to see? Counted by kind; never shown in clear."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import Field

from auditor.check import AuditInput, check
from auditor.measuring import measured, share
from auditor.stats.proportions import wilson
from auditor.types import CheckResult, Finding
from distill.data.personal import PUBLIC, Engine, find_by
from distill.plugins import BOTH
from distill.spec import Part


class PersonalDataOptions(Part):
    """How personal data are looked for."""

    engine: Engine = Field("rules", description="Own rules with check digits, or Microsoft's presidio beside them.")
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
    """Share of the prompts with each kind; row ids in a table, texts nowhere. The teacher is asked about dev and test as well."""
    seen = audit.examples.part("train", "pool", "dev", "test")
    if not len(seen):
        return CheckResult(name="personal_data", skipped="the teacher was given no texts by this run")
    spans = find_by(options.engine, seen.texts, audit.spec.data.language)
    if seen.pairs is not None:
        pairs = [pair if isinstance(pair, str) else "" for pair in seen.pairs]  # not every row has a second text
        second = find_by(options.engine, pairs, audit.spec.data.language)
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
