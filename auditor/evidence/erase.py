"""Erasing one person's row: its text goes from every file of the run and its salt from the database; the chain still verifies.

One step after the other, so that the same call again finishes what was stopped anywhere: one transaction takes the salt and what reviewers
wrote, and enters 'erase' into the chain together with the row's leaves of the sealed trees; ``erased.json`` is written from those entries;
the texts are blanked, the examples last, since the other files are searched for their text; manifest and head are signed anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from auditor.evidence.bundle import answered, blanked_answers
from auditor.evidence.chain import Entry
from auditor.evidence.log import append, entries, record
from auditor.evidence.seal import (
    SEAL,
    SaltRow,
    answer_leaves,
    erased_leaves,
    has_answers,
    salts_of,
    sign_head,
    source_rows,
    text_leaves,
)
from auditor.review.tables import DecisionRow, ItemRow
from distill import jobs
from distill.db import Job, open_database
from distill.errors import DataError
from distill.files import file_digest, read_json, write_json
from distill.store import Run
from distill.types import Examples, read_frame, write_frame
from distill.workspace import Workspace

BLANK = ""
NOT_TOUCHED = (
    "the source file, runs that follow from this one or read the same source, what the teacher answered as the cache keeps it (cache/signals, "
    "cache/endpoint: by digests of prompts, for other runs), backups, and what a teacher over the network was asked"
)
_HELD = (
    "examples_view.parquet",
    "labels.parquet",
    "items.parquet",
    "unanswered.parquet",
    "corrections.parquet",
)  # beside the examples and the answers: files that hold texts


def erase(workspace: Workspace, run: Run, row_id: str, by: str, reason: str) -> None:
    """Erase a row's text, or finish an erasure that was stopped. Figures that rested on texts read 'no longer recomputable' from now on.

    Raises:
        DataError: no such row, it was erased before, a job of the run is queued or under way, or somebody else is erasing.
    """
    if row_id not in set(run.examples.ids):
        raise DataError(f"The run has no row '{row_id}'.", hint="Row ids stand on the page Examples.")
    try:
        with FileLock(run.folder / ".erase.lock", timeout=60):
            chain = entries(workspace, run.id)
            begun = row_id in _rows_of(chain) or row_id in run.json("erased").get("rows", [])
            if begun and row_id not in unfinished(run, chain):
                raise DataError(f"The row '{row_id}' was erased before.")
            jobs.reap(workspace)
            with open_database(workspace).write() as session:
                _refuse_while_a_job_is_open(session, run)
                if not begun:
                    leaves = _leaves_of(session, run, row_id)
                    session.execute(delete(SaltRow).where(SaltRow.run_id == run.id, SaltRow.row_id == row_id))
                    append(session, run.id, by, "erase", {"row": row_id, "reason": reason, "leaves": leaves})
                    _forget_edits(session, run, row_id)
            _say_erased(run, entries(workspace, run.id))
            _blank_everywhere(run, row_id)
            _name_anew(workspace, run)
    except Timeout as error:
        raise DataError(f"Somebody else is erasing a row of run {run.id}.", hint="Try again in a minute.") from error


def unfinished(run: Run, chain: Sequence[Entry]) -> list[str]:
    """Rows whose erasure was entered into the chain and stopped before the files, the manifest and the signature followed."""
    if not _rows_of(chain):
        return []
    told = set(run.json("erased").get("rows", []))
    frame = run.examples.frame
    texts = dict(zip(frame["row_id"], frame["text"], strict=True))
    whole = (run.folder / "manifest.json").exists()
    seal = run.folder / SEAL
    signed = int(read_json(seal)["statement"]["entries"]) if seal.exists() else 0
    found = []
    for entry in chain:
        if entry.action == "erase":
            row = str(entry.payload["row"])
            named = next((e.seq for e in chain if e.seq > entry.seq and "manifest" in e.payload), None)
            behind = signed <= (entry.seq if named is None else named)
            if row not in told or texts.get(row, BLANK) != BLANK or (whole and named is None) or behind:
                found.append(row)
    return found


def _rows_of(chain: Sequence[Entry]) -> list[str]:
    return [str(entry.payload["row"]) for entry in chain if entry.action == "erase"]


def _refuse_while_a_job_is_open(session: Session, run: Run) -> None:
    """A job has read the text already and would write it again."""
    query = select(Job.id).where(Job.run_id == run.id, Job.state.in_(jobs.OPEN)).limit(1)
    if session.scalars(query).first() is not None:
        raise DataError(
            f"A job of run {run.id} is queued or under way; it would write the text again.",
            hint="Wait for it, or cancel it first.",
        )


def _say_erased(run: Run, chain: Sequence[Entry]) -> None:
    """erased.json: which rows, and the leaves that were kept of them, as the chain tells (and as it stands, of erasures from before)."""
    rows = list(dict.fromkeys([*run.json("erased").get("rows", []), *_rows_of(chain)]))
    kept = {what: erased_leaves(run, what, chain) for what in ("texts", "answers")}
    leaves = {what: {row: json.loads(leaf) for row, leaf in found.items()} for what, found in kept.items()}
    write_json(run.folder / "erased.json", {"rows": rows, "leaves": leaves})


def _blank_everywhere(run: Run, row_id: str) -> None:
    examples = run.examples
    frame = examples.frame.copy()
    rows = frame["row_id"] == row_id
    text = str(frame.loc[rows, "text"].iloc[0])
    for name in _HELD:
        _blank(run.folder / name, row_id, text)
    for path in answered(run):
        answers = read_frame(path)
        write_frame(path, blanked_answers(answers, answers["row_id"] == row_id))
    frame.loc[rows, ["text", "content_id"]] = BLANK
    frame.loc[rows, "pair"] = None
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")


def _name_anew(workspace: Workspace, run: Run) -> None:
    """The changed files in the manifest, the manifest in the chain, and the chain's head signed."""
    if (run.folder / "manifest.json").exists():
        run.write_manifest()
        record(workspace, run.id, "job", "files", {"manifest": file_digest(run.folder / "manifest.json")})
    sign_head(workspace, run)


