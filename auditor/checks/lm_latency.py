"""How long until the first token, how long for each further one, and how many tokens a second, on this machine? Interleaved rounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from auditor.check import AuditInput, check
from auditor.language import answer_length
from auditor.measuring import bootstrapped, bracket, measured
from auditor.timing import best_batch, geometric, geometric_ratio, percentile, speedup, token_rates, usable_tokens
from auditor.types import CheckResult, Finding, Measure, Severity
from distill.plugins import GENERATION, NoOptions
from distill.store import TEACHER

NAME = "lm_latency"
PERCENTS = (50, 95)
MODES = {"first_token": "time_to_first_token", "per_token": "time_per_output_token"}


@check(
    NAME,
    "How long does an answer take, token by token, on this machine?",
    needs={"timings"},
    tasks=GENERATION,
    measures={
        "time_to_first_token_p50_ms": "Median time from the prompt to the first token, one prompt alone, warm, all threads (group threads=N for each).",
        "time_to_first_token_p95_ms": "95th percentile of the same.",
        "time_per_output_token_p50_ms": "Median time of each further token, one prompt alone.",
        "time_per_output_token_p95_ms": "95th percentile of the same.",
        "latency_speedup": "The teacher's time for an answer as long as its own divided by the arm's for as many tokens, over interleaved rounds.",
        "tokens_per_s": "Tokens written a second at the best batch size, prompts included (group batch=N for each size).",
        "throughput_speedup": "Tokens a second divided by the teacher's, each at its best batch size.",
    },
)
def lm_latency(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Percentiles for each thread count, speed-up over the teacher for an answer of the same length, tokens a second against batch."""
    timings = usable_tokens(audit.timings)
    if timings.empty:
        return CheckResult(name=NAME, skipped="every timing is zero or unreadable")
    device = str(timings["device"].iloc[0]) if "device" in timings else ""
    alone = timings[timings["mode"].isin(list(MODES))]
    counts = sorted(int(count) for count in alone["threads"].unique())
    length = answer_length(audit)
    measures: list[Measure] = []
    for threads in counts:
        here = alone[alone["threads"] == threads]
        measures += _alone(audit, here, f"threads={threads}", length, device)
        if threads == counts[-1]:
            measures += _alone(audit, here, None, length, f"{device}, {threads} threads")
    measures += _throughputs(timings, device)
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(_findings(audit, measures)))


def _rounds(alone: pd.DataFrame, mode: str, arm: str) -> pd.Series:
    """Milliseconds to the first token, or of each further one, of each call; one array a round."""
    chosen = alone[(alone["mode"] == mode) & (alone["arm"] == arm)]
    ms = 1e3 * chosen["seconds"] / (1 if mode == "first_token" else chosen["tokens"])
    return ms.groupby(chosen["round"]).apply(lambda values: values.to_numpy(dtype=np.float64))


def _alone(audit: AuditInput, alone: pd.DataFrame, group: str | None, length: float, device: str) -> list[Measure]:
    """Percentiles and speed-ups at one thread count."""
    seed = audit.spec.audit.seed
    measures: list[Measure] = []
    whole: dict[str, pd.Series] = {}
    for arm in dict.fromkeys(alone["arm"]):
        common: dict[str, Any] = {"arm": str(arm), "group": group}
        found = {mode: series for mode in MODES if len(series := _rounds(alone, mode, str(arm)))}
        for mode, series in found.items():
            measures += [
                measured(
                    f"{MODES[mode]}_p{percent}_ms",
                    percentile(series, percent, seed),
                    unit="ms",
                    higher_is_better=False,
                    detail={"device": device},
                    **common,
                )
                for percent in PERCENTS
            ]
        if len(found) == len(MODES):
            shared = found["first_token"].index.intersection(found["per_token"].index)
            whole[str(arm)] = pd.Series(
                [
                    np.array(
                        [np.median(found["first_token"].loc[r]) + (length - 1) * np.median(found["per_token"].loc[r])]
                    )
                    for r in shared
                ],
                index=shared,
            )
    for arm, series in whole.items():
        if arm == TEACHER or TEACHER not in whole:
            continue
        ratio = speedup(whole[TEACHER], series, seed)
        if ratio is not None:
            detail = {"device": device, "tokens": length}
            more: dict[str, Any] = {"unit": "×", "higher_is_better": True, "versus": TEACHER, "group": group}
            measures.append(bootstrapped("latency_speedup", ratio, arm, detail=detail, **more))
    return measures


def _throughputs(timings: pd.DataFrame, device: str) -> list[Measure]:
    """Tokens a second for each batch size; the best one stands for the arm."""
    measures: list[Measure] = []
    rates = {str(arm): sizes for arm in dict.fromkeys(timings["arm"]) if (sizes := token_rates(timings, str(arm)))}
    best = {arm: best_batch(sizes) for arm, sizes in rates.items()}
    for arm, batch in best.items():
        shown: list[tuple[str | None, int]] = [(None, batch), *((f"batch={size}", size) for size in sorted(rates[arm]))]
        measures += [
            measured(
                "tokens_per_s",
                geometric(rates[arm][size]),
                arm,
                group=group,
                unit="tokens/s",
                higher_is_better=True,
                detail={"batch": size, "device": device},
            )
            for group, size in shown
        ]
        if arm != TEACHER and TEACHER in best:
            ratio = geometric_ratio(rates[arm][batch], rates[TEACHER][best[TEACHER]])
            if ratio is not None:
                more: dict[str, Any] = {"unit": "×", "higher_is_better": True, "versus": TEACHER}
                measures.append(measured("throughput_speedup", ratio, arm, **more))
    return measures


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """How fast the candidate writes, in one sentence; a warning when it is slower."""
    candidate = audit.spec.candidate
    ratio = next((m for m in measures if (m.name, m.arm, m.group) == ("latency_speedup", candidate, None)), None)
    if ratio is None or ratio.value is None:
        return []
    slower = ratio.high is not None and ratio.high < 1
    severity: Severity = "warning" if slower else "info"
    claim = (
        f"'{candidate}' writes an answer of {ratio.detail['tokens']:.0f} tokens {ratio.value:.2f}× as fast as the teacher "
        f"{bracket(ratio.low, ratio.high, 2)}, one prompt alone, over {ratio.n} interleaved rounds on {ratio.detail['device']}."
    )
    action = "A student that is slower saves nothing: use fewer layers." if slower else ""
    return [Finding(check=NAME, severity=severity, claim=claim, evidence=(ratio,), action=action)]
