"""Blind preference votes: of two answers to one prompt a person says which is better, without knowing who wrote which.

Prompts come in a random order that is the same for everybody, so that a stop at any moment leaves a random sample and people's votes meet on
the same prompts. Which answer stands first is random for each person and prompt. Votes are appended together with their chain entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from sqlalchemy import String, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from auditor.answers_view import AnswersView
from auditor.evidence.chain import Entry
from auditor.evidence.jobs import read_by_the_audit
from auditor.evidence.log import append, one_at_a_time
from auditor.evidence.signoff import same_person
from auditor.review.rounds import require_name
from distill.db import Base, open_database
from distill.errors import ReviewError
from distill.events import now
from distill.files import digest_of
from distill.store import TEACHER
from distill.workspace import Workspace

FILE = "votes.parquet"
Choice = Literal["arm", "versus", "tie", "undo"]
CHOICES: tuple[Choice, ...] = ("arm", "versus", "tie", "undo")
COLUMNS = ("row_id", "arm", "versus", "first", "voter", "revision", "choice", "seconds", "at", "entry", "standing")
TOLD = ("row", "arm", "versus", "first", "revision", "choice")  # what the chain keeps of a vote


class VoteRow(Base):
    """One vote. ``first`` is the arm whose answer stood first; ``choice`` says whose is better; ``entry`` is its number in the chain."""

    __tablename__ = "preference_votes"
    __table_args__ = (UniqueConstraint("run_id", "row_id", "arm", "versus", "voter", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(String(100))
    row_id: Mapped[str] = mapped_column(String(200))
    arm: Mapped[str] = mapped_column(String(120))
    versus: Mapped[str] = mapped_column(String(120))
    first: Mapped[str] = mapped_column(String(120))
    voter: Mapped[str] = mapped_column(String(200))
    revision: Mapped[int]
    choice: Mapped[str] = mapped_column(String(16))
    seconds: Mapped[float | None]
    at: Mapped[str] = mapped_column(String(40), default=now)
    entry: Mapped[int]


@dataclass(frozen=True)
class Ballot:
    """Two answers to one prompt, without names. ``first`` is the arm that wrote the first one; it is not to be shown."""

    row_id: str
    text: str
    reference: str | None
    answers: tuple[str, str]
    first: str


@dataclass(frozen=True)
class Question:
    """Which pair of arms is compared in which run; asked the other way round it is the same question."""

    run_id: str
    arm: str
    versus: str

    @property
    def ordered(self) -> Question:
        """The pair in the order in which votes on it are kept: the teacher last, students by name."""
        arm, versus = sorted((self.arm, self.versus), key=lambda name: (name == TEACHER, name))
        return Question(self.run_id, arm, versus)


def ballots(view: AnswersView, question: Question, voter: str) -> list[Ballot]:
    """Every prompt to which the two wrote differently, in the order in which they are asked."""
    frame = view.frame
    names = (question.arm, question.versus)
    said = {name: frame[f"{name}/answer"].astype(str) for name in names}
    keys = [digest_of([question.run_id, *sorted(names), row]) for row in frame["row_id"]]
    found = []
    for place in np.argsort(np.array(keys), kind="stable"):
        one, two = (said[name].iloc[place] for name in names)
        if one.strip() == two.strip():
            continue
        row = str(frame["row_id"].iloc[place])
        first = first_of(question, row, voter)
        reference = frame["reference"].iloc[place]
        shown = (one, two) if first == question.arm else (two, one)
        text = str(frame["text"].iloc[place])
        found.append(Ballot(row, text, reference if isinstance(reference, str) else None, shown, first))
    return found


def first_of(question: Question, row_id: str, voter: str) -> str:
    """Whose answer stands first: random for each person and prompt, and the same again after a reload."""
    names = sorted((question.arm, question.versus))
    return names[int(digest_of([question.run_id, *names, row_id, same_person(voter)])[:8], 16) % 2]


def cast(
    workspace: Workspace, question: Question, row_id: str, voter: str, choice: Choice, seconds: float | None = None
) -> None:
    """Enter a vote, or take one back by 'undo'. Of (A, B) and (B, A) each person answers one.

    Raises:
        ReviewError: no name, an unknown choice, a second vote on a prompt, or nothing to take back.
    """
    voter = require_name(voter)
    if choice not in CHOICES:
        raise ReviewError(f"'{choice}' is no vote.", hint=f"One of {', '.join(CHOICES)}.")
    with open_database(workspace).write() as session:
        one_at_a_time(session, question.run_id)  # else a second press would not see the vote of the first
        before = _last(session, question, row_id, voter)
        stands = before is not None and before.choice != "undo"
        if choice != "undo" and stands:
            raise ReviewError("You have voted on this prompt already.", hint="Undo first to vote again.")
        if choice == "undo" and not stands:
            raise ReviewError("There is no vote of yours on this prompt.")
        revision = 0 if before is None else before.revision + 1
        kept = question.ordered
        if kept != question and choice in ("arm", "versus"):
            choice = "versus" if choice == "arm" else "arm"
        if choice == "undo" and before is not None:  # votes from before pairs were ordered lie as they were asked
            kept = Question(question.run_id, before.arm, before.versus)
        first = first_of(question, row_id, voter)
        told = (row_id, kept.arm, kept.versus, first, revision, choice)
        entry = append(session, question.run_id, voter, "vote", dict(zip(TOLD, told, strict=True)))
        session.add(
            VoteRow(
                run_id=question.run_id, row_id=row_id, arm=kept.arm, versus=kept.versus, first=first, voter=voter,
                revision=revision, choice=choice, seconds=seconds, at=entry.at, entry=entry.seq,
            )
        )  # fmt: skip


def voted(workspace: Workspace, question: Question, voter: str) -> list[str]:
    """Row ids of the prompts on which this person's vote stands, the newest last."""
    frame = votes_frame(workspace, question.run_id)
    if frame.empty:
        return []
    names = {question.arm, question.versus}
    pair = frame["arm"].isin(names) & frame["versus"].isin(names)
    mine = frame["voter"].map(same_person) == same_person(voter)
    return [str(row) for row in frame.loc[pair & mine & frame["standing"], "row_id"]]


