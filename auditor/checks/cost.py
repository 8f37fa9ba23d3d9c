"""What do 1,000 texts cost with each model, and from how many texts on has the student paid for itself?

Cost = price book × measured throughput; the interval is that of the throughput, the price being taken as exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.checks.latency import best_batch
from auditor.measuring import measured
from auditor.paying import (
    CHARACTERS_A_TOKEN,
    Paid,
    by_the_hour,
    candidates_saving,
    machine_price,
    paid_back,
    price_detail,
    saving,
    token_price,
    training_hours,
)
from auditor.prices import PriceBook, PriceEntry, book_from_prices
from auditor.stats.interval import Interval
from auditor.timing import map_interval, throughput_rounds, tokens_per_text, usable
from auditor.types import CheckResult, Measure
from distill.spec import Part
from distill.store import TEACHER


class CostOptions(Part):
    """What is paid besides the machine."""

    teacher_entry: str = Field("", description="Price book entry of the teacher, when it is an endpoint.")
    output_tokens: float = Field(1.0, ge=0, description="Tokens an endpoint writes for one text.")
    prompt_tokens: float = Field(0.0, ge=0, description="Tokens of the prompt around each text.")
    per_human_label: float = Field(0.0, ge=0, description="USD for one human label that training used.")


@dataclass(frozen=True, kw_only=True)
class PaidTexts(Paid):
    """What one model's texts cost; ``tokens`` of a text on average, None where nobody counted them."""

    tokens: float | None
    exact: bool


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


def running_costs(
    audit: AuditInput, timings: pd.DataFrame, book: PriceBook, options: CostOptions
) -> dict[str, PaidTexts]:
    """Cost of every model that was timed, and of a teacher that is paid by the token."""
    entry, per_hour = machine_price(audit, book)
    paid: dict[str, PaidTexts] = {}
    for arm in [] if timings.empty else dict.fromkeys(timings["arm"]):
        sizes = throughput_rounds(timings, arm)
        if sizes:
            rates, tokens = sizes[best_batch(sizes)], tokens_per_text(timings, arm)
            cost = by_the_hour(rates, per_hour)
            paid[arm] = PaidTexts(per_1k=cost, entry=entry, per_hour=per_hour, rates=rates, tokens=tokens, exact=True)
    if options.teacher_entry:
        others = {arm: one for arm, one in paid.items() if arm != TEACHER}
        paid = {TEACHER: _by_the_token(audit, timings, book.entry(options.teacher_entry), options), **others}
    return paid


def _by_the_token(audit: AuditInput, timings: pd.DataFrame, entry: PriceEntry, options: CostOptions) -> PaidTexts:
    """A teacher behind an endpoint: tokens read and written × price."""
    read, written = token_price(entry)
    counted = None if timings.empty else tokens_per_text(timings, str(timings["arm"].iloc[0]))
    lengths = audit.test.frame["text"].str.len()
    tokens = counted or max(1.0, float(lengths.mean()) / CHARACTERS_A_TOKEN)
    value = (tokens + options.prompt_tokens) * read + options.output_tokens * written
    fixed = Interval(value, value, value, len(lengths))
    return PaidTexts(per_1k=fixed, entry=entry, per_hour=None, rates=None, tokens=tokens, exact=counted is not None)


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
