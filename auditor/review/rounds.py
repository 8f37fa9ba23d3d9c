"""Rounds: a plan is frozen and logged, then its cards are dealt. Nothing is dealt before the log knows seed, frame and plan."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from auditor.evidence.log import append
from auditor.evidence.merkle import merkle_root
from auditor.evidence.seal import answer_leaves, label_leaves, salts_of
from auditor.review.answers import Unit
from auditor.review.frame import LabelFrame, load_frame, strata_of
from auditor.review.plan import Plan, Strata, Wishes, draw_sample, make_plan
from auditor.review.tables import DecisionRow, ItemRow, LeaseRow, PlanRow, StandingRow
from auditor.stats.interval import IntArray, generator
from auditor.stats.sampling import allocate_neyman, allocate_proportional
from distill.db import open_database
from distill.errors import ReviewError
from distill.files import digest_of
from distill.store import Run
from distill.workspace import Workspace

TEXTS = {"text", "pair", "answer", "teacher_answer"}
SAMPLE, STRATA, TARGETED = "sample", "strata", "targeted"
PROBABILITY = (SAMPLE, STRATA)
PILOT = 20  # decided cards below which an error rate says nothing of where to look


@dataclass(frozen=True)
class Round:
    """One round of a run's review. ``closed`` is the reason why it ended early, empty otherwise."""

    run_id: str
    number: int
    plan: Plan
    by: str
    at: str
    closed: str

    @property
    def unit(self) -> Unit:
        """What the cards show: labels or answers."""
        return self.plan.unit


def rounds(workspace: Workspace, run_id: str) -> list[Round]:
    """All rounds of a run, the oldest first."""
    query = select(PlanRow).where(PlanRow.run_id == run_id).order_by(PlanRow.round)
    with open_database(workspace).read() as session:
        return [_round(row) for row in session.scalars(query)]


def current_round(workspace: Workspace, run_id: str) -> Round | None:
    """The newest round, or None before the first."""
    query = select(PlanRow).where(PlanRow.run_id == run_id).order_by(PlanRow.round.desc()).limit(1)
    with open_database(workspace).read() as session:
        row = session.scalars(query).first()
    return _round(row) if row else None


def require_round(workspace: Workspace, run_id: str) -> Round:
    """The newest round; raises ReviewError when nothing is planned or it was closed."""
    return _open(current_round(workspace, run_id), run_id)


def lock_round(session: Session, run_id: str) -> Round:
    """The same within the caller's transaction, which from here on is the only one to change this run's review: whoever waits here sees
    what the other did, and a round that was closed meanwhile takes no decision."""
    row = _last(session, run_id)
    return _open(_round(row) if row else None, run_id)


def _open(found: Round | None, run_id: str) -> Round:
    if found is None:
        raise ReviewError(f"No review of run {run_id} is planned.", hint=f"Plan it: heirloom review plan {run_id}.")
    if found.closed:
        raise ReviewError(f"Round {found.number} is closed: {found.closed}.", hint="Plan another round.")
    return found


def frame_digest(frame: LabelFrame) -> str:
    """Merkle root over the frame's labels (text stays outside); equals the sealed root where no label was corrected."""
    return _digest(frame)


@lru_cache(maxsize=2)
def _digest(frame: LabelFrame) -> str:
    names = [name for name in frame.table.column_names if name not in TEXTS]
    return merkle_root(label_leaves(frame.table.select(names).to_pandas()))


def propose(run: Run, wishes: Wishes) -> Plan:
    """The plan that ``wishes`` lead to; nothing is written."""
    frame = load_frame(run)
    return make_plan(len(frame), frame_digest(frame), wishes, frame.unit)


def begin(workspace: Workspace, run: Run, wishes: Wishes, by: str) -> Round:
    """Freeze a plan, enter it into the evidence chain, and deal its cards, all in one transaction.

    Raises:
        ReviewError: no name, no labels, an impossible plan, or a round that is still under way.
    """
    by = require_name(by)
    if wishes.strata is not None and wishes.strata.allocation == "Neyman":
        raise ReviewError(
            "Neyman's allocation needs a pilot, and a round begins without one.",
            hint="Begin the round, decide some cards, then add cards within strata.",
        )
    frame = load_frame(run)
    plan = make_plan(len(frame), frame_digest(frame), wishes, frame.unit)
    positions, slots = draw_sample(plan)
    extra = _extra(frame, wishes, positions, np.array([]), np.array([])) if wishes.strata else {}
    with open_database(workspace).write() as session:
        last = _last(session, run.id)
        if last is not None and not last.closed and _missing(session, last):
            raise ReviewError(
                f"Round {last.round} is not finished, and stopping early to start afresh would spoil what it proves.",
                hint="Finish it, or close it with a reason, which the record keeps.",
            )
        number = last.round + 1 if last else 1
        payload = {
            "round": number,
            "plan": plan.model_dump(mode="json"),
            "sample": digest_of([str(frame.ids[p]) for p in positions]),
        }
        if frame.unit == "answers":  # their words are not among the frame's digests, which hold no text
            payload["answers"] = merkle_root(answer_leaves(frame.table.to_pandas(), salts_of(session, run)))
        append(session, run.id, by, "plan", payload)
        row = PlanRow(run_id=run.id, round=number, by=by, plan=plan.model_dump_json())
        session.add(row)
        session.flush()
        deal(session, row, frame, positions, SAMPLE, slots=slots.tolist())
        for name, chosen in extra.items():
            deal(session, row, frame, chosen, STRATA, why=name)
    return _round(row)


