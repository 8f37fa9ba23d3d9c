"""Results of a run's review for pages and the command line, from the database and the run's files."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select

from auditor.review.frame import load_frame
from auditor.review.outcome import Lot, LotOutcome, lot_outcome
from auditor.review.rounds import SAMPLE, Round
from auditor.review.tables import DecisionRow, ItemRow, StandingRow
from distill.db import open_database
from distill.store import Run
from distill.workspace import Workspace

OPEN = -2  # a skipped card, or one on which people differ


def lot_of_run(run: Run) -> Lot:
    """The labels under review as the estimators want them."""
    frame = load_frame(run)
    return Lot(frame.ids, frame.label, frame.confidence, frame.groups)


def early_look(workspace: Workspace, now: Round) -> LotOutcome | None:
    """What the simple random sample says so far, from a few counts alone, quick enough to be drawn after each decision; None before
    the first."""
    n, wrong, still = _counts(workspace, now)
    return lot_outcome(now.plan, n, wrong, still) if n else None


def _counts(workspace: Workspace, now: Round) -> tuple[int, int, int]:
    """Decided, wrong and open cards of the simple random sample."""
    code = case((DecisionRow.kind == "label", DecisionRow.label), (DecisionRow.kind == "none", -1), else_=OPEN)
    said = case((StandingRow.role == "reviewer", code))
    settled = func.max(case((StandingRow.role == "adjudicator", code)))
    final = func.coalesce(settled, case((func.min(said) == func.max(said), func.min(said)), else_=OPEN))
    cards = (
        select(final.label("final"), func.max(ItemRow.machine_label).label("machine"))
        .join(StandingRow, StandingRow.item_id == ItemRow.id)
        .join(DecisionRow, DecisionRow.id == StandingRow.decision_id)
        .where(ItemRow.run_id == now.run_id, ItemRow.round == now.number, ItemRow.queue == SAMPLE)
        .group_by(ItemRow.id)
        .subquery()
    )
    wrong = func.count().filter((cards.c.final != OPEN) & (cards.c.final != cards.c.machine))
    counts = select(func.count(), wrong, func.count().filter(cards.c.final == OPEN)).select_from(cards)
    with open_database(workspace).read() as session:
        found = session.execute(counts).one()
    return int(found[0]), int(found[1]), int(found[2])


def newest_decision(workspace: Workspace, run_id: str) -> int:
    """Id of the newest decision of a run, 0 before the first: what changes when results change."""
    query = select(func.max(DecisionRow.id)).join(ItemRow, ItemRow.id == DecisionRow.item_id)
    with open_database(workspace).read() as session:
        return session.scalar(query.where(ItemRow.run_id == run_id)) or 0


@dataclass(frozen=True)
class Difference:
    """A card on which two people differ: what each said (label index, None for 'none fits' or 'skip'), and each one's words for an answer."""

    item_id: int
    row_id: str
    row_index: int
    said: tuple[tuple[str, str, int | None], ...]
    edits: tuple[str, ...] = ()


def differences(workspace: Workspace, now: Round) -> list[Difference]:
    """Cards that wait for an adjudication, in the order of review. Two edits of one answer agree that it does not stand, so they count as
    settled in every rate; which words students learn is still to be chosen, and until then it is the later ones."""
    query = (
        select(ItemRow, DecisionRow.reviewer, DecisionRow.kind, DecisionRow.label, StandingRow.role, DecisionRow.edit)
        .join(StandingRow, StandingRow.item_id == ItemRow.id)
        .join(DecisionRow, DecisionRow.id == StandingRow.decision_id)
        .where(ItemRow.run_id == now.run_id, ItemRow.round == now.number, ItemRow.slots > 1)
        .order_by(ItemRow.position, DecisionRow.id)
    )
    items: dict[int, ItemRow] = {}
    said: dict[int, list[tuple[str, str, int | None]]] = {}
    written: dict[int, list[str]] = {}
    settled: set[int] = set()
    with open_database(workspace).read() as session:
        for item, reviewer, kind, label, role, edit in session.execute(query):
            items[item.id] = item
            if role == "adjudicator":
                settled.add(item.id)
            else:
                said.setdefault(item.id, []).append((reviewer, kind, label))
                written.setdefault(item.id, []).append(edit)
    return [
        Difference(key, items[key].row_id, items[key].row_index, tuple(answers), tuple(written[key]))
        for key, answers in said.items()
        if key not in settled
        and len({(k, label, e) for (_, k, label), e in zip(answers, written[key], strict=True)}) > 1
    ]
