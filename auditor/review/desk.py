"""The reviewer's desk: the next card, a decision, a change of mind. Each is one transaction together with its entry in the evidence chain.

A card is leased for some minutes, so that no two people work on it unless it is a double-review card. What a person has decided
stands in ``review_standing``; the decision itself is appended to ``review_decisions`` and never edited.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from auditor.evidence.keyed import keyed_digest, new_salt
from auditor.evidence.log import append
from auditor.evidence.signoff import same_person
from auditor.review import answers
from auditor.review.rounds import PROBABILITY, TARGETED, Round, lock_round, require_name
from auditor.review.tables import DecisionRow, ItemRow, LeaseRow, StandingRow
from distill.db import open_database
from distill.errors import ReviewError, nearest
from distill.workspace import Workspace

LEASE_SECONDS = 300.0
LONGEST_NOTE = 2_000
REASONS = ("wrong", "ambiguous", "not in label set", "hallucinated", "personal data", "offensive")
Kind = Literal["label", "none", "skip"]
Queue = Literal["sample", "targeted"]
REVIEWER, ADJUDICATOR = "reviewer", "adjudicator"


@dataclass(frozen=True)
class Answer:
    """What a person says of a card.

    Attributes:
        kind: 'label'; 'none' where no label fits, or an answer is rejected; 'skip' where the person can't say.
        label: index of the label, for the kind 'label' only; of an answer ACCEPT or EDIT.
        reason: why the teacher's label was changed, one of REASONS; filled in when empty and needed.
        note: free words; they stay outside the evidence chain.
        seconds: how long the card was looked at.
        edit: the mended answer, for EDIT only; as a note it stays outside the chain.
    """

    kind: Kind = "label"
    label: int | None = None
    reason: str = ""
    note: str = ""
    seconds: float | None = None
    edit: str = ""


@dataclass(frozen=True)
class Card:
    """A card on somebody's desk. ``blind``: the teacher's answer must not be shown before the person's own."""

    item_id: int
    row_id: str
    row_index: int
    queue: str
    position: int
    double: bool
    why: str

    @property
    def blind(self) -> bool:
        """True for every card of the probability sample."""
        return self.queue != TARGETED


@dataclass(frozen=True)
class Progress:
    """How far a queue is: cards, decided ones, and decided ones by this person; ``left`` counts the answers that are still to be given,
    two for a fresh card that two people decide."""

    total: int
    decided: int
    mine: int
    waiting_for_second: int
    left: int = 0


def next_card(
    workspace: Workspace, run_id: str, reviewer: str, queue: Queue = "sample", lease: float = LEASE_SECONDS
) -> Card | None:
    """The card that ``reviewer`` holds, or the next free one, leased for ``lease`` seconds; None when nothing is left for this person.

    Raises:
        ReviewError: no name, or no open round.
    """
    reviewer = require_name(reviewer)
    with open_database(workspace).write() as session:
        return _take(session, lock_round(session, run_id), reviewer, queue, lease)


def decide(
    workspace: Workspace,
    run_id: str,
    item_id: int,
    reviewer: str,
    answer: Answer,
    *,
    classes: int,
    source: str = "page",
) -> int:
    """Enter a decision; returns its id.

    Args:
        workspace: holds the database.
        run_id: whose review.
        item_id: the card.
        reviewer: who decides.
        answer: what was said.
        classes: number of labels.
        source: 'page' or 'import'.

    Raises:
        ReviewError: the round is closed, the card is not of it, this person has decided it already, or somebody else has
            taken it after the lease ran out.
    """
    reviewer = require_name(reviewer)
    with open_database(workspace).write() as session:
        now = lock_round(session, run_id)
        return enter(session, _item(session, now, item_id), reviewer, checked(answer, classes, now.unit), source=source)


def decide_and_take(
    workspace: Workspace,
    run_id: str,
    item_id: int,
    reviewer: str,
    answer: Answer,
    *,
    classes: int,
    queue: Queue = "sample",
) -> Card | None:
    """Enter a decision and lease the next card in the same transaction, which is what a keypress does: one commit to the disk, not two.

    Raises:
        ReviewError: as :func:`decide` does; nothing is leased then.
    """
    reviewer = require_name(reviewer)
    with open_database(workspace).write() as session:
        now = lock_round(session, run_id)
        enter(session, _item(session, now, item_id), reviewer, checked(answer, classes, now.unit))
        return _take(session, now, reviewer, queue, LEASE_SECONDS)


