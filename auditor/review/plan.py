"""The plan: how many labels people check, what that will prove, and how the lot is judged. Frozen before the first label is seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from pydantic import Field, ValidationError, model_validator

from auditor.review.answers import Unit
from auditor.stats.interval import FloatArray, IntArray, generator
from auditor.stats.proportions import hypergeometric_bound, hypergeometric_upper
from auditor.stats.sampling import (
    AcceptancePlan,
    fraction_size,
    limiting_quality_plan,
    operating_characteristic,
    simple_random_sample,
)
from distill.errors import ReviewError
from distill.spec import Part

Method = Literal["fraction", "limiting quality"]
Allocation = Literal["proportional", "Neyman"]
DOUBLE_ITEMS, DOUBLE_SHARE = 50, 0.10


class Strata(Part):
    """Further cards drawn within strata, for the estimates alone; the lot is judged on the simple random sample."""

    extra: int = Field(200, ge=1, description="How many further cards, about.")
    bands: tuple[float, ...] = Field((0.6, 0.9), description="Where the teacher's confidence is cut.")
    by_class: bool = Field(True, description="A stratum for each class.")
    group: str | None = Field(None, description="A group column, or none.")
    minimum: int = Field(5, ge=1, description="At least so many cards a stratum, or all of it.")
    allocation: Allocation = "proportional"

    @model_validator(mode="after")
    def _rising(self) -> Strata:
        if list(self.bands) != sorted(set(self.bands)) or any(not 0 < edge < 1 for edge in self.bands):
            raise ValueError("the bands must rise and lie between 0 and 1")
        return self


class Wishes(Part):
    """What a person chooses before a round."""

    method: Method = "fraction"
    fraction: float = Field(0.15, gt=0, le=1, description="Share of the labels to check.")
    max_wrong: float = Field(0.05, gt=0, lt=1, description="Largest share of wrong labels that is acceptable.")
    aql: float = Field(0.01, ge=0, lt=1, description="Lots with at most this share wrong shall pass.")
    lq: float = Field(0.05, gt=0, lt=1, description="Lots with this share wrong shall be refused.")
    producer_risk: float = Field(0.05, gt=0, lt=0.5, description="How often a good lot may be refused.")
    consumer_risk: float = Field(0.10, gt=0, lt=0.5, description="How often a bad lot may pass.")
    confidence: float = Field(0.95, gt=0.5, lt=1)
    double_share: float = Field(DOUBLE_SHARE, ge=0, le=1, description="Share of cards that two people decide.")
    double_items: int = Field(DOUBLE_ITEMS, ge=0, description="At least so many cards that two people decide.")
    seed: int = Field(29, ge=0)
    strata: Strata | None = None


class Plan(Part):
    """A frozen plan. ``refuse_from`` is None where no number of wrong labels would refuse the lot.

    Attributes:
        wishes: what was chosen.
        lot: labels in the frame.
        frame: Merkle root over the frame's labels.
        n: cards of the simple random sample.
        accept_up_to: the lot is accepted if at most so many of them are wrong (−1: it can't be).
        refuse_from: the lot is refused if at least so many are.
        doubles: cards that two people decide.
        unit: what the teacher made: labels, or answers of a language model.
    """

    wishes: Wishes
    lot: int
    frame: str
    n: int
    accept_up_to: int
    refuse_from: int | None
    doubles: int
    unit: Unit = "labels"

    @property
    def limit(self) -> float:
        """The share of wrong labels that the verdict is about."""
        return self.wishes.max_wrong if self.wishes.method == "fraction" else self.wishes.lq


def wishes_from(values: dict[str, Any]) -> Wishes:
    """Wishes from plain data; raises ReviewError with the first problem."""
    try:
        return Wishes.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReviewError(f"The plan's '{where}': {first['msg'].removeprefix('Value error, ')}.") from error


def make_plan(lot: int, frame: str, wishes: Wishes, unit: Unit = "labels") -> Plan:
    """Size and limits of the sample for a lot of ``lot`` labels.

    Raises:
        ReviewError: the lot is empty, or too small for what was asked.
    """
    if lot == 0:
        raise ReviewError(f"There is no synthetic {unit.removesuffix('s')} to check.")
    if wishes.method == "fraction":
        n = max(1, fraction_size(lot, wishes.fraction))
        accept, refuse = limits(n, lot, wishes.max_wrong, wishes.confidence)
    else:
        try:
            found = limiting_quality_plan(
                lot, wishes.aql, wishes.lq, alpha=wishes.producer_risk, beta=wishes.consumer_risk
            )
        except ValueError as error:
            raise ReviewError(
                f"No such plan: {error}.", hint="Move the two rates apart, or check a fraction."
            ) from error
        n, accept, refuse = found.n, found.c, found.c + 1
    doubles = 0 if wishes.double_share == 0 else min(n, max(wishes.double_items, round(wishes.double_share * n)))
    return Plan(
        wishes=wishes, lot=lot, frame=frame, n=n, accept_up_to=accept, refuse_from=refuse, doubles=doubles, unit=unit
    )


@lru_cache(maxsize=256)
def limits(n: int, lot: int, limit: float, confidence: float) -> tuple[int, int | None]:
    """The most wrong labels with which the upper bound keeps to ``limit`` (−1: none), and the fewest with which the lower bound is above it."""
    allowed = int(np.floor(limit * lot + 1e-9))
    accept, high = -1, n
    while accept < high:  # the bound rises with the number of wrong labels
        middle = (accept + high + 1) // 2
        if hypergeometric_upper(middle, n, lot, confidence) <= allowed:
            accept = middle
        else:
            high = middle - 1
    low, refuse = accept + 1, n + 1
    while low < refuse:
        middle = (low + refuse) // 2
        if hypergeometric_bound(middle, n, lot, confidence, side="lower").low > allowed:
            refuse = middle
        else:
            low = middle + 1
    return accept, refuse if refuse <= n else None


@dataclass(frozen=True)
class Promise:
    """What a plan will prove, said before anybody starts.

    Attributes:
        sentence: in words.
        rates: shares of wrong labels in the lot, shape [m].
        accepted: the chance that such a lot is accepted, shape [m] (the operating characteristic).
        examples: (wrong in the sample, at most so large a share of the lot is wrong).
    """

    sentence: str
    rates: FloatArray
    accepted: FloatArray
    examples: tuple[tuple[int, float], ...]


@lru_cache(maxsize=64)
def promise(plan: Plan) -> Promise:
    """'What will this sample prove?', with its operating-characteristic curve."""
    top = min(1.0, max(3 * plan.limit, 0.02))
    rates = np.unique(np.round(np.linspace(0, top, 61) * plan.lot)) / plan.lot  # a lot has whole wrong labels
    rule = AcceptancePlan(plan.lot, plan.n, max(plan.accept_up_to, 0), plan.wishes.aql, plan.limit, 0.0, 0.0)
    accepted = operating_characteristic(rule, rates) if plan.accept_up_to >= 0 else np.zeros(len(rates))
    c = max(plan.accept_up_to, 0)
    shown = sorted({0, c // 2, c, min(plan.n, 2 * c + 1)})
    confidence = plan.wishes.confidence
    examples = tuple((w, hypergeometric_upper(w, plan.n, plan.lot, confidence) / plan.lot) for w in shown)
    return Promise(_sentence(plan, dict(examples)), rates, np.asarray(accepted), examples)


def _sentence(plan: Plan, bound: dict[int, float]) -> str:
    share = f"{100 * plan.n / plan.lot:.3g} %"
    head = f"{plan.n:,} of {plan.lot:,} {plan.unit} ({share}), a simple random sample."
    sure = f"{100 * plan.wishes.confidence:.3g} %"
    if plan.accept_up_to < 0:
        return (
            f"{head} Too few: even without a wrong one it cannot show that at most {100 * plan.limit:.3g} % are wrong."
        )
    c = plan.accept_up_to
    if plan.wishes.method == "fraction":
        few = "none is" if c == 0 else "no more than one is" if c == 1 else f"no more than {c:,} are"
        return f"{head} If {few} wrong, at most {100 * bound[c]:.3g} % of all {plan.unit} are ({sure}) and the lot is accepted."
    return (
        f"{head} Accepted with at most {c:,} wrong. A lot with {100 * plan.wishes.aql:.3g} % wrong passes at least "
        f"{100 * (1 - plan.wishes.producer_risk):.3g} % of the time; one with {100 * plan.wishes.lq:.3g} % wrong is refused at least "
        f"{100 * (1 - plan.wishes.consumer_risk):.3g} % of the time."
    )


def draw_sample(plan: Plan) -> tuple[IntArray, IntArray]:
    """Positions of the simple random sample in the order of review, shape [n], and how many people decide each (1 or 2)."""
    rng = generator(plan.wishes.seed)
    positions = simple_random_sample(plan.lot, plan.n, rng)
    slots = np.ones(plan.n, dtype=np.int64)
    slots[rng.choice(plan.n, size=plan.doubles, replace=False)] = 2
    return positions, slots
