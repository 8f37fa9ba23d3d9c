"""Two models on the same items: paired bootstrap, exact McNemar, and the t interval over seeds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.stats.bootstrap import RESAMPLES, Bootstrap, resample_means, seed_mean
from auditor.stats.interval import Interval, Seed, as_values, normal_quantile, require_confidence


@dataclass(frozen=True, slots=True, eq=False)
class PairedBootstrap:
    """A reference (the teacher, as a rule) and a candidate in the same resamples.

    ``difference`` is candidate minus reference; ``retention`` is candidate in percent of reference, nan where that is 0.
    ``discordant`` counts the items on which the arms differ: with none the difference has no width, however few the items
    (`tango` then says what so few items can exclude).
    """

    reference: Bootstrap
    candidate: Bootstrap
    difference: Bootstrap
    retention: Bootstrap
    discordant: int
    n: int


def paired_bootstrap(
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> PairedBootstrap:
    """Compare two arms on the mean of a score for each item (right or wrong, log loss, …).

    Each arm is first averaged over its seeds, item by item, and then items are resampled, the same for both arms. So the
    interval speaks of new items, given these seeds and this teacher.

    Args:
        reference: ``(n,)`` or ``(seeds, n)``.
        candidate: the same; the number of seeds may differ.
        clusters: ``(n,)``, items that belong together (a shared template), drawn together.
    """
    first, second = seed_mean(reference, "reference"), seed_mean(candidate, "candidate")
    if first.shape != second.shape:
        raise ValueError(f"both arms need the same items: {first.size} and {second.size} were given")
    means = resample_means(np.stack([first, second]), clusters=clusters, resamples=resamples, seed=seed)
    return PairedBootstrap(
        reference=means.statistic(lambda m: m[..., 0]),
        candidate=means.statistic(lambda m: m[..., 1]),
        difference=means.statistic(lambda m: m[..., 1] - m[..., 0]),
        retention=means.statistic(lambda m: 100 * m[..., 1] / np.where(m[..., 0] == 0, np.nan, m[..., 0])),
        discordant=int(np.count_nonzero(first != second)),
        n=first.size,
    )


@dataclass(frozen=True, slots=True)
class McNemar:
    """``only_reference`` items were right in the reference alone (regressions), ``only_candidate`` in the candidate alone (gains)."""

    only_reference: int
    only_candidate: int
    p_value: float
    n: int


def mcnemar(reference: npt.ArrayLike, candidate: npt.ArrayLike) -> McNemar:
    """The exact two-sided McNemar test on right / wrong ``(n,)`` of one seed; p = 1 without discordant items."""
    first, second = _booleans(reference, "reference"), _booleans(candidate, "candidate")
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"both arms need the same items as (n,): {first.shape} and {second.shape} were given")
    lost, won = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(~first & second))
    return McNemar(lost, won, sign_test(lost, won), first.size)


def mcnemar_per_seed(reference: npt.ArrayLike, candidate: npt.ArrayLike) -> tuple[McNemar, ...]:
    """One test for each seed of the candidate ``(seeds, n)`` against a reference ``(n,)`` or ``(seeds, n)``."""
    second = np.atleast_2d(_booleans(candidate, "candidate"))
    first = np.atleast_2d(_booleans(reference, "reference"))
    if first.shape[0] not in (1, second.shape[0]):
        raise ValueError(f"the reference has {first.shape[0]} seeds and the candidate {second.shape[0]}")
    return tuple(mcnemar(first[s if len(first) > 1 else 0], row) for s, row in enumerate(second))


def tango(lost: int, won: int, n: int, confidence: float = 0.95) -> Interval:
    """Tango's score interval (1998) of the difference of two paired proportions, (won - lost) / n.

    It holds in small samples and without discordant items, where the bootstrap has no width: nothing lost or won in 50
    items still allows a change of some 7 points. For one seed. With n = 0: nan and the bounds -1 and 1.

    Args:
        lost: items right in the reference alone.
        won: items right in the candidate alone.
    """
    require_confidence(confidence)
    if min(lost, won) < 0 or lost + won > n:
        raise ValueError(f"lost and won must be counts with a sum of at most n, got {lost}, {won}, {n}")
    if n == 0:
        return Interval(math.nan, -1.0, 1.0, 0)
    z = normal_quantile(0.5 + confidence / 2)
    value = (won - lost) / n
    low = _tango_end(won, lost, n, z)
    high = -_tango_end(lost, won, n, z)
    return Interval(value, min(low, value), max(high, value), n)


def seed_t(values: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Mean and t interval over seeds (n - 1 degrees of freedom): it speaks of new seeds, given these items.

    With one seed the bounds are nan.
    """
    require_confidence(confidence)
    array = as_values(values).ravel()
    mean, n = float(array.mean()), array.size
    if n == 1:
        return Interval(mean, math.nan, math.nan, 1)
    from scipy.special import stdtrit

    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(array.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def _booleans(values: npt.ArrayLike, what: str) -> npt.NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    if not np.all((array == 0) | (array == 1)):
        raise ValueError(f"{what} must be right (1) or wrong (0) for each item")
    return array.astype(np.bool_)


def sign_test(lost: int, won: int) -> float:
    """Two-sided exact sign test (Dixon & Mood 1946): P(so uneven a split, or more, of a fair coin); 1 without any."""
    if lost == won:
        return 1.0
    from scipy.special import bdtr

    return min(1.0, 2 * float(bdtr(min(lost, won), lost + won, 0.5)))


def _tango_end(won: int, lost: int, n: int, z: float) -> float:
    """The lower limit: where the score statistic of 'the difference is d' reaches z; it falls as d grows."""

    def score(d: float) -> float:
        # The likelihood under 'the difference is d' is greatest at the larger root of this quadratic (Tango 1998, eq. 26).
        b = (2 * n - won + lost) * d - won - lost
        c = -lost * d * (1 - d)
        q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        variance = n * (2 * q + d * (1 - d))
        return (
            (won - lost - n * d) / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, won - lost - n * d)
        )

    low, high = -1.0, (won - lost) / n
    for _ in range(60):
        middle = (low + high) / 2
        if score(middle) > z:
            low = middle
        else:
            high = middle
    return (low + high) / 2