def enter(session: Session, item: ItemRow, reviewer: str, answer: Answer, *, source: str = "page") -> int:
    """The same within the caller's transaction, with an answer that :func:`checked` has seen."""
    if _has_decided(session, item, reviewer):
        raise ReviewError("You have decided this card already.", hint="Undo first to decide it again.")
    mine = session.get(LeaseRow, (item.id, reviewer))
    others = _leases_of_others(session, item.id, reviewer)
    if item.done >= item.slots or (mine is None and item.done + others >= item.slots):
        raise ReviewError("Somebody else has this card by now.", hint="Go on with the next one.")
    made = _append(session, item, reviewer, REVIEWER, answer, source)
    session.add(StandingRow(item_id=item.id, reviewer=reviewer, role=REVIEWER, decision_id=made.id))
    _count(item, item.done + 1)
    if mine is not None:
        session.delete(mine)
    session.flush()
    return made.id


def undo(workspace: Workspace, run_id: str, reviewer: str, queue: Queue = "sample") -> Card | None:
    """Take back the newest standing decision of ``reviewer``, by appending 'undo', and lease that card again; None when there is none.

    Raises:
        ReviewError: the card was adjudicated meanwhile.
    """
    reviewer = require_name(reviewer)
    with open_database(workspace).write() as session:
        now = lock_round(session, run_id)
        found = _newest(session, now, reviewer, queue)
        if found is None:
            return None
        item, standing = found
        if _adjudicated(session, item.id):
            raise ReviewError("This card was adjudicated and cannot be undone.")
        _append(session, item, reviewer, REVIEWER, Answer("skip"), "page", kind="undo")
        session.delete(standing)
        _count(item, item.done - 1)
        session.execute(delete(LeaseRow).where(LeaseRow.reviewer == reviewer))
        session.add(LeaseRow(item_id=item.id, reviewer=reviewer, expires=time.time() + LEASE_SECONDS))
        return _card(item)


def amend(workspace: Workspace, run_id: str, item_id: int, reviewer: str, reason: str, note: str | None = None) -> None:
    """Give a standing decision another reason or note, by appending a revision with the same answer; what says the same adds nothing.

    Raises:
        ReviewError: there is no such decision, or the reason is unknown.
    """
    with open_database(workspace).write() as session:
        now = lock_round(session, run_id)
        item = _item(session, now, item_id)
        standing = session.get(StandingRow, (item_id, reviewer, REVIEWER))
        if standing is None:
            raise ReviewError("There is no decision of yours on this card.")
        old = session.get_one(DecisionRow, standing.decision_id)
        before = Answer(old.kind, old.label, old.reason, old.note, old.seconds, old.edit)  # type: ignore[arg-type]
        kept = old.note if note is None else note[:LONGEST_NOTE]
        changed = replace(before, reason=known_reason(reason, now.unit), note=kept)
        if changed != before:
            standing.decision_id = _append(session, item, reviewer, REVIEWER, changed, "page").id


def adjudicate(workspace: Workspace, run_id: str, item_id: int, by: str, answer: Answer, *, classes: int) -> None:
    """Settle a card on which two people differ.

    One of the two may do it only with a note that says how they came to agree.

    Raises:
        ReviewError: no difference on that card, or it is settled, or the note is missing.
    """
    by = require_name(by)
    with open_database(workspace).write() as session:
        now = lock_round(session, run_id)
        settle(session, _item(session, now, item_id), by, checked(answer, classes, now.unit))


def settle(session: Session, item: ItemRow, by: str, answer: Answer, *, source: str = "page") -> None:
    """The same within the caller's transaction, with an answer that :func:`checked` has seen."""
    query = (
        select(DecisionRow)
        .join(StandingRow, StandingRow.decision_id == DecisionRow.id)
        .where(StandingRow.item_id == item.id, StandingRow.role == REVIEWER)
    )
    said = list(session.scalars(query))
    if len({(each.kind, each.label, each.edit) for each in said}) < 2:
        raise ReviewError("Nobody differs on this card.")
    if _adjudicated(session, item.id):
        raise ReviewError("This card is settled already.")
    if same_person(by) in {same_person(each.reviewer) for each in said} and not answer.note.strip():
        raise ReviewError(
            "You are one of the two who differ.",
            hint="Let a third person settle it, or note how you came to agree.",
        )
    made = _append(session, item, by, ADJUDICATOR, answer, source, action="adjudication")
    session.add(StandingRow(item_id=item.id, reviewer=by, role=ADJUDICATOR, decision_id=made.id))


