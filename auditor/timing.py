"""Raw timings put into the shape that the statistics want: one row a round, all arms in the same rounds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from auditor.stats.bootstrap import Bootstrap
from auditor.stats.interval import Interval
from auditor.stats.latency import bootstrap_percentile, paired_speedup, percentile_interval
from auditor.stats.paired import seed_t
from distill.types import Floats


def usable(timings: pd.DataFrame) -> pd.DataFrame:
    """Only rows with a positive, finite number of seconds and texts."""
    seconds = timings["seconds"].to_numpy(dtype=np.float64)
    kept = np.isfinite(seconds) & (seconds > 0) & (timings["texts"].to_numpy(dtype=np.float64) > 0)
    chosen: pd.DataFrame = timings[kept]
    return chosen


def thread_counts(timings: pd.DataFrame) -> list[int]:
    """Thread counts at which latency was timed, ascending; the last one stands for 'all threads'."""
    return sorted(int(count) for count in timings.loc[timings["mode"] == "latency", "threads"].unique())


def latency_rounds(timings: pd.DataFrame, arm: str, threads: int) -> pd.Series:
    """Milliseconds of each call at batch 1, as one array for each round, indexed by round."""
    chosen = timings[
        (timings["mode"] == "latency")
        & (timings["arm"] == arm)
        & (timings["threads"] == threads)
        & (timings["batch"] == 1)
    ]
    return chosen.groupby("round")["seconds"].apply(lambda seconds: 1e3 * seconds.to_numpy(dtype=np.float64))


def throughput_rounds(timings: pd.DataFrame, arm: str) -> dict[int, pd.Series]:
    """Texts per second of each round, indexed by round, for each batch size; at the largest thread count."""
    chosen = timings[(timings["mode"] == "throughput") & (timings["arm"] == arm)]
    if chosen.empty:
        return {}
    chosen = chosen[chosen["threads"] == chosen["threads"].max()]
    sums = chosen.groupby(["batch", "round"])[["texts", "seconds"]].sum()
    rate = sums["texts"] / sums["seconds"]
    return {int(batch): rate.loc[batch] for batch in rate.index.get_level_values("batch").unique()}


def percentile(rounds: pd.Series, percent: float, seed: int) -> Interval:
    """A percentile with its interval: between order statistics for one call a round, else whole rounds are resampled."""
    calls = matrix(rounds)
    if calls.shape[1] == 1:
        return percentile_interval(calls, percent)
    return bootstrap_percentile(calls, percent, seed=seed).interval()


def speedup(reference: pd.Series, candidate: pd.Series, seed: int, percent: float = 50.0) -> Bootstrap | None:
    """How many times faster the candidate is, over the rounds that both ran in; None when there is none."""
    shared = reference.index.intersection(candidate.index)
    if shared.empty:
        return None
    return paired_speedup(matrix(reference.loc[shared]), matrix(candidate.loc[shared]), percent, seed=seed)


def matrix(rounds: pd.Series) -> Floats:
    """[rounds, calls]; where rounds differ in length, the longer ones are cut to the shortest."""
    shortest = min(len(calls) for calls in rounds)
    return np.stack([calls[:shortest] for calls in rounds])


def geometric(values: pd.Series) -> Interval:
    """Geometric mean of positive figures with the t interval of their logarithms; one figure has no bounds."""
    return _exponential(seed_t(np.log(values.to_numpy(dtype=np.float64))))


def geometric_ratio(numerator: pd.Series, denominator: pd.Series) -> Interval | None:
    """The ratio of two rates, round by round, with its t interval; None without a shared round."""
    shared = numerator.index.intersection(denominator.index)
    return None if shared.empty else geometric(numerator.loc[shared] / denominator.loc[shared])


def map_interval(interval: Interval, function: Callable[[float], float]) -> Interval:
    """A monotone function of an estimate and its bounds, bounds in ascending order."""
    bounds = [function(interval.low), function(interval.high)]
    low, high = (math.nan, math.nan) if any(math.isnan(bound) for bound in bounds) else sorted(bounds)
    return Interval(function(interval.value), low, high, interval.n)


def tokens_per_text(timings: pd.DataFrame, arm: str) -> float | None:
    """Mean tokens of a text as timed, or None where tokens were not counted."""
    rows = timings[timings["arm"] == arm] if "tokens" in timings else timings.iloc[:0]
    texts = float(rows["texts"].sum()) if len(rows) else 0.0
    tokens = float(rows["tokens"].sum()) if texts else 0.0
    return tokens / texts if tokens > 0 and math.isfinite(tokens) else None


def _exponential(interval: Interval) -> Interval:
    return map_interval(interval, math.exp)


def usable_tokens(timings: pd.DataFrame) -> pd.DataFrame:
    """Only rows with a positive, finite number of seconds and of tokens."""
    if timings.empty or "tokens" not in timings:
        return timings.iloc[:0]
    seconds, tokens = (timings[name].to_numpy(dtype=np.float64) for name in ("seconds", "tokens"))
    chosen: pd.DataFrame = timings[np.isfinite(seconds) & (seconds > 0) & (tokens > 0)]
    return chosen


def token_rates(timings: pd.DataFrame, arm: str) -> dict[int, pd.Series]:
    """Tokens a second of each round, by batch size, at the largest thread count."""
    chosen = timings[(timings["mode"] == "throughput") & (timings["arm"] == arm)]
    if chosen.empty:
        return {}
    chosen = chosen[chosen["threads"] == chosen["threads"].max()]
    sums = chosen.groupby(["batch", "round"])[["tokens", "seconds"]].sum()
    rate = sums["tokens"] / sums["seconds"]
    return {int(batch): rate.loc[batch] for batch in rate.index.get_level_values("batch").unique()}


def best_batch(sizes: dict[int, pd.Series]) -> int:
    """The batch size with the largest mean rate."""
    return max(sizes, key=lambda size: geometric(sizes[size]).value)
