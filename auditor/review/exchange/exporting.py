"""What goes out: the cards to decide, the decisions, or all labels. Synthetic data say so in every row."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from auditor.evidence.log import record
from auditor.review.answers import NOTHING
from auditor.review.exchange import label_studio
from auditor.review.exchange.cells import neutralised
from auditor.review.frame import LabelFrame, load_frame
from auditor.review.records import decisions_frame, edits_by_person, notes
from auditor.review.rounds import TARGETED, require_name, require_round
from auditor.review.tables import ItemRow
from distill.db import open_database
from distill.errors import ReviewError, nearest
from distill.store import Run
from distill.workspace import Workspace

Format = Literal["csv", "jsonl", "parquet", "label-studio"]
What = Literal["cards", "decisions", "labels"]  # 'labels' are all answers where the teacher wrote
FORMATS: tuple[Format, ...] = ("csv", "jsonl", "parquet", "label-studio")
WHATS: tuple[What, ...] = ("cards", "decisions", "labels")
SUFFIXES: dict[Format, str] = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet", "label-studio": ".json"}


def export(workspace: Workspace, run: Run, what: str, kind: str, by: str) -> bytes:
    """A file with the cards, the decisions or all labels of a run; the chain records that it was made.

    Every row carries ``synthetic: true`` and the teacher's id, since its label (or what it judges) was made by a model.
    Cards of the probability sample are blind: their rows hold no label. The targeted queue's hold the teacher's.

    Args:
        workspace: holds the database.
        run: the run under review.
        what: 'cards' (those of the open round), 'decisions' or 'labels'.
        kind: 'csv', 'jsonl', 'parquet' or 'label-studio' (cards and decisions).
        by: who exports.

    Raises:
        ReviewError: an unknown word, nothing to export, or no open round.
    """
    by = require_name(by)
    if what not in WHATS:
        raise ReviewError(f"'{what[:40]}' cannot be exported.", hint=nearest(what, WHATS))
    if kind not in FORMATS:
        raise ReviewError(f"'{kind[:40]}' is no format.", hint=nearest(kind, FORMATS))
    frame = load_frame(run)
    if kind == "label-studio":
        if what == "labels":
            raise ReviewError(
                "Label Studio takes cards or decisions.", hint="Export all labels as CSV, JSONL or Parquet."
            )
        content = label_studio.dump(run, frame, _cards(workspace, run), _decisions(workspace, run, frame))
    else:
        rows = _rows(workspace, run, frame, what)
        content = _write(rows, kind)
    record(workspace, run.id, by, "export", {"what": what, "format": kind, "bytes": len(content)})
    return content


def _rows(workspace: Workspace, run: Run, frame: LabelFrame, what: str) -> list[dict[str, Any]]:
    if what == "labels":
        rows = list(_labels(run, frame))
    elif what == "decisions":
        rows = [{**_mark(run, frame), **each} for each in _decisions(workspace, run, frame)]
    else:
        rows = [_card_row(run, frame, item) for item in _cards(workspace, run)]
    if not rows:
        raise ReviewError(f"Run {run.id} has no {what} to export.")
    return rows


def _mark(run: Run, frame: LabelFrame) -> dict[str, Any]:
    return {"synthetic": True, "teacher_id": frame.teacher_id(), "run": run.id}


def _cards(workspace: Workspace, run: Run) -> list[ItemRow]:
    now = require_round(workspace, run.id)
    query = select(ItemRow).where(ItemRow.run_id == run.id, ItemRow.round == now.number).order_by(ItemRow.position)
    with open_database(workspace).read() as session:
        return list(session.scalars(query))


def _card_row(run: Run, frame: LabelFrame, item: ItemRow) -> dict[str, Any]:
    card = frame.card(item.row_index)
    known = item.queue == TARGETED
    head = {
        **_mark(run, frame),
        "row_id": card.row_id,
        "round": item.round,
        "queue": item.queue,
        "people": item.slots,
        "text": card.text,
        "pair": card.pair,
    }
    if frame.unit == "answers":
        return {**head, "answer": card.answer, "label": None, "edit": None, "reason": None, "note": None}
    suggestion = frame.labels[card.label] if known else None
    return {**head, "suggestion": suggestion, "label": None, "reason": None, "note": None}


def _decisions(workspace: Workspace, run: Run, frame: LabelFrame) -> list[dict[str, Any]]:
    """Standing decisions, one row each."""
    decisions, said = decisions_frame(workspace, run.id), notes(workspace, run.id)
    written = edits_by_person(workspace, run.id)
    standing = decisions[decisions["standing"].astype(bool)] if len(decisions) else decisions
    rows = []
    for row in standing.to_dict(orient="records"):
        label = {"none": NOTHING[frame.unit], "skip": "skip"}.get(row["kind"]) or frame.labels[row["label"]]
        key = (int(row["round"]), row["row_id"], row["reviewer"], row["role"])
        judged: dict[str, Any] = {"teacher_label": frame.labels[row["machine_label"]]}
        if frame.unit == "answers":
            here = frame.index_of.get(row["row_id"])
            judged = {"answer": None if here is None else frame.card(here).answer, "edit": written.get(key)}
        rows.append(
            {
                "row_id": row["row_id"],
                "round": int(row["round"]),
                "queue": row["queue"],
                "role": row["role"],
                "reviewer": row["reviewer"],
                "label": label,
                **judged,
                "reason": row["reason"] or None,
                "note": said.get((row["round"], row["row_id"], row["reviewer"])),
                "at": row["at"],
            }
        )
    return rows


def _labels(run: Run, frame: LabelFrame) -> Iterator[dict[str, Any]]:
    mark = _mark(run, frame)
    if frame.unit == "answers":
        names = ["row_id", "text", "pair", "answer", "finish", "confidence"]
        yield from ({**mark, **row} for row in frame.table.select(names).to_pylist())
        return
    for row in frame.table.to_pylist():
        probs = {f"p_{name}": row[f"p_{k}"] for k, name in enumerate(frame.labels)}
        yield {
            **mark,
            "row_id": row["row_id"],
            "text": row["text"],
            "pair": row["pair"],
            "label": frame.labels[row["label"]],
            "confidence": row["confidence"],
            **probs,
        }


def _write(rows: list[dict[str, Any]], kind: str) -> bytes:
    if kind == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows).encode()
    if kind == "parquet":
        sink = io.BytesIO()
        table = pa.Table.from_pylist([{key: _clean(value) for key, value in row.items()} for row in rows])
        marked = table.replace_schema_metadata({b"synthetic": b"true"})
        pq.write_table(marked, sink, compression="zstd")
        return sink.getvalue()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow([neutralised(name) for name in rows[0]])
    for row in rows:
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue().encode("utf-8", "surrogatepass")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return neutralised(value) if isinstance(value, str) else repr(value)


def _clean(value: Any) -> Any:
    """Lone surrogates have no UTF-8 and so no place in Parquet."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
