"""Run every check over a finished run, decide the gates, write audit.json. Reads files only; auditing again needs no model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from auditor.check import AuditInput, CheckFunction, checks_of
from auditor.examples_view import build_view
from auditor.gates import all_arms, decide
from auditor.items import collect_items, options_of, validate_checks
from auditor.lineage import keep_origin
from auditor.measuring import usable_arms
from auditor.parents import keep_parent
from auditor.prices import load_book
from auditor.types import AuditReport, CheckResult
from auditor.verdict import make_verdict
from auditor.votes import FILE as VOTES
from distill.errors import Cancelled, HeirloomError, StoreError
from distill.events import now
from distill.files import write_json
from distill.provenance import made_by
from distill.registry import Entry
from distill.store import Run, RunStore
from distill.types import read_frame, write_frame
from distill.workspace import Workspace

__all__ = ["audit_run", "collect_items", "load_report", "run_check"]

Progress = Callable[[int, int, str], None]


def audit_run(
    run: Run,
    *,
    decisions: pd.DataFrame | None = None,
    prices: dict[str, Any] | None = None,
    votes: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a run from its files and write audit.json and examples_view.parquet, each whole or not at all.

    Args:
        run: a run with examples and predictions; models are not needed.
        decisions: review decisions, one row each; those of the last audit when None.
        votes: which of two answers people prefer, one row a vote; those of the last audit when None.
        prices: the price book as plain data; that of the last audit when None, or else the workspace's own.
        progress: called with (done, total, name of the check) before each check.

    Raises:
        StoreError: there is nothing to audit yet, or a file is torn.
        SpecError: the spec names a check or a price that does not exist.
    """
    if not (run.folder / "examples.parquet").exists() or not any((run.folder / "predictions").glob("*/*.test.parquet")):
        raise StoreError(f"Run {run.id} has no predictions yet.", hint="Resume the run; the audit comes at its end.")
    validate_checks(run.spec)
    used = _keep_inputs(run, decisions, prices)
    store = RunStore(workspace_of(run))
    if votes is not None and not votes.empty:
        write_frame(run.folder / VOTES, votes)
    keep_origin(run, store)
    keep_parent(run, store)
    audit = AuditInput(run, *used)
    results: list[CheckResult] = []
    entries = checks_of(run.spec.task)
    for done, entry in enumerate(entries):
        if progress is not None:
            progress(done, len(entries), entry.name)
        results.append(run_check(audit, entry))
    report = _conclude(audit, results)
    if audit.labels:  # the view is a table of label probabilities; answers of language models are read where they lie
        build_view(audit)
    write_json(run.folder / "audit.json", plain(report.model_dump()))
    if (run.folder / "manifest.json").exists():
        run.write_manifest()
    return report


def _keep_inputs(
    run: Run, decisions: pd.DataFrame | None, prices: dict[str, Any] | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Decisions and prices that the audit goes by, kept beside the run: whoever verifies it later has no database and no price book."""
    path = run.folder / "decisions.parquet"
    if decisions is None:
        decisions = read_frame(path) if path.exists() else pd.DataFrame()
    elif not decisions.empty:
        write_frame(path, decisions)
    if prices is None:
        prices = run.json("prices") or load_book(workspace_of(run)).as_prices()
    write_json(run.folder / "prices.json", prices)
    return decisions, prices


def run_check(audit: AuditInput, entry: Entry[CheckFunction]) -> CheckResult:
    """One check's result. What it needs and lacks, or a reason that a person can mend, becomes 'skipped, because'; a bug is raised."""
    if entry.name in audit.spec.audit.skip:
        return CheckResult(name=entry.name, skipped="the spec leaves it out")
    reason = audit.missing(entry.needs)
    if reason is not None:
        return CheckResult(name=entry.name, skipped=reason)
    try:
        return entry.function(audit, options_of(audit.spec, entry))
    except Cancelled:
        raise
    except HeirloomError as error:
        return CheckResult(name=entry.name, skipped=str(error))


def load_report(run: Run) -> AuditReport | None:
    """The report in audit.json, None when the run was not audited; raises StoreError when the file is damaged."""
    value = run.json("audit")
    if not value:
        return None
    try:
        return AuditReport.model_validate(value)
    except ValidationError as error:
        raise StoreError(
            f"{run.folder / 'audit.json'} is no audit report.", hint="Audit the run again: `heirloom audit RUN`."
        ) from error


def workspace_of(run: Run) -> Workspace:
    """The workspace that a run lies in."""
    return Workspace(run.folder.parent.parent)


def plain(value: Any) -> Any:
    """``value`` as JSON data: NaN and infinity become None, numpy's scalars Python's, tuples lists."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _conclude(audit: AuditInput, results: list[CheckResult]) -> AuditReport:
    """Gates and verdict from the checks' results."""
    spec = audit.spec
    gates = tuple(decide(gate, spec.candidate, results) for gate in spec.audit.gates)
    what = "texts" if audit.labels else "prompts"
    verdict = make_verdict(spec.candidate, gates, results, has_labels=bool(audit.labelled.any()), what=what)
    table = all_arms(spec.audit, usable_arms(audit) if audit.labels else audit.arms, results)
    return AuditReport(
        run=audit.run.id, made_at=now(), made_by=made_by(), results=(*results, table), gates=gates, verdict=verdict
    )