def _leaves_of(session: Session, run: Run, row_id: str) -> dict[str, dict[str, Any]]:
    """The row's leaves of the sealed Merkle trees, taken while its salt is there: afterwards they are noise that keeps the roots whole."""
    salts = {row: salt for row, salt in salts_of(session, run).items() if row == row_id}
    frame = run.examples.frame
    texts = [json.loads(leaf) for leaf in text_leaves(frame[frame["row_id"] == row_id], salts)]
    written = read_frame(run.folder / "labels.parquet") if has_answers(run) else None
    answers = [] if written is None else [json.loads(leaf) for leaf in answer_leaves(written, salts)]
    return {"texts": {leaf["row"]: leaf for leaf in texts}, "answers": {leaf["row"]: leaf for leaf in answers}}


def _forget_edits(session: Session, run: Run, row_id: str) -> None:
    """What reviewers wrote in place of answers to this prompt: the words and their salt go, the decision and its digest stay."""
    if not has_answers(run):
        return
    labels = read_frame(run.folder / "labels.parquet", ["row_id", "sample"])
    rows = [str(row) for row, source in zip(labels["row_id"], source_rows(labels), strict=True) if source == row_id]
    for start in range(0, len(rows), 500):
        cards = select(ItemRow.id).where(ItemRow.run_id == run.id, ItemRow.row_id.in_(rows[start : start + 500]))
        session.execute(update(DecisionRow).where(DecisionRow.item_id.in_(cards)).values(edit="", edit_salt=""))


def _blank(path: Path, row_id: str, text: str) -> None:
    """Blank what a file knows of the row: by its id, and for the checks' own sentences by the id in their meta or by the text. Another row
    with the same text is somebody else's, and its leaf in the sealed tree stays what it is."""
    if not path.exists():
        return
    frame = read_frame(path)
    hit = pd.Series(False, index=frame.index)
    if "row_id" in frame.columns:
        hit |= pd.Series(source_rows(frame), index=frame.index, dtype=object) == row_id
        if path.name == "corrections.parquet":  # of several answers to one prompt each has an edit of its own
            hit |= frame["row_id"].astype(str).str.startswith(f"{row_id}/")
    elif text != BLANK:
        hit |= frame["text"] == text
    if "meta" in frame.columns:
        hit |= frame["meta"].str.contains(f'"row_id": "{row_id}"', regex=False)
    for column in ("text", "pair", "content_id", "raw_answer", "answer", "teacher_answer"):
        if column in frame.columns:
            frame.loc[hit, column] = BLANK
    write_frame(path, frame)
