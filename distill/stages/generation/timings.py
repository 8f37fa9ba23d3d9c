"""Stage 'timings' of language models: time to first token, time per token, tokens a second, memory; interleaved on this machine."""

from __future__ import annotations

from typing import Any

from distill.errors import ModelError
from distill.files import digest_of
from distill.plugins import StageContext
from distill.stages.frame import Outcome, once
from distill.stages.timings import models_to_time, not_timed
from distill.store import TEACHER, ModelCard
from distill.types import Examples, write_frame

MEMORY_TEXTS = 8


def run_timings(context: StageContext) -> Outcome:
    """Write timings.parquet: raw measurements of the teacher and of the first seed of every arm (other seeds are as fast)."""
    cards = models_to_time(context)
    latency = context.spec.audit.latency.model_dump(mode="json")
    digest = digest_of(["generation", latency, [[card.name, card.weights_digest] for card in cards]])
    path = context.run.folder / "timings.parquet"
    once(context, "timings", digest, lambda: _time(context, cards), (path,) if cards else ())
    return "done"


def _time(context: StageContext, cards: list[ModelCard]) -> dict[str, Any]:
    skipped = not_timed(context, cards)
    if skipped is not None:
        return skipped
    from distill.engine.timing import TimedModel
    from distill.engine.timing_causal import time_writers

    test = context.run.examples.part("test")
    models = [
        TimedModel(card.name, 0 if card.name == TEACHER else card.seed or 0, str(card.model_dir)) for card in cards
    ]
    spec = context.spec
    frame = time_writers(models, test.texts, spec.asking, spec.audit.latency, context.monitor, seed=spec.audit.seed)
    write_frame(context.run.folder / "timings.parquet", frame)
    device = str(frame["device"].iloc[0]) if len(frame) else "cpu"
    return {"measurements": len(frame), "device": device, **_memory(context, cards, test)}


def _memory(context: StageContext, cards: list[ModelCard], test: Examples) -> dict[str, dict[str, int]]:
    """Peak memory in bytes by arm, each architecture measured once, in a process of its own that answers some prompts."""
    from distill.engine.memory import MemoryFacts, peak_memory_of_writer

    found: dict[tuple[object, ...], MemoryFacts] = {}
    facts: dict[str, MemoryFacts] = {}
    for card in cards:
        context.monitor.check()
        shape = (card.parameters, card.layers, card.bytes)
        if shape not in found:
            try:
                found[shape] = peak_memory_of_writer(
                    str(card.model_dir), test.texts[:MEMORY_TEXTS], context.spec.asking.model_dump(mode="json")
                )
            except ModelError as error:
                context.monitor.note(f"Memory of '{card.name}' is not known: {error.message}", warning=True)
                continue
        facts[card.name] = found[shape]
    return {
        "peak_memory_bytes": {name: fact.peak_bytes for name, fact in facts.items()},
        "model_memory_bytes": {name: fact.model_bytes for name, fact in facts.items()},
    }
