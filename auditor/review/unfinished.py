"""Whether a frozen review is still under way, from the evidence chain alone: a bundle without the workspace says the same."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.evidence.chain import Entry

SAMPLE = "sample"


def unfinished(chain: Sequence[Entry]) -> tuple[int, int] | None:
    """Decided and planned cards of the newest round's sample; None where no round is open or its sample is complete.

    A round that was closed with a reason is not open: its own record says that it ended early. Undone decisions do not count.
    """
    planned, number = 0, 0
    said: dict[str, set[str]] = {}
    for entry in chain:
        payload = entry.payload
        if entry.action == "plan":
            if "plan" in payload:
                number, planned, said = int(payload["round"]), int(payload["plan"]["n"]), {}
            elif payload.get("closed") and payload.get("round") == number:
                planned = 0
        elif entry.action == "decision" and payload.get("round") == number and payload.get("queue") == SAMPLE:
            people = said.setdefault(str(payload["row"]), set())
            if payload.get("kind") == "undo":
                people.discard(entry.actor)
            else:
                people.add(entry.actor)
    decided = sum(bool(people) for people in said.values())
    return (decided, planned) if decided < planned else None


def unfinished_sentence(chain: Sequence[Entry]) -> str:
    """'The frozen review is not finished: 12 of 377 cards.', or nothing."""
    found = unfinished(chain)
    return f"The frozen review is not finished: {found[0]:,} of {found[1]:,} cards." if found else ""
