"""Published expectations beside measured figures. Claims of others, with their source; never a result of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Expectation:
    """What somebody published for a kind of arm.

    Attributes:
        words: the claim's figure as people read it.
        source: where it was published.
    """

    words: str
    source: str


def expected(what: Literal["quality", "speed", "cost", "size"], kind: str) -> Expectation | None:
    """The published expectation of one figure for a kind of arm, or None where there is none."""
    return None
