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
from auditor.measuring import bracket, measured
from auditor.prices import PriceBook, PriceEntry, book_from_prices
from auditor.stats.interval import Interval
from auditor.timing import geometric, geometric_ratio, map_interval, throughput_rounds, tokens_per_text, usable
from auditor.types import CheckResult, Finding, Measure
from distill.errors import SpecError
from distill.spec import Part
from distill.store import TEACHER

CHARACTERS_A_TOKEN = (
    4  # rule of thumb for English, used where nobody counted tokens; such figures are marked as estimates
)


class CostOptions(Part):
    """What is paid besides the machine."""

    teacher_entry: str = Field("", description="Price book entry of the teacher, when it is an endpoint.")
    output_tokens: float = Field(1.0, ge=0, description="Tokens an endpoint writes for one text.")
    prompt_tokens: float = Field(0.0, ge=0, description="Tokens of the prompt around each text.")
    per_human_label: float = Field(0.0, ge=0, description="USD for one human label that training used.")


@dataclass(frozen=True)
class Paid:
    """What one model's texts cost.

    ``rates`` are texts a second by round, None for an endpoint; ``per_1k`` is USD per 1,000 texts.
    """

    per_1k: Interval
    entry: PriceEntry
    per_hour: float | None
    rates: pd.Series | None
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
    return CheckResult(name="cost", measures=tuple(measures), findings=tuple(_findings(audit, measures, paid)))


def running_costs(audit: AuditInput, timings: pd.DataFrame, book: PriceBook, options: CostOptions) -> dict[str, Paid]:
    """Cost of every model that was timed, and of a teacher that is paid by the token."""
    prices = audit.spec.audit.prices
    entry = book.entry(prices.entry)
    if entry.kind != "machine" and prices.per_hour is None:
        raise SpecError(f"'{entry.name}' has no price per hour.", hint="Name a machine in audit.prices.entry.")
    per_hour = prices.per_hour if prices.per_hour is not None else float(entry.per_hour or 0.0)
    paid: dict[str, Paid] = {}
    for arm in [] if timings.empty else dict.fromkeys(timings["arm"]):
        sizes = throughput_rounds(timings, arm)
        if sizes:
            rates = sizes[best_batch(sizes)]
            per_1k = map_interval(geometric(rates), lambda rate: per_hour / 3600 / rate * 1000)
            paid[arm] = Paid(per_1k, entry, per_hour, rates, tokens_per_text(timings, arm), exact=True)
    if options.teacher_entry:
        others = {arm: one for arm, one in paid.items() if arm != TEACHER}
        paid = {TEACHER: _by_the_token(audit, timings, book.entry(options.teacher_entry), options), **others}
    return paid


def _by_the_token(audit: AuditInput, timings: pd.DataFrame, entry: PriceEntry, options: CostOptions) -> Paid:
    """A teacher behind an endpoint: tokens read and written × price."""
    if entry.kind != "tokens":
        raise SpecError(f"'{entry.name}' has no price per token.", hint="Name an endpoint in teacher_entry.")
    counted = None if timings.empty else tokens_per_text(timings, str(timings["arm"].iloc[0]))
    lengths = audit.test.frame["text"].str.len()
    tokens = counted or max(1.0, float(lengths.mean()) / CHARACTERS_A_TOKEN)
    read, written = float(entry.per_1k_input or 0.0), float(entry.per_1k_output or 0.0)
    value = (tokens + options.prompt_tokens) * read + options.output_tokens * written
    return Paid(Interval(value, value, value, len(lengths)), entry, None, None, tokens, exact=counted is not None)


def _own(arm: str, paid: Paid) -> list[Measure]:
    detail = {
        "entry": paid.entry.name,
        "title": paid.entry.title,
        "per_hour": paid.per_hour,
        "date": paid.entry.date.isoformat(),
        "source": paid.entry.source,
        "list_price": paid.entry.list_price and paid.per_hour in (None, paid.entry.per_hour),
    }
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
    audit: AuditInput, arm: str, mine: Paid, teacher: Paid | None, options: CostOptions
) -> list[Measure]:
    """Saving, cost of making and break-even of one arm."""
    if teacher is None:
        return []
    saving = _saving(mine, teacher)
    making = _making(audit, arm, mine, teacher, options)
    measures = (
        []
        if saving is None
        else [measured("cost_saving", saving, arm, unit="%", versus=TEACHER, higher_is_better=True)]
    )
    total = sum(making.values())
    measures.append(Measure(name="making_cost", value=total, arm=arm, unit="USD", detail=making, exact=False, n=1))
    kept = (teacher.per_1k.value - mine.per_1k.value) / 1000
    reason = {} if kept > 0 else {"reason": "it costs no less than the teacher, so it never pays for itself"}
    measures.append(
        Measure(
            name="break_even_texts",
            value=total / kept if kept > 0 else None,
            arm=arm,
            unit="texts",
            versus=TEACHER,
            n=mine.per_1k.n,
            detail={"saved_per_text": kept, **reason},
            exact=False,
        )
    )
    return measures


def _saving(mine: Paid, teacher: Paid) -> Interval | None:
    """Saved % of the teacher's cost; paired by round where both ran on the same machine."""
    if mine.rates is not None and teacher.rates is not None:
        ratio = geometric_ratio(teacher.rates, mine.rates)
        return None if ratio is None else map_interval(ratio, lambda share: 100 * (1 - share))
    whole = teacher.per_1k.value
    return map_interval(mine.per_1k, lambda usd: 100 * (1 - usd / whole)) if whole > 0 else None


def _making(audit: AuditInput, arm: str, mine: Paid, teacher: Paid, options: CostOptions) -> dict[str, float]:
    """USD spent once. Labelling is counted at the teacher's measured cost, also when the labels came from the cache."""
    cards = [card for card in audit.cards if card.name == arm]
    seconds = sum(card.train_seconds for card in cards) / len(cards) if cards else 0.0
    kind = cards[0].kind if cards else ""
    human = max((card.human_labels for card in cards), default=0)
    learnt = any(card.trained_on for card in cards) and kind != "fine_tuned"
    return {
        "labelling": len(audit.synthetic) / 1000 * teacher.per_1k.value if learnt else 0.0,
        "training": seconds / 3600 * (mine.per_hour or 0.0),
        "human_labels": human * options.per_human_label,
    }


def _findings(audit: AuditInput, measures: list[Measure], paid: dict[str, Paid]) -> list[Finding]:
    """What the candidate saves, and when it has paid for itself."""
    candidate = audit.spec.candidate
    mine = {m.name: m for m in measures if m.arm == candidate}
    saving, even = mine.get("cost_saving"), mine.get("break_even_texts")
    if saving is None or saving.value is None or even is None:
        return []
    dearer = saving.high is not None and saving.high < 0
    pays = f" It has paid for its making after about {even.value:,.0f} texts." if even.value is not None else ""
    entry = paid[candidate].entry
    word = "less" if saving.value >= 0 else "more"
    claim = (
        f"'{candidate}' costs {abs(saving.value):.0f} % {word} than the teacher (saving {bracket(saving.low, saving.high, 0)}), "
        f"at the price of '{entry.name}' of {entry.date.isoformat()}.{pays}"
    )
    return [
        Finding(
            check="cost",
            severity="warning" if dearer else "info",
            claim=claim,
            evidence=(saving, even),
            action="Check the price book: list prices are seldom what you pay." if entry.list_price else "",
        )
    ]
