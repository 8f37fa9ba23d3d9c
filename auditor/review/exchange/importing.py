"""What comes in: decisions made elsewhere. All of a file or nothing of it; every problem is told with its line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.evidence.log import append
from auditor.evidence.signoff import same_person
from auditor.review import desk
from auditor.review.answers import NOTHING, Unit
from auditor.review.desk import Answer
from auditor.review.exchange import label_studio
from auditor.review.exchange.cells import restored
from auditor.review.frame import label_names
from auditor.review.rounds import Round, require_name, require_round
from auditor.review.tables import ItemRow
from distill.db import open_database
from distill.errors import ReviewError, nearest
from distill.store import Run
from distill.workspace import Workspace

SHOWN = 20
SKIP = label_studio.SKIP


@dataclass(frozen=True)
class Problem:
    """What is wrong on one line (row of Parquet, task of Label Studio), counted from 1."""

    line: int
    what: str


class ReviewImportError(ReviewError):
    """A file that was not taken. ``problems`` holds every line that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        shown = "; ".join(f"line {p.line}: {p.what}" for p in problems[:SHOWN])
        more = f"; and {len(problems) - SHOWN:,} more" if len(problems) > SHOWN else ""
        super().__init__(
            f"Nothing was imported, {len(problems):,} lines are wrong: {shown}{more}.", "Correct them and import again."
        )
        self.problems = tuple(problems)


@dataclass(frozen=True)
class _Row:
    line: int
    item: ItemRow
    reviewer: str
    answer: Answer
    settles: bool  # an adjudication


def import_decisions(workspace: Workspace, run: Run, content: bytes, kind: str, by: str) -> int:
    """Enter the decisions of a file into the open round; returns how many.

    A row names ``row_id`` and ``label`` (a label's name, 'none' or 'skip'; of an answer 'accept', 'edit', 'reject' or 'skip'), and may
    name ``reviewer`` (else ``by``), ``reason``, ``note``, ``edit`` (the mended answer), ``role`` ('adjudicator' settles a difference) and
    ``round`` (which must be the open one). Rows with an empty label are left out: a card not yet decided. Every decision gets its own
    chain entry.

    Args:
        workspace: holds the database.
        run: the run under review.
        content: the file.
        kind: 'csv', 'jsonl', 'parquet' or 'label-studio'.
        by: who imports, and the reviewer of rows that name none.

    Raises:
        ReviewError: no open round, an unreadable file, or (as its subclass with ``problems``) lines that are wrong; nothing is
            entered then.
    """
    by = require_name(by)
    now = require_round(workspace, run.id)
    names = label_names(run)
    rows = list(_read(content, kind))
    with open_database(workspace).write() as session:
        taken, problems = _match(session, now, rows, names, by)
        if not problems and not taken:
            raise ReviewError("The file has no decision in it.", hint="Fill in its column 'label'.")
        if not problems:
            digest = hashlib.sha256(content).hexdigest()
            append(session, run.id, by, "import", {"sha256": digest, "format": kind, "decisions": len(taken)})
            for row in sorted(taken, key=lambda row: row.settles):  # what two people said comes before what settles it
                try:
                    enter = desk.settle if row.settles else desk.enter
                    enter(session, row.item, row.reviewer, row.answer, source="import")
                except ReviewError as error:
                    problems.append(Problem(row.line, f"{row.item.row_id}: {_as_told(error)}"))
        if problems:
            raise ReviewImportError(sorted(problems, key=lambda p: p.line))
    return len(taken)


def _as_told(error: ReviewError) -> str:
    told = {
        "You have decided": "this reviewer has decided it already",
        "Somebody else": "it is decided, or on somebody's desk",
    }
    return next((text for start, text in told.items() if error.message.startswith(start)), error.message)


def _match(
    session: Session, now: Round, rows: list[tuple[int, dict[str, Any]]], names: tuple[str, ...], by: str
) -> tuple[list[_Row], list[Problem]]:
    query = select(ItemRow).where(ItemRow.run_id == now.run_id, ItemRow.round == now.number).with_for_update()
    items = {item.row_id: item for item in session.scalars(query)}
    taken: list[_Row] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str, bool], int] = {}
    for line, row in rows:
        found = _row(line, row, items, names, by, now)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            key = (found.item.row_id, same_person(found.reviewer), found.settles)
            if key in seen:
                problems.append(Problem(line, f"{key[0]} was decided on line {seen[key]} already"))
            seen.setdefault(key, line)
            taken.append(found)
    return taken, problems


