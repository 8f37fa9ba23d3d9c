"""Decisions as a table: what the audit stores beside the run and recomputes its review figures from. Notes stay in the database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import select

from auditor.evidence.chain import Entry
from auditor.evidence.jobs import read_by_the_audit
from auditor.evidence.keyed import matches
from auditor.evidence.log import entries
from auditor.review.tables import DecisionRow, ItemRow, PlanRow, StandingRow
from distill.db import open_database
from distill.workspace import Workspace

COLUMNS = (
    "round", "queue", "row_id", "position", "why", "slots", "machine_label", "reviewer", "role", "revision", "kind",
    "label", "reason", "seconds", "source", "at", "standing", "plan",
)  # fmt: skip


def decisions_frame(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Every decision of a run in the order of the evidence chain, those that were taken back included; empty when there is none.

    Columns: round, queue ('sample', 'strata', 'targeted'), row_id, position, why (stratum, or reason of the targeted queue),
    slots (how many people decide the card), machine_label, reviewer, role ('reviewer', 'adjudicator'), revision, kind
    ('label', 'none', 'skip', 'undo'), label (−1 where there is none), reason, seconds, source, at, standing (whether it counts
    now) and plan (the round's plan as JSON).
    """
    found = _rows(workspace, run_id)
    with open_database(workspace).read() as session:
        plans = {row.round: row.plan for row in session.scalars(select(PlanRow).where(PlanRow.run_id == run_id))}
    records = [_record(item, made, standing, plans) for made, item, standing in found]
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    if frame.empty:
        return frame
    return frame.astype({"label": np.int64, "seconds": np.float64, "standing": np.bool_})


def notes(workspace: Workspace, run_id: str) -> dict[tuple[int, str, str], str]:
    """Notes that stand, by (round, row id, reviewer)."""
    return {(i.round, i.row_id, d.reviewer): d.note for d, i, s in _rows(workspace, run_id) if s is not None and d.note}


def edits_by_person(workspace: Workspace, run_id: str) -> dict[tuple[int, str, str, str], str]:
    """Mended answers that stand, by (round, row id, reviewer, role)."""
    rows = _rows(workspace, run_id)
    return {(i.round, i.row_id, d.reviewer, d.role): d.edit for d, i, s in rows if s is not None and d.edit}


def edits(workspace: Workspace, run_id: str) -> dict[tuple[int, str], str]:
    """What stands in place of the teacher's answer, by (round, row id): the adjudicator's words, or else the later reviewer's."""
    found: dict[tuple[int, str], tuple[bool, str]] = {}
    for made, item, standing in _rows(workspace, run_id):
        settled = made.role == "adjudicator"
        key = (item.round, item.row_id)
        if standing is not None and (settled or not found.get(key, (False, ""))[0]):
            found[key] = (settled, made.edit)
    return {key: text for key, (_, text) in found.items() if text}


def deciders(workspace: Workspace, run_id: str) -> dict[str, tuple[str, str]]:
    """Who settled each row, and the entries of the chain that say so, such as ('Ada, Ben', 'RUN#12, RUN#15'); of several rounds the last.
    Where somebody adjudicated, that is the one who decided."""
    found: dict[str, tuple[int, bool, list[str], list[str]]] = {}
    for made, item, standing in _rows(workspace, run_id):
        if standing is None:
            continue
        rank = (item.round, made.role == "adjudicator")
        before = found.get(item.row_id)
        if before is None or rank > before[:2]:
            found[item.row_id] = (*rank, [made.reviewer], [f"{run_id}#{made.entry}"])
        elif rank == before[:2]:
            before[2].append(made.reviewer)
            before[3].append(f"{run_id}#{made.entry}")
    return {row: (", ".join(names), ", ".join(where)) for row, (_, _, names, where) in found.items()}


