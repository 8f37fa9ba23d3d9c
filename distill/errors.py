"""Everything that can go wrong for a reason that a person can mend.

    HeirloomError
    ├── SpecError           a RunSpec says something impossible, or a word that is not known
    ├── DataError           rows, columns or labels that cannot be used as they are
    ├── ModelError          a checkpoint that cannot be loaded, or does not fit its partner
    │   └── UnsafeModelError    pickle weights or remote code: refused, never executed
    ├── PackError           a pack that is not installed, or whose digest is wrong
    ├── EndpointError       a teacher behind HTTP that refuses, times out or overcharges
    ├── StoreError          a run directory or workspace that cannot be read or written
    │   └── RunNotFoundError
    ├── ReviewError         a review plan, import or decision that breaks the rules of the review
    ├── ReportError         a report or bundle that cannot be made or does not verify
    └── Cancelled           a person asked the job to stop; not a failure

Pages and command line show ``message`` and ``hint`` and nothing else, so both are plain sentences.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeirloomError(Exception):
    """One sentence that says what is wrong and where, and one that says what to do.

    Args:
        message: what is wrong, and where.
        hint: what the reader can do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SpecError(HeirloomError):
    """A RunSpec says something impossible."""


class DataError(HeirloomError):
    """Rows, columns or labels that cannot be used as they are."""


class ModelError(HeirloomError):
    """A checkpoint that cannot be loaded or does not fit its partner."""


class UnsafeModelError(ModelError):
    """Pickle weights or code shipped with a checkpoint."""


class PackError(HeirloomError):
    """A pack that is missing, or whose digest is wrong."""


class EndpointError(HeirloomError):
    """A teacher behind HTTP that refuses, times out or costs more than allowed."""


class StoreError(HeirloomError):
    """A run directory or workspace that cannot be read or written."""


class RunNotFoundError(StoreError):
    """No run carries this id."""


class ReviewError(HeirloomError):
    """A review plan, import or decision that breaks the rules of the review."""


class ReportError(HeirloomError):
    """A report or bundle that cannot be made, or does not verify."""


class Cancelled(HeirloomError):  # noqa: N818 - not an error in the reader's sense
    """A person asked the job to stop."""


def nearest(word: str, known: Iterable[str]) -> str:
    """``"Did you mean 'x'?"`` for the known word nearest to ``word``, or the list of known ones."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    return f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(options)}."
