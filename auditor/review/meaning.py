"""What the bound on wrong labels means for figures that were scored against those labels in place of people's.

However the errors fall: |share in which a student misses the truth − share in which it misses the teacher| is no more than the share
in which the teacher misses the truth (triangle inequality). Within a part of the texts all errors of the whole may have landed. What compares
probabilities (KL, say) compares with the teacher itself and not with labels, so it stands as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from auditor.types import Measure

NO_BOUND = {
    "label_gender_association": "no bound: a few wrong labels of one gender may make or hide an association",
}


@dataclass(frozen=True)
class Meaning:
    """One figure against synthetic labels, and where the figure against true labels lies.

    Attributes:
        measure: the figure as the audit has it.
        read_as: what it would be against true labels, 'accuracy' say.
        low, high: where that lies, in the measure's unit; None where the bound says nothing.
        slack: by how much wrong labels can move the figure either way.
        why: why there is no bound, or what was taken into account.
    """

    measure: Measure
    read_as: str
    low: float | None
    high: float | None
    slack: float | None
    why: str = ""


def meanings(measures: Iterable[Measure], upper: float) -> list[Meaning]:
    """What ``upper``, the bound on the share of wrong labels, means for each figure scored against them, in the audit's order.

    A figure's own interval and the bound are added up, so both kinds of doubt are in it.
    """
    known = [m for m in measures if m.seed is None and m.value is not None]
    whole = {m.arm: m.n for m in known if m.name == "agreement" and m.group is None}
    return [found for m in known if (found := _of(m, upper, whole)) is not None]


def _of(measure: Measure, upper: float, whole: dict[str, int]) -> Meaning | None:
    if measure.name == "agreement" and measure.group is None:
        return _share(measure, "accuracy", upper)
    if measure.name == "language_agreement" and measure.n and measure.arm in whole:
        part = "even if all wrong labels were of this language"
        return _share(measure, "accuracy in the language", min(1.0, upper * whole[measure.arm] / measure.n), part)
    if measure.name == "disagreements":
        n, value = measure.n, float(measure.value or 0)
        low, high = max(0.0, value - upper * n), min(float(n), value + upper * n)
        return Meaning(measure, "wrong answers", low, high, upper * n)
    if measure.name == "label_drift":
        return _share(measure, "drift of the true labels", min(1.0, 2 * upper), "wrong labels in pool and test both")
    if measure.name in NO_BOUND and measure.arm == "synthetic labels":
        return Meaning(measure, "association of the true labels", None, None, None, NO_BOUND[measure.name])
    return None


def _share(measure: Measure, read_as: str, slack: float, why: str = "") -> Meaning:
    value = float(measure.value or 0)
    low = value if measure.low is None else measure.low
    high = value if measure.high is None else measure.high
    return Meaning(measure, read_as, max(0.0, low - slack), min(1.0, high + slack), slack, why)