def add_strata(workspace: Workspace, run: Run, strata: Strata, by: str) -> int:
    """Deal further cards within strata, after the simple random sample as a pilot; returns how many.

    Neyman's allocation takes the error rate of each stratum from what was decided so far.

    Raises:
        ReviewError: no round is open, or it has such cards already.
    """
    from auditor.review.outcome import item_verdicts
    from auditor.review.records import decisions_frame

    by = require_name(by)
    now = require_round(workspace, run.id)
    frame = load_frame(run)
    check_frame(now.plan, frame)
    verdicts = item_verdicts(decisions_frame(workspace, run.id), now.number)
    decided = verdicts[(verdicts["queue"] == SAMPLE) & ~verdicts["open"].astype(bool)]
    if strata.allocation == "Neyman" and len(decided) < PILOT:
        raise ReviewError(
            f"Neyman's allocation needs a pilot: {len(decided):,} cards of the sample are decided, {PILOT} are the least.",
            hint="Decide more cards first, or allocate in proportion.",
        )
    with open_database(workspace).write() as session:
        row = _last(session, run.id)
        assert row is not None
        if _count(session, row, STRATA):
            raise ReviewError("This round has cards within strata already.", hint="Finish it, then plan another round.")
        sample = _positions(session, row, SAMPLE)
        taken = np.array([frame.index_of[r] for r in decided["row_id"]], dtype=np.int64)
        wishes = now.plan.wishes.model_copy(update={"strata": strata})
        chosen = _extra(frame, wishes, sample, taken, decided["wrong"].to_numpy(dtype=np.float64))
        total = sum(len(found) for found in chosen.values())
        plan = now.plan.model_copy(update={"wishes": wishes})
        payload = {
            "round": now.number,
            "strata": strata.model_dump(mode="json"),
            "cards": {name: len(found) for name, found in chosen.items()},
        }
        append(session, run.id, by, "plan", payload)
        row.plan = plan.model_dump_json()
        _drop_targeted(session, row, {str(frame.ids[p]) for found in chosen.values() for p in found})
        for name, found in chosen.items():
            deal(session, row, frame, found, STRATA, why=name)
    return total


def close_round(workspace: Workspace, run: Run, by: str, reason: str) -> None:
    """End a round early. The record keeps who and why, and its result stays 'early look'.

    Raises:
        ReviewError: no name, no reason, or no open round.
    """
    by, reason = require_name(by), reason.strip()
    if not reason:
        raise ReviewError("Closing a round early needs a reason.", hint="Say why; the record keeps it.")
    now = require_round(workspace, run.id)
    with open_database(workspace).write() as session:
        row = session.get_one(PlanRow, (run.id, now.number))
        row.closed = reason[:500]
        append(session, run.id, by, "plan", {"round": now.number, "closed": True})


def deal(
    session: Session,
    row: PlanRow,
    frame: LabelFrame,
    positions: IntArray,
    queue: str,
    *,
    slots: Sequence[int] | None = None,
    why: str | Sequence[str] = "",
) -> None:
    """Add cards in the given order to a round."""
    query = select(func.max(ItemRow.position)).where(ItemRow.run_id == row.run_id, ItemRow.round == row.round)
    start = session.scalar(query)
    first = 0 if start is None else start + 1
    cards: list[dict[str, Any]] = [
        {
            "run_id": row.run_id,
            "round": row.round,
            "row_id": str(frame.ids[position]),
            "row_index": int(position),
            "queue": queue,
            "position": first + place,
            "machine_label": int(frame.label[position]),
            "why": (why if isinstance(why, str) else why[place])[:200],
            "slots": int(slots[place]) if slots is not None else 1,
            "done": 0,
            "open": True,
        }
        for place, position in enumerate(positions)
    ]
    if cards:
        session.execute(insert(ItemRow), cards)


def check_frame(plan: Plan, frame: LabelFrame) -> None:
    """Raise ReviewError when the labels are no longer those that the plan was made for."""
    if frame_digest(frame) != plan.frame:
        raise ReviewError(
            "The run's labels have changed since this round was planned.", hint="Close the round and plan another one."
        )


