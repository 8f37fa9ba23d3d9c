"""The versioned document that `heirloom show --json` prints. Its schema is described in docs/SCHEMA.md; other tools read it."""

from __future__ import annotations

from typing import Any

from auditor.types import SCHEMA_VERSION, CheckResult
from distill.files import read_json
from distill.store import TEACHER, ModelCard, Run


def document(run: Run) -> dict[str, Any]:
    """One run as plain JSON data: run, arms, measures, findings, gates, verdict.

    A run that is not finished has the same keys with empty parts and ``verdict`` None.

    Raises:
        StoreError: a file of the run is damaged.
    """
    from auditor.audit import load_report

    report = load_report(run)
    return {
        "schema_version": SCHEMA_VERSION,
        "run": _run(run),
        "arms": _arms(run),
        "checks": [] if report is None else [_check(result) for result in report.results],
        "measures": [] if report is None else [m.model_dump(mode="json") for m in report.measures],
        "findings": [] if report is None else [f.model_dump(mode="json") for f in report.findings],
        "gates": [] if report is None else [g.model_dump(mode="json") for g in report.gates],
        "verdict": None if report is None else report.verdict.model_dump(mode="json"),
        "audited_at": None if report is None else report.made_at,
    }


def _run(run: Run) -> dict[str, Any]:
    spec = run.spec
    events = run.events()
    ended = [event.at for event in events if event.kind in ("finished", "failed", "cancelled")]
    status = run.status()
    return {
        "id": run.id,
        "name": spec.name,
        "status": status,
        "queued": next((event.at for event in events if event.kind == "queued"), None),
        "started": next((event.at for event in events if event.kind == "started"), None),
        "ended": ended[-1] if ended and status in ("complete", "failed", "cancelled") else None,
        "candidate": spec.candidate,
        "spec": spec.model_dump(mode="json"),
        "lineage": _lineage(run),
        "provenance": run.json("provenance"),
    }


def _lineage(run: Run) -> dict[str, Any]:
    """Parent run and base weights; the generation where the teacher's card knows it."""
    spec = run.spec
    path = run.folder / "teacher.json"
    teacher = run.teacher if path.exists() else None
    return {
        "parent": spec.parent,
        "label_version": spec.label_version,
        "base": None if teacher is None else {"id": teacher.id, "weights_digest": teacher.weights_digest},
        "generation": None if teacher is None else int(teacher.extra.get("generation", 0)) + 1,
    }


def _arms(run: Run) -> list[dict[str, Any]]:
    """The teacher first, then every arm and seed that was made."""
    path = run.folder / "teacher.json"
    cards = [ModelCard.model_validate(read_json(path))] if path.exists() else []
    cards += run.cards()
    return [{**card.model_dump(mode="json"), "is_teacher": card.name == TEACHER} for card in cards]


def _check(result: CheckResult) -> dict[str, Any]:
    return {"name": result.name, "skipped": result.skipped, "tables": result.model_dump(mode="json")["tables"]}
