"""The verdict and the sentences that say it: may the student replace the teacher?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from auditor.gates import find
from auditor.measuring import bracket
from auditor.types import Answer, CheckResult, GateResult, Measure, Verdict

_WORDS = {"pass": "✔", "fail": "✖", "cannot tell": "?"}


def answer_of(gates: Sequence[GateResult]) -> Answer:
    """Any required gate fails: no; else any undecided: cannot tell; else yes. Without a required gate nothing is decided."""
    states = {gate.state for gate in gates if gate.required}
    if "fail" in states:
        return "no"
    if "cannot tell" in states or not states:
        return "cannot tell"
    return "yes"


def make_verdict(
    candidate: str,
    gates: Sequence[GateResult],
    results: Sequence[CheckResult],
    *,
    has_labels: bool,
    what: str = "texts",
) -> Verdict:
    """The answer, its sentence and one reason for each gate."""
    answer = answer_of(gates)
    measures = [m for result in results for m in result.measures]
    scope: Literal["quality", "fidelity"] = "quality" if has_labels else "fidelity"
    parts = [
        _lead(answer, gates),
        _kept(candidate, measures, scope, what),
        *_open(gates),
        _changed(candidate, measures),
    ]
    reasons = tuple(
        f"{_WORDS[gate.state]} {'required' if gate.required else 'advisory'}: {gate.state}. {gate.reason}"
        for gate in gates
    )
    return Verdict(
        answer=answer,
        candidate=candidate,
        sentence=" ".join(part for part in parts if part),
        reasons=reasons,
        scope=scope,
    )


def _lead(answer: Answer, gates: Sequence[GateResult]) -> str:
    """Yes, no or cannot tell, with what decided it."""
    failed = [gate.measure for gate in gates if gate.required and gate.state == "fail"]
    unsure = [gate.measure for gate in gates if gate.required and gate.state == "cannot tell"]
    if answer == "yes":
        return "Yes, within the limits you set."
    if answer == "no":
        return f"No: {_listed(failed)} {'is' if len(failed) == 1 else 'are'} outside the limits you set."
    if not unsure:
        return "It cannot be told: no gate is required."
    needed = [gate.needed_n for gate in gates if gate.required and gate.state == "cannot tell"]
    known = [n for n in needed if n]
    more = f" About n = {max(known):,} would decide it." if known and len(known) == len(needed) else ""
    return f"It cannot be told whether {_listed(unsure)} {'keeps' if len(unsure) == 1 else 'keep'} to the limits.{more}"


def _kept(candidate: str, measures: list[Measure], scope: str, what: str) -> str:
    """What is kept, how much faster, how much cheaper; only what was measured."""
    retention, agreement, tokens = (
        find(measures, name, candidate) for name in ("accuracy_retention", "agreement", "token_agreement")
    )
    parts = []
    if scope == "quality" and retention is not None and retention.value is not None:
        parts.append(
            f"keeps {retention.value:.1f} % of the teacher's accuracy {bracket(retention.low, retention.high)} "
            f"on {retention.n:,} unseen {what}"
        )
    elif agreement is not None and agreement.value is not None:
        low, high = (None if bound is None else 100 * bound for bound in (agreement.low, agreement.high))
        parts.append(
            f"agrees with the teacher on {100 * agreement.value:.1f} % {bracket(low, high)} "
            f"of {agreement.n:,} unseen {what}"
        )
    elif tokens is not None and tokens.value is not None:
        low, high = (None if bound is None else 100 * bound for bound in (tokens.low, tokens.high))
        parts.append(
            f"chooses the teacher's token {100 * tokens.value:.1f} % of the time {bracket(low, high)} "
            f"on {tokens.n:,} unseen {what}"
        )
    speed = find(measures, "latency_speedup", candidate)
    if speed is not None and speed.value is not None:
        faster = speed.value >= 1
        parts.append(f"answers {speed.value if faster else 1 / speed.value:.1f}× {'faster' if faster else 'slower'}")
    saving = find(measures, "cost_saving", candidate)
    if saving is not None and saving.value is not None:
        parts.append(f"costs {abs(saving.value):.0f} % {'less' if saving.value >= 0 else 'more'}")
    sentence = f"It {_listed(parts)}." if parts else "Nothing could be measured of it."
    if scope == "quality":
        return sentence
    # answers and references are texts, which may be erased or stay at home: the verdict must follow without them
    what = "human label stands behind this" if tokens is None else "reference answer decided this"
    return f"{sentence} No {what}: it speaks of fidelity to the teacher, not of quality."


def _open(gates: Sequence[GateResult]) -> list[str]:
    """One sentence for each advisory gate that did not pass."""
    sentences = []
    for gate in gates:
        if gate.required or gate.state == "pass":
            continue
        name = gate.measure.replace("_", " ")
        if gate.state == "fail":
            sentences.append(f"Advisory: the {name} is outside its limit.")
        elif gate.value is None:
            sentences.append(f"The {name} is not known.")
        else:
            sentences.append(f"Whether the {name} keeps to its limit cannot be told from n = {gate.n:,}.")
    return sentences


def _changed(candidate: str, measures: list[Measure]) -> str:
    lost, won = (find(measures, name, candidate) for name in ("regressions", "gains"))
    if lost is None or won is None or lost.value is None or won.value is None:
        return ""
    return counted(lost, won, sum(m.name == lost.name and m.arm == candidate and m.seed is not None for m in measures))


def counted(lost: Measure, won: Measure, seeds: int, what: str = "") -> str:
    """'67 got worse, 42 better.', and what they are counted on where that is not what the accuracy is the mean of."""
    sentence = f"{lost.value or 0:,.0f}{what} got worse, {won.value or 0:,.0f} better"
    if seeds < 2:
        return f"{sentence}, of {lost.n:,}."
    return (
        f"{sentence}, of {lost.n:,}, where the {seeds} seeds answer as one by their mean probabilities; "
        "accuracy is the mean of the single seeds, so the two need not tally."
    )


def _listed(words: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))
