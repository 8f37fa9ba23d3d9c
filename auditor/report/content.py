"""The content of a report, built once from a run; every format is drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from auditor.report import annex, sections, sections_trust
from auditor.report.blocks import Section
from auditor.report.known import known
from auditor.report.material import Material, gather
from auditor.report.text import one_line, visible
from auditor.review.unfinished import unfinished_sentence
from auditor.types import Answer
from auditor.words import in_words
from distill.events import now
from distill.files import file_digest
from distill.store import Run
from distill.workspace import Workspace


@dataclass(frozen=True)
class ReportContent:
    """One run's report.

    Attributes:
        answer: the verdict; None while there is no audit.
        headline, detail: the verdict's first sentence, and the rest of it.
        state: of the sign-off.
        missing: what is not there yet, one sentence each.
        synthetic: how many synthetic labels or answers the student learnt from.
        digest: SHA-256 of audit.json; empty while there is none.
        stamp: changes whenever the report would read differently; for caches.
    """

    run: str
    name: str
    status: str
    answer: Answer | None
    headline: str
    detail: str
    state: str
    missing: tuple[str, ...]
    synthetic: int
    digest: str
    stamp: str
    key: str
    made_at: str
    sections: tuple[Section, ...] = field(repr=False)
    material: Material = field(repr=False)

    @property
    def unit(self) -> str:
        """What the student learnt from: 'labels' or 'answers'."""
        return self.material.unit

    def section(self, key: str) -> Section:
        """The section with this key; raises KeyError."""
        return {section.key: section for section in self.sections}[key]


def build(workspace: Workspace, run: Run) -> ReportContent:
    """Build the report of a run of any status; raises StoreError where a file of the run is damaged."""
    return compose(gather(workspace, run), now()[:16].replace("T", " "))


def compose(m: Material, drawn: str) -> ReportContent:
    """The content from its material; ``drawn`` is the moment that it names as its own (UTC, to the minute)."""
    run = m.run
    headline, detail = _headline(m)
    parts = (
        sections.verdict(m),
        sections.use(m),
        sections.data(m),
        sections.models(m),
        sections.results(m),
        sections_trust.bias(m),
        sections_trust.review(m),
        sections_trust.lineage(m),
        sections_trust.expectations(m),
        sections_trust.approval(m),
        sections_trust.verification(m),
        Section(
            "annex",
            "Annex: rules and what this report says of them",
            annex.blocks(m.annex.value if m.annex else None, known(m)),
        ),
        sections.measures(m),
    )
    audit = run.folder / "audit.json"
    digest = file_digest(audit) if audit.exists() else ""
    return ReportContent(
        run=run.id,
        name=one_line(m.spec.name, 120),
        status=m.status,
        answer=m.report.verdict.answer if m.report else None,
        headline=headline,
        detail=detail,
        state=m.sign_off.state,
        missing=missing(m),
        synthetic=m.labels[0],
        digest=digest,
        stamp=f"{digest[:16]}-{m.head[:16]}-{m.status}",
        key=m.key,
        made_at=drawn,
        sections=parts,
        material=m,
    )


def missing(m: Material) -> tuple[str, ...]:
    """What a reader would look for and not find."""
    wanting = {
        "The run is not complete.": m.status != "complete",
        "There is no audit.": m.report is None,
        "The run is not sealed: audit it again.": m.status == "complete" and not m.sealed,
        "The evidence chain is broken.": bool(m.broken),
        "Texts of erased rows: figures on texts are no longer recomputable.": m.erased > 0,
        f"A signature over what the evidence chain says since entry {len(m.chain) - m.unsigned - 1:,}: a sign-off or a new audit signs them.": m.unsigned
        > 0,
        unfinished_sentence(m.chain): bool(unfinished_sentence(m.chain)),
        "The intended use is not stated.": m.use is None,
        "Nobody said which rules of the annex apply.": m.annex is None,
        "A reviewer's sign-off.": m.sign_off.state == "draft",
        "An approval.": m.sign_off.state == "reviewed",
    }
    return tuple(sentence for sentence, absent in wanting.items() if absent)


def _headline(m: Material) -> tuple[str, str]:
    if m.report is None:
        failure = next((e for e in reversed(m.run.events()) if e.kind == "failed"), None)
        if m.status == "failed" and failure is not None:
            return "The run failed: nothing can be said of the student.", one_line(
                f"{failure.message} {failure.hint}", 600
            )
        return f"The run is {m.status.replace('_', ' ')}: there is no verdict yet.", ""
    head, _, rest = in_words(visible(m.report.verdict.sentence)).partition(". ")
    return one_line(head.rstrip(".") + ".", 500), one_line(rest, 1_500)
