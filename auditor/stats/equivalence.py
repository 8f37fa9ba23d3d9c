"""Is a change nothing, something, or not to be told? And does an interval keep to a limit?

The rule: the 90 % interval of the change inside the margin, so two one-sided tests at 5 % (TOST, Schuirmann 1987): equivalent; else
the 95 % interval without 0: better or worse; else cannot tell, with the n that would decide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from auditor.stats.bootstrap import Bootstrap, Method
from auditor.stats.interval import Interval, normal_quantile

ChangeWord = Literal["equivalent", "better", "worse", "cannot tell"]
GateWord = Literal["pass", "fail", "cannot tell"]
Direction = Literal["at least", "at most"]

INNER, OUTER = 0.90, 0.95
POWER = 0.80
# A plan for more items than this is no plan.
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Equivalence:
    """What can be said of a change (candidate minus reference).

    ``inner`` is its 90 % interval, ``outer`` its 95 % interval, ``margin`` the absolute margin fixed beforehand.
    ``n_to_decide``: the number of items that would decide with 80 % power if the estimate and its spread stay as they are;
    None when it is decided, or when no n would do. ``smallest_change``: the smallest true change that this n tells
    from 0 with 80 % power (nan where the spread is not known).
    """

    word: ChangeWord
    inner: Interval
    outer: Interval
    margin: float
    n_to_decide: int | None
    smallest_change: float


def tost(
    change: Bootstrap,
    margin: float,
    *,
    higher_is_better: bool = True,
    method: Method = "percentile",
    power: float = POWER,
) -> Equivalence:
    """Judge a bootstrapped change; see the head of this file."""
    return tost_intervals(
        change.interval(INNER, method),
        change.interval(OUTER, method),
        margin,
        higher_is_better=higher_is_better,
        power=power,
    )


def tost_intervals(
    inner: Interval, outer: Interval, margin: float, *, higher_is_better: bool = True, power: float = POWER
) -> Equivalence:
    """The same from a 90 % and a 95 % interval made in any other way. A nan bound cannot tell.

    Raises:
        ValueError: a margin that is not above 0, or intervals of different n or in the wrong order.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"the margin must be a positive number, not {margin}")
    if inner.n != outer.n:
        raise ValueError(f"both intervals must rest on the same items, not on {inner.n} and {outer.n}")
    if inner.known and outer.known and inner.width > outer.width * (1 + 1e-9) + 1e-12:
        raise ValueError("the 90 % interval is wider than the 95 % interval; are they exchanged?")
    word: ChangeWord = "cannot tell"
    if -margin < inner.low and inner.high < margin:
        word = "equivalent"
    elif outer.low > 0 or outer.high < 0:
        word = "better" if (outer.low > 0) == higher_is_better else "worse"
    error = _standard_error(outer)
    smallest = (normal_quantile(0.5 + OUTER / 2) + normal_quantile(power)) * error
    needed = n_to_decide(outer.value, error, outer.n, margin, power) if word == "cannot tell" else None
    return Equivalence(word, inner, outer, margin, needed, smallest)


def n_to_decide(change: float, standard_error: float, n: int, margin: float, power: float = POWER) -> int | None:
    """The smallest n at which the rule would say something other than 'cannot tell', with this power.

    It takes the true change to be ``change`` and the standard error to shrink with the square root of n. Equivalence needs
    n = ((z_0.95 + z_(1+power)/2) sd / (margin - |change|))² (Chow, Shao & Wang 2008, 3.1.3), a difference
    n = ((z_0.975 + z_power) sd / change)²; the smaller counts.

    Returns:
        None where that is more than a thousand million, or the spread is not known.
    """
    if n <= 0 or not (math.isfinite(change) and math.isfinite(standard_error)):
        return None
    room = margin - abs(change)
    return min(
        (
            needed
            for z, distance in (
                (normal_quantile(0.5 + INNER / 2) + normal_quantile((1 + power) / 2), room),
                (normal_quantile(0.5 + OUTER / 2) + normal_quantile(power), abs(change)),
            )
            if (needed := _needed(z, standard_error, n, distance)) is not None
        ),
        default=None,
    )


@dataclass(frozen=True, slots=True)
class GateDecision:
    """An interval held against a limit. ``n_to_decide`` as in `Equivalence`, None unless the word is 'cannot tell'."""

    word: GateWord
    interval: Interval
    limit: float
    direction: Direction
    n_to_decide: int | None


def gate_decision(
    interval: Interval,
    limit: float,
    direction: Direction = "at least",
    *,
    confidence: float = 0.95,
    power: float = POWER,
) -> GateDecision:
    """Pass if the whole interval keeps to the limit, fail if all of it breaks it, else cannot tell.

    Non-inferiority is this with the interval of the change, limit ``-margin`` and 'at least'. A two-sided 95 % interval
    makes it a one-sided test at 2.5 %. A bound that touches the limit keeps to it. A nan bound cannot tell.

    Args:
        interval: of the measure, or of the change.
        limit: in the same unit.
        direction: whether the measure must be at least or at most the limit.
        confidence: of ``interval``; used for the n that would decide.
    """
    if math.isnan(limit):
        raise ValueError("the limit of a gate must be a number")
    if direction not in ("at least", "at most"):
        raise ValueError(f"a gate's direction is 'at least' or 'at most', not {direction!r}")
    word: GateWord = "cannot tell"
    if interval.known:
        if direction == "at least":
            word = "pass" if interval.low >= limit else "fail" if interval.high < limit else word
        else:
            word = "pass" if interval.high <= limit else "fail" if interval.low > limit else word
    needed = None
    if word == "cannot tell" and interval.n > 0:
        z = normal_quantile(0.5 + confidence / 2)
        # The bound that straddles the limit is the one that must come nearer.
        reach = interval.value - interval.low if interval.value > limit else interval.high - interval.value
        needed = _needed(z + normal_quantile(power), reach / z, interval.n, abs(interval.value - limit))
    return GateDecision(word, interval, limit, direction, needed)


def _needed(z: float, standard_error: float, n: int, distance: float) -> int | None:
    if not (math.isfinite(standard_error) and math.isfinite(distance) and distance > 0):
        return None
    ratio = z * standard_error / distance
    if ratio > math.sqrt(_MOST / n):
        return None
    # More than there are, always: the rule has just failed to decide with these n.
    return max(n + 1, math.ceil(n * ratio**2))


def _standard_error(outer: Interval) -> float:
    return outer.width / (2 * normal_quantile(0.5 + OUTER / 2))
