"""Erasing one person's row: its text goes from every file of the run and its salt from the database; the chain still verifies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sqlalchemy import delete

from auditor.evidence.bundle import answered, blanked_answers
from auditor.evidence.log import append
from auditor.evidence.seal import SaltRow, sign_head
from distill.db import open_database
from distill.errors import DataError
from distill.files import write_json
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
    erased = list(run.json("erased").get("rows", []))
    if row_id not in set(examples.ids):
        raise DataError(f"The run has no row '{row_id}'.", hint="Row ids stand on the page Examples.")
    if row_id in erased:
        raise DataError(f"The row '{row_id}' was erased before.")
    with open_database(workspace).write() as session:
        session.execute(delete(SaltRow).where(SaltRow.run_id == run.id, SaltRow.row_id == row_id))
        append(session, run.id, by, "erase", {"row": row_id, "reason": reason})
    write_json(run.folder / "erased.json", {"rows": [*erased, row_id]})
    frame = examples.frame.copy()
    rows = frame["row_id"] == row_id
    text = str(frame.loc[rows, "text"].iloc[0])
    frame.loc[rows, ["text", "content_id"]] = BLANK
    frame.loc[rows, "pair"] = None
    Examples(frame, examples.labels).write(run.folder / "examples.parquet")
    for name in ("examples_view.parquet", "labels.parquet", "items.parquet", "unanswered.parquet"):
        _blank(run.folder / name, row_id, text)
    for path in answered(run):
        answers = read_frame(path)
        write_frame(path, blanked_answers(answers, answers["row_id"] == row_id))
    if (run.folder / "manifest.json").exists():
        run.write_manifest()
    sign_head(workspace, run)


def _blank(path: Path, row_id: str, text: str) -> None:
    """Blank what a file knows of the text: by row id, and for the checks' own sentences by the row id in their meta."""
    if not path.exists():
        return
    frame = read_frame(path)
    hit = pd.Series(False, index=frame.index)
    if "row_id" in frame.columns:
        hit |= frame["row_id"] == row_id
    if "meta" in frame.columns:
        hit |= frame["meta"].str.contains(f'"row_id": "{row_id}"', regex=False)
    if "text" in frame.columns:
        hit |= frame["text"] == text
    for column in ("text", "pair", "content_id", "raw_answer", "answer", "teacher_answer"):
        if column in frame.columns:
            frame.loc[hit, column] = BLANK
    write_frame(path, frame)
