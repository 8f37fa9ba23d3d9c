"""What does a trimmed vocabulary cost on texts that nobody trimmed by? Tokens of the test that an arm does not know any more.

The counts stand on the card of the trimmed arm, made when it was made; what is made from it has the same vocabulary.
"""

from __future__ import annotations

from typing import Any

from auditor.check import AuditInput, check
from auditor.measuring import measured, share
from auditor.stats.interval import Interval
from auditor.stats.proportions import wilson
from auditor.types import CheckResult, Finding, Measure
from distill.arms.sources import chain
from distill.errors import SpecError
from distill.plugins import NoOptions
from distill.store import ModelCard

MANY = 0.05  # share of lost tokens from which the pool is not what the model will read


@check(
    "vocabulary",
    "What does a trimmed vocabulary lose of the test's words?",
    needs={"models"},
    measures={
        "tokens_lost": "Share of the test's tokens that a trimmed vocabulary lacks; shorter pieces stand in for them.",
        "texts_with_lost_tokens": "Share of test texts in which there is one.",
        "vocabulary_kept": "Share of the source's vocabulary that is left.",
    },
)
def vocabulary(audit: AuditInput, options: NoOptions) -> CheckResult:
    """Tokens lost by each arm that has a trimmed vocabulary, its own or that of what it is made from."""
    cards: dict[str, ModelCard] = {}
    for card in audit.cards:
        cards.setdefault(card.name, card)
    measures: list[Measure] = []
    for arm in cards:
        found = next((cards[name] for name in _steps(audit, arm) if name in cards and _counted(cards[name])), None)
        if found is not None:
            measures += _of(arm, found)
    if not measures:
        return CheckResult(name="vocabulary", skipped="no arm has a trimmed vocabulary")
    worst = [m for m in measures if m.name == "tokens_lost" and (m.value or 0) > MANY]
    return CheckResult(name="vocabulary", measures=tuple(measures), findings=tuple(_many(m) for m in worst))


def _steps(audit: AuditInput, arm: str) -> list[str]:
    """The arm and what it is made from."""
    try:
        return [one.name for one in chain(audit.spec, audit.spec.arm(arm))]
    except SpecError:
        return [arm]


def _counted(card: ModelCard) -> bool:
    return bool(card.extra.get("test_tokens"))


def _of(arm: str, card: ModelCard) -> list[Measure]:
    counts = {key: int(card.extra.get(key) or 0) for key in ("test_tokens", "test_tokens_lost", "test_texts", "test_texts_touched")}  # fmt: skip
    common: dict[str, Any] = {"arm": arm, "exact": False, "higher_is_better": False}
    lost = counts["test_tokens_lost"] / counts["test_tokens"]
    measures = [Measure(name="tokens_lost", value=lost, n=counts["test_tokens"], **common)]
    if texts := counts["test_texts"]:
        touched = counts["test_texts_touched"]
        bounds = wilson(touched, texts)
        interval = Interval(touched / texts, bounds.low, bounds.high, texts)
        measures.append(measured("texts_with_lost_tokens", interval, arm, exact=False, higher_is_better=False))
    kept, before = card.extra.get("vocabulary"), card.extra.get("vocabulary_before")
    if kept and before:
        measures.append(Measure(name="vocabulary_kept", value=kept / before, n=int(before), arm=arm, exact=False))
    return measures


def _many(measure: Measure) -> Finding:
    return Finding(
        check="vocabulary",
        severity="notice",
        claim=f"'{measure.arm}' lacks {share(measure.value)} of the test's tokens: its pool is not what it will read.",
        evidence=(measure,),
        action="Trim by a larger pool, or keep the whole vocabulary.",
    )
