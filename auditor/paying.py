"""What checks of cost share: the price of a machine's time and of an endpoint's tokens, the saving, and when it has paid for the making."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from pydantic import Field

from auditor.check import AuditInput
from auditor.measuring import bracket, measured
from auditor.prices import PriceBook, PriceEntry
from auditor.stats.interval import Interval
from auditor.timing import best_batch, geometric, geometric_ratio, map_interval, throughput_rounds, tokens_per_text
from auditor.types import Finding, Measure
from distill.errors import SpecError
from distill.spec import Part
from distill.store import TEACHER

# rule of thumb for English, used where nobody counted tokens; such figures are marked as estimates
CHARACTERS_A_TOKEN: Final = 4


@dataclass(frozen=True, kw_only=True)
class Paid:
    """What one model costs.

    Attributes:
        per_1k: USD per 1,000 of what is counted (texts, or tokens written).
        entry: the price it follows from; ``per_hour`` of the machine, None for an endpoint.
        rates: of what is counted, a second, by round; None for an endpoint.
    """

    per_1k: Interval
    entry: PriceEntry
    per_hour: float | None
    rates: pd.Series | None


def machine_price(audit: AuditInput, book: PriceBook) -> tuple[PriceEntry, float]:
    """The machine that the spec names, and USD for an hour of it; raises SpecError when it is none."""
    prices = audit.spec.audit.prices
    entry = book.entry(prices.entry)
    if entry.kind != "machine" and prices.per_hour is None:
        raise SpecError(f"'{entry.name}' has no price per hour.", hint="Name a machine in audit.prices.entry.")
    return entry, prices.per_hour if prices.per_hour is not None else float(entry.per_hour or 0.0)


def token_price(entry: PriceEntry) -> tuple[float, float]:
    """USD for 1,000 tokens read and written at an endpoint; raises SpecError when the entry has none."""
    if entry.kind != "tokens":
        raise SpecError(f"'{entry.name}' has no price per token.", hint="Name an endpoint in teacher_entry.")
    return float(entry.per_1k_input or 0.0), float(entry.per_1k_output or 0.0)


def by_the_hour(rates: pd.Series, per_hour: float) -> Interval:
    """USD per 1,000 at so many a second."""
    return map_interval(geometric(rates), lambda rate: per_hour / 3600 / rate * 1000)


def price_detail(paid: Paid) -> dict[str, Any]:
    """Where a cost comes from, for the measure."""
    return {
        "entry": paid.entry.name,
        "title": paid.entry.title,
        "per_hour": paid.per_hour,
        "date": paid.entry.date.isoformat(),
        "source": paid.entry.source,
        "list_price": paid.entry.list_price and paid.per_hour in (None, paid.entry.per_hour),
    }


def saving(arm: str, mine: Paid, teacher: Paid) -> list[Measure]:
    """Saved % of the teacher's cost; paired by round where both ran on the same machine."""
    found: Interval | None = None
    if mine.rates is not None and teacher.rates is not None:
        ratio = geometric_ratio(teacher.rates, mine.rates)
        found = None if ratio is None else map_interval(ratio, lambda share: 100 * (1 - share))
    elif (whole := teacher.per_1k.value) > 0:
        found = map_interval(mine.per_1k, lambda usd: 100 * (1 - usd / whole))
    return (
        [] if found is None else [measured("cost_saving", found, arm, unit="%", versus=TEACHER, higher_is_better=True)]
    )


def training_hours(audit: AuditInput, arm: str) -> float:
    """Hours of training, mean of a seed."""
    cards = [card for card in audit.cards if card.name == arm]
    return sum(card.train_seconds for card in cards) / len(cards) / 3600 if cards else 0.0


def paid_back(arm: str, making: dict[str, float], kept: float, n: int) -> list[Measure]:
    """USD of the making by what it was for, and after how many texts, each saving ``kept`` USD, it has paid for itself."""
    total = sum(making.values())
    reason = {} if kept > 0 else {"reason": "it costs no less than the teacher, so it never pays for itself"}
    return [
        Measure(name="making_cost", value=total, arm=arm, unit="USD", detail=making, exact=False, n=1),
        Measure(
            name="break_even_texts",
            value=total / kept if kept > 0 else None,
            arm=arm,
            unit="texts",
            versus=TEACHER,
            n=n,
            detail={"saved_per_text": kept, **reason},
            exact=False,
        ),
    ]


def candidates_saving(
    check: str, candidate: str, measures: Sequence[Measure], paid: dict[str, Paid], words: tuple[str, str, str]
) -> list[Finding]:
    """What the candidate saves, and when it has paid for itself.

    Args:
        words: what is compared ("'{arm}'" with the arm's name put in), with what, and what is counted.
    """
    mine = {m.name: m for m in measures if m.arm == candidate and m.group is None}
    saved, even = mine.get("cost_saving"), mine.get("break_even_texts")
    if saved is None or saved.value is None or even is None:
        return []
    what, against, counted = words
    dearer = saved.high is not None and saved.high < 0
    pays = f" It has paid for its making after about {even.value:,.0f} {counted}." if even.value is not None else ""
    entry = paid[candidate].entry
    word = "less" if saved.value >= 0 else "more"
    claim = (
        f"{what.format(arm=candidate)} costs {abs(saved.value):.0f} % {word} than {against} (saving "
        f"{bracket(saved.low, saved.high, 0)}), at the price of '{entry.name}' of {entry.date.isoformat()}.{pays}"
    )
    return [
        Finding(
            check=check,
            severity="warning" if dearer else "info",
            claim=claim,
            evidence=(saved, even),
            action="Check the price book: list prices are seldom what you pay." if entry.list_price else "",
        )
    ]


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
