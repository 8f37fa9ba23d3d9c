"""Percentiles of timings with intervals, and how much faster one arm is than another when both ran in turn.

Timings are ``(rounds, calls)``: in each round every arm is timed once, so that a noisy moment hits all of them. Calls
within a round are alike, so intervals that resample whole rounds are the honest ones; the order-statistic interval takes calls as independent.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from auditor.stats.bootstrap import Bootstrap
from auditor.stats.interval import FloatArray, Interval, Seed, as_values, generator, require_confidence

RESAMPLES = 2_000


def percentile_interval(timings: npt.ArrayLike, percent: float, confidence: float = 0.95) -> Interval:
    """A percentile and its distribution-free interval between two order statistics (David & Nagaraja 2003, 7.1).

    Exact for independent timings: its coverage is at least ``confidence``. Where the sample is too small to have such a bound, the
    upper one is infinite (p99 needs some 370 timings) and the lower one 0.

    Args:
        timings: any shape, at least 0, in any unit; the result has the same unit.
        percent: above 0 and below 100.
    """
    from scipy.special import bdtr

    _require_percent(percent)
    require_confidence(confidence)
    times = np.sort(_times(timings).ravel())
    n, p, tail = times.size, percent / 100, (1 - confidence) / 2
    at_most = bdtr(np.arange(n, dtype=np.float64), n, p)  # P(at most i timings lie below the true percentile)
    # Low is the largest order statistic i with P(fewer than i lie below) within the tail, high the mirror image.
    below = int(np.count_nonzero(at_most <= tail))
    above = int(np.count_nonzero(at_most < 1 - tail)) + 1
    low = float(times[below - 1]) if below >= 1 else 0.0
    high = float(times[above - 1]) if above <= n else math.inf
    return Interval(float(np.percentile(times, percent)), low, high, n)


def bootstrap_percentile(
    timings: npt.ArrayLike, percent: float, *, resamples: int = RESAMPLES, seed: Seed = 0
) -> Bootstrap:
    """A percentile of all timings ``(rounds, calls)``, whole rounds resampled; n is the number of rounds.

    ``(n,)`` timings are taken as rounds of one call. With one round there are no draws, so no bounds.
    """
    _require_percent(percent)
    times = _rounds(timings)
    drawn = _drawn_rounds(len(times), resamples, seed)
    draws = _percentiles(times, drawn, percent)
    return Bootstrap(float(np.percentile(times, percent)), draws, len(times))


def paired_speedup(
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    percent: float = 50.0,
    *,
    resamples: int = RESAMPLES,
    seed: Seed = 0,
) -> Bootstrap:
    """How many times faster the candidate is: in each round the reference's percentile ÷ the candidate's, then the median over rounds.

    What slows a whole round hits both arms and cancels; the ratio of the two pooled medians would keep it. Rounds are resampled.
    With one round there are no draws, so no bounds.

    Args:
        reference: ``(rounds, calls)``, or ``(rounds,)``.
        candidate: as many rounds, interleaved with the reference's; the number of calls may differ.
        percent: 50 compares medians.

    Raises:
        ValueError: different numbers of rounds, or a percentile of 0 (a clock too coarse).
    """
    _require_percent(percent)
    first, second = (np.percentile(_rounds(arm), percent, axis=1) for arm in (reference, candidate))
    if first.size != second.size:
        raise ValueError(f"both arms need the same rounds: {first.size} and {second.size} were given")
    if min(first.min(), second.min()) <= 0:
        raise ValueError("a round took no time; the clock is too coarse for so short a call")
    # On the log scale exchanging the arms gives the reciprocal, for an even number of rounds too.
    logs = np.log(first / second)
    drawn = _drawn_rounds(logs.size, resamples, seed)
    return Bootstrap(float(np.exp(np.median(logs))), np.exp(_percentiles(logs[:, None], drawn, 50.0)), logs.size)


def _times(timings: npt.ArrayLike) -> FloatArray:
    times = as_values(timings, "timings")
    if times.min() < 0:
        raise ValueError("a timing is negative")
    return times


def _rounds(timings: npt.ArrayLike) -> FloatArray:
    times = _times(timings)
    if times.ndim not in (1, 2):
        raise ValueError(f"timings must have shape (rounds, calls) or (rounds,), not {times.shape}")
    return times[:, None] if times.ndim == 1 else times


def _drawn_rounds(rounds: int, resamples: int, seed: Seed) -> npt.NDArray[np.int64]:
    if resamples < 1:
        raise ValueError("at least one resample is needed")
    if rounds < 2:
        return np.empty((0, rounds), dtype=np.int64)
    return generator(seed).integers(0, rounds, size=(resamples, rounds))


def _percentiles(times: FloatArray, drawn: npt.NDArray[np.int64], percent: float) -> FloatArray:
    if len(drawn) == 0:
        return np.empty(0)
    rows = max(1, (1 << 20) // times.size)
    chunks = [
        np.percentile(times[drawn[start : start + rows]].reshape(len(drawn[start : start + rows]), -1), percent, axis=1)
        for start in range(0, len(drawn), rows)
    ]
    return np.concatenate(chunks)


def _require_percent(percent: float) -> None:
    if not 0 < percent < 100:
        raise ValueError(f"a percentile lies between 0 and 100, not {percent}")
