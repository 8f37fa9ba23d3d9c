"""Two arms on the same items: their paired change, with an interval that few differences cannot make too narrow.

Where nothing differs, resampling shows no spread, however few the items are: five right answers of both arms would prove a change of
exactly 0. So below :data:`FEW` items that differ, Tango's score interval joins in, and the exact sign test beside the bootstrap's p.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.check import AuditInput
from auditor.measuring import finite, measured
from auditor.stats.equivalence import INNER, OUTER, Equivalence, tost_intervals
from auditor.stats.interval import Interval
from auditor.stats.paired import PairedBootstrap, paired_bootstrap, sign_test, tango
from auditor.types import Measure
from distill.types import Floats

FEW = 10  # discordant items below which resampling them says too little


def paired(audit: AuditInput, reference: npt.ArrayLike, candidate: npt.ArrayLike) -> PairedBootstrap:
    """Paired bootstrap of right or wrong, ``(n,)`` or ``(seeds, n)``, with the run's resamples and seed."""
    settings = audit.spec.audit
    first, second = (np.atleast_2d(np.asarray(arm, dtype=np.float64)) for arm in (reference, candidate))
    return paired_bootstrap(first, second, resamples=settings.resamples, seed=settings.seed)


def widened(
    both: PairedBootstrap, reference: npt.ArrayLike, candidate: npt.ArrayLike, clusters: npt.ArrayLike | None = None
) -> tuple[Interval, Interval]:
    """90 % and 95 % intervals of the difference; where few items differ, no narrower than Tango's score interval."""
    inner, outer = both.difference.interval(INNER), both.difference.interval(OUTER)
    return (
        no_narrower(inner, reference, candidate, INNER, clusters),
        no_narrower(outer, reference, candidate, OUTER, clusters),
    )


def no_narrower(
    found: Interval,
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    confidence: float = OUTER,
    clusters: npt.ArrayLike | None = None,
) -> Interval:
    """``found``, a difference of two paired shares; where fewer than :data:`FEW` items differ joined with Tango's score interval.

    Without discordant items the bootstrap has no width, yet 50 items still allow a change of some 7 points. With several seeds the
    mean gains and losses are rounded up, and a cluster counts as one item with its mean: both err to the wide side.

    Args:
        found: the bootstrap's interval.
        reference: right or wrong, ``(n,)`` or ``(seeds, n)``; ``candidate`` the same.
        confidence: of ``found``.
        clusters: ``(n,)``, items that belong together.
    """
    change = _change(reference, candidate, clusters)
    lost, won = _counts(change)
    if np.count_nonzero(change) >= FEW or lost + won > change.size:
        return found
    score = tango(lost, won, change.size, confidence)
    return Interval(found.value, min(found.low, score.low), max(found.high, score.high), found.n)


def p_of(both: PairedBootstrap, reference: npt.ArrayLike, candidate: npt.ArrayLike) -> float:
    """Two-sided p of 'no difference' by the bootstrap; where few items differ, no smaller than the exact sign test's."""
    p = both.difference.p_value()
    change = _change(reference, candidate, None)
    return p if np.count_nonzero(change) >= FEW else max(p, sign_test(*_counts(change)))


def retention(both: PairedBootstrap, reference: npt.ArrayLike, candidate: npt.ArrayLike) -> Interval:
    """The candidate's share of the reference in %, with 95 %; where few items differ, no narrower than :func:`widened` allows."""
    found = both.retention.interval()
    if both.discordant >= FEW or both.reference.value <= 0:
        return found
    _, outer = widened(both, reference, candidate)
    scale = 100 / both.reference.value
    return Interval(found.value, 100 + scale * outer.low, 100 + scale * outer.high, found.n)


def share_change(
    audit: AuditInput,
    name: str,
    reference: Floats,
    candidate: Floats,
    arm: str,
    versus: str,
    *,
    clusters: npt.ArrayLike | None = None,
    **more: Any,
) -> Measure:
    """A paired change of a share with its equivalence verdict; where few rows differ no narrower than Tango's interval.

    Args:
        reference: right or wrong a row, ``[seeds, n]``; ``candidate`` the same.
        clusters: ``[n]``, rows that belong together, such as those of a template.
    """
    settings = audit.spec.audit
    both = paired_bootstrap(reference, candidate, clusters=clusters, resamples=settings.resamples, seed=settings.seed)
    inner, outer = widened(both, reference, candidate, clusters)
    better = bool(more.pop("higher_is_better", True))
    verdict = tost_intervals(inner, outer, settings.margin, higher_is_better=better)
    return measured(
        name, outer, arm, versus=versus, higher_is_better=better, detail=equivalence_detail(verdict), **more
    )


def equivalence_detail(verdict: Equivalence, **more: Any) -> dict[str, Any]:
    """What charts and sentences need of an equivalence test."""
    return {
        "word": verdict.word,
        "margin": verdict.margin,
        "inner_low": finite(verdict.inner.low),
        "inner_high": finite(verdict.inner.high),
        "n_to_decide": verdict.n_to_decide,
        "smallest_change": finite(verdict.smallest_change),
        **more,
    }


def too_alike(differing: int, what: str = "texts on which the labels differ") -> dict[str, Any]:
    """The detail of a figure that gets no bounds, since so few items differ that resampling them says too little."""
    reason = f"{differing} {what} are too few to resample, {FEW} are needed for an interval"
    return {"differing": differing, "reason": reason}


def _change(reference: npt.ArrayLike, candidate: npt.ArrayLike, clusters: npt.ArrayLike | None) -> Floats:
    """What each item (or cluster, on average) won or lost, the mean over seeds; shape ``(units,)``."""
    first, second = (np.atleast_2d(np.asarray(arm, dtype=np.float64)).mean(axis=0) for arm in (reference, candidate))
    change = np.asarray(second - first, dtype=np.float64)
    if clusters is None:
        return change
    member = np.unique(np.asarray(clusters), return_inverse=True)[1]
    return np.asarray(np.bincount(member, weights=change) / np.bincount(member), dtype=np.float64)


def _counts(change: Floats) -> tuple[int, int]:
    """Lost and won, rounded up."""
    return math.ceil(-change[change < 0].sum() - 1e-9), math.ceil(change[change > 0].sum() - 1e-9)
