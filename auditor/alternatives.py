"""Would something simpler have done? What each method cost to make, and which arm comes first by the reader's own weights.

A score adds up what an arm gains over the teacher, in units that a reader can weigh against each other: one unit of quality is 5 %
of the teacher's accuracy, one of speed, cost or memory is a factor of two, one of bias is a gap smaller by 0.01. The teacher has 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from auditor.types import Measure
from distill.arms.sources import chain
from distill.errors import SpecError
from distill.spec import ArmSpec, RunSpec
from distill.store import TEACHER

ARTICLE = "Model Distillation for Generative AI (industry article, February 2026)"
Lookup = Callable[[str, str], Measure | None]


@dataclass(frozen=True)
class Method:
    """A way to a small model: its arms' kinds, and what the article says of it beside quality and speed."""

    name: str
    kinds: tuple[str, ...]
    published_cost: str
    best_for: str
    published_speed: str = ""


METHODS = (
    Method("distillation", ("distilled", "self_distilled", "iterative", "given"), "high (needs teacher output)", "reasoning, general tasks"),
    Method("quantisation", ("quantised",), "low (no extra training)", "simple inference, low power"),
    Method("pruning", ("pruned",), "medium", "redundant models"),
    Method("traditional fine-tuning", ("fine_tuned", "label_budget"), "very high (needs labelled data)", "specialised domains", "minimal"),
    Method("vocabulary trimming", ("trimmed",), "", ""),
    Method("stacked", ("stacked",), "", ""),
)  # fmt: skip
STACKED = "stacked"


def method_of(spec: RunSpec, arm: ArmSpec) -> str | None:
    """The method that an arm belongs to, by its name in :data:`METHODS`; what is made from another arm is several of them, stacked."""
    try:
        if len({one.kind for one in chain(spec, arm)}) > 1:
            return STACKED
    except SpecError:  # a run whose arms go in a circle was never made; one from another version may lack a source
        return None
    return next((method.name for method in METHODS if arm.kind in method.kinds), None)


@dataclass(frozen=True)
class Criterion:
    """One thing to weigh: the measure behind it and how its value becomes units over the teacher (None where it cannot)."""

    name: str
    title: str
    measure: str
    unit: str
    units: Callable[[float], float | None]


def _log2(ratio: float) -> float | None:
    return math.log2(ratio) if ratio > 0 else None


CRITERIA = (
    Criterion("quality", "Quality", "accuracy_retention", "5 % of the teacher's accuracy", lambda v: (v - 100) / 5),
    Criterion("speed", "Speed", "latency_speedup", "twice as fast", _log2),
    Criterion("cost", "Cost", "cost_saving", "half the cost", lambda v: _log2(1 / (1 - v / 100)) if v < 100 else None),
    Criterion("memory", "Memory", "memory_ratio", "half the memory", _log2),
    Criterion("bias", "Bias", "gender_bias_change", "a gender gap smaller by 0.01", lambda v: -v / 0.01),
)
TOTAL_SAVING = "total_cost_saving"
DEFAULT_WEIGHTS = {"quality": 5, "speed": 2, "cost": 2, "memory": 1, "bias": 1}


@dataclass(frozen=True)
class Score:
    """An arm's weighted gain over the teacher in units, with its interval; ``parts`` by criterion, weights included."""

    arm: str
    value: float
    low: float
    high: float
    parts: Mapping[str, float]


@dataclass(frozen=True)
class Recommendation:
    """What follows from the weights.

    Attributes:
        sentence: the answer.
        first: arms that cannot be told apart at the top, the best first.
        scores: of all arms, the best first.
        left_out: criteria that some arm has no measure of, by title: nobody is scored on them.
        without: arms that have no measure of quality, and so no score.
    """

    sentence: str
    first: tuple[str, ...]
    scores: tuple[Score, ...]
    left_out: tuple[str, ...]
    without: tuple[str, ...]


