"""What do the errors cost, by the user's own prices of taking one label for another, and what with the running of the model?

Money per error is taken as exact; the intervals are those of the errors (bootstrap over test rows) and of the throughput.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.comparing import FEW, too_alike
from auditor.measuring import affordable, bracket, measured, teacher_probs, usable_arms
from auditor.paying import CostOptions, running_costs
from auditor.prices import book_from_prices
from auditor.stats.bootstrap import bootstrap_mean
from auditor.stats.interval import Interval
from auditor.stats.paired import PairedBootstrap, paired_bootstrap
from auditor.timing import map_interval, usable
from auditor.types import CheckResult, Finding, Measure
from distill.errors import SpecError, nearest
from distill.spec import Part, PriceSpec
from distill.store import TEACHER
from distill.types import Floats


class ErrorCostOptions(Part):
    """How the interval is made."""

    resamples: int = Field(2_000, ge=200)


@check(
    "error_cost",
    "What do the errors of each model cost, by your own prices?",
    needs={"human_labels", "probabilities"},
    options=ErrorCostOptions,
    measures={
        "error_cost_per_1k": "USD that the errors in 1,000 answers cost, by the user's prices of errors.",
        "error_cost_difference": "USD of errors in 1,000 answers minus the teacher's, paired by row.",
        "total_cost_per_1k": "USD for 1,000 answers: running the model and its errors.",
        "total_cost_saving": "Saved share of the teacher's cost of running and errors, in %; running taken as exact.",
    },
)
def error_cost(audit: AuditInput, options: ErrorCostOptions) -> CheckResult:
    """Cost of errors of every model, the paired difference to the teacher, and the total with the cost of running."""
    prices = audit.spec.audit.prices
    if not prices.errors and prices.error_default is None:
        return CheckResult(name="error_cost", skipped="no prices of errors were given (audit.prices.errors)")
    matrix = cost_matrix(prices, audit.labels)
    y, seed = audit.y[audit.labelled], audit.spec.audit.seed
    resamples = affordable(options.resamples, int(y.size))
    answers = {TEACHER: teacher_probs(audit)[None], **{arm: audit.probs(arm) for arm in usable_arms(audit)}}
    paid = {arm: 1000 * matrix[y, p[:, audit.labelled].argmax(axis=-1)] for arm, p in answers.items()}
    running = _running(audit)
    common: dict[str, Any] = {"unit": "USD", "higher_is_better": False}
    measures: list[Measure] = []
    for arm, usd in paid.items():
        errors = bootstrap_mean(usd, resamples=resamples, seed=seed).interval()
        if (
            errors.width == 0
        ):  # no error, or the same one everywhere: resampling cannot see what the sample does not hold
            errors = Interval(errors.value, math.nan, math.nan, errors.n)
        measures.append(measured("error_cost_per_1k", errors, arm, **common))
        if arm != TEACHER:
            pair = paired_bootstrap(paid[TEACHER], usd, resamples=resamples, seed=seed)
            apart, few = _bounded(pair.difference.interval(), pair)
            measures.append(measured("error_cost_difference", apart, arm, versus=TEACHER, detail=few, **common))
            measures += _saving(arm, pair, running)
        if arm in running:
            detail = {"running": running[arm].value, "errors": errors.value}
            measures.append(measured("total_cost_per_1k", added(errors, running[arm]), arm, detail=detail, **common))
    return CheckResult(name="error_cost", measures=tuple(measures), findings=tuple(_findings(audit, measures)))


def cost_matrix(prices: PriceSpec, labels: tuple[str, ...]) -> Floats:
    """USD per error, shape [k true, k predicted]; right answers cost 0, an error without a price the default (0 without one).

    Raises:
        SpecError: a price for a label that the data do not have.
    """
    place = {label: index for index, label in enumerate(labels)}
    matrix = np.full((len(labels), len(labels)), prices.error_default or 0.0)
    np.fill_diagonal(matrix, 0.0)
    for true, row in prices.errors.items():
        for predicted, usd in row.items():
            for name in (true, predicted):
                if name not in place:
                    raise SpecError(f"audit.prices.errors has no label '{name}' to price.", hint=nearest(name, labels))
            matrix[place[true], place[predicted]] = usd
    return matrix


def added(first: Interval, second: Interval) -> Interval:
    """The sum of two independent figures; their arms are added in quadrature, lower and upper apart (Zou & Donner 2008)."""
    value = first.value + second.value
    low = value - math.hypot(first.value - first.low, second.value - second.low)
    high = value + math.hypot(first.high - first.value, second.high - second.value)
    return Interval(value, low, high, first.n)


def _bounded(found: Interval, pair: PairedBootstrap) -> tuple[Interval, dict[str, Any]]:
    """``found`` without bounds, and why, where so few answers cost otherwise than the teacher's that resampling them says too little."""
    if pair.discordant >= FEW:
        return found, {}
    return Interval(found.value, math.nan, math.nan, found.n), too_alike(pair.discordant, "answers of another cost")


def _saving(arm: str, pair: PairedBootstrap, running: dict[str, Interval]) -> list[Measure]:
    """Saved % of running and errors together, both models on the same resampled rows; none where running has no price."""
    if arm not in running or TEACHER not in running:
        return []
    base, own = running[TEACHER].value, running[arm].value
    if pair.reference.value + base <= 0:
        return []
    value = 100 * (1 - (pair.candidate.value + own) / (pair.reference.value + base))
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = 100 * (1 - (pair.candidate.draws + own) / (pair.reference.draws + base))
    low, high = np.quantile(draws, [0.025, 0.975]) if np.isfinite(draws).all() else (math.nan, math.nan)
    interval, few = _bounded(Interval(value, float(low), float(high), pair.n), pair)
    return [measured("total_cost_saving", interval, arm, unit="%", versus=TEACHER, higher_is_better=True, detail=few)]


def _running(audit: AuditInput) -> dict[str, Interval]:
    """USD for running 1,000 answers, by arm, as the check 'cost' has it; empty where nothing was timed."""
    options = CostOptions.model_validate(audit.spec.audit.checks.get("cost", {}))
    timings = audit.timings if audit.timings.empty else usable(audit.timings)
    paid = running_costs(audit, timings, book_from_prices(audit.prices), options)
    return {arm: map_interval(one.per_1k, float) for arm, one in paid.items()}


def _findings(audit: AuditInput, measures: list[Measure]) -> list[Finding]:
    """What the candidate's errors cost more or less than the teacher's."""
    mine = {m.name: m for m in measures if m.arm == audit.spec.candidate}
    change = mine.get("error_cost_difference")
    if change is None or change.value is None:
        return []
    dearer = change.low is not None and change.low > 0
    cheaper = change.high is not None and change.high < 0
    word = "more" if change.value > 0 else "less"
    apart = "" if dearer or cheaper else " The interval holds 0: no difference is shown."
    if change.low is None:
        apart = " Too few answers cost otherwise for an interval."
    return [
        Finding(
            check="error_cost",
            severity="warning" if dearer else "info",
            claim=(
                f"By your prices, errors of '{change.arm}' cost {abs(change.value):,.2f} USD {word} than the teacher's in 1,000 "
                f"answers (difference {bracket(change.low, change.high, 2, signed=True)} USD, n = {change.n:,}).{apart}"
            ),
            evidence=tuple(mine.values()),
            action="See which labels are taken for which on the page Compare." if dearer else "",
        )
    ]
