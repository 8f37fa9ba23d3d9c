"""Sealing a run: its files and its synthetic labels are named in the chain, and the chain's head is signed.

The chain holds digests only. A text, and what a language model answered to it, is named by a keyed digest whose salt lies in the database, so that it can be erased
(:mod:`auditor.evidence.erase`) while the chain still verifies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from sqlalchemy import String, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from auditor.evidence.chain import Entry, canonical
from auditor.evidence.keyed import keyed_digest, new_salt
from auditor.evidence.log import EvidenceRow, append, entries
from auditor.evidence.merkle import merkle_root
from auditor.evidence.signing import Signature, load_key, sign
from distill.db import Base, open_database
from distill.files import file_digest, write_json
from distill.store import Run
from distill.types import read_frame
from distill.workspace import Workspace

SEAL = "seal.json"
LABEL_FIELDS = (
    "row_id",
    "teacher_label",
    "label",
    "corrected",
    "confidence",
    "entropy",
    "teacher_id",
    "weights_digest",
    "tokenizer_digest",
    "labelled_at",
    "generation",
)
# what a label's leaf says in seals that name their fields; LABEL_FIELDS in those from before
SEALED_FIELDS = (
    *LABEL_FIELDS,
    "synthetic",
    "teacher_version",
    "licence",
    "versions",
    "template",
    "sampling",
    "filters",
    "decision",
    "decided_by",
)


class SaltRow(Base):
    """The salt of one row's text. Deleting it erases what the chain knows of the text."""

    __tablename__ = "salts"

    run_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    row_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    salt: Mapped[str] = mapped_column(String(64))


def seal(workspace: Workspace, run: Run, actor: str = "job", action: str = "complete") -> Entry:
    """Enter a finished run's digests into its chain and sign the new head; writes seal.json beside the manifest.

    Args:
        workspace: holds the database and the key.
        run: a run whose manifest is written.
        actor: who finished it.
        action: 'complete', or 'audit' when it was audited again.
    """
    database = open_database(workspace)
    fields = fields_of(run)
    with database.write() as session:
        salts = salts_of(session, run)
        chain = entries(workspace, run.id)
        payload = {
            "manifest": file_digest(run.folder / "manifest.json"),
            "audit": file_digest(run.folder / "audit.json"),
            "texts": merkle_root(text_leaves(run.examples.frame, salts, erased_leaves(run, "texts", chain))),
            "labels": labels_root(run, fields),
            "label_fields": list(fields),
        }
        answers = answers_root(run, salts, chain)
        if answers is not None:
            payload["answers"] = answers
        entry = append(session, run.id, actor, action, payload)
    sign_head(workspace, run)
    return entry


def salts_of(session: Session, run: Run) -> dict[str, str]:
    """Salt of each row; made for rows that never had one, not for rows that were erased, even where the erasure was stopped half-way."""
    told = select(EvidenceRow).where(EvidenceRow.run_id == run.id, EvidenceRow.action == "erase")
    erased = {*run.json("erased").get("rows", []), *(row.entry().payload["row"] for row in session.scalars(told))}
    known = {s.row_id: s.salt for s in session.scalars(select(SaltRow).where(SaltRow.run_id == run.id))}
    fresh = {str(row): new_salt() for row in run.examples.ids if row not in known and row not in erased}
    if fresh:
        session.execute(insert(SaltRow), [{"run_id": run.id, "row_id": r, "salt": s} for r, s in fresh.items()])
    return {**known, **fresh}


def text_leaves(
    frame: pd.DataFrame, salts: Mapping[str, str], erased: Mapping[str, bytes] | None = None
) -> list[bytes]:
    """One leaf a row, in order: its id and the keyed digest of its text (and second text). An erased row has no salt any more; the leaf that
    was kept of it says nothing, and lets everybody recompute the root."""
    kept = erased or {}
    leaves = []
    for row, text, pair in zip(frame["row_id"], frame["text"], frame["pair"], strict=True):
        if row in salts:
            leaves.append(text_leaf(str(row), text, pair, salts[row]))
        elif row in kept:
            leaves.append(kept[row])
    return leaves


def text_leaf(row_id: str, text: str, pair: str | None, salt: str) -> bytes:
    """Canonical JSON of a row's id and keyed digest."""
    joined = text if not isinstance(pair, str) else f"{text}\x1f{pair}"
    return canonical({"row": row_id, "text": keyed_digest(joined, salt)})


