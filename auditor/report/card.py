"""The student's model card for Hugging Face: README.md with ``model-index``, so that a hub shows the measures."""

from __future__ import annotations

from typing import Any

import yaml

from auditor.evidence.seal import seal
from auditor.report.content import ReportContent
from auditor.report.markdown import body, escape
from auditor.report.material import Material
from auditor.report.text import one_line
from auditor.types import Measure
from auditor.words import name_of
from distill.errors import ReportError
from distill.files import write_text
from distill.store import Run
from distill.workspace import Workspace

TASKS = {"classification": "text-classification", "generation": "text-generation"}  # the hub's words
METRICS = {  # by task, measure: the hub's metric type
    "classification": {
        "accuracy": "accuracy",
        "macro_f1": "f1",
        "ece": "expected_calibration_error",
        "brier": "brier_score",
        "agreement": "agreement_with_teacher",
        "latency_p95_ms": "latency_p95_ms",
        "gender_bias": "gender_gap",
    },
    "generation": {
        "perplexity_on_teacher": "perplexity",
        "rouge_l": "rouge",
        "exact_match": "exact_match",
        "choice_accuracy": "accuracy",
        "token_agreement": "token_agreement_with_teacher",
        "kl_divergence": "kl_divergence_from_teacher",
        "time_to_first_token_p95_ms": "time_to_first_token_p95_ms",
        "tokens_per_s": "tokens_per_second",
        "gender_bias": "gender_gap",
    },
}


def card(content: ReportContent) -> bytes:
    """UTF-8 bytes of README.md: metadata, verdict, intended use, data, measures, how to verify."""
    m = content.material
    front = yaml.safe_dump(_metadata(content, m), sort_keys=False, allow_unicode=False, width=10_000)
    head = [
        f"# {escape(content.name)}: {escape(m.name(m.candidate))}",
        f"**{escape(content.headline)}** {escape(content.detail)}".strip(),
        f"Distilled from {escape(m.teacher.id if m.teacher else 'a teacher that is not known yet')}. Report: {content.state}.",
    ]
    if content.synthetic:
        head.append(f"It learnt from {content.synthetic:,} synthetic {m.unit}, made by the teacher.")
    pieces = [*head, *body(content, skip=("annex", "measures"))]
    words = "\n\n".join(pieces)
    return f"---\n{front}---\n\n{words}\n".encode()


def write_beside_model(workspace: Workspace, run: Run, content: ReportContent, by: str) -> list[str]:
    """Write the card as README.md into the folder of each seed of the candidate, and seal the run's files anew.

    Raises:
        ReportError: the run is not complete, or its student has no folder with a model.
    """
    if content.status != "complete":
        raise ReportError(f"Run {run.id} is not complete.", hint="The card is written when the run has ended.")
    written = write_cards(run, content)
    if not written:
        raise ReportError("The student of this run has no model folder.", hint="Save the card elsewhere with -o.")
    run.write_manifest()
    seal(workspace, run, actor=by, action="card")
    return written


def write_cards(run: Run, content: ReportContent) -> list[str]:
    """README.md in the model folder of each of the candidate's seeds; the paths. Whoever calls it writes the manifest afterwards."""
    m = content.material
    folders = [run.arm_folder(c.name, c.seed or 0) / "model" for c in m.cards if c.name == m.candidate and c.model_dir]
    folders = [folder for folder in folders if folder.is_dir()]
    for folder in folders:
        write_text(folder / "README.md", card(content).decode())
    return [str(folder / "README.md") for folder in folders]


def _metadata(content: ReportContent, m: Material) -> dict[str, Any]:
    student, teacher = m.student, m.teacher
    licence = (student.licence if student else "") or (teacher.licence if teacher else "")
    plain = {
        "license": licence.lower() if licence.replace("-", "").replace(".", "").isalnum() else "other",
        "language": m.spec.data.language,
        "library_name": "transformers",
        "pipeline_tag": TASKS[m.spec.task],
        "tags": ["distillation", f"synthetic-{m.unit}", "heirloom"],
        "datasets": [m.spec.data.source.id] if m.spec.data.source.kind == "hub" else None,
    }
    kept = {key: value for key, value in plain.items() if value}
    extra = {
        f"synthetic_{m.unit}": content.synthetic,
        "digital_source_type": "trainedAlgorithmicMedia",
        "heirloom": {"run": m.run.id, "audit_sha256": content.digest, "key": m.key, "sign_off": content.state},
    }
    return {**kept, **_index(content, m), **extra}


def _index(content: ReportContent, m: Material) -> dict[str, Any]:
    """``model-index``; left out while nothing was measured, since the hub refuses an empty one."""
    measures = [(kind, m.measure(name, m.candidate)) for name, kind in METRICS[m.spec.task].items()]
    metrics = [_metric(kind, x) for kind, x in measures if x is not None and x.value is not None]
    if not metrics:
        return {}
    source = m.spec.data.source
    dataset = getattr(source, "name", None) or getattr(source, "id", None) or getattr(source, "path", "file")
    result = {
        "task": {"type": TASKS[m.spec.task], "name": one_line(m.spec.task)},
        "dataset": {"type": one_line(dataset), "name": f"{one_line(dataset)}, frozen test", "split": "test"},
        "metrics": metrics,
    }
    return {"model-index": [{"name": content.name, "results": [result]}]}


def _metric(kind: str, measure: Measure) -> dict[str, Any]:
    value: dict[str, Any] = {"type": kind, "value": measure.value, "name": name_of(measure.name), "verified": False}
    if measure.low is not None and measure.high is not None:
        value["args"] = {"low": measure.low, "high": measure.high, "level": 0.95, "n": measure.n}
    return value