def require_name(by: str) -> str:
    """A reviewer's name without blanks around it; raises ReviewError when it is empty."""
    by = by.strip()
    if not by:
        raise ReviewError("A review needs a name.", hint="Say who you are; it stands beside every decision.")
    return by[:200]


def _extra(
    frame: LabelFrame, wishes: Wishes, sample: IntArray, decided: IntArray, wrong: np.ndarray[Any, np.dtype[np.float64]]
) -> dict[str, IntArray]:
    """Positions to add in each stratum, so that sample and addition together follow the allocation; after Neyman the addition alone does.

    Given how many of the sample fall into a stratum they are a simple random sample of it, and so is what is added from the rest.
    """
    strata = wishes.strata
    assert strata is not None
    names = strata_of(frame.label, frame.confidence, frame.groups, strata.bands, strata.by_class, strata.group)
    kinds, place, sizes = np.unique(names.astype(str), return_inverse=True, return_counts=True)
    have = np.bincount(place[sample], minlength=len(kinds)).astype(np.int64)
    if strata.allocation == "Neyman":
        n = np.bincount(place[decided], minlength=len(kinds))
        target = have + after_pilot(
            sizes - have, n, np.bincount(place[decided], weights=wrong, minlength=len(kinds)), strata
        )
    else:
        wanted = min(len(frame), max(len(sample) + strata.extra, int(np.minimum(sizes, strata.minimum).sum())))
        target = allocate_proportional(sizes, wanted, strata.minimum)
    free = np.ones(len(frame), dtype=np.bool_)
    free[sample] = False
    rng = generator(wishes.seed + 1)
    chosen = {}
    for k, name in enumerate(kinds):
        rest = np.flatnonzero(free & (place == k))
        more = min(len(rest), max(0, int(target[k] - have[k])))
        if more:
            chosen[str(name)] = rng.choice(rest, size=more, replace=False).astype(np.int64)
    return chosen


def after_pilot(rest: IntArray, decided: IntArray, wrong: npt.NDArray[Any], strata: Strata) -> IntArray:
    """Cards to draw in each stratum from the ``rest`` that the pilot left, after Neyman, shape [strata].

    The further cards have to stand alone (see ``outcome``), so each stratum gets the minimum of them whatever the pilot had there. Half a
    wrong label a stratum more: one without errors so far is not certain to have none.
    """
    rate = (wrong + 0.5) / (decided + 1)
    wanted = min(int(rest.sum()), max(strata.extra, int(np.minimum(rest, strata.minimum).sum())))
    return allocate_neyman(rest, np.sqrt(rate * (1 - rate)), wanted, strata.minimum)


def _round(row: PlanRow) -> Round:
    return Round(row.run_id, row.round, _plan(row.plan), row.by, row.at, row.closed)


@lru_cache(maxsize=64)
def _plan(text: str) -> Plan:
    """Plans are frozen, so every keypress may share one."""
    return Plan.model_validate(json.loads(text))


def _last(session: Session, run_id: str) -> PlanRow | None:
    query = select(PlanRow).where(PlanRow.run_id == run_id).order_by(PlanRow.round.desc()).limit(1)
    return session.scalars(query.with_for_update()).first()


def _missing(session: Session, row: PlanRow) -> int:
    """Cards of the probability sample that nobody has decided."""
    query = select(func.count()).where(
        ItemRow.run_id == row.run_id, ItemRow.round == row.round, ItemRow.queue.in_(PROBABILITY), ItemRow.done == 0
    )
    return session.scalar(query) or 0


def _count(session: Session, row: PlanRow, queue: str) -> int:
    query = select(func.count()).where(ItemRow.run_id == row.run_id, ItemRow.round == row.round, ItemRow.queue == queue)
    return session.scalar(query) or 0


def _positions(session: Session, row: PlanRow, queue: str) -> IntArray:
    query = select(ItemRow.row_index).where(
        ItemRow.run_id == row.run_id, ItemRow.round == row.round, ItemRow.queue == queue
    )
    return np.array(list(session.scalars(query)), dtype=np.int64)


def _drop_targeted(session: Session, row: PlanRow, chosen: set[str]) -> None:
    """A card that nobody has touched may leave the targeted queue for the sample; one that was decided there may not come back blind."""
    query = select(ItemRow).where(
        ItemRow.run_id == row.run_id, ItemRow.round == row.round, ItemRow.queue == TARGETED, ItemRow.row_id.in_(chosen)
    )
    for item in session.scalars(query):
        touched = select(func.count()).where(DecisionRow.item_id == item.id)
        if session.scalar(touched):
            raise ReviewError(
                "Some of the cards to add were already decided in the targeted queue with the teacher's answer in view.",
                hint="Finish this round, then plan another one with strata.",
            )
        session.execute(delete(LeaseRow).where(LeaseRow.item_id == item.id))
        session.execute(delete(StandingRow).where(StandingRow.item_id == item.id))
        session.delete(item)
    session.flush()