def erased_leaves(run: Run, what: str, chain: Sequence[Entry]) -> dict[str, bytes]:
    """Leaves of 'texts' or 'answers' that were kept when rows were erased, by row id: in the chain, since the salt goes in the same
    transaction; of erasures from before it held them, in erased.json."""
    kept = dict(run.json("erased").get("leaves", {}).get(what, {}))
    for entry in chain:
        if entry.action == "erase":
            kept.update(entry.payload.get("leaves", {}).get(what, {}))
    return {str(row): canonical(leaf) for row, leaf in kept.items()}


def label_leaves(frame: pd.DataFrame, fields: Sequence[str] = LABEL_FIELDS) -> list[bytes]:
    """One leaf a synthetic label: what was said, how surely, by whom, when. Numbers as text, so that every machine agrees."""
    kept = [name for name in fields if name in frame.columns]
    rows = frame[kept].itertuples(index=False)
    return [canonical({"synthetic": True, **dict(zip(kept, map(str, row), strict=True))}) for row in rows]


def fields_of(run: Run) -> tuple[str, ...]:
    """The fields of the run's labels that a seal of today condenses."""
    there = _label_columns(run)
    return tuple(name for name in SEALED_FIELDS if name in there)


def labels_root(run: Run, fields: Sequence[str] = LABEL_FIELDS) -> str:
    """Merkle root over the run's synthetic labels; of nothing when it has none."""
    path = run.folder / "labels.parquet"
    return merkle_root(label_leaves(read_frame(path), fields) if path.exists() else [])


def source_rows(frame: pd.DataFrame) -> list[str]:
    """The row id of each answer's prompt. With several samples a prompt the id of an answer is 'ROW/SAMPLE'."""
    if "sample" not in frame.columns or not frame["sample"].any():
        return [str(row) for row in frame["row_id"]]
    pairs = zip(frame["row_id"], frame["sample"], strict=True)
    return [str(row).removesuffix(f"/{sample}") for row, sample in pairs]


def answer_leaves(
    frame: pd.DataFrame, salts: Mapping[str, str], erased: Mapping[str, bytes] | None = None
) -> list[bytes]:
    """One leaf an answer of a language model: keyed digests of what students learn and of the teacher's words. Erased ones as in
    :func:`text_leaves`."""
    kept = erased or {}
    leaves = []
    rows = zip(frame["row_id"], source_rows(frame), frame["answer"], frame["teacher_answer"], strict=True)
    for row, source, one, two in rows:
        if source in salts:
            leaves.append(answer_leaf(str(row), one, two, salts[source]))
        elif row in kept:
            leaves.append(kept[row])
    return leaves


def answer_leaf(row_id: str, answer: str, teacher: str, salt: str) -> bytes:
    """Canonical JSON of an answer's id and keyed digests."""
    digests = {"answer": keyed_digest(answer, salt), "teacher_answer": keyed_digest(teacher, salt)}
    return canonical({"row": row_id, **digests})


def answers_root(run: Run, salts: Mapping[str, str], chain: Sequence[Entry]) -> str | None:
    """Merkle root over the answers that the run's students learn from; None where the teacher wrote none."""
    if not has_answers(run):
        return None
    answers = read_frame(run.folder / "labels.parquet")
    return merkle_root(answer_leaves(answers, salts, erased_leaves(run, "answers", chain)))


def has_answers(run: Run) -> bool:
    """True where the teacher wrote answers; a labelled run has labels alone."""
    return "answer" in _label_columns(run)


def _label_columns(run: Run) -> list[str]:
    path = run.folder / "labels.parquet"
    return list(pq.read_schema(path).names) if path.exists() else []


def head_statement(run_id: str, chain: Sequence[Entry]) -> dict[str, Any]:
    """What is signed: the run, how many entries its chain has, and the last one's digest and moment."""
    last = chain[-1]
    return {"run": run_id, "entries": len(chain), "head": last.digest, "at": last.at}


def sign_head(workspace: Workspace, run: Run) -> Signature:
    """Sign the head of the run's chain and write seal.json."""
    statement = head_statement(run.id, entries(workspace, run.id))
    signature = sign(statement, load_key(workspace.root / "keys"))
    write_json(run.folder / SEAL, {"statement": statement, "signature": signature.model_dump()})
    return signature
