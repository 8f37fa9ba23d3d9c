"""Tables of the review. Decisions are appended and never edited; ``review_standing`` says which one of a reviewer counts now."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from distill.db import Base
from distill.events import now


class PlanRow(Base):
    """One round: the frozen plan as JSON. ``closed`` is the reason why it ended early, empty otherwise."""

    __tablename__ = "review_plans"

    run_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(40), default=now)
    by: Mapped[str] = mapped_column(String(200))
    plan: Mapped[str] = mapped_column(Text)
    closed: Mapped[str] = mapped_column(String(500), default="")


class ItemRow(Base):
    """One card. ``slots`` is how many people are to decide it, ``done`` how many have, ``open`` whether one is still missing."""

    __tablename__ = "review_items"
    __table_args__ = (UniqueConstraint("run_id", "round", "row_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(String(100))
    round: Mapped[int]
    row_id: Mapped[str] = mapped_column(String(200))
    row_index: Mapped[int]
    queue: Mapped[str] = mapped_column(String(16))
    position: Mapped[int]
    machine_label: Mapped[int]
    why: Mapped[str] = mapped_column(String(200), default="")
    slots: Mapped[int] = mapped_column(default=1)
    done: Mapped[int] = mapped_column(default=0)
    open: Mapped[bool] = mapped_column(default=True)


class LeaseRow(Base):
    """Who holds which card until when (seconds since the epoch)."""

    __tablename__ = "review_leases"

    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(200), primary_key=True)
    expires: Mapped[float]


class DecisionRow(Base):
    """What one person said of one card. A change of mind is a further revision; ``entry`` is its number in the evidence chain."""

    __tablename__ = "review_decisions"
    __table_args__ = (UniqueConstraint("item_id", "reviewer", "role", "revision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"))
    reviewer: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    revision: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    label: Mapped[int | None]
    reason: Mapped[str] = mapped_column(String(40), default="")
    note: Mapped[str] = mapped_column(Text, default="")
    note_salt: Mapped[str] = mapped_column(String(64), default="")
    edit: Mapped[str] = mapped_column(Text, default="")
    edit_salt: Mapped[str] = mapped_column(String(64), default="")
    seconds: Mapped[float | None]
    source: Mapped[str] = mapped_column(String(16), default="page")
    at: Mapped[str] = mapped_column(String(40), default=now)
    entry: Mapped[int]


class StandingRow(Base):
    """The decision that stands, one for each card, person and role: the key makes a second one impossible."""

    __tablename__ = "review_standing"

    item_id: Mapped[int] = mapped_column(ForeignKey("review_items.id"), primary_key=True)
    reviewer: Mapped[str] = mapped_column(String(200), primary_key=True)
    role: Mapped[str] = mapped_column(String(16), primary_key=True)
    decision_id: Mapped[int] = mapped_column(ForeignKey("review_decisions.id"))
