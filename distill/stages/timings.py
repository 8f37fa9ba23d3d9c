"""Stage 'timings': how fast each model answers, interleaved on this machine, and how much memory it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from distill.errors import ModelError
from distill.files import digest_of
from distill.plugins import StageContext
from distill.stages.frame import Outcome, once
from distill.stages.students import skipped_arms
from distill.store import TEACHER, ModelCard
from distill.types import Examples, write_frame

if TYPE_CHECKING:
    from distill.engine.memory import MemoryFacts
    from distill.engine.timing import TimedModel

MEMORY_TEXTS = 64

Measuring = Callable[[StageContext, "list[TimedModel]", Examples], pd.DataFrame]
Peak = Callable[[StageContext, ModelCard, Examples], "MemoryFacts"]


def run_timings(context: StageContext) -> Outcome:
    """Time classifiers: see :func:`timed`."""
    return timed(context, (), _measure, _peak)


def timed(context: StageContext, named: Sequence[str], measure: Measuring, peak: Peak) -> Outcome:
    """Write timings.parquet: raw measurements of the teacher and of the first seed of every arm (other seeds are as fast).

    Skipped, with the reason in the stage's summary and the log, where there is no model to time.

    Args:
        context: of the stage.
        named: words of the stage's digest that tell this kind of measuring from others.
        measure: times the models, interleaved.
        peak: memory of one model, in a process of its own.
    """
    cards = models_to_time(context)
    latency = context.spec.audit.latency.model_dump(mode="json")
    digest = digest_of([*named, latency, [[card.name, card.weights_digest] for card in cards]])
    path = context.run.folder / "timings.parquet"
    once(context, "timings", digest, lambda: _time(context, cards, measure, peak), (path,) if cards else ())
    return "done"


def models_to_time(context: StageContext) -> list[ModelCard]:
    """Teacher and one seed of each arm, where there is a model."""
    skipped = skipped_arms(context.run)
    first: dict[str, ModelCard] = {TEACHER: context.run.teacher}
    for card in context.run.cards():
        if card.name not in skipped:
            first.setdefault(card.name, card)
    return [card for card in first.values() if card.model_dir]


def not_timed(context: StageContext, cards: list[ModelCard]) -> dict[str, Any] | None:
    """Say which arms cannot be timed; the stage's summary when none can."""
    monitor = context.monitor
    without = sorted({TEACHER, *(arm.name for arm in context.spec.arms)} - {card.name for card in cards})
    if without and cards:
        monitor.note(f"Not timed, because there is no model of them: {', '.join(without)}.")
    if not cards:
        reason = "there are only predictions and no model to time"
        monitor.note(f"Timings are skipped, because {reason}.", warning=True)
        return {"skipped": reason}
    return None


def _time(context: StageContext, cards: list[ModelCard], measure: Measuring, peak: Peak) -> dict[str, Any]:
    skipped = not_timed(context, cards)
    if skipped is not None:
        return skipped
    from distill.engine.timing import TimedModel

    test = context.run.examples.part("test")
    models = [
        TimedModel(card.name, 0 if card.name == TEACHER else card.seed or 0, str(card.model_dir)) for card in cards
    ]
    frame = measure(context, models, test)
    write_frame(context.run.folder / "timings.parquet", frame)
    device = str(frame["device"].iloc[0]) if len(frame) else "cpu"
    return {"measurements": len(frame), "device": device, **_memory(context, cards, test, peak)}


def _memory(context: StageContext, cards: list[ModelCard], test: Examples, peak: Peak) -> dict[str, dict[str, int]]:
    """Peak memory in bytes by arm, each architecture measured once."""
    found: dict[tuple[object, ...], MemoryFacts] = {}
    facts: dict[str, MemoryFacts] = {}
    for card in cards:
        context.monitor.check()
        shape = (card.parameters, card.layers, card.bytes)
        if shape not in found:
            try:
                found[shape] = peak(context, card, test)
            except ModelError as error:
                context.monitor.note(f"Memory of '{card.name}' is not known: {error.message}", warning=True)
                continue
        facts[card.name] = found[shape]
    return {
        "peak_memory_bytes": {name: fact.peak_bytes for name, fact in facts.items()},
        "model_memory_bytes": {name: fact.model_bytes for name, fact in facts.items()},
    }


def _measure(context: StageContext, models: list[TimedModel], test: Examples) -> pd.DataFrame:
    from distill.engine.timing import time_models

    audit, tokens = context.spec.audit, context.spec.signals.max_tokens
    return time_models(
        models, test.labels, test.texts, test.pairs, audit.latency, tokens, context.monitor, seed=audit.seed
    )


def _peak(context: StageContext, card: ModelCard, test: Examples) -> MemoryFacts:
    from distill.engine.memory import peak_memory

    texts, pairs = test.texts[:MEMORY_TEXTS], test.pairs
    return peak_memory(
        str(card.model_dir),
        test.labels,
        texts,
        pairs[:MEMORY_TEXTS] if pairs else None,
        max_tokens=context.spec.signals.max_tokens,
    )
