"""Pre-declared limits held against measures, and the verdict that follows from them.

Any required gate fails: no. Else any required gate undecided: cannot tell. Else yes. Advisory gates are shown and decide nothing.

The candidate is named before the run, and all its required gates must pass, so its gates need no correction (an
intersection-union test: Berger 1982). Whoever picks another arm after having seen the figures has chosen the best of many:
for that the table ``gates`` of every arm carries p values by Holm over the family arms × required gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.check import CHECKS, GIVES, MEASURES
from auditor.measuring import bracket, finite
from auditor.stats.equivalence import Direction, gate_decision
from auditor.stats.interval import Interval, normal_cdf, normal_quantile
from auditor.stats.multiplicity import holm
from auditor.types import TEACHER, CheckResult, GateResult, GateState, Measure, meant
from distill.spec import AuditSpec, GateSpec

OTHERS = ("_control", "_parent", "_source", "_origin")  # such a name says with whom else it compares
LEVEL = 0.025  # one-sided: a two-sided 95 % interval that keeps to the limit


def find(measures: Iterable[Measure], name: str, arm: str) -> Measure | None:
    """The measure over all items and seeds, against the teacher where it is a comparison; None where there is none such."""
    found = meant(_named(measures, name, arm))
    told = found is None or found.versus in (TEACHER, None) or name.endswith(OTHERS)
    return found if told else None


def _named(measures: Iterable[Measure], name: str, arm: str) -> list[Measure]:
    return [m for m in measures if (m.name, m.arm, m.group, m.seed) == (name, arm, None, None)]


def decide(gate: GateSpec, arm: str, results: Sequence[CheckResult]) -> GateResult:
    """Hold one gate against the measure of ``arm``. Without a measure it is 'cannot tell', with the reason."""
    limit, direction = limit_of(gate)
    common: dict[str, Any] = {
        "measure": gate.measure,
        "limit": limit,
        "direction": "at_least" if direction == "at least" else "at_most",
        "required": gate.required,
    }
    measure = find((m for result in results for m in result.measures), gate.measure, arm)
    if measure is None or measure.value is None:
        return GateResult(state="cannot tell", reason=why_missing(gate.measure, arm, results, measure), **common)
    interval = gate_interval(measure)
    decision = gate_decision(interval, limit, direction)
    return GateResult(
        state=decision.word,
        value=measure.value,
        low=finite(interval.low),
        high=finite(interval.high),
        n=measure.n,
        needed_n=decision.n_to_decide,
        reason=_reason(measure, interval, limit, direction, decision.word, decision.n_to_decide),
        **common,
    )


def limit_of(gate: GateSpec) -> tuple[float, Direction]:
    """The gate's limit and on which side of it the measure must be."""
    if gate.at_least is not None:
        return gate.at_least, "at least"
    return float(gate.at_most if gate.at_most is not None else math.nan), "at most"


def gate_interval(measure: Measure) -> Interval:
    """What a gate decides by: exact bounds where the measure is a share, its own value where it was counted. Measured once is not counted."""
    value = float(measure.value if measure.value is not None else math.nan)
    low, high = measure.detail.get("exact_low", measure.low), measure.detail.get("exact_high", measure.high)
    if low is None and high is None and measure.counted:
        return Interval(value, value, value, 1)
    return Interval(
        value, math.nan if low is None else float(low), math.nan if high is None else float(high), measure.n
    )


@dataclass(frozen=True)
class Statement:
    """What a test of a change and a gate on the same change say together. ``state`` and ``needed`` are the gate's; None without one."""

    words: str
    state: GateState | None = None
    needed: int | None = None


def one_statement(measure: Measure, settings: AuditSpec, write: Callable[[float], str], undecided: str) -> Statement:
    """The word of ``measure`` (better, worse, equivalent, cannot tell) and what the spec's gate on it makes of it, as one statement.

    The test asks whether there is a change, the gate whether it keeps to a limit: 'worse' and 'cannot tell' may both be true.

    Args:
        measure: a change with ``detail["word"]``.
        write: a limit with its unit, without a sign ('2 points').
        undecided: what the test left open, for 'cannot tell' ('whether there is a difference').
    """
    word = str(measure.detail["word"])
    plain = {"better": "surely better", "worse": "surely worse", "cannot tell": f"{undecided} cannot be told"}
    said = plain.get(word, word)
    gates = [gate for gate in settings.gates if gate.measure == measure.name]
    if not gates or measure.value is None:
        return Statement(said if gates else word)
    limit, direction = limit_of(max(gates, key=lambda gate: gate.required))
    found = gate_decision(gate_interval(measure), limit, direction)
    bad = limit < 0 if direction == "at least" else limit > 0  # the gate allows a loss of so much
    much = write(abs(limit))
    if bad and (word, found.word) == ("cannot tell", "cannot tell"):
        neither = f"neither {undecided} nor whether it is more than {much} worse can be told"
        return Statement(neither, found.word, found.n_to_decide)
    if bad and word == "worse":
        more = {
            "pass": f", but by no more than {much}",
            "fail": f", and by more than {much}",
            "cannot tell": f"; whether by more than {much} cannot be told",
        }
    elif bad:
        kept = {"better": "", "equivalent": f", and surely no more than {much} worse"}
        more = {
            "pass": kept.get(word, f", but it is surely no more than {much} worse"),
            "fail": f", but more than {much} worse",
            # the test looks at the 90 % interval, the gate at the 95 %
            "cannot tell": f" at 90 % confidence; at the 95 % of the gate, whether it is more than {much} worse cannot be told",
        }
    else:
        asked = f"{direction} {'−' if limit < 0 else ''}{much}"
        more = {
            "pass": f"; it is {asked}, as was asked for",
            "fail": f"; it is not {asked}, as was asked for",
            "cannot tell": f"; whether it is {asked} cannot be told",
        }
    return Statement(said + more[found.word], found.word, found.n_to_decide)


