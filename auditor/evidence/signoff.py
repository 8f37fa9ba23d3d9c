"""Draft → reviewed → approved or refused. The state is derived from the chain, so it cannot disagree with it.

The approver must not have reviewed labels of the run, nor those of an ancestor whose corrections it learnt from, nor be the one who signed
this report as reviewed: four eyes. A decision, an import, a statement, an erased row or a new audit after a sign-off reopens it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from auditor.evidence.chain import Entry
from auditor.evidence.log import append, entries
from auditor.evidence.seal import sign_head
from distill.db import open_database
from distill.errors import ReportError
from distill.store import Run
from distill.workspace import Workspace

State = Literal["draft", "reviewed", "approved", "refused"]
STEPS: dict[State, tuple[State, ...]] = {
    "draft": ("reviewed", "refused"),
    "reviewed": ("approved", "refused"),
    "approved": (),
    "refused": (),
}
ACTION = "sign-off"
REOPENING = {"decision", "import", "adjudication", "apply", "audit", "complete", "erase", "intended use", "annex"}
REVIEWING = {"decision", "adjudication"}
DECLARED = "(self-declared)"  # what the pages put behind a name that nobody vouches for


@dataclass(frozen=True)
class SignOff:
    """Where the sign-off stands.

    Attributes:
        state: the present state.
        by, reason, at: of the entry that led to it; empty for a draft.
        reviewers: who decided labels of this run, or labels whose corrections it learnt from, and so may not approve it.
        reopened: True when it was signed before and a later change made it a draft again.
    """

    state: State
    by: str
    reason: str
    at: str
    reviewers: frozenset[str]
    reopened: bool


def state_of(chain: Sequence[Entry]) -> SignOff:
    """The sign-off as the chain tells it."""
    state: State = "draft"
    by = reason = at = ""
    reopened = False
    for entry in chain:
        if entry.action == ACTION:
            state, by, reason, at = entry.payload["state"], entry.actor, entry.payload["reason"], entry.at
            reopened = False
        elif entry.action in REOPENING and state != "draft":
            state, by, reason, at, reopened = "draft", "", "", "", True
    reviewers = {entry.actor for entry in chain if entry.action in REVIEWING}
    for entry in chain:
        if entry.action == "apply":
            reviewers.update(entry.payload.get("reviewers", []))
    return SignOff(state, by, reason, at, frozenset(reviewers), reopened)


def same_person(name: str) -> str:
    """What two ways of writing one person's name have in common: the page's 'Ada (self-declared)' and the command line's 'ada' are one."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(plain.removesuffix(DECLARED).split())


def barred(now: SignOff, by: str) -> str:
    """Why this person may not approve, as one sentence; empty where nothing speaks against it."""
    if same_person(by) in {same_person(name) for name in now.reviewers}:
        return f"{by} reviewed labels of this run and cannot approve it."
    if now.state == "reviewed" and same_person(by) == same_person(now.by):
        return f"{by} signed this report as reviewed and cannot approve it as well."
    return ""


def sign_off(workspace: Workspace, run: Run, state: State, by: str, reason: str) -> SignOff:
    """Move the run's sign-off one step, with a reason; signs the new head.

    Raises:
        ReportError: no name or reason, a step that is not allowed from here, an approver who reviewed labels of the run,
            or a run that is not finished.
    """
    by, reason = by.strip(), reason.strip()
    if not by or not reason:
        raise ReportError("A sign-off needs a name and a reason.", hint="Say who signs, and why.")
    if run.status() != "complete":
        raise ReportError(f"Run {run.id} is not finished.", hint="A report can be signed when the run is complete.")
    with open_database(workspace).write() as session:
        now = state_of(entries(workspace, run.id))
        if state not in STEPS[now.state]:
            allowed = " or ".join(STEPS[now.state]) or "nothing until a later change reopens it"
            raise ReportError(f"The report is '{now.state}': the next step is {allowed}, not '{state}'.")
        why_not = barred(now, by) if state == "approved" else ""
        if why_not:
            raise ReportError(why_not, hint="Let somebody else approve it.")
        append(session, run.id, by, ACTION, {"state": state, "reason": reason})
    sign_head(workspace, run)
    return state_of(entries(workspace, run.id))
