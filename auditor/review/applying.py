"""From decisions to training: label version n + 1 in a child run, or going on with the teacher's labels as they are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sqlalchemy import insert
from sqlalchemy.orm import Session

from auditor.evidence.chain import canonical
from auditor.evidence.keyed import keyed_digest, new_salt
from auditor.evidence.log import append, entries
from auditor.evidence.merkle import merkle_root
from auditor.evidence.seal import SaltRow
from auditor.evidence.signoff import state_of
from auditor.review.answers import unit_of
from auditor.review.outcome import item_verdicts
from auditor.review.records import deciders, decisions_frame, edits
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
    """What applying would do. ``frame`` has row_id and label (−1: the row is left out), or of language models row_id and answer (empty: the
    row is left out); ``changed`` and ``dropped`` count this review's."""

    frame: pd.DataFrame
    changed: int
    dropped: int
    unsettled: int


def corrections(workspace: Workspace, run: Run) -> Corrections:
    """The corrections of all rounds over those that the run itself was made with, each with who decided it and where the chain says so.

    A row is left out of training where no label fits, an answer is rejected, or where the reason is that the text itself is unfit (hallucinated,
    personal data, offensive). Skipped cards and unsettled differences change nothing.
    """
    decisions = decisions_frame(workspace, run.id)
    if unit_of(run) == "answers":
        found = _of_answers(run, decisions, edits(workspace, run.id))
    else:
        found = _of_labels(run, decisions)
    path = run.folder / CORRECTIONS
    told = read_frame(path) if path.exists() else pd.DataFrame({"row_id": []})
    known: dict[str, tuple[str, str]] = {}
    if {"decided_by", "decision"} <= set(told.columns):
        rows = zip(told["row_id"].astype(str), told["decided_by"], told["decision"], strict=True)
        known = {row: (str(by), str(entry)) for row, by, entry in rows}
    known |= deciders(workspace, run.id)
    settled = [known.get(str(row), ("", "")) for row in found.frame["row_id"]]
    frame = found.frame.assign(
        decided_by=pd.Series([by for by, _ in settled], dtype=object),
        decision=pd.Series([entry for _, entry in settled], dtype=object),
    )
    return replace(found, frame=frame)


def _of_labels(run: Run, decisions: pd.DataFrame) -> Corrections:
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


def _of_answers(run: Run, decisions: pd.DataFrame, written: dict[tuple[int, str], str]) -> Corrections:
    """The same for answers: an edit takes the answer's place whatever its reason, a rejected answer leaves the training set."""
    path = run.folder / CORRECTIONS
    before = read_frame(path, ["row_id", "answer"]) if path.exists() else pd.DataFrame({"row_id": [], "answer": []})
    said = dict(zip(before["row_id"].astype(str), before["answer"].astype(str), strict=True))
    changed = dropped = unsettled = 0
    for number in sorted(set(decisions["round"])):
        for row in item_verdicts(decisions, int(number)).itertuples(index=False):
            unsettled += bool(row.differs)
            if row.open or not row.wrong:
                continue
            said[str(row.row_id)] = "" if row.kind == "none" else written.get((int(number), str(row.row_id)), "")
            dropped += bool(row.kind == "none")
            changed += bool(row.kind != "none")
    frame = pd.DataFrame({"row_id": list(said), "answer": pd.Series(list(said.values()), dtype=object)})
    return Corrections(frame, changed, dropped, unsettled)


def _named(session: Session, child: Run, frame: pd.DataFrame) -> str:
    """How the chain names the corrections: by the file's digest or, where they are words that must be erasable, by the root over keyed
    digests. Their salts are those that the child's rows keep."""
    if "answer" not in frame.columns:
        return file_digest(child.folder / CORRECTIONS)
    several = child.spec.asking.samples > 1
    sources = [str(row).rsplit("/", 1)[0] if several else str(row) for row in frame["row_id"]]
    salts = {source: new_salt() for source in dict.fromkeys(sources)}
    if salts:
        session.execute(insert(SaltRow), [{"run_id": child.id, "row_id": r, "salt": s} for r, s in salts.items()])
    rows = zip(frame["row_id"], frame["answer"], sources, strict=True)
    return merkle_root([canonical({"row": r, "answer": keyed_digest(a, salts[source])}) for r, a, source in rows])


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
            f"No decision changes {'an answer' if unit_of(run) == 'answers' else 'a label'}, so there is nothing to apply.",
            hint="A run that awaits its review can go on with the labels as they are.",
        )
    version = run.spec.label_version + 1
    mark = f" · {unit_of(run)} v"
    title = name.strip() or f"{run.spec.name.split(mark)[0][:105]}{mark}{version}"
    spec = run.spec.model_copy(update={"name": title[:120], "parent": run.id, "label_version": version})
    child = RunStore(workspace).create(spec)
    write_frame(child.folder / CORRECTIONS, found.frame)
    reviewers = sorted(state_of(entries(workspace, run.id)).reviewers)
    with open_database(workspace).write() as session:
        payload = {
            "parent": run.id,
            "child": child.id,
            "label_version": version,
            "corrections": _named(session, child, found.frame),
            "changed": found.changed,
            "dropped": found.dropped,
            "reviewers": reviewers,
        }
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
        raise ReviewError(
            f"Some {unit_of(run)} were found wrong.", hint="Apply the decisions: a child run goes on with them."
        )
    path = run.folder / CORRECTIONS
    if not path.exists():
        write_frame(path, found.frame)
    with open_database(workspace).write() as session:
        append(session, run.id, by, "apply", {"child": run.id, "changed": 0, "dropped": 0})
    jobs.resume(workspace, run.id, by, executor)