def limit_said(measure: Measure, settings: AuditSpec) -> str:
    """' The limit set for it, at most 0.01, is kept.': what the gate on a change says, for a sentence that gives the test's word; '' without a gate."""
    gate = next((gate for gate in settings.gates if gate.measure == measure.name), None)
    if gate is None or measure.value is None:
        return ""
    limit, direction = limit_of(gate)
    asked = f"{direction} {limit:g}".replace("-", "−")
    return {
        "pass": f" The limit set for it, {asked}, is surely kept.",
        "fail": f" The limit set for it, {asked}, is surely broken.",
        "cannot tell": f" Whether the limit set for it, {asked}, is kept cannot be told.",
    }[gate_decision(gate_interval(measure), limit, direction).word]


def why_missing(name: str, arm: str, results: Sequence[CheckResult], measure: Measure | None = None) -> str:
    """Why there is no such measure, in one sentence."""
    if measure is not None:
        return str(measure.detail.get("reason") or f"'{name}' is not defined on these data.")
    CHECKS.names()  # the catalogue fills when the checks are loaded
    here = [result.name for result in results if name in GIVES.get(result.name, {})]
    check = here[0] if here else MEASURES.get(name, ("", ""))[0]
    skipped = {result.name: result.skipped for result in results if result.skipped}
    if check in skipped:
        return f"The check '{check}' was skipped: {str(skipped[check]).rstrip('.')}."
    with_others = {str(m.versus) for m in _named((m for result in results for m in result.measures), name, arm)}
    if with_others:
        listed = ", ".join(f"'{versus}'" for versus in sorted(with_others))
        return f"'{name}' compares '{arm}' with {listed} here, and not with the teacher."
    if any(m.name == name for result in results for m in result.measures):
        return f"'{arm}' has no '{name}': it has no usable predictions or was not timed."
    if not check:
        related = [other for other in skipped if other.split("_")[0] in name]
        reasons = "; ".join(f"'{other}' was skipped: {str(skipped[other]).rstrip('.')}" for other in sorted(related))
        return f"No check gave '{name}'" + (f" ({reasons})." if reasons else ".")
    return f"The check '{check}' gave no '{name}' for '{arm}'."


def _reason(
    measure: Measure, interval: Interval, limit: float, direction: Direction, word: GateState, needed: int | None
) -> str:
    """One sentence: what was found, what was allowed."""
    digits = 3 if abs(interval.value) < 10 else 1
    shown = f"{interval.value:.{digits}f} {bracket(finite(interval.low), finite(interval.high), digits)}"
    sentence = f"{measure.name} is {shown}, {direction} {limit:g} was asked for"
    if word != "cannot tell":
        return f"{sentence}.".replace("-", "−")
    if not interval.known:
        once = (
            "it was measured once, so it has no interval" if measure.n == 1 else "too few repetitions for an interval"
        )
        return f"{sentence}; {str(measure.detail.get('reason') or once).rstrip('.')}.".replace("-", "−")
    more = f"; about n = {needed:,} would decide it" if needed else "; no number of items would decide so close a case"
    return f"{sentence}: the interval holds the limit{more}.".replace("-", "−")


def p_value(interval: Interval, limit: float, direction: Direction) -> float:
    """One-sided p of 'the limit is broken', by a normal curve through the interval's bound on the limit's side; nan without one."""
    gap = interval.value - limit if direction == "at least" else limit - interval.value
    bound = interval.value - interval.low if direction == "at least" else interval.high - interval.value
    if math.isnan(gap) or math.isnan(bound):
        return math.nan
    if bound <= 0:
        return 0.0 if gap >= 0 else 1.0
    return 1.0 - normal_cdf(gap / (bound / normal_quantile(1 - LEVEL)))


def all_arms(settings: AuditSpec, arms: Sequence[str], results: Sequence[CheckResult]) -> CheckResult:
    """Every gate of every arm, with p values by Holm over arms × required gates; ``pick`` says which arm could be chosen afterwards."""
    rows: list[dict[str, Any]] = []
    for arm in arms:
        for gate in settings.gates:
            found = decide(gate, arm, results)
            limit, direction = limit_of(gate)
            value, low, high = (math.nan if x is None else x for x in (found.value, found.low, found.high))
            p = p_value(Interval(value, low, high, found.n), limit, direction)
            rows.append({"arm": arm, **found.model_dump(), "p": finite(p)})
    required = [row for row in rows if row["required"]]
    adjusted = holm([math.nan if row["p"] is None else row["p"] for row in required])
    for row in rows:
        row["p_holm"] = None
    for row, p in zip(required, adjusted, strict=True):
        row["p_holm"] = finite(float(p))
    picks = [{"arm": arm, "pick": _could_be_picked([row for row in required if row["arm"] == arm])} for arm in arms]
    return CheckResult(name="gates", tables={"arms": rows, "picks": picks})


def _could_be_picked(rows: list[dict[str, Any]]) -> GateState:
    """The verdict's rule for an arm that was not named before: a pass must survive Holm's correction."""
    if any(row["state"] == "fail" for row in rows):
        return "fail"
    sure = all(row["state"] == "pass" and row["p_holm"] is not None and row["p_holm"] <= LEVEL for row in rows)
    return "pass" if sure else "cannot tell"
