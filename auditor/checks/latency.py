"""How long does one text take, and how many texts a second, on this machine? Interleaved rounds, so noise hits all arms alike."""

from __future__ import annotations

from typing import Any

import pandas as pd

from auditor.check import AuditInput, check
from auditor.measuring import bootstrapped, bracket, measured
from auditor.timing import (
    best_batch,
    geometric,
    geometric_ratio,
    latency_rounds,
    percentile,
    speedup,
    thread_counts,
    throughput_rounds,
    usable,
)
from auditor.types import CheckResult, Finding, Measure, Severity
from distill.plugins import NoOptions
from distill.store import TEACHER

PERCENTS = (50, 95, 99)


@check(
    "latency",
    "How long does a text take, and how many a second, on this machine?",
    needs={"timings"},
    measures={
        "latency_p50_ms": "Median time of one text, batch 1, warm, all threads (group threads=N for each count).",
        "latency_p95_ms": "95th percentile of the same.",
        "latency_p99_ms": "99th percentile of the same.",
        "latency_speedup": "The teacher's median time of one text divided by the arm's, over the rounds in which both ran in turn.",
        "throughput_per_s": "Texts a second at the best batch size (group batch=N for each size).",
        "throughput_speedup": "Throughput divided by the teacher's, each at its best batch size.",
    },
)
def latency(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Percentiles for each thread count, speed-up over the teacher, throughput against batch size."""
    timings = usable(audit.timings)
    if timings.empty:
        return CheckResult(name="latency", skipped="every timing is zero or unreadable")
    arms = list(dict.fromkeys(timings["arm"]))
    device = str(timings["device"].iloc[0]) if "device" in timings else ""
    counts = thread_counts(timings)
    seed = audit.spec.audit.seed
    measures: list[Measure] = []
    for threads in counts:
        rounds = {arm: series for arm in arms if len(series := latency_rounds(timings, arm, threads))}
        measures += _for_threads(rounds, f"threads={threads}", seed, device)
        if threads == counts[-1]:
            measures += _for_threads(rounds, None, seed, f"{device}, {threads} threads")
    measures += _throughputs(timings, arms, device)
    return CheckResult(name="latency", measures=tuple(measures), findings=tuple(_findings(audit, measures)))


def _for_threads(rounds: dict[str, pd.Series], group: str | None, seed: int, device: str) -> list[Measure]:
    """Percentiles and speed-ups at one thread count."""
    measures: list[Measure] = []
    for arm, series in rounds.items():
        common: dict[str, Any] = {"arm": arm, "group": group, "detail": {"device": device}}
        measures += [
            measured(
                f"latency_p{percent}_ms",
                percentile(series, percent, seed),
                unit="ms",
                higher_is_better=False,
                **common,
            )
            for percent in PERCENTS
        ]
        if arm != TEACHER and TEACHER in rounds and (ratio := speedup(rounds[TEACHER], series, seed)) is not None:
            measures.append(
                bootstrapped("latency_speedup", ratio, unit="×", higher_is_better=True, versus=TEACHER, **common)
            )
    return measures


def _throughputs(timings: pd.DataFrame, arms: list[str], device: str) -> list[Measure]:
    """Texts a second for each batch size; the best one stands for the arm."""
    measures: list[Measure] = []
    rates = {arm: throughput_rounds(timings, arm) for arm in arms}
    best = {arm: best_batch(sizes) for arm, sizes in rates.items() if sizes}
    for arm, batch in best.items():
        common: dict[str, Any] = {"arm": arm, "unit": "texts/s", "higher_is_better": True}
        shown: list[tuple[str | None, int]] = [(None, batch), *((f"batch={size}", size) for size in sorted(rates[arm]))]
        measures += [
            measured(
                "throughput_per_s",
                geometric(rates[arm][size]),
                group=group,
                detail={"batch": size, "device": device},
                **common,
            )
            for group, size in shown
        ]
        if arm != TEACHER and TEACHER in best:
            ratio = geometric_ratio(rates[arm][batch], rates[TEACHER][best[TEACHER]])
            if ratio is not None:
                measures.append(
                    measured("throughput_speedup", ratio, arm, unit="×", higher_is_better=True, versus=TEACHER)
                )
    return measures


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """How fast the candidate is, in one sentence; a warning when it is slower."""
    candidate = audit.spec.candidate
    ratio = next((m for m in measures if (m.name, m.arm, m.group) == ("latency_speedup", candidate, None)), None)
    if ratio is None or ratio.value is None:
        return []
    slower = ratio.high is not None and ratio.high < 1
    claim = (
        f"'{candidate}' answers {ratio.value:.2f}× as fast as the teacher {bracket(ratio.low, ratio.high, 2)} "
        f"at batch 1, over {ratio.n} interleaved rounds on {ratio.detail['device']}."
    )
    action = "A student that is slower saves nothing: use fewer layers." if slower else ""
    severity: Severity = "warning" if slower else "info"
    return [Finding(check="latency", severity=severity, claim=claim, evidence=(ratio,), action=action)]
