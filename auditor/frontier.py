"""The frontier's arithmetic: which arms no other one beats in both things, and where the curve bends; and what a chosen arm has to keep."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from distill.spec import Part, RunSpec


def pareto(gain: Sequence[float], quality: Sequence[float]) -> list[int]:
    """Positions that no other one equals or beats in both and beats in one, by rising gain."""
    order = sorted(range(len(gain)), key=lambda place: (-gain[place], -quality[place]))
    front: list[int] = []
    best = -math.inf
    for place in order:
        if quality[place] > best:
            front.append(place)
            best = quality[place]
    return front[::-1]


def knee(gain: Sequence[float], quality: Sequence[float]) -> int | None:
    """Position of the point farthest above the line between the ends of a front, both axes scaled to 0–1; None below three points.

    Satopää et al. 2011, "Finding a 'Kneedle' in a Haystack", without smoothing: the front is monotone already.
    """
    if len(gain) < 3:
        return None
    wide, high = gain[-1] - gain[0], quality[0] - quality[-1]
    if wide <= 0 or high <= 0:
        return None
    above = [(x - gain[0]) / wide + (y - quality[-1]) / high - 1 for x, y in zip(gain, quality, strict=True)]
    best = max(range(len(above)), key=lambda place: above[place])
    return best if above[best] > 0 else None


class FrontierOptions(Part):
    """What the chosen arm has to keep."""

    keep: float = Field(97.0, gt=0, le=100, description="Accuracy in % of the teacher's that an arm must keep on dev.")


def is_sweep(spec: RunSpec) -> bool:
    """True when a run tries one thing several ways, so that somebody will choose: a frontier, or a kind of arm that stands twice."""
    kinds = [arm.kind for arm in spec.arms]
    return spec.frontier is not None or len(set(kinds)) < len(kinds)
