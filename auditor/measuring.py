"""What the checks share: intervals turned into measures, arms with usable predictions, and figures put into words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.check import AuditInput
from auditor.stats.bootstrap import Bootstrap, bootstrap_mean
from auditor.stats.interval import Interval
from auditor.stats.proportions import clopper_pearson_bounds, effective_n, wilson_bounds, wilson_mean
from auditor.types import Measure
from distill.errors import DataError
from distill.spec import RunSpec
from distill.store import TEACHER, SetName
from distill.types import Floats

DRAWS = 6_000_000  # items × resamples of one such interval: a tenth of a second
FEWEST_RESAMPLES = 400


def finite(value: float | None) -> float | None:
    """``value`` as a plain float, None where it is nan or infinite: JSON knows neither."""
    return None if value is None or not math.isfinite(value) else float(value)


def measured(name: str, interval: Interval, arm: str, **more: Any) -> Measure:
    """A measure from an interval; bounds that the data cannot give become None."""
    bounds = {"value": finite(interval.value), "low": finite(interval.low), "high": finite(interval.high)}
    return Measure(name=name, arm=arm, n=more.pop("n", interval.n), **bounds, **more)


def proportion(
    name: str,
    hits: Floats,
    arm: str,
    resamples: int,
    seed: int,
    clusters: npt.ArrayLike | None = None,
    **more: Any,
) -> Measure:
    """The seed-mean of a share, ``hits`` being 0 or 1 of shape [seeds, n].

    One seed is shown with Wilson's interval, several with the bootstrap over items. ``detail`` carries the exact
    (Clopper-Pearson) bounds that a gate uses; for several seeds the count is the mean one (Korn & Graubard 1998).

    Args:
        clusters: ``[n]``, items that belong together, such as those of a template. Both intervals then rest on the items that an independent
            sample would need to say as much; ``detail`` names that number, and ``n`` still counts items.
    """
    n = hits.shape[1]
    if n == 0:
        return measured(name, Interval(math.nan, math.nan, math.nan, 0), arm, **more)
    value = float(hits.mean())
    detail: dict[str, Any] = {"seeds": len(hits), **more.pop("detail", {})}
    if clusters is None:
        interval, effective = bootstrap_mean(hits, resamples=resamples, seed=seed).interval(), float(n)
        if len(hits) == 1 or interval.width == 0:
            interval = wilson_mean(value, n)
    else:
        effective = effective_n(hits.mean(axis=0), clusters)
        low, high = wilson_bounds(value, effective) if effective else (math.nan, math.nan)
        interval = Interval(value, low, high, n)
        detail["effective_n"] = effective
    if effective:
        low, high = clopper_pearson_bounds(value * effective, effective, 0.95)
        detail |= {"exact_low": low, "exact_high": high}
    return measured(name, interval, arm, detail=detail, **more)


def affordable(resamples: int, items: int) -> int:
    """Resamples for scores that differ from item to item, such as a divergence: every draw costs there, and with many
    items fewer draws do, the mean being as good as normal."""
    return min(resamples, max(FEWEST_RESAMPLES, DRAWS // max(1, items)))


def bootstrapped(name: str, bootstrap: Bootstrap, arm: str, **more: Any) -> Measure:
    """A measure with the 95 % percentile interval of ``bootstrap``."""
    return measured(name, bootstrap.interval(), arm, **more)


def spoilt(audit: AuditInput, arm: str, part: SetName = "test") -> int:
    """How many rows of an arm's predictions hold NaN or infinity, in its worst seed."""
    counts = [int((~np.isfinite(audit.signal(arm, s, part).probs)).any(axis=1).sum()) for s in audit.seeds(arm)]
    return max(counts, default=0)


def usable_arms(audit: AuditInput) -> list[str]:
    """Arms whose test predictions are numbers throughout; the others are named by :func:`spoilt_sentences`."""
    return [arm for arm in audit.arms if not spoilt(audit, arm)]


def spoilt_sentences(audit: AuditInput) -> dict[str, str]:
    """One sentence for each arm that is left out, by arm."""
    counts = {arm: spoilt(audit, arm) for arm in audit.arms}
    rows = len(audit.test)
    return {arm: f"The predictions of '{arm}' hold NaN in {n} of {rows} rows." for arm, n in counts.items() if n}


def teacher_probs(audit: AuditInput) -> Floats:
    """The teacher's probabilities on the test rows, shape [n, k]; raises DataError when they hold NaN."""
    if count := spoilt(audit, TEACHER):
        raise DataError(
            f"The teacher's predictions hold NaN in {count} of {len(audit.test)} rows.",
            hint="Give a probability for every label of every test row.",
        )
    return np.asarray(audit.signal(TEACHER, 0).probs)


def has_teacher(audit: AuditInput) -> bool:
    """True when the teacher has test predictions."""
    return bool(audit.seeds(TEACHER))


CONTROLS = ("hard_label", "sequence")


def control_of(spec: RunSpec, arms: list[str]) -> str | None:
    """The hard-label control among ``arms``: the same student that saw the teacher's argmax (or its text) only."""
    return next((arm.name for arm in spec.arms if arm.kind in CONTROLS and arm.name in arms), None)


def undistilled_of(spec: RunSpec, arms: list[str]) -> str | None:
    """The student before any training, among ``arms``."""
    return next((arm.name for arm in spec.arms if arm.kind == "undistilled" and arm.name in arms), None)


def points(difference: float | None) -> str:
    """A difference of shares in points, with its sign: '+1.2 points'."""
    return "unknown" if difference is None else f"{100 * difference:+.1f} points".replace("-", "−")


def point_range(low: float | None, high: float | None) -> str:
    """An interval of a difference of shares in points: '[−0.3, +1.2]'."""
    in_points = [None if bound is None else 100 * bound for bound in (low, high)]
    return bracket(in_points[0], in_points[1], signed=True)


def bracket(low: float | None, high: float | None, digits: int = 1, signed: bool = False) -> str:
    """An interval in brackets; an unknown bound is '?'."""
    sign = "+" if signed else ""
    shown = ["?" if bound is None else f"{bound:{sign}.{digits}f}".replace("-", "−") for bound in (low, high)]
    return f"[{shown[0]}, {shown[1]}]"


def share(value: float | None) -> str:
    """A share as a percentage: '91.2 %'."""
    return "unknown" if value is None else f"{100 * value:.1f} %"