def votes_frame(workspace: Workspace, run_id: str) -> pd.DataFrame:
    """Every vote of a run in the order of the chain, those taken back included: what the audit keeps beside the run."""
    query = select(VoteRow).where(VoteRow.run_id == run_id).order_by(VoteRow.id)
    with open_database(workspace).read() as session:
        rows = list(session.scalars(query))
    records: list[dict[str, Any]] = [{name: getattr(row, name) for name in COLUMNS[:-1]} for row in rows]
    frame = pd.DataFrame(records, columns=list(COLUMNS))
    if frame.empty:
        return frame
    frame["standing"] = standing_of(frame)
    return frame.astype({"seconds": np.float64, "standing": np.bool_})


def standing_of(frame: pd.DataFrame) -> pd.Series:
    """Which votes count: the last of each person on each prompt and pair, unless it takes one back."""
    keys = [frame["row_id"], frame["arm"], frame["versus"], frame["voter"].map(same_person)]
    last = frame["revision"].groupby(keys).transform("max") == frame["revision"]
    return last & (frame["choice"] != "undo")


def newest(workspace: Workspace, run_id: str) -> int:
    """Id of a run's newest vote, 0 before the first."""
    with open_database(workspace).read() as session:
        return session.scalar(select(func.max(VoteRow.id)).where(VoteRow.run_id == run_id)) or 0


def problems(frame: pd.DataFrame, chain: Sequence[Entry]) -> list[str]:
    """One sentence for each vote that the chain tells otherwise or lacks, and for each entry that the audit has read without its vote."""
    entries = {entry.seq: entry for entry in chain if entry.action == "vote"}
    said = []
    until = max(read_by_the_audit(chain), int(frame["entry"].max()) if len(frame) else -1)
    for row in frame.to_dict(orient="records"):
        entry = entries.pop(int(row["entry"]), None)
        here = tuple(row["row_id" if name == "row" else name] for name in TOLD)
        if entry is None or entry.actor != row["voter"] or tuple(entry.payload[name] for name in TOLD) != here:
            said.append(f"the vote on {row['row_id']} by {row['voter']} is not the one in the chain")
    said += [f"entry {seq} of the chain has no vote" for seq in entries if seq <= until]
    if len(frame) and not said and not (standing_of(frame) == frame["standing"]).all():
        said.append("a vote counts that was taken back, or one that stands does not count")
    return said


def _last(session: Session, question: Question, row_id: str, voter: str) -> VoteRow | None:
    """The newest vote of this person on this prompt and pair, however the name is written and whichever way round it was asked."""
    names = (question.arm, question.versus)
    query = select(VoteRow).where(
        VoteRow.run_id == question.run_id,
        VoteRow.row_id == row_id,
        VoteRow.arm.in_(names),
        VoteRow.versus.in_(names),
    )
    mine = [row for row in session.scalars(query.order_by(VoteRow.id)) if same_person(row.voter) == same_person(voter)]
    return mine[-1] if mine else None
