"""How fast language models write: time to the first token, time for each further one, and tokens a second against the batch; arms interleaved."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import torch

from distill import energy
from distill.engine import Precision, generator, use_threads
from distill.engine.chat import Int32s
from distill.engine.decode import decoder_of
from distill.engine.generate import Asking, exact_logits, write_answers
from distill.engine.language_model import LanguageModel
from distill.engine.timing import TimedModel, all_threads, energy_rounds, measurements
from distill.monitor import Monitor
from distill.spec import GenerationSpec, LatencySpec

PASSES = 2  # throughput passes for each batch size and number of threads
TOKENS = 16  # written in one measurement: enough to average over, and the same for every arm
COLUMNS = ["arm", "seed", "mode", "threads", "batch", "round", "tokens", "seconds", "device", "kwh"]


@dataclass(frozen=True)
class _Timed:
    model: TimedModel
    asked: LanguageModel
    prompts: list[Int32s]


def time_writers(
    models: Sequence[TimedModel],
    texts: Sequence[str],
    asking: GenerationSpec,
    options: LatencySpec,
    monitor: Monitor,
    *,
    seed: int = 0,
    precision: Precision = "fp32",
) -> pd.DataFrame:
    """Time every model with one thread and with all, warm.

    ``first_token``: reading one prompt and choosing a token (tokens 1). ``per_token``: the TOKENS − 1 after it, one text alone.
    ``throughput``: TOKENS tokens for each of a batch's prompts, prompts included. In each round every model gets the same prompts, in
    an order drawn anew; no end token stops them, so all write the same number of tokens. ``energy``, where this process is metered: rounds
    of at least half a second of throughput at the largest batch, with all threads.

    Returns:
        One row a measurement: arm, seed, mode, threads, batch, round, tokens, seconds, device, kwh (of 'energy' alone).
    """
    source = generator(seed, 0x72)
    rows = np.sort(source.permutation(len(texts))[: options.texts])
    ready = [_prepare(model, [texts[row] for row in rows], asking, precision) for model in models]
    plan = _plan(options, len(rows))
    records: list[dict[str, Any]] = []
    meter = energy.meter()
    with torch.inference_mode(), meter.quiet() if meter else nullcontext():
        for done, (mode, threads, batch, turn) in enumerate(plan):
            with use_threads(threads):
                picked = source.integers(len(rows), size=batch)
                if turn == 0:
                    for timed in ready:
                        _measure(timed, mode, batch, picked)
                for position in source.permutation(len(ready)):
                    found = _measure(ready[position], mode, batch, picked)
                    records += [{"threads": threads, "batch": batch, "round": turn, **record} for record in found]
            monitor.progress(done + 1, len(plan), unit="rounds", note=f"{mode}, {threads} threads, batch {batch}")
        if meter:
            largest = min(max(options.batch_sizes), len(rows))
            same = np.arange(largest, dtype=np.int64)

            def answer(position: int) -> list[dict[str, Any]]:
                return _measure(ready[position], "throughput", largest, same)

            records += energy_rounds(len(ready), answer, ("tokens",), largest, source, monitor)
    return measurements(records, COLUMNS)


def _prepare(model: TimedModel, texts: list[str], asking: GenerationSpec, precision: Precision) -> _Timed:
    asked = LanguageModel(model.model_dir, precision)
    return _Timed(model, asked, asked.prompts(texts, asking).ids)


def _plan(options: LatencySpec, available: int) -> list[tuple[str, int, int, int]]:
    threads = sorted({1, all_threads()})
    alone = [("alone", count, 1, turn) for count, turn in product(threads, range(options.rounds))]
    sizes = sorted({min(size, available) for size in options.batch_sizes})
    return alone + [("throughput", *rest) for rest in product(threads, sizes, range(PASSES))]


def _measure(timed: _Timed, mode: str, batch: int, picked: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    facts = {"arm": timed.model.arm, "seed": timed.model.seed}
    if mode == "alone":
        first, further = _alone(timed.asked, timed.prompts[int(picked[0])])
        return [
            {**facts, "mode": "first_token", "tokens": 1, "seconds": first},
            {**facts, "mode": "per_token", "tokens": TOKENS - 1, "seconds": further},
        ]
    prompts = [timed.prompts[int(row)] for row in picked]
    began = time.perf_counter()
    write_answers(timed.asked.forward, prompts, Asking(TOKENS, (), batch), None)
    return [{**facts, "mode": "throughput", "tokens": batch * TOKENS, "seconds": time.perf_counter() - began}]


def _alone(asked: LanguageModel, prompt: Int32s) -> tuple[float, float]:
    """Seconds to the first token, and for the TOKENS − 1 after it."""
    place = np.zeros(1, dtype=np.int64)
    began = time.perf_counter()
    decoder = decoder_of(asked.forward, 1, len(prompt) + TOKENS)
    token = exact_logits(asked.forward, decoder.begin(place, [prompt])).argmax(dim=-1)
    first = time.perf_counter()
    for _ in range(TOKENS - 1):
        token = exact_logits(asked.forward, decoder.go_on(place, token)).argmax(dim=-1)
    return first - began, time.perf_counter() - first
