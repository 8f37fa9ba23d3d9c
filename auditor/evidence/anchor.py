"""The head of a chain as a small file for a place outside: a mail, a repository, a time-stamping service.

A chain alone cannot show that it was not written anew from the beginning, since whoever has the key can sign another one. A head that was
deposited elsewhere can: every later chain must still contain it at its place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from auditor.evidence.chain import Entry, canonical
from auditor.evidence.log import entries
from auditor.evidence.recompute import Line
from auditor.evidence.seal import head_statement
from auditor.evidence.signing import Signature, load_key, sign, verify
from distill.errors import ReportError
from distill.store import Run
from distill.workspace import Workspace

VERSION = 1


class Statement(BaseModel):
    """What is anchored: the run, how many entries its chain had, the last one's digest and moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run: str
    entries: int
    head: str
    at: str


class Anchor(BaseModel):
    """A signed head."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    anchor: int = VERSION
    statement: Statement
    signature: Signature


def make_anchor(workspace: Workspace, run: Run) -> bytes:
    """The head of the run's chain as it is now, signed: one line of canonical JSON.

    Raises:
        ReportError: nothing was ever logged for the run.
    """
    chain = entries(workspace, run.id)
    if not chain:
        raise ReportError(f"Run {run.id} has no evidence chain yet.", hint="Audit it: `heirloom audit RUN`.")
    statement = head_statement(run.id, chain)
    signature = sign(statement, load_key(workspace.root / "keys"))
    return canonical({"anchor": VERSION, "statement": statement, "signature": signature.model_dump()}) + b"\n"


def read_anchor(data: bytes) -> Anchor:
    """What :func:`make_anchor` wrote.

    Raises:
        ReportError: it is no anchor, or its signature does not hold.
    """
    try:
        anchor = Anchor.model_validate(json.loads(data))
    except ValueError as error:  # of JSON, or of the model
        raise ReportError("This is no anchor of an evidence chain.", hint="`heirloom anchor RUN` makes one.") from error
    if not verify(anchor.statement.model_dump(), anchor.signature):
        raise ReportError("The signature of the anchor does not hold.", hint="Take it from where you deposited it.")
    return anchor


def held_against(chain: Sequence[Entry], anchor: Anchor) -> Line:
    """Whether ``chain`` still contains the anchored head at its place."""
    told = anchor.statement
    if chain and chain[0].run != told.run:
        return Line("anchor", "failed", f"The anchor is of run {told.run}, not of {chain[0].run}.")
    if len(chain) < told.entries:
        said = f"The anchor names {told.entries:,} entries; the chain has {len(chain):,}: entries were taken away."
        return Line("anchor", "failed", said)
    if chain[told.entries - 1].digest != told.head:
        said = f"The chain was written anew: entry {told.entries - 1:,} is not the one that was anchored on {told.at[:10]}."
        return Line("anchor", "failed", said)
    later = len(chain) - told.entries
    return Line(
        "anchor",
        "ok",
        f"The head that was anchored on {told.at[:16].replace('T', ' ')} UTC is in the chain, {later:,} entries ago.",
    )
