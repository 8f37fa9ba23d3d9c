"""From decisions to training: label version n + 1 in a child run, or going on with the teacher's labels as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from auditor.evidence.log import append, entries
from auditor.evidence.signoff import state_of
from auditor.review.outcome import item_verdicts
from auditor.review.records import decisions_frame
from auditor.review.rounds import require_name
from distill import jobs
from distill.db import open_database
from distill.errors import ReviewError
from distill.executor import Executor
from distill.files import file_digest
from distill.stages.labels import CORRECTIONS
from distill.store import Run, RunStore
from distill.types import UNLABELLED, read_frame, write_frame
from distill.workspace import Workspace

DROPPING = frozenset({"not in label set", "hallucinated", "personal data", "offensive"})


@dataclass(frozen=True)
class Corrections:
    """What applying would do. ``frame`` has row_id and label (−1: the row is left out); ``changed`` and ``dropped`` count this review's."""

    frame: pd.DataFrame
    changed: int
    dropped: int
    unsettled: int


def corrections(workspace: Workspace, run: Run) -> Corrections:
    """The corrections of all rounds over those that the run itself was made with.

    A row is left out of training where no label fits, or where the reason is that the text itself is unfit (hallucinated,
    personal data, offensive). Skipped cards and unsettled differences change nothing.
    """
    decisions = decisions_frame(workspace, run.id)
    path = run.folder / CORRECTIONS
    before = read_frame(path, ["row_id", "label"]) if path.exists() else pd.DataFrame({"row_id": [], "label": []})
    said = dict(zip(before["row_id"].astype(str), before["label"].astype(int), strict=True))
    changed = dropped = unsettled = 0
    for number in sorted(set(decisions["round"])):
        for row in item_verdicts(decisions, int(number)).itertuples(index=False):
            unsettled += bool(row.differs)
            drop = row.kind == "none" or row.reason in DROPPING
            if row.open or not (row.wrong or drop):
                continue
            said[str(row.row_id)] = UNLABELLED if drop else int(row.final)  # type: ignore[arg-type]
            dropped += bool(drop)
            changed += not drop
    frame = pd.DataFrame({"row_id": list(said), "label": np.array(list(said.values()), dtype=np.int64)})
    return Corrections(frame, changed, dropped, unsettled)


def apply_decisions(workspace: Workspace, run: Run, by: str, name: str = "", executor: Executor | None = None) -> Run:
    """Start a child run with label version n + 1. All signals are reused; only what was corrected differs.

    Args:
        workspace: holds runs and database.
        run: the run that was reviewed.
        by: who applies.
        name: the child's name; the parent's with the label version when empty.
        executor: what starts the runner; the local one when None.

    Returns:
        The child, queued.

    Raises:
        ReviewError: no name, or nothing to apply.
    """
    by = require_name(by)
    found = corrections(workspace, run)
    if not found.changed and not found.dropped:
        raise ReviewError(
            "No decision changes a label, so there is nothing to apply.",
            hint="A run that awaits its review can go on with the labels as they are.",
        )
    version = run.spec.label_version + 1
    title = name.strip() or f"{run.spec.name.split(' · labels v')[0][:105]} · labels v{version}"
    spec = run.spec.model_copy(update={"name": title[:120], "parent": run.id, "label_version": version})
    child = RunStore(workspace).create(spec)
    write_frame(child.folder / CORRECTIONS, found.frame)
    payload = {
        "parent": run.id,
        "child": child.id,
        "label_version": version,
        "corrections": file_digest(child.folder / CORRECTIONS),
        "changed": found.changed,
        "dropped": found.dropped,
        "reviewers": sorted(state_of(entries(workspace, run.id)).reviewers),
    }
    with open_database(workspace).write() as session:
        append(session, run.id, by, "apply", payload)
        append(session, child.id, by, "apply", payload)
    jobs.enqueue(workspace, child, by=by)
    jobs.ensure_runner(workspace, executor)
    return child


def go_on_unchanged(workspace: Workspace, run: Run, by: str, executor: Executor | None = None) -> None:
    """Let a run that awaits its review go on with the teacher's labels as they are.

    Raises:
        ReviewError: no name, the run does not wait, nobody has reviewed it, or a decision changes a label.
    """
    by = require_name(by)
    if run.status() != "awaiting_review":
        raise ReviewError(f"Run {run.id} does not wait for a review.")
    decisions = decisions_frame(workspace, run.id)
    if decisions.empty or not decisions["standing"].any():
        raise ReviewError("Nobody has decided a card of this run.", hint="Review first.")
    found = corrections(workspace, run)
    if found.changed or found.dropped:
        raise ReviewError("Some labels were found wrong.", hint="Apply the decisions: a child run goes on with them.")
    path = run.folder / CORRECTIONS
    if not path.exists():
        write_frame(path, found.frame)
    with open_database(workspace).write() as session:
        append(session, run.id, by, "apply", {"child": run.id, "changed": 0, "dropped": 0})
    jobs.resume(workspace, run.id, by, executor)
