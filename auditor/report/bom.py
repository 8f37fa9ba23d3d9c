"""The student's bill of materials: CycloneDX 1.6 with a model card (ML-BOM). Made with cyclonedx-python-lib; the library has no class for
the model card yet, so that part is plain data, and the whole is validated against the official schema that the library ships."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from auditor.report.content import ReportContent
from auditor.report.material import Material
from auditor.report.text import one_line
from auditor.types import Measure
from auditor.words import in_words
from distill.errors import ReportError
from distill.store import TEACHER, ModelCard

SPEC = "1.6"
STUDENT, DATA = "student", "data"


def bom(content: ReportContent) -> bytes:
    """UTF-8 JSON. The same audit and chain give the same serial number.

    Raises:
        ReportError: the document does not follow the schema, which would be our mistake.
    """
    m = content.material
    document = json.loads(_base(content, m))
    cards = {STUDENT: _model_card(content, m)}
    for component in [document["metadata"]["component"], *document.get("components", [])]:
        if component.get("bom-ref") in cards:
            component["modelCard"] = cards[component["bom-ref"]]
        if component.get("bom-ref") == DATA:
            component["data"] = [_dataset(m)]
    text = json.dumps(document, indent=2, ensure_ascii=True)
    problem = validate(text)
    if problem:
        raise ReportError(f"The bill of materials does not follow CycloneDX {SPEC}: {problem}.", hint="Report this.")
    return text.encode()


def validate(text: str) -> str:
    """What the official schema has against a document; empty when nothing."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return "" if found is None else str(getattr(found.data, "message", found))[:300]


def _base(content: ReportContent, m: Material) -> str:
    """Components and what depends on what, by the library."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    student = _model(STUDENT, m.student, content.name, m)
    made = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"heirloom:{m.run.id}:{content.stamp}"))
    made.metadata.timestamp = _moment(m)
    made.metadata.component = student
    made.metadata.tools.components.add(Component(type=ComponentType.APPLICATION, name="heirloom", version=_version(m)))
    data = Component(
        type=ComponentType.DATA,
        name=one_line(m.data.get("source") or "data"),
        bom_ref=DATA,
        licenses=_licences(m.data.get("licence")),
    )
    parts = [data]
    if m.teacher is not None:
        parts.append(_model(TEACHER, m.teacher, m.teacher.id, m))
    versions = m.provenance.get("made_with", {}).get("versions", {})
    parts += [
        Component(type=ComponentType.LIBRARY, name=name, version=str(version), bom_ref=f"library-{name}")
        for name, version in versions.items()
        if name != "heirloom"
    ]
    made.components.update(parts)
    made.register_dependency(student, parts)
    return str(JsonV1Dot6(made).output_as_string())


def _model(ref: str, card: ModelCard | None, name: str, m: Material) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    digest = card.weights_digest if card else ""
    known = {
        "heirloom:run": m.run.id if ref == STUDENT else "",
        "heirloom:arm": m.candidate if ref == STUDENT else "",
        f"heirloom:synthetic-{m.unit}": str(m.labels[0]) if ref == STUDENT else "",
        "heirloom:digital-source-type": "trainedAlgorithmicMedia" if ref == STUDENT and m.labels[0] else "",
        "heirloom:key": m.key if ref == STUDENT else "",
        "heirloom:chain-head": m.head if ref == STUDENT else "",
        "parameters": str(card.parameters) if card and card.parameters else "",
        "layers": str(card.layers) if card and card.layers else "",
    }
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=one_line(name) or ref,
        version=one_line(card.version if card else "") or (m.run.id if ref == STUDENT else "unknown"),
        bom_ref=ref,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if len(digest) == 64 else [],
        licenses=_licences(card.licence if card else ""),
        properties=[Property(name=key, value=one_line(value)) for key, value in known.items() if value],
    )


def _licences(licence: Any) -> list[Any]:
    from cyclonedx.factory.license import LicenseFactory

    text = one_line(licence or "")
    return [LicenseFactory().make_from_string(text)] if text else []


def _version(m: Material) -> str:
    return one_line(m.provenance.get("made_with", {}).get("versions", {}).get("heirloom", "unknown"))


def _moment(m: Material) -> datetime:
    at = m.report.made_at if m.report else m.provenance.get("made_with", {}).get("at")
    return datetime.fromisoformat(at) if at else datetime.now(UTC)


def _model_card(content: ReportContent, m: Material) -> dict[str, Any]:
    measures = [x for x in (m.report.measures if m.report else []) if x.arm == m.candidate and x.seed is None]
    card: dict[str, Any] = {
        "bom-ref": "model-card",
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": one_line(m.spec.task),
            "datasets": [{"ref": DATA}],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text" if m.writes else "class probabilities"}],
        },
        "considerations": _considerations(content, m),
    }
    metrics = [_metric(x) for x in measures if x.value is not None]
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    return card


def _metric(measure: Measure) -> dict[str, Any]:
    made: dict[str, Any] = {"type": measure.name, "value": repr(measure.value)}
    if measure.group:
        made["slice"] = one_line(measure.group)
    if measure.low is not None and measure.high is not None:
        made["confidenceInterval"] = {"lowerBound": repr(measure.low), "upperBound": repr(measure.high)}
    return made


def _considerations(content: ReportContent, m: Material) -> dict[str, Any]:
    """What people stated, and the verdict as the known trade-off. What nobody stated is left out."""
    found: dict[str, Any] = {"performanceTradeoffs": [f"{content.headline} {content.detail}".strip()]}
    if m.use is not None:
        use = m.use.value
        found["useCases"] = [one_line(use.purpose, 2_000)]
        limits = [one_line(text, 2_000) for text in (use.limits, use.not_for and f"Not for: {use.not_for}") if text]
        if limits:
            found["technicalLimitations"] = limits
    told = [f for f in (m.report.findings if m.report else []) if f.severity in ("serious", "warning")]
    if told:
        found["ethicalConsiderations"] = [
            {"name": one_line(in_words(f.claim)), "mitigationStrategy": one_line(f.action)} for f in told
        ]
    return found


def _dataset(m: Material) -> dict[str, Any]:
    splits = ", ".join(f"{name} {count}" for name, count in m.data.get("splits", {}).items())
    properties = {
        "rows": m.data.get("rows"),
        "splits": splits,
        "source-digest": m.data.get("source_digest"),
        f"synthetic-{m.unit}": m.labels[0],
    }
    personal = m.data.get("personal_data", {})
    made: dict[str, Any] = {
        "type": "dataset",
        "name": one_line(m.data.get("source") or "data"),
        "description": f"{m.labels[0]:,} {m.unit} to the pool are synthetic: the teacher gave them.",
        "contents": {
            "properties": [{"name": k, "value": one_line(v)} for k, v in properties.items() if v not in (None, "")]
        },
    }
    if personal.get("rows"):
        kinds = ", ".join(personal.get("kinds", {}))
        made["sensitiveData"] = [one_line(f"likely personal data in {personal['rows']} rows: {kinds}")]
    return made
