"""Every format of a report by name, for the command line and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from auditor.document import document
from auditor.evidence.bundle import make_bundle
from auditor.report.bom import bom
from auditor.report.card import card
from auditor.report.content import ReportContent, build
from auditor.report.html import html
from auditor.report.markdown import markdown
from auditor.report.pdf import pdf
from distill.store import Run
from distill.workspace import Workspace

FormatName = Literal["html", "pdf", "md", "json", "bom", "card", "bundle"]


@dataclass(frozen=True)
class Format:
    """How a format is called, the name of its file in a bundle, its MIME type, and what draws it (None: the bundle itself)."""

    title: str
    file: str
    mime: str
    draw: Callable[[ReportContent], bytes] | None


def as_json(content: ReportContent) -> bytes:
    """The document of docs/SCHEMA.md with a part ``report``: statements, sign-off, evidence, and how much is synthetic. Pure ASCII."""
    m = content.material
    statements: dict[str, Any] = {
        "intended_use": None if m.use is None else {**m.use.value.model_dump(), "by": m.use.by, "at": m.use.at},
        "annex": None if m.annex is None else {**m.annex.value.model_dump(), "by": m.annex.by, "at": m.annex.at},
    }
    sign_off = {"state": m.sign_off.state, "by": m.sign_off.by, "reason": m.sign_off.reason, "at": m.sign_off.at}
    evidence = {
        "sealed": m.sealed,
        "entries": len(m.chain),
        "head": m.head,
        "key": m.key,
        "public_key": m.public_key,
        "problems": list(m.broken),
    }
    synthetic = {m.unit: m.labels[0], "corrected": m.labels[1], "digital_source_type": "trainedAlgorithmicMedia"}
    report = {
        **statements,
        "sign_off": sign_off,
        "evidence": evidence,
        "synthetic": synthetic,
        "missing": list(content.missing),
    }
    whole = {**document(m.run), "report": report}
    return (json.dumps(whole, indent=2, ensure_ascii=True, allow_nan=False) + "\n").encode()


FORMATS: Mapping[FormatName, Format] = {
    "html": Format("HTML", "report.html", "text/html", html),
    "pdf": Format("PDF", "report.pdf", "application/pdf", pdf),
    "md": Format("Markdown", "report.md", "text/markdown", markdown),
    "json": Format("JSON", "report.json", "application/json", as_json),
    "card": Format("Model card", "README.md", "text/markdown", card),
    "bom": Format("ML-BOM", "report.cdx.json", "application/vnd.cyclonedx+json", bom),
    "bundle": Format("Bundle", "report.zip", "application/zip", None),
}


def render(workspace: Workspace, run: Run, name: FormatName, *, texts: bool = True) -> bytes:
    """One format of a run's report.

    Args:
        workspace: holds chain and key.
        run: a run of any status; a bundle needs a complete and sealed one.
        name: the format.
        texts: of a bundle: also the texts, so that figures that read them can be recomputed.

    Raises:
        ReportError: a bundle of a run that is not complete or was never sealed.
        StoreError: a file of the run is damaged.
    """
    return draw(workspace, build(workspace, run), name, texts=texts)


def draw(workspace: Workspace, content: ReportContent, name: FormatName, *, texts: bool = True) -> bytes:
    """As :func:`render`, for content that is there already."""
    made = FORMATS[name].draw
    if made is not None:
        return made(content)
    reports = {each.file: each.draw(content) for each in FORMATS.values() if each.draw is not None}
    return make_bundle(workspace, content.material.run, reports, texts, drawn=content.made_at).to_bytes()


def file_name(content: ReportContent, name: FormatName) -> str:
    """A name to save a format under: run id and format."""
    return f"{content.run}-{FORMATS[name].file}"
