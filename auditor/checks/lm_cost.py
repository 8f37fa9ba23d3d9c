"""What do 1,000 tokens and 1,000 answers cost with each language model, and from how many answers on has the student paid for itself?

Cost = price book × measured tokens a second, prompts included; the interval is that of the throughput. A teacher behind an endpoint costs
what its entry in the price book says for tokens read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from auditor.check import AuditInput, check
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
from auditor.prices import book_from_prices
from auditor.stats.interval import Interval
from auditor.timing import best_batch, map_interval, token_rates, usable_tokens
from auditor.types import CheckResult, Measure
from distill.plugins import GENERATION
from distill.spec import Part
from distill.store import TEACHER

NAME = "lm_cost"


class LanguageCostOptions(Part):
    """What is paid besides the machine."""

    teacher_entry: str = Field("", description="Price book entry of the teacher, when it is an endpoint.")
    prompt_tokens: float = Field(
        0.0, ge=0, description="Tokens of a prompt at the endpoint; four characters a token when 0."
    )


@dataclass(frozen=True, kw_only=True)
class PaidTokens(Paid):
    """What one model's tokens cost; ``read``: USD for 1,000 tokens read, at an endpoint."""

    read: float | None = None


@check(
    NAME,
    "What do 1,000 tokens and 1,000 answers cost, and when has the student paid for itself?",
    needs={"answers"},
    tasks=GENERATION,
    options=LanguageCostOptions,
    measures={
        "cost_per_1k_tokens": "USD for 1,000 tokens written at the best batch size, prompts included (group read: 1,000 tokens read, at an endpoint).",
        "cost_per_1k": "USD for 1,000 answers of the arm's own mean length.",
        "cost_saving": "Saved share of the teacher's cost of 1,000 tokens, in %.",
        "making_cost": "USD once: the teacher's answers and training (mean of a seed).",
        "break_even_texts": "Answers after which the saving has paid for the making.",
    },
)
def lm_cost(audit: AuditInput, options: LanguageCostOptions) -> CheckResult:
    """Cost of tokens and answers, saving, cost of making and break-even volume."""
    paid = _paid(audit, options)
    if not paid:
        return CheckResult(name=NAME, skipped="no model could be timed, and the teacher has no price per token")
    measures: list[Measure] = []
    for arm, one in paid.items():
        measures += _own(audit, arm, one, options)
        if arm != TEACHER and TEACHER in paid:
            measures += _against_teacher(audit, arm, one, paid[TEACHER], options)
    words = ("A token of '{arm}'", "one of the teacher", "answers")
    found = candidates_saving(NAME, audit.spec.candidate, measures, {**paid}, words)
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(found))


def _paid(audit: AuditInput, options: LanguageCostOptions) -> dict[str, PaidTokens]:
    book = book_from_prices(audit.prices)
    entry, per_hour = machine_price(audit, book)
    timings = usable_tokens(audit.timings)
    paid: dict[str, PaidTokens] = {}
    for arm in [] if timings.empty else dict.fromkeys(timings["arm"]):
        if sizes := token_rates(timings, str(arm)):
            rates = sizes[best_batch(sizes)]
            cost = by_the_hour(rates, per_hour)
            paid[str(arm)] = PaidTokens(per_1k=cost, entry=entry, per_hour=per_hour, rates=rates)
    if options.teacher_entry:
        asked = book.entry(options.teacher_entry)
        read, written = token_price(asked)
        fixed = Interval(written, written, written, len(audit.test))
        paid = {**paid, TEACHER: PaidTokens(per_1k=fixed, entry=asked, per_hour=None, rates=None, read=read)}
    return paid


def _length(audit: AuditInput, arm: str) -> float:
    """Mean tokens of an answer, over seeds."""
    means = [float(audit.outputs(arm, seed)["answer_tokens"].mean()) for seed in audit.seeds(arm)]
    return sum(means) / len(means) if means else 0.0


def _answers(audit: AuditInput, arm: str, paid: PaidTokens, options: LanguageCostOptions) -> Interval:
    """USD for 1,000 answers: tokens written, and at an endpoint tokens read."""
    written = _length(audit, arm)
    read = 0.0
    if paid.read is not None:
        lengths = audit.test.frame["text"].str.len()
        tokens = options.prompt_tokens or max(1.0, float(lengths.mean()) / CHARACTERS_A_TOKEN)
        read = tokens * paid.read
    return map_interval(paid.per_1k, lambda usd: written * usd + read)


def _own(audit: AuditInput, arm: str, paid: PaidTokens, options: LanguageCostOptions) -> list[Measure]:
    exact = paid.read is None or options.prompt_tokens > 0
    detail = price_detail(paid)
    common: dict[str, Any] = {"arm": arm, "unit": "USD", "higher_is_better": False}
    measures = [measured("cost_per_1k_tokens", paid.per_1k, detail=detail, **common)]
    if paid.read is not None:
        fixed = Interval(paid.read, paid.read, paid.read, paid.per_1k.n)
        measures.append(measured("cost_per_1k_tokens", fixed, group="read", detail=detail, **common))
    if audit.seeds(arm):
        tokens = {**detail, "tokens_per_answer": _length(audit, arm)}
        answers = _answers(audit, arm, paid, options)
        measures.append(measured("cost_per_1k", answers, detail=tokens, exact=exact, **common))
    return measures


def _against_teacher(
    audit: AuditInput, arm: str, mine: PaidTokens, teacher: PaidTokens, options: LanguageCostOptions
) -> list[Measure]:
    """Saving a token, cost of making, and the number of answers (as long as the teacher's) that pays for it."""
    written = _length(audit, TEACHER) * mine.per_1k.value
    kept = (_answers(audit, TEACHER, teacher, options).value - written) / 1000
    making = _making(audit, arm, mine, teacher, options)
    return [*saving(arm, mine, teacher), *paid_back(arm, making, kept, mine.per_1k.n)]


def _making(
    audit: AuditInput, arm: str, mine: PaidTokens, teacher: PaidTokens, options: LanguageCostOptions
) -> dict[str, float]:
    """USD spent once. The teacher's answers are counted at its measured cost, also when they came from the cache."""
    learnt = any(card.trained_on for card in audit.cards if card.name == arm) and not audit.synthetic.empty
    tokens = float(audit.synthetic["answer_tokens"].sum()) if learnt else 0.0
    asked = tokens / 1000 * teacher.per_1k.value
    if learnt and teacher.read is not None:
        lengths = audit.synthetic["text"].str.len()
        asked += (
            len(lengths) * teacher.read * (options.prompt_tokens or float(lengths.mean()) / CHARACTERS_A_TOKEN) / 1000
        )
    return {"labelling": asked, "training": training_hours(audit, arm) * (mine.per_hour or 0.0)}
