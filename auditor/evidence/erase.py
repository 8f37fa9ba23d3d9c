"""Erasing one person's row: its text goes from every file of the run and its salt from the database; the chain still verifies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from auditor.evidence.bundle import answered, blanked_answers
from auditor.evidence.log import append, record
from auditor.evidence.seal import SaltRow, answer_leaves, has_answers, salts_of, sign_head, source_rows, text_leaves
from auditor.review.tables import DecisionRow, ItemRow
from distill.db import open_database
from distill.errors import DataError
from distill.files import file_digest, write_json
from distill.store import Run
from distill.types import Examples, read_frame, write_frame
from distill.workspace import Workspace

BLANK = ""


def erase(workspace: Workspace, run: Run, row_id: str, by: str, reason: str) -> None:
    """Erase a row's text. Figures that rested on texts read 'no longer recomputable' from now on.

    Raises:
        DataError: no such row, or it was erased before.
    """
    examples = run.examples
    before = run.json("erased")
    erased = list(before.get("rows", []))
    if row_id not in set(examples.ids):
        raise DataError(f"The run has no row '{row_id}'.", hint="Row ids stand on the page Examples.")
    if row_id in erased:
        raise DataError(f"The row '{row_id}' was erased before.")
    with open_database(workspace).write() as session:
        leaves = _leaves_of(session, run, row_id)
        session.execute(delete(SaltRow).where(SaltRow.run_id == run.id, SaltRow.row_id == row_id))
        append(session, run.id, by, "erase", {"row": row_id, "reason": reason})
        _forget_edits(session, run, row_id)
    kept = {what: {**before.get("leaves", {}).get(what, {}), **made} for what, made in leaves.items()}
    write_json(run.folder / "erased.json", {"rows": [*erased, row_id], "leaves": kept})
    frame = examples.frame.copy()
    rows = frame["row_id"] == row_id
    text = str(frame.loc[rows, "text"].iloc[0])
    frame.loc[rows, ["text", "content_id"]] = BLANK
    frame.loc[rows, "pair"] = None
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")
    for name in (
        "examples_view.parquet",
        "labels.parquet",
        "items.parquet",
        "unanswered.parquet",
        "corrections.parquet",
    ):
        _blank(run.folder / name, row_id, text)
    for path in answered(run):
        answers = read_frame(path)
        write_frame(path, blanked_answers(answers, answers["row_id"] == row_id))
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
    """Blank what a file knows of the text: by row id, and for the checks' own sentences by the row id in their meta."""
    if not path.exists():
        return
    frame = read_frame(path)
    hit = pd.Series(False, index=frame.index)
    if "row_id" in frame.columns:
        hit |= frame["row_id"] == row_id
        if path.name == "corrections.parquet":  # of several answers to one prompt each has an edit of its own
            hit |= frame["row_id"].astype(str).str.startswith(f"{row_id}/")
    if "meta" in frame.columns:
        hit |= frame["meta"].str.contains(f'"row_id": "{row_id}"', regex=False)
    if "text" in frame.columns:
        hit |= frame["text"] == text
    for column in ("text", "pair", "content_id", "raw_answer", "answer", "teacher_answer"):
        if column in frame.columns:
            frame.loc[hit, column] = BLANK
    write_frame(path, frame)
