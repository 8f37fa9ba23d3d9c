"""A sweep is chosen on dev: which arm is the best there, which the smallest, fastest or cheapest that keeps enough, and where is the knee?

Whoever takes the best of many by their test figures has a figure that is too good. So front, knee and choice go by dev, where choices are made
in this house, and the test says afterwards what the chosen arm is worth: its interval needs no correction, since the test chose nothing.
A choice goes by points, not by bounds: it is the test's interval that says whether the limit is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.check import AuditInput, check
from auditor.comparing import retention
from auditor.frontier import FrontierOptions, is_sweep, knee, pareto
from auditor.measuring import bracket, has_teacher, measured, proportion, spoilt, usable_arms
from auditor.paying import CostOptions, running_costs
from auditor.prices import book_from_prices
from auditor.stats.paired import paired_bootstrap
from auditor.timing import latency_rounds, speedup, thread_counts, usable
from auditor.types import CheckResult, Finding, Measure
from distill.errors import StoreError
from distill.spec import RunSpec
from distill.store import TEACHER, SetName
from distill.types import Floats

AXES = {"size": ("smallest", "{:.1f} times smaller"), "speed": ("fastest", "{:.1f} times faster"), "cost": ("cheapest", "{:.0f} % cheaper")}  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """One rule's arm: by ``rule`` ('smallest', 'knee of size', 'most accurate' …) along ``axis`` (empty for accuracy alone)."""

    rule: str
    axis: str
    arm: str


@check(
    "frontier",
    "Which of several arms is chosen on dev, and what is it worth on the test?",
    needs={"human_labels", "student", "probabilities"},
    options=FrontierOptions,
    measures={
        "dev_accuracy": "Share of right predictions on the dev rows, where choices are made.",
        "dev_retention": "Accuracy on dev in % of the teacher's there.",
        "chosen_retention": "Accuracy on the test in % of the teacher's, of the arm that dev chose (group choice=RULE).",
    },
)
def frontier(audit: AuditInput, options: FrontierOptions) -> CheckResult:
    """Dev figures of every arm, the Pareto fronts and knees by them, the choices, and the test figures of what was chosen."""
    known = audit.dev.y >= 0
    if not known.any():
        return CheckResult(name="frontier", skipped="no dev row carries a human label, and arms are chosen there")
    if not has_teacher(audit) or not _answered(audit, TEACHER):
        return CheckResult(name="frontier", skipped="the teacher has no usable predictions on dev")
    arms = [arm for arm in usable_arms(audit) if _answered(audit, arm)]
    if not arms:
        return CheckResult(name="frontier", skipped="no arm has usable predictions on dev")
    measures = _on_dev(audit, arms, known)
    kept = {m.arm: m.value for m in measures if m.name == "dev_retention" and m.value is not None}
    gains = _gains(audit, list(kept))
    chosen = choices(kept, gains, options.keep)
    tested = _tested(audit, chosen)
    rows = _rows(kept, gains)
    findings = _findings(audit.spec, chosen, kept, gains, tested, options.keep)
    tables = {"arms": rows, "choices": [vars(choice) for choice in chosen]}
    return CheckResult(name="frontier", measures=(*measures, *tested), findings=tuple(findings), tables=tables)


def _answered(audit: AuditInput, arm: str) -> bool:
    """True when every seed of ``arm`` has numbers for every dev row."""
    try:
        return not spoilt(audit, arm, "dev")
    except (StoreError, FileNotFoundError):
        return False


def _right(audit: AuditInput, arm: str, part: SetName, rows: Any, y: Any) -> Floats:
    return np.asarray(audit.probs(arm, part)[:, rows].argmax(axis=-1) == y, dtype=np.float64)


def _on_dev(audit: AuditInput, arms: list[str], known: Any) -> list[Measure]:
    """Accuracy of the teacher and every arm on dev, and what an arm keeps of the teacher's, paired."""
    y, settings = audit.dev.y[known], audit.spec.audit
    drawn: dict[str, Any] = {"resamples": settings.resamples, "seed": settings.seed}
    teacher = _right(audit, TEACHER, "dev", known, y)
    measures = [proportion("dev_accuracy", teacher, TEACHER, higher_is_better=True, **drawn)]
    for arm in arms:
        right = _right(audit, arm, "dev", known, y)
        measures.append(proportion("dev_accuracy", right, arm, higher_is_better=True, **drawn))
        interval = retention(paired_bootstrap(teacher, right, **drawn), teacher, right)
        measures.append(measured("dev_retention", interval, arm, unit="%", versus=TEACHER, higher_is_better=True))
    return measures


def _gains(audit: AuditInput, arms: list[str]) -> dict[str, dict[str, float]]:
    """By axis and arm: times smaller on disk, times faster at batch 1 with all threads, and saved cost in %."""
    sizes = {TEACHER: audit.teacher_card.bytes}
    for card in audit.cards:
        sizes.setdefault(card.name, card.bytes)
    whole = sizes[TEACHER]
    gains: dict[str, dict[str, float]] = {"size": {}, "speed": {}, "cost": {}}
    if whole:
        gains["size"] = {arm: whole / size for arm in arms if (size := sizes.get(arm))}
    timings = audit.timings if audit.timings.empty else usable(audit.timings)
    if timings.empty:
        return gains
    counts, seed = thread_counts(timings), audit.spec.audit.seed
    rounds = {arm: latency_rounds(timings, arm, counts[-1]) for arm in (TEACHER, *arms)} if counts else {}
    for arm in arms:
        if arm in rounds and len(rounds[arm]) and len(rounds[TEACHER]):
            ratio = speedup(rounds[TEACHER], rounds[arm], seed)
            if ratio is not None:
                gains["speed"][arm] = ratio.value
    options = CostOptions.model_validate(audit.spec.audit.checks.get("cost", {}))
    paid = running_costs(audit, timings, book_from_prices(audit.prices), options)
    if TEACHER in paid and paid[TEACHER].per_1k.value:
        dear = paid[TEACHER].per_1k.value
        gains["cost"] = {arm: 100 * (1 - paid[arm].per_1k.value / dear) for arm in arms if arm in paid}
    return gains


