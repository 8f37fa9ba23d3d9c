"""The evidence chain in the database: what is done and its entry are one transaction, so neither exists without the other.

Call :func:`append` inside the ``with database.write()`` block that stores the decision itself.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sqlalchemy import String, Text, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from auditor.evidence.chain import Entry, canonical, next_entry
from distill.db import Base, open_database
from distill.workspace import Workspace


class EvidenceRow(Base):
    """One entry of a run's chain. Writers come one after the other (:func:`one_at_a_time`); the key (run, seq) proves it."""

    __tablename__ = "evidence"

    run_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(40))
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(40))
    payload: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))

    def entry(self) -> Entry:
        """The row as a chain entry."""
        return Entry(
            run=self.run_id,
            seq=self.seq,
            at=self.at,
            actor=self.actor,
            action=self.action,
            payload=json.loads(self.payload),
            previous=self.previous,
            digest=self.digest,
        )


def append(session: Session, run_id: str, actor: str, action: str, payload: dict[str, Any]) -> Entry:
    """Add an entry to the run's chain within the caller's transaction.

    Args:
        session: from ``Database.write()``.
        run_id: whose chain.
        actor: a person's name, or 'job'.
        action: one word, such as 'decision'.
        payload: ids, numbers and digests; never a text of the data.

    Raises:
        ValueError: the payload has no canonical JSON.
    """
    one_at_a_time(session, run_id)
    query = select(EvidenceRow).where(EvidenceRow.run_id == run_id).order_by(EvidenceRow.seq.desc()).limit(1)
    last = session.scalars(query).first()
    entry = next_entry(run_id, last.entry() if last else None, actor, action, payload)
    fields = entry.model_dump(exclude={"run", "payload"})
    session.add(EvidenceRow(run_id=run_id, payload=canonical(payload).decode(), **fields))
    session.flush()
    return entry


def one_at_a_time(session: Session, run_id: str) -> None:
    """Wait for the other writers of this chain to commit. SQLite's transaction holds the only write lock already.

    A lock on the last row would not do: whoever waited for it goes on with the row that was the last one before.
    """
    if session.get_bind().dialect.name == "postgresql":
        name = int.from_bytes(hashlib.sha256(f"evidence {run_id}".encode()).digest()[:8], "big", signed=True)
        session.execute(select(func.pg_advisory_xact_lock(name)))


def record(workspace: Workspace, run_id: str, actor: str, action: str, payload: dict[str, Any]) -> Entry:
    """Add an entry that stands alone, in a transaction of its own."""
    with open_database(workspace).write() as session:
        return append(session, run_id, actor, action, payload)


def entries(workspace: Workspace, run_id: str, since: int = 0) -> list[Entry]:
    """The run's chain from entry ``since`` on, in order."""
    query = select(EvidenceRow).where(EvidenceRow.run_id == run_id, EvidenceRow.seq >= since).order_by(EvidenceRow.seq)
    with open_database(workspace).read() as session:
        return [row.entry() for row in session.scalars(query)]


def length(workspace: Workspace, run_id: str) -> int:
    """How many entries the run's chain has."""
    query = select(func.count()).select_from(EvidenceRow).where(EvidenceRow.run_id == run_id)
    with open_database(workspace).read() as session:
        return session.scalar(query) or 0