def progress(workspace: Workspace, now: Round, reviewer: str, queue: Queue = "sample") -> Progress:
    """How far the round is."""
    here = (ItemRow.run_id == now.run_id, ItemRow.round == now.number, ItemRow.queue.in_(_queues(queue)))
    with open_database(workspace).read() as session:
        total, decided, second, left = session.execute(
            select(
                func.count(),
                func.count().filter(ItemRow.done > 0),
                func.count().filter((ItemRow.done > 0) & ItemRow.open),
                func.sum(ItemRow.slots - ItemRow.done),
            ).where(*here)
        ).one()
        mine = session.scalar(
            select(func.count())
            .select_from(StandingRow)
            .join(ItemRow, ItemRow.id == StandingRow.item_id)
            .where(*here, StandingRow.reviewer == reviewer, StandingRow.role == REVIEWER)
        )
    return Progress(total, decided, mine or 0, second, int(left or 0))


def pace(workspace: Workspace, now: Round, reviewer: str) -> float | None:
    """Median seconds a card of this person's last 50 decisions; None before the first."""
    query = (
        select(DecisionRow.seconds)
        .join(ItemRow, ItemRow.id == DecisionRow.item_id)
        .where(
            ItemRow.run_id == now.run_id,
            ItemRow.round == now.number,
            DecisionRow.reviewer == reviewer,
            DecisionRow.seconds.is_not(None),
        )
        .order_by(DecisionRow.id.desc())
        .limit(50)
    )
    with open_database(workspace).read() as session:
        found = sorted(s for s in session.scalars(query) if s is not None)
    return found[len(found) // 2] if found else None


def checked(answer: Answer, classes: int, unit: answers.Unit = "labels") -> Answer:
    """The answer with a bounded note; raises ReviewError for a label that does not exist, an unknown reason, an edit that says nothing,
    or a rejected answer without a reason."""
    if answer.kind == "label":
        if answer.label is None or not 0 <= answer.label < classes:
            raise ReviewError(f"There is no label number {answer.label}.", hint=f"Labels are 0 to {classes - 1}.")
    elif answer.label is not None:
        raise ReviewError(f"The answer '{answer.kind}' carries no label.")
    if answer.reason:
        known_reason(answer.reason, unit)
    mended = unit == "answers" and answer.kind == "label" and answer.label == answers.EDIT
    if mended and not answer.edit.strip():
        raise ReviewError("An edit needs words.", hint="Write the answer as it should be, or reject it.")
    if len(answer.edit) > answers.LONGEST_EDIT:
        raise ReviewError(f"An edit may have {answers.LONGEST_EDIT:,} characters.", hint="Shorten it.")
    if unit == "answers" and answer.kind == "none" and not answer.reason:
        raise ReviewError("A rejected answer needs a reason.", hint=f"One of: {', '.join(answers.REASONS)}.")
    return replace(answer, note=answer.note[:LONGEST_NOTE], edit=answer.edit if mended else "")


def known_reason(reason: str, unit: answers.Unit = "labels") -> str:
    """``reason`` itself; raises ReviewError when it is none of that unit's."""
    known = reasons_of(unit)
    if reason not in known:
        raise ReviewError(f"'{reason[:60]}' is no reason of a change.", hint=nearest(reason, known))
    return reason


def reasons_of(unit: answers.Unit) -> tuple[str, ...]:
    """Why people change what the teacher said."""
    return answers.REASONS if unit == "answers" else REASONS


def _take(session: Session, now: Round, reviewer: str, queue: Queue, lease: float) -> Card | None:
    moment = time.time()
    here = (ItemRow.run_id == now.run_id, ItemRow.round == now.number, ItemRow.queue.in_(_queues(queue)))
    held = select(ItemRow).join(LeaseRow, LeaseRow.item_id == ItemRow.id)
    item = session.scalars(held.where(*here, LeaseRow.reviewer == reviewer, ItemRow.open).limit(1)).first()
    if item is None:
        taken = (
            select(func.count())
            .select_from(LeaseRow)
            .where(LeaseRow.item_id == ItemRow.id, LeaseRow.expires > moment)
            .scalar_subquery()
        )
        decided = exists().where(StandingRow.item_id == ItemRow.id, StandingRow.reviewer == reviewer)
        free = select(ItemRow).where(*here, ItemRow.open, ~decided, ItemRow.slots - ItemRow.done > taken)
        free = free.order_by(ItemRow.position)
        item = session.scalars(free.limit(1)).first()
        if item is not None and _has_decided(session, item, reviewer):  # under another spelling of the name
            item = next((i for i in session.scalars(free) if not _has_decided(session, i, reviewer)), None)
        if item is None:
            return None
        session.execute(delete(LeaseRow).where(LeaseRow.item_id == item.id, LeaseRow.expires <= moment))
        session.add(LeaseRow(item_id=item.id, reviewer=reviewer, expires=moment + lease))
    else:
        session.get_one(LeaseRow, (item.id, reviewer)).expires = moment + lease
    return _card(item)


def _append(
    session: Session,
    item: ItemRow,
    reviewer: str,
    role: str,
    answer: Answer,
    source: str,
    *,
    kind: str = "",
    action: str = "decision",
) -> DecisionRow:
    """Chain entry and decision, one after the other in the caller's transaction."""
    kind = kind or answer.kind
    reason = "" if kind == "undo" else _reason(item, answer)
    salt = new_salt() if answer.note else ""
    edit_salt = new_salt() if answer.edit else ""
    last = select(func.max(DecisionRow.revision)).where(
        DecisionRow.item_id == item.id, DecisionRow.reviewer == reviewer, DecisionRow.role == role
    )
    before = session.scalar(last)
    revision = 0 if before is None else before + 1
    payload = payload_of(item, role, revision, kind, answer, reason, source, salt)
    if answer.edit:
        payload["edit"] = keyed_digest(answer.edit, edit_salt)
    entry = append(session, item.run_id, reviewer, action, payload)
    made = DecisionRow(
        item_id=item.id,
        reviewer=reviewer,
        role=role,
        revision=revision,
        kind=kind,
        label=answer.label,
        reason=reason,
        note=answer.note,
        note_salt=salt,
        edit=answer.edit,
        edit_salt=edit_salt,
        seconds=answer.seconds,
        source=source,
        at=entry.at,
        entry=entry.seq,
    )
    session.add(made)
    session.flush()
    return made


def payload_of(
    item: ItemRow, role: str, revision: int, kind: str, answer: Answer, reason: str, source: str, salt: str
) -> dict[str, Any]:
    """What the chain keeps of a decision: ids and numbers; a note by its keyed digest."""
    return {
        "round": item.round,
        "queue": item.queue,
        "row": item.row_id,
        "machine": item.machine_label,
        "role": role,
        "revision": revision,
        "kind": kind,
        "label": answer.label,
        "reason": reason,
        "source": source,
        "note": keyed_digest(answer.note, salt) if answer.note else None,
    }


def _reason(item: ItemRow, answer: Answer) -> str:
    """A change carries a reason, an accepted label none."""
    if answer.kind == "none":
        return answer.reason or "not in label set"
    if answer.kind == "label" and answer.label != item.machine_label:
        return answer.reason or "wrong"
    return answer.reason


def _item(session: Session, now: Round, item_id: int) -> ItemRow:
    item = session.scalars(select(ItemRow).where(ItemRow.id == item_id).with_for_update()).first()
    if item is None or item.run_id != now.run_id or item.round != now.number:
        raise ReviewError("This card is not of the present round.", hint="Reload the page.")
    return item


def _newest(session: Session, now: Round, reviewer: str, queue: Queue) -> tuple[ItemRow, StandingRow] | None:
    query = (
        select(ItemRow, StandingRow)
        .join(StandingRow, StandingRow.item_id == ItemRow.id)
        .where(
            ItemRow.run_id == now.run_id,
            ItemRow.round == now.number,
            ItemRow.queue.in_(_queues(queue)),
            StandingRow.reviewer == reviewer,
            StandingRow.role == REVIEWER,
        )
        .order_by(StandingRow.decision_id.desc())
        .limit(1)
    )
    found = session.execute(query).first()
    return (found[0], found[1]) if found else None


def _has_decided(session: Session, item: ItemRow, reviewer: str) -> bool:
    """Whether this person has, under whatever spelling: 'Ada (self-declared)' and 'ada' are not two people."""
    if item.done == 0:
        return False
    query = select(StandingRow.reviewer).where(StandingRow.item_id == item.id, StandingRow.role == REVIEWER)
    return same_person(reviewer) in map(same_person, session.scalars(query))


def _leases_of_others(session: Session, item_id: int, reviewer: str) -> int:
    query = select(func.count()).where(
        LeaseRow.item_id == item_id, LeaseRow.reviewer != reviewer, LeaseRow.expires > time.time()
    )
    return session.scalar(query) or 0


def _adjudicated(session: Session, item_id: int) -> bool:
    query = select(func.count()).where(StandingRow.item_id == item_id, StandingRow.role == ADJUDICATOR)
    return bool(session.scalar(query))


def _count(item: ItemRow, done: int) -> None:
    item.done, item.open = done, done < item.slots


def _queues(queue: Queue) -> tuple[str, ...]:
    return PROBABILITY if queue == "sample" else (TARGETED,)


def _card(item: ItemRow) -> Card:
    return Card(item.id, item.row_id, item.row_index, item.queue, item.position, item.slots > 1, item.why)