def choices(kept: dict[str, float], gains: dict[str, dict[str, float]], keep: float) -> list[Choice]:
    """The arms that dev chooses: the most accurate; along each axis the one that gains most of those that keep ``keep`` %, and the knee.

    Ties go to what is smaller, then to what stands first.

    Args:
        kept: accuracy on dev in % of the teacher's, by arm.
        gains: by axis, then arm; larger is better.
        keep: in %.
    """
    if not kept:
        return []
    size = gains.get("size", {})
    found = [Choice("most accurate", "", max(kept, key=lambda arm: (kept[arm], size.get(arm, 0.0))))]
    for axis, gain in gains.items():
        both = [arm for arm in kept if arm in gain]
        enough = [arm for arm in both if kept[arm] >= keep]
        if enough:
            best = max(enough, key=lambda arm: (gain[arm], kept[arm]))
            found.append(Choice(AXES[axis][0], axis, best))
        front = _front(kept, gain)
        bend = knee([gain[arm] for arm in front], [kept[arm] for arm in front])
        if bend is not None:
            found.append(Choice(f"knee of {axis}", axis, front[bend]))
    return found


def _front(kept: dict[str, float], gain: dict[str, float]) -> list[str]:
    """Arms that no other one beats in both, by rising gain."""
    both = [arm for arm in kept if arm in gain]
    return [both[place] for place in pareto([gain[arm] for arm in both], [kept[arm] for arm in both])]


def _tested(audit: AuditInput, chosen: list[Choice]) -> list[Measure]:
    """The test figure of every chosen arm: the paired retention of the check 'quality'."""
    rows, settings = audit.labelled, audit.spec.audit
    y = audit.y[rows]
    teacher = _right(audit, TEACHER, "test", rows, y)
    known: dict[str, Any] = {}
    for arm in dict.fromkeys(choice.arm for choice in chosen):
        right = _right(audit, arm, "test", rows, y)
        paired = paired_bootstrap(teacher, right, resamples=settings.resamples, seed=settings.seed)
        known[arm] = retention(paired, teacher, right)
    common: dict[str, Any] = {"unit": "%", "versus": TEACHER, "higher_is_better": True}
    return [measured("chosen_retention", known[one.arm], one.arm, group=f"choice={one.rule}", **common) for one in chosen]  # fmt: skip


def _rows(kept: dict[str, float], gains: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    """For each arm its dev figure, its gains, and on which fronts it lies."""
    fronts = {axis: set(_front(kept, gain)) for axis, gain in gains.items()}
    return [
        {
            "arm": arm,
            "dev_retention": value,
            **{axis: gain.get(arm) for axis, gain in gains.items()},
            **{f"{axis}_front": arm in front for axis, front in fronts.items()},
        }
        for arm, value in kept.items()
    ]


def _findings(
    spec: RunSpec,
    chosen: list[Choice],
    kept: dict[str, float],
    gains: dict[str, dict[str, float]],
    tested: list[Measure],
    keep: float,
) -> list[Finding]:
    """A sentence for each choice of a sweep; the choice, then what the test says of it."""
    if not is_sweep(spec):
        return []
    findings = []
    for choice, test in zip(chosen, tested, strict=True):
        gain = gains.get(choice.axis, {}).get(choice.arm)
        shown = f", {AXES[choice.axis][1].format(gain)} than the teacher" if gain is not None else ""
        what = f"{choice.rule} that keeps {keep:g} %" if choice.rule in {rule for rule, _ in AXES.values()} else choice.rule  # fmt: skip
        claim = (
            f"Dev chooses '{choice.arm}' as the {what} of {len(kept)} arms: it keeps {kept[choice.arm]:.1f} % there{shown}. "
            f"On the test, which chose nothing, it keeps {_figure(test)}: {_held(test, keep)}."
        )
        findings.append(Finding(check="frontier", severity="info", claim=claim, evidence=(test,)))
    lacking = [axis for axis, gain in gains.items() if gain and not any(kept.get(arm, 0) >= keep for arm in gain)]
    if lacking:
        claim = f"No arm keeps {keep:g} % of the teacher's accuracy on dev; the best keeps {max(kept.values()):.1f} %."
        findings.append(Finding(check="frontier", severity="notice", claim=claim, action="Sweep larger students, or give more labels."))  # fmt: skip
    return findings


def _figure(test: Measure) -> str:
    value = "an unknown share" if test.value is None else f"{test.value:.1f} %"
    return f"{value} {bracket(test.low, test.high)}"


def _held(test: Measure, keep: float) -> str:
    """Whether the test agrees that the arm keeps ``keep`` %."""
    if test.low is not None and test.low >= keep:
        return f"{keep:g} % is kept"
    if test.high is not None and test.high < keep:
        return f"less than {keep:g} % is kept"
    return f"whether {keep:g} % is kept cannot be told"
