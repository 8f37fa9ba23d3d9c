"""An append-only log in which each entry names the digest of the one before: change one and every later digest is wrong.

An entry's digest is SHA-256 over its canonical JSON (RFC 8785) without the digest itself. The first entry's ``previous`` is 64
zeros. Texts never enter the log; see :mod:`auditor.evidence.keyed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from pydantic import BaseModel, ConfigDict

from distill.events import now

GENESIS = "0" * 64


class Entry(BaseModel):
    """One thing that a person or a job did.

    Attributes:
        run: run id.
        seq: 0, 1, 2 … without a gap.
        at: ISO 8601, UTC.
        actor: a person's name (self-declared unless a sign-in service said it), or 'job'.
        action: what was done, such as 'decision', 'plan', 'stage', 'sign-off'.
        payload: what it was done with; ids, numbers and digests only.
        previous: digest of entry seq − 1.
        digest: SHA-256 of all of the above.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    run: str
    seq: int
    at: str
    actor: str
    action: str
    payload: dict[str, Any]
    previous: str
    digest: str


def canonical(value: Any) -> bytes:
    """Canonical JSON (RFC 8785) of ``value``; raises ValueError for NaN, infinities and integers beyond 2⁵³."""
    try:
        return bytes(rfc8785.dumps(value))
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"this value has no canonical JSON: {error}") from error


def digest_entry(fields: dict[str, Any]) -> str:
    """SHA-256 (hex) of an entry's canonical JSON without its own digest."""
    return hashlib.sha256(canonical({key: value for key, value in fields.items() if key != "digest"})).hexdigest()


def next_entry(
    run: str, last: Entry | None, actor: str, action: str, payload: dict[str, Any], at: str | None = None
) -> Entry:
    """The entry that follows ``last`` (None: the first one of ``run``)."""
    fields = {
        "run": run,
        "seq": last.seq + 1 if last else 0,
        "at": at or now(),
        "actor": actor,
        "action": action,
        "payload": payload,
        "previous": last.digest if last else GENESIS,
    }
    return Entry(**fields, digest=digest_entry(fields))


@dataclass(frozen=True)
class ChainCheck:
    """What a verification found: the number of entries, the head's digest, and one sentence per break."""

    entries: int
    head: str
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return not self.problems


def verify_chain(entries: Iterable[Entry], run: str | None = None) -> ChainCheck:
    """Recompute every digest and link. Reports each entry that is changed, missing, moved or of another run."""
    problems: list[str] = []
    previous, count = GENESIS, 0
    for position, entry in enumerate(entries):
        if entry.seq != position:
            problems.append(f"entry {position}: its number is {entry.seq}, so an entry is missing or was moved")
        if run is not None and entry.run != run:
            problems.append(f"entry {position}: belongs to run {entry.run}, not {run}")
        if entry.previous != previous:
            problems.append(f"entry {position}: does not follow the entry before it")
        if digest_entry(entry.model_dump()) != entry.digest:
            problems.append(f"entry {position}: its content was changed after it was written")
        previous, count = entry.digest, position + 1
    return ChainCheck(count, previous, tuple(problems))


def dump_chain(entries: Sequence[Entry]) -> str:
    """The chain as JSON lines in canonical form."""
    return "".join(canonical(entry.model_dump()).decode() + "\n" for entry in entries)


def load_chain(text: str) -> list[Entry]:
    """Read what :func:`dump_chain` wrote; raises ValueError that names the first bad line."""
    entries = []
    lines = text.split("\n")  # not splitlines(): it also breaks at characters that are no newline
    if lines.pop() != "":
        raise ValueError(f"line {len(lines) + 1} of the evidence chain is cut off")
    for number, line in enumerate(lines, start=1):
        try:
            entry = Entry.model_validate_json(line)
        except ValueError as error:
            raise ValueError(f"line {number} of the evidence chain is not an entry") from error
        if canonical(entry.model_dump()).decode() != line:
            raise ValueError(f"line {number} of the evidence chain is not in canonical form")
        entries.append(entry)
    return entries
