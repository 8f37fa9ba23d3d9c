"""What jobs did, in the run's chain: when one began and by which code, which stages it finished, and how it ended.

Digests, numbers and names of stages only: a message of a failure may quote a text, so it stays in the run's events.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auditor.evidence.chain import Entry
from auditor.evidence.log import append, entries
from auditor.evidence.seal import SEAL, sign_head
from distill.db import open_database
from distill.files import digest_of, read_json
from distill.provenance import hardware, made_by
from distill.store import Run
from distill.workspace import Workspace

ACTOR, BEGIN, STAGE, END = "job", "begin", "stage", "end"


def began(workspace: Workspace, run: Run, action: str, by: str = "") -> None:
    """A job took the run up: ``action`` is 'run' or 'audit', ``by`` who asked for it."""
    payload: dict[str, Any] = {
        "action": action,
        "spec": digest_of(run.spec.model_dump(mode="json")),
        "code": made_by(),
        "hardware": digest_of(hardware()),
    }
    if by:
        payload["asked_by"] = by
    with open_database(workspace).write() as session:
        append(session, run.id, ACTOR, BEGIN, payload)


def finished_stages(workspace: Workspace, run: Run) -> int:
    """Enter each stage whose outcome is not in the chain yet, in the order in which they ended; returns how many."""
    told = {(e.payload["stage"], e.payload["digest"]) for e in entries(workspace, run.id) if e.action == STAGE}
    fresh = []
    for path in sorted((run.folder / "stages").glob("*.json"), key=lambda p: (p.stat().st_mtime_ns, p.name)):
        marker = read_json(path)
        digest = str(marker.get("digest", ""))
        if (path.stem, digest) not in told:
            fresh.append({"stage": path.stem, "digest": digest, "seconds": round(float(marker.get("seconds") or 0), 3)})
    if fresh:
        with open_database(workspace).write() as session:
            for payload in fresh:
                append(session, run.id, ACTOR, STAGE, payload)
    return len(fresh)


def ended(workspace: Workspace, run: Run, state: str, stage: str) -> None:
    """A job ended before the run was complete: 'failed', 'cancelled' or 'waiting'. A head that was signed before is signed anew."""
    finished_stages(workspace, run)
    with open_database(workspace).write() as session:
        append(session, run.id, ACTOR, END, {"state": state, "stage": stage})
    if (run.folder / SEAL).exists():
        sign_head(workspace, run)


def read_by_the_audit(chain: Iterable[Entry]) -> int:
    """Number of the entry with which the job began whose audit was sealed last, −1 where the chain names none: what people entered before
    it, that audit has read. What they entered while it ran it may have read or not."""
    begun = found = -1
    for entry in chain:
        if entry.action == BEGIN:
            begun = entry.seq
        elif entry.action in {"complete", "audit"} and "audit" in entry.payload:
            found = begun
    return found
