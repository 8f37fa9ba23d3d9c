"""What do 1,000 tokens and 1,000 answers cost with each language model, and from how many answers on has the student paid for itself?

Cost = price book × measured tokens a second, prompts included; the interval is that of the throughput. A teacher behind an endpoint costs
what its entry in the price book says for tokens read and written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
from pydantic import Field

from auditor.check import AuditInput, check
from auditor.checks.lm_latency import best_batch, token_rates, usable_tokens
from auditor.measuring import bracket, measured
from auditor.prices import PriceEntry, book_from_prices
from auditor.stats.interval import Interval
from auditor.timing import geometric, geometric_ratio, map_interval
from auditor.types import CheckResult, Finding, Measure
from distill.errors import SpecError
from distill.plugins import GENERATION
from distill.spec import Part
from distill.store import TEACHER

NAME = "lm_cost"
CHARACTERS_A_TOKEN = (
    4  # rule of thumb for English, for prompts that nobody tokenised; such figures are marked as estimates
)


class LanguageCostOptions(Part):
    """What is paid besides the machine."""

    teacher_entry: str = Field("", description="Price book entry of the teacher, when it is an endpoint.")
    prompt_tokens: float = Field(
        0.0, ge=0, description="Tokens of a prompt at the endpoint; four characters a token when 0."
    )


@dataclass(frozen=True)
class Paid:
    """What one model costs: USD per 1,000 tokens written, the price it follows from, and tokens a second by round."""

    per_1k: Interval
    entry: PriceEntry
    per_hour: float | None
    rates: pd.Series | None
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
    return CheckResult(name=NAME, measures=tuple(measures), findings=tuple(_findings(audit, measures, paid)))


def _paid(audit: AuditInput, options: LanguageCostOptions) -> dict[str, Paid]:
    prices, book = audit.spec.audit.prices, book_from_prices(audit.prices)
    entry = book.entry(prices.entry)
    if entry.kind != "machine" and prices.per_hour is None:
        raise SpecError(f"'{entry.name}' has no price per hour.", hint="Name a machine in audit.prices.entry.")
    per_hour = prices.per_hour if prices.per_hour is not None else float(entry.per_hour or 0.0)
    timings = usable_tokens(audit.timings)
    paid: dict[str, Paid] = {}
    for arm in [] if timings.empty else dict.fromkeys(timings["arm"]):
        if sizes := token_rates(timings, str(arm)):
            rates = sizes[best_batch(sizes)]
            cost = map_interval(geometric(rates), lambda rate: per_hour / 3600 / rate * 1000)
            paid[str(arm)] = Paid(cost, entry, per_hour, rates)
    if options.teacher_entry:
        asked = book.entry(options.teacher_entry)
        if asked.kind != "tokens":
            raise SpecError(f"'{asked.name}' has no price per token.", hint="Name an endpoint in teacher_entry.")
        written = float(asked.per_1k_output or 0.0)
        fixed = Interval(written, written, written, len(audit.test))
        paid = {TEACHER: Paid(fixed, asked, None, None, float(asked.per_1k_input or 0.0)), **paid}
    return paid


def _length(audit: AuditInput, arm: str) -> float:
    """Mean tokens of an answer, over seeds."""
    means = [float(audit.outputs(arm, seed)["answer_tokens"].mean()) for seed in audit.seeds(arm)]
    return sum(means) / len(means) if means else 0.0


def _answers(audit: AuditInput, arm: str, paid: Paid, options: LanguageCostOptions) -> Interval:
    """USD for 1,000 answers: tokens written, and at an endpoint tokens read."""
    written = _length(audit, arm)
    read = 0.0
    if paid.read is not None:
        lengths = audit.test.frame["text"].str.len()
        tokens = options.prompt_tokens or max(1.0, float(lengths.mean()) / CHARACTERS_A_TOKEN)
        read = tokens * paid.read
    return map_interval(paid.per_1k, lambda usd: written * usd + read)


def _own(audit: AuditInput, arm: str, paid: Paid, options: LanguageCostOptions) -> list[Measure]:
    exact = paid.read is None or options.prompt_tokens > 0
    detail = {
        "entry": paid.entry.name,
        "title": paid.entry.title,
        "per_hour": paid.per_hour,
        "date": paid.entry.date.isoformat(),
        "source": paid.entry.source,
        "list_price": paid.entry.list_price and paid.per_hour in (None, paid.entry.per_hour),
    }
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
    audit: AuditInput, arm: str, mine: Paid, teacher: Paid, options: LanguageCostOptions
) -> list[Measure]:
    """Saving a token, cost of making, and the number of answers (as long as the teacher's) that pays for it."""
    saving = _saving(mine, teacher)
    measures = []
    if saving is not None:
        more: dict[str, Any] = {"unit": "%", "versus": TEACHER, "higher_is_better": True}
        measures.append(measured("cost_saving", saving, arm, **more))
    making = _making(audit, arm, mine, teacher, options)
    total = sum(making.values())
    measures.append(Measure(name="making_cost", value=total, arm=arm, unit="USD", detail=making, exact=False, n=1))
    length = _length(audit, TEACHER)
    kept = (_answers(audit, TEACHER, teacher, options).value - length * mine.per_1k.value) / 1000
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
    """Saved % of the teacher's cost of a token; paired by round where both ran on the same machine."""
    if mine.rates is not None and teacher.rates is not None:
        ratio = geometric_ratio(teacher.rates, mine.rates)
        return None if ratio is None else map_interval(ratio, lambda share: 100 * (1 - share))
    whole = teacher.per_1k.value
    return map_interval(mine.per_1k, lambda usd: 100 * (1 - usd / whole)) if whole > 0 else None


def _making(audit: AuditInput, arm: str, mine: Paid, teacher: Paid, options: LanguageCostOptions) -> dict[str, float]:
    """USD spent once. The teacher's answers are counted at its measured cost, also when they came from the cache."""
    cards = [card for card in audit.cards if card.name == arm]
    seconds = sum(card.train_seconds for card in cards) / len(cards) if cards else 0.0
    learnt = any(card.trained_on for card in cards) and not audit.synthetic.empty
    tokens = float(audit.synthetic["answer_tokens"].sum()) if learnt else 0.0
    asked = tokens / 1000 * teacher.per_1k.value
    if learnt and teacher.read is not None:
        lengths = audit.synthetic["text"].str.len()
        asked += (
            len(lengths) * teacher.read * (options.prompt_tokens or float(lengths.mean()) / CHARACTERS_A_TOKEN) / 1000
        )
    return {"labelling": asked, "training": seconds / 3600 * (mine.per_hour or 0.0)}


def _findings(audit: AuditInput, measures: list[Measure], paid: dict[str, Paid]) -> list[Finding]:
    candidate = audit.spec.candidate
    mine = {m.name: m for m in measures if m.arm == candidate and m.group is None}
    saving, even = mine.get("cost_saving"), mine.get("break_even_texts")
    if saving is None or saving.value is None or even is None:
        return []
    dearer = saving.high is not None and saving.high < 0
    pays = f" It has paid for its making after about {even.value:,.0f} answers." if even.value is not None else ""
    entry = paid[candidate].entry
    word = "less" if saving.value >= 0 else "more"
    claim = (
        f"A token of '{candidate}' costs {abs(saving.value):.0f} % {word} than one of the teacher (saving "
        f"{bracket(saving.low, saving.high, 0)}), at the price of '{entry.name}' of {entry.date.isoformat()}.{pays}"
    )
    return [
        Finding(
            check=NAME,
            severity="warning" if dearer else "info",
            claim=claim,
            evidence=(saving, even),
            action="Check the price book: list prices are seldom what you pay." if entry.list_price else "",
        )
    ]
