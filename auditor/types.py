"""The versioned record of an audit: measures, findings, gates, verdict. What `show --json` prints and other tools read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = "1.0"
TEACHER = "teacher"  # as the store names it, which would load pandas
Severity = Literal["info", "notice", "warning", "serious"]
Answer = Literal["yes", "no", "cannot tell"]
GateState = Literal["pass", "fail", "cannot tell"]


class Record(BaseModel):
    """Frozen, and tolerant of fields that a later version adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Measure(Record):
    """One number with its interval.

    Attributes:
        name: snake_case, from the documented list (docs/SCHEMA.md).
        value, low, high: point estimate and 95 % interval in ``unit``; bounds are None where none exists.
        n: how many items it rests on.
        arm: arm name, or 'teacher'.
        group: slice it is about, such as 'class=negative' or 'gender=female'; None for all items.
        seed: the single seed it is about; None for the mean over seeds.
        unit: '1' for shares and scores, 'ms', 's', 'bytes', 'USD', 'texts/s', 'nats', '%'.
        versus: the arm it is compared with, for differences and ratios.
        detail: small extra data for charts (a curve, a row of a table); never raw texts.
        exact: False for an estimate or an attested figure that cannot be recomputed from files.
        counted: True for what was counted and not sampled or timed (bytes on disk, parameters): a gate may take its value as it is.
    """

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    arm: str = "teacher"
    group: str | None = None
    seed: int | None = None
    unit: str = "1"
    higher_is_better: bool | None = None
    versus: str | None = None
    detail: dict[str, Any] = {}
    exact: bool = True
    counted: bool = False


def meant(found: Sequence[Measure]) -> Measure | None:
    """Which of several comparisons of one figure is meant where nobody names the other side: the one with the teacher, else the one with
    nobody, else the only one there is. None where it would be a guess.
    """
    for versus in (TEACHER, None):
        with_it = next((measure for measure in found if measure.versus == versus), None)
        if with_it is not None:
            return with_it
    return found[0] if len({measure.versus for measure in found}) == 1 else None


class Finding(Record):
    """A claim drawn from measures, and what to do about it."""

    check: str
    severity: Severity
    claim: str
    evidence: tuple[Measure, ...] = ()
    action: str = ""


class CheckResult(Record):
    """What one check found; ``skipped`` is the reason why it could not be made, never a zero and never a pass."""

    name: str
    measures: tuple[Measure, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: str | None = None
    tables: dict[str, list[dict[str, Any]]] = {}


class GateResult(Record):
    """A pre-declared limit held against its measure. ``needed_n`` is the number of items that would decide it."""

    measure: str
    limit: float
    direction: Literal["at_least", "at_most"]
    required: bool
    state: GateState
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    needed_n: int | None = None
    reason: str = ""


class Verdict(Record):
    """May the student replace the teacher? ``scope`` is 'fidelity' when no human label stands behind it."""

    answer: Answer
    candidate: str
    sentence: str
    reasons: tuple[str, ...] = ()
    scope: Literal["quality", "fidelity"] = "quality"


class AuditReport(Record):
    """Everything an audit says of one run; ``made_by`` names the code that computed it."""

    schema_version: str = SCHEMA_VERSION
    run: str
    made_at: str
    made_by: str = ""
    results: tuple[CheckResult, ...]
    gates: tuple[GateResult, ...]
    verdict: Verdict

    @property
    def measures(self) -> list[Measure]:
        """All measures of all checks."""
        return [measure for result in self.results for measure in result.measures]

    @property
    def findings(self) -> list[Finding]:
        """All findings, the most serious first."""
        order = {"serious": 0, "warning": 1, "notice": 2, "info": 3}
        return sorted((f for result in self.results for f in result.findings), key=lambda f: order[f.severity])

    def measure(self, name: str, arm: str, group: str | None = None, seed: int | None = None) -> Measure | None:
        """The one measure with this name, arm, group and seed, against the teacher where it is a comparison; or None."""
        return meant([m for m in self.measures if (m.name, m.arm, m.group, m.seed) == (name, arm, group, seed)])

    def result(self, check: str) -> CheckResult | None:
        """The result of one check, or None."""
        return next((result for result in self.results if result.name == check), None)
