"""What do 1,000 texts cost with each model, and from how many texts on has the student paid for itself?

Cost = price book × measured throughput; the interval is that of the throughput, the price being taken as exact.
"""

from __future__ import annotations

from typing import Any

from auditor.check import AuditInput, check
from auditor.measuring import measured
from auditor.paying import (
    CostOptions,
    PaidTexts,
    candidates_saving,
    paid_back,
    price_detail,
    running_costs,
    saving,
    training_hours,
)
from auditor.prices import book_from_prices
from auditor.timing import map_interval, usable
from auditor.types import CheckResult, Measure
from distill.store import TEACHER


@check(
    "cost",
    "What do 1,000 texts cost, and when has the student paid for itself?",
    needs=(),
    options=CostOptions,
    measures={
        "cost_per_1k": "USD for 1,000 texts at the best batch size.",
        "cost_per_1k_tokens": "USD for 1,000 tokens.",
        "cost_saving": "Saved share of the teacher's cost, in %.",
        "making_cost": "USD once: labelling, training (mean of a seed) and human labels.",
        "break_even_texts": "Texts after which the saving has paid for the making.",
    },
)
def cost(audit: AuditInput, options: CostOptions) -> CheckResult:
    """Cost per 1,000 texts and tokens, saving, cost of making and break-even volume."""
    timings = audit.timings if audit.timings.empty else usable(audit.timings)
    book = book_from_prices(audit.prices)
    paid = running_costs(audit, timings, book, options)
    if not paid:
        return CheckResult(name="cost", skipped="no model could be timed, and the teacher has no price per token")
    measures: list[Measure] = []
    for arm, one in paid.items():
        measures += _own(arm, one)
        if arm != TEACHER:
            measures += _against_teacher(audit, arm, one, paid.get(TEACHER), options)
    found = candidates_saving("cost", audit.spec.candidate, measures, {**paid}, ("'{arm}'", "the teacher", "texts"))
    return CheckResult(name="cost", measures=tuple(measures), findings=tuple(found))


def _own(arm: str, paid: PaidTexts) -> list[Measure]:
    detail = price_detail(paid)
    common: dict[str, Any] = {"arm": arm, "unit": "USD", "higher_is_better": False, "exact": paid.exact}
    measures = [measured("cost_per_1k", paid.per_1k, detail=detail, **common)]
    if paid.tokens is not None:
        tokens = paid.tokens
        per_token = map_interval(paid.per_1k, lambda usd: usd / tokens)
        measures.append(
            measured("cost_per_1k_tokens", per_token, detail={**detail, "tokens_per_text": tokens}, **common)
        )
    return measures


def _against_teacher(
    audit: AuditInput, arm: str, mine: PaidTexts, teacher: PaidTexts | None, options: CostOptions
) -> list[Measure]:
    """Saving, cost of making and break-even of one arm."""
    if teacher is None:
        return []
    kept = (teacher.per_1k.value - mine.per_1k.value) / 1000
    making = _making(audit, arm, mine, teacher, options)
    return [*saving(arm, mine, teacher), *paid_back(arm, making, kept, mine.per_1k.n)]


def _making(audit: AuditInput, arm: str, mine: PaidTexts, teacher: PaidTexts, options: CostOptions) -> dict[str, float]:
    """USD spent once. Labelling is counted at the teacher's measured cost, also when the labels came from the cache."""
    cards = [card for card in audit.cards if card.name == arm]
    kind = cards[0].kind if cards else ""
    human = max((card.human_labels for card in cards), default=0)
    learnt = any(card.trained_on for card in cards) and kind != "fine_tuned"
    return {
        "labelling": len(audit.synthetic) / 1000 * teacher.per_1k.value if learnt else 0.0,
        "training": training_hours(audit, arm) * (mine.per_hour or 0.0),
        "human_labels": human * options.per_human_label,
    }