def _row(
    line: int, row: dict[str, Any], items: dict[str, ItemRow], names: tuple[str, ...], by: str, now: Round
) -> _Row | Problem | None:
    unit = now.unit
    if "problem" in row:
        return Problem(line, str(row["problem"]))
    label = row.get("label")
    if label is None or label == "":
        return None
    row_id = str(row.get("row_id") or "")
    if row_id not in items:
        return Problem(line, f"'{_short(row_id)}' is no card of this round")
    of_round = str(row.get("round") or now.number)
    if of_round != str(now.number):
        return Problem(line, f"it is of round {_short(of_round)}, round {now.number} is open")
    reason = str(row.get("reason") or "")
    reasons = desk.reasons_of(unit)
    if reason and reason not in reasons:
        return Problem(line, f"unknown reason '{_short(reason)}'. {nearest(reason, reasons)}")
    answer = _answer(str(label), names, reason, str(row.get("note") or ""), unit)
    if answer is None:
        words = [*names, NOTHING[unit], SKIP]
        return Problem(line, f"unknown label '{_short(str(label))}'. {nearest(str(label), words)}")
    try:
        answer = desk.checked(replace(answer, edit=str(row.get("edit") or "")), len(names), unit)
    except ReviewError as error:
        return Problem(line, error.message)
    settles = row.get("role") == desk.ADJUDICATOR
    return _Row(line, items[row_id], str(row.get("reviewer") or by).strip()[:200], answer, settles)


def _answer(label: str, names: tuple[str, ...], reason: str, note: str, unit: Unit) -> Answer | None:
    note = note[: desk.LONGEST_NOTE]
    if label in names:
        return Answer("label", names.index(label), reason, note)
    if label == NOTHING[unit]:
        return Answer("none", None, reason, note)
    return Answer("skip", None, reason, note) if label == SKIP else None


def _short(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:60])


def _read(content: bytes, kind: str) -> Iterator[tuple[int, dict[str, Any]]]:
    readers = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "label-studio": _label_studio}
    if kind not in readers:
        raise ReviewError(f"'{_short(kind)}' is no format.", hint=nearest(kind, readers))
    return readers[kind](content)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise ReviewError(f"Line {line} is not UTF-8 text.", hint="Save the file as UTF-8.") from error


def _csv(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _text(content)
    csv.field_size_limit(1 << 27)  # a text may have millions of characters
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = [restored(name) for name in next(reader, [])]
        if not {"row_id", "label"} <= set(head):
            raise ReviewError(
                "The file needs the columns row_id and label.", hint="Export the cards, and fill in 'label'."
            )
        line = reader.line_num + 1
        for cells in reader:
            if cells and len(cells) != len(head):
                yield line, {"problem": f"{len(cells)} cells instead of {len(head)}; the file may be cut off"}
            elif cells:
                yield line, {name: restored(cell) for name, cell in zip(head, cells, strict=True)}
            line = reader.line_num + 1
    except csv.Error as error:
        yield reader.line_num, {"problem": f"not CSV ({error}); the file may be cut off"}


def _jsonl(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, dict):
            yield number, row
        else:
            yield number, {"problem": "not a JSON object; the file may be cut off"}


def _parquet(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        table = pq.read_table(io.BytesIO(content))
    except (pa.ArrowInvalid, OSError) as error:
        raise ReviewError("The file is cut off or not Parquet.", hint="Export it again.") from error
    if not {"row_id", "label"} <= set(table.column_names):
        raise ReviewError("The file needs the columns row_id and label.", hint="Export the cards, and fill in 'label'.")
    yield from enumerate(table.to_pylist(), start=1)


def _label_studio(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    text = _text(content)
    try:
        yield from label_studio.read(json.loads(text))
    except json.JSONDecodeError as error:
        raise ReviewError(
            f"The file is not JSON from line {error.lineno} on; it may be cut off.", hint="Export it again as JSON."
        ) from error
    except RecursionError as error:
        raise ReviewError("The file is no Label Studio export: it is nested too deeply.") from error
    except ValueError as error:
        raise ReviewError(f"The file is no Label Studio export: {error}.") from error