def problems(workspace: Workspace, run_id: str) -> list[str]:
    """One sentence for each decision that the evidence chain tells otherwise, or lacks; and for each entry without a decision."""
    told_all = entries(workspace, run_id)
    chain = {e.seq: e for e in told_all if e.action in {"decision", "adjudication"}}
    erased = {str(e.payload["row"]) for e in told_all if e.action == "erase"}
    said: list[str] = []
    for made, item, _ in _rows(workspace, run_id):
        entry = chain.pop(made.entry, None)
        if entry is None:
            said.append(f"the decision on {item.row_id} by {made.reviewer} is not in the chain")
            continue
        told = entry.payload
        same = (entry.actor, told["row"], told["kind"], told["label"], told["reason"], told["revision"]) == (
            made.reviewer, item.row_id, made.kind, made.label, made.reason, made.revision,
        )  # fmt: skip
        note = not made.note or (told["note"] is not None and matches(made.note, made.note_salt, told["note"]))
        gone = not made.edit_salt and any(item.row_id == row or item.row_id.startswith(f"{row}/") for row in erased)
        digest = told.get("edit")
        edit = gone or (not made.edit if digest is None else matches(made.edit, made.edit_salt or "00", digest))
        if not same or not note or not edit:
            said.append(f"the decision on {item.row_id} by {made.reviewer} is not the one in the chain")
    said += [f"entry {seq} of the chain has no decision" for seq in chain]
    return said


def untold(frame: pd.DataFrame, chain: Sequence[Entry]) -> list[str]:
    """One sentence for each row of decisions.parquet that the chain tells otherwise or lacks, for each entry that the audit has read and whose
    decision was left out, and where one counts that should not."""
    told = {}
    for entry in chain:
        if entry.action in {"decision", "adjudication"}:
            key = tuple(entry.payload[name] for name in ("round", "row", "role", "revision"))
            what = tuple(entry.payload[name] for name in ("kind", "label", "reason", "machine"))
            told[(entry.actor, *key)] = (entry.seq, what)
    said = []
    until = read_by_the_audit(chain)
    for row in frame.to_dict(orient="records"):
        key = (row["reviewer"], row["round"], row["row_id"], row["role"], row["revision"])
        label = None if row["label"] < 0 else row["label"]
        seq, what = told.pop(key, (-1, ()))
        until = max(until, seq)
        if what != (row["kind"], label, row["reason"], row["machine_label"]):
            said.append(f"the decision on {row['row_id']} by {row['reviewer']} is not the one in the chain")
    said += [
        f"the decision on {row} by {by} (entry {seq} of the chain) was left out"
        for (by, _, row, *_), (seq, _) in told.items()
        if seq <= until
    ]
    if len(frame) and not said:
        keys = ["round", "row_id", "reviewer", "role"]
        last = frame.groupby(keys)["revision"].transform("max") == frame["revision"]
        if not (frame["standing"] == (last & (frame["kind"] != "undo"))).all():
            said.append("a decision counts that was taken back, or one that stands does not count")
    return said


def _rows(workspace: Workspace, run_id: str) -> list[tuple[DecisionRow, ItemRow, int | None]]:
    query = (
        select(DecisionRow, ItemRow, StandingRow.decision_id)
        .join(ItemRow, ItemRow.id == DecisionRow.item_id)
        .outerjoin(StandingRow, StandingRow.decision_id == DecisionRow.id)
        .where(ItemRow.run_id == run_id)
        .order_by(DecisionRow.id)
    )
    with open_database(workspace).read() as session:
        return [(row[0], row[1], row[2]) for row in session.execute(query)]


def _record(item: ItemRow, made: DecisionRow, standing: int | None, plans: dict[int, str]) -> dict[str, Any]:
    return {
        "round": item.round,
        "queue": item.queue,
        "row_id": item.row_id,
        "position": item.position,
        "why": item.why,
        "slots": item.slots,
        "machine_label": item.machine_label,
        "reviewer": made.reviewer,
        "role": made.role,
        "revision": made.revision,
        "kind": made.kind,
        "label": -1 if made.label is None else made.label,
        "reason": made.reason,
        "seconds": np.nan if made.seconds is None else made.seconds,
        "source": made.source,
        "at": made.at,
        "standing": standing is not None,
        "plan": plans.get(item.round, "{}"),
    }


def plan_of(decisions: pd.DataFrame, number: int) -> dict[str, Any]:
    """The plan of a round as plain data, from the decisions alone."""
    found: dict[str, Any] = json.loads(decisions.loc[decisions["round"] == number, "plan"].iloc[0])
    return found
