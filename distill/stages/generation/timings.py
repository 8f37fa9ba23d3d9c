"""Stage 'timings' of language models: time to first token, time per token, tokens a second, memory; interleaved on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from distill.plugins import StageContext
from distill.stages.frame import Outcome
from distill.stages.timings import timed
from distill.store import ModelCard
from distill.types import Examples

if TYPE_CHECKING:
    from distill.engine.memory import MemoryFacts
    from distill.engine.timing import TimedModel

MEMORY_TEXTS = 8


def run_timings(context: StageContext) -> Outcome:
    """Time language models: see :func:`distill.stages.timings.timed`."""
    return timed(context, ("generation",), _measure, _peak)


def _measure(context: StageContext, models: list[TimedModel], test: Examples) -> pd.DataFrame:
    from distill.engine.timing_causal import time_writers

    spec = context.spec
    return time_writers(models, test.texts, spec.asking, spec.audit.latency, context.monitor, seed=spec.audit.seed)


def _peak(context: StageContext, card: ModelCard, test: Examples) -> MemoryFacts:
    """Of a process that answers some prompts."""
    from distill.engine.memory import peak_memory_of_writer

    asking = context.spec.asking.model_dump(mode="json")
    return peak_memory_of_writer(str(card.model_dir), test.texts[:MEMORY_TEXTS], asking)