def recommend(
    lookup: Lookup, arms: Sequence[str], weights: Mapping[str, float], label: Callable[[str], str] = str
) -> Recommendation:
    """Order the arms and the teacher by their weighted gains; arms whose difference lies within its interval are a tie.

    The errors of criteria and arms are taken as independent, which makes a tie more likely, never less: arms are measured on the
    same items, so errors in the same direction cancel in a difference. A criterion that any arm lacks counts for none.

    Args:
        lookup: ``(measure, arm) -> Measure`` of the audit.
        arms: to be compared; the teacher is added.
        weights: by criterion, not negative; a missing one is 0.
        label: what an arm is called in the sentence.
    """
    without = tuple(arm for arm in arms if _units(lookup, CRITERIA[0], arm) is None)
    compared = [arm for arm in arms if arm != TEACHER and arm not in without]
    wanted = [criterion for criterion in _criteria(lookup, compared) if weights.get(criterion.name, 0) > 0]
    usable = [one for one in wanted if compared and all(_units(lookup, one, arm) is not None for arm in compared)]
    left_out = tuple(one.title for one in wanted if one not in usable)
    total = sum(weights[one.name] for one in usable)
    if not usable:
        return Recommendation(_nothing(compared, wanted), (), (), left_out, without)
    scores = [Score(TEACHER, 0.0, 0.0, 0.0, {one.name: 0.0 for one in usable})]
    scores += [_score(lookup, arm, usable, weights, total) for arm in compared]
    ordered = tuple(sorted(scores, key=lambda score: -score.value))
    first = tuple(score.arm for score in ordered if not _apart(ordered[0], score))
    titles = {one.name: one.title for one in usable}
    return Recommendation(_sentence(ordered, first, label, titles), first, ordered, left_out, without)


def _criteria(lookup: Lookup, arms: Sequence[str]) -> list[Criterion]:
    """The criteria as these arms can be weighed: with prices of errors, cost is that of running and errors together, if every arm has
    it; where memory was not measured for every arm, the size on disk stands in."""

    def all_have(name: str) -> bool:
        return bool(arms) and all(lookup(name, arm) is not None for arm in arms)

    total, memory = all_have(TOTAL_SAVING), all_have("memory_ratio")
    by_name = {one.name: one for one in CRITERIA}
    if total:
        by_name["cost"] = replace(by_name["cost"], measure=TOTAL_SAVING)
    if not memory:
        by_name["memory"] = replace(by_name["memory"], title="Size on disk", measure="compression")
    return list(by_name.values())


def _units(lookup: Lookup, criterion: Criterion, arm: str) -> tuple[float, float, float] | None:
    """Value, low and high in units; None without a measure. A measure without an interval is taken as exact."""
    found = lookup(criterion.measure, arm)
    if found is None or found.value is None:
        return None
    value = criterion.units(found.value)
    if value is None:
        return None
    bounds = [criterion.units(bound) for bound in (found.low, found.high) if bound is not None]
    known = [bound for bound in bounds if bound is not None] + [value]
    return value, min(known), max(known)


def _score(lookup: Lookup, arm: str, usable: Sequence[Criterion], weights: Mapping[str, float], total: float) -> Score:
    parts, down, up = {}, 0.0, 0.0
    for criterion in usable:
        found = _units(lookup, criterion, arm)
        assert found is not None  # usable criteria are those that every arm has
        share = weights[criterion.name] / total
        parts[criterion.name] = share * found[0]
        down += (share * (found[0] - found[1])) ** 2
        up += (share * (found[2] - found[0])) ** 2
    value = sum(parts.values())
    return Score(arm, value, value - math.sqrt(down), value + math.sqrt(up), parts)


def _apart(best: Score, other: Score) -> bool:
    """True when the best is better by more than the interval of the difference."""
    reach = math.hypot(best.value - best.low, other.high - other.value)
    return best.arm != other.arm and best.value - other.value > reach


def _nothing(compared: Sequence[str], wanted: Sequence[Criterion]) -> str:
    if not wanted:
        return "Nothing is recommended, because every weight is 0."
    if not compared:
        return "Nothing is recommended, because no arm has a measure of quality."
    return "Nothing is recommended, because none of the things you weigh was measured for every arm."


def _sentence(
    ordered: Sequence[Score], first: Sequence[str], label: Callable[[str], str], titles: Mapping[str, str]
) -> str:
    if len(first) > 1:
        names = [label(arm) for arm in first]
        sentence = f"By your weights it is a tie between {', '.join(names[:-1])} and {names[-1]}: their difference is within its interval."
        return f"{sentence} Take the one that is simplest to make and keep."
    best, second = ordered[0], ordered[1] if len(ordered) > 1 else None
    if best.arm == TEACHER:
        return "By your weights keep the teacher: no arm gains as much as it loses."
    behind = f", {best.value - second.value:.2f} units before {label(second.arm)}" if second else ""
    strongest = max(best.parts, key=lambda name: best.parts[name])
    return f"By your weights take {label(best.arm)}{behind}. What speaks for it most is {titles[strongest].lower()}."
