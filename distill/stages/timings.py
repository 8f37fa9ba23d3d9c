"""Stage 'timings': how fast each model answers, interleaved on this machine, and how much memory it takes."""

from __future__ import annotations

from typing import Any

from distill.errors import ModelError
from distill.files import digest_of
from distill.plugins import StageContext
from distill.stages.frame import Outcome, once
from distill.stages.students import skipped_arms
from distill.store import TEACHER, ModelCard
from distill.types import Examples, write_frame

MEMORY_TEXTS = 64


def run_timings(context: StageContext) -> Outcome:
    """Write timings.parquet: raw measurements of the teacher and of the first seed of every arm (other seeds are as fast).

    Skipped, with the reason in the stage's summary and the log, where there is no model to time.
    """
    cards = models_to_time(context)
    latency = context.spec.audit.latency.model_dump(mode="json")
    digest = digest_of([latency, [[card.name, card.weights_digest] for card in cards]])
    path = context.run.folder / "timings.parquet"
    once(context, "timings", digest, lambda: _time(context, cards), (path,) if cards else ())
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


def _time(context: StageContext, cards: list[ModelCard]) -> dict[str, Any]:
    skipped = not_timed(context, cards)
    if skipped is not None:
        return skipped
    from distill.engine.timing import TimedModel, time_models

    test = context.run.examples.part("test")
    models = [
        TimedModel(card.name, 0 if card.name == TEACHER else card.seed or 0, str(card.model_dir)) for card in cards
    ]
    frame = time_models(
        models,
        test.labels,
        test.texts,
        test.pairs,
        context.spec.audit.latency,
        context.spec.signals.max_tokens,
        context.monitor,
        seed=context.spec.audit.seed,
    )
    write_frame(context.run.folder / "timings.parquet", frame)
    device = str(frame["device"].iloc[0]) if len(frame) else "cpu"
    return {"measurements": len(frame), "device": device, **_memory(context, cards, test)}


def _memory(context: StageContext, cards: list[ModelCard], test: Examples) -> dict[str, dict[str, int]]:
    """Peak memory in bytes by arm, each architecture measured once, in a process of its own."""
    from distill.engine.memory import MemoryFacts, peak_memory

    texts, pairs = test.texts[:MEMORY_TEXTS], test.pairs
    found: dict[tuple[object, ...], MemoryFacts] = {}
    facts: dict[str, MemoryFacts] = {}
    for card in cards:
        context.monitor.check()
        shape = (card.parameters, card.layers, card.bytes)
        if shape not in found:
            try:
                found[shape] = peak_memory(
                    str(card.model_dir),
                    test.labels,
                    texts,
                    pairs[:MEMORY_TEXTS] if pairs else None,
                    max_tokens=context.spec.signals.max_tokens,
                )
            except ModelError as error:
                context.monitor.note(f"Memory of '{card.name}' is not known: {error.message}", warning=True)
                continue
        facts[card.name] = found[shape]
    return {
        "peak_memory_bytes": {name: fact.peak_bytes for name, fact in facts.items()},
        "model_memory_bytes": {name: fact.model_bytes for name, fact in facts.items()},
    }
