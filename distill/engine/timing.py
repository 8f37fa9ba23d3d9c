"""Latency and throughput of several models, interleaved so that a noisy machine hits all of them alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from distill import energy
from distill.engine import Precision, generator, pick_device, use_threads
from distill.engine.predict import Predictor
from distill.monitor import Monitor
from distill.spec import LatencySpec

PASSES = 3  # throughput passes for each batch size and number of threads
WARM = 3  # texts, then one batch, that are read before the clock runs
ENERGY_ROUNDS = 3
ENERGY_SECONDS = 0.5  # of answering in one round, so that a hundredth of a second of processor time (what a system counts in) is little
COLUMNS = ["arm", "seed", "mode", "threads", "batch", "round", "texts", "tokens", "seconds", "device", "kwh"]


@dataclass(frozen=True)
class TimedModel:
    """A model to time, and the arm and seed that its rows carry."""

    arm: str
    seed: int
    model_dir: str | Path


@dataclass(frozen=True)
class _Timed:
    model: TimedModel
    predictor: Predictor
    tokens: np.ndarray[Any, np.dtype[np.int64]]  # of each text, as this model's tokenizer counts


def time_models(
    models: Sequence[TimedModel],
    labels: tuple[str, ...],
    texts: Sequence[str],
    pairs: Sequence[str | None] | None,
    options: LatencySpec,
    max_tokens: int,
    monitor: Monitor,
    *,
    seed: int = 0,
    precision: Precision = "fp32",
) -> pd.DataFrame:
    """Time every model with one thread and with all, warm, tokenisation included (it is what a user waits for).

    Latency: ``options.rounds`` rounds; in each, every model answers the same single text, in an order drawn anew.
    Throughput: for each batch size, passes over ``options.texts`` texts, models again interleaved.
    Energy, where this process is metered: rounds of half a second of answers at the largest batch, models interleaved.

    Returns:
        One row a measurement: arm, seed, mode ('latency', 'throughput' or 'energy'), threads, batch, round, texts, tokens, seconds,
        device, kwh (of 'energy' alone).
    """
    source = generator(seed, 0x71)
    rows = np.sort(source.permutation(len(texts))[: options.texts])
    chosen = [texts[row] for row in rows]
    chosen_pairs = None if pairs is None else [pairs[row] for row in rows]
    ready = [_prepare(model, labels, chosen, chosen_pairs, max_tokens, precision) for model in models]
    plan = _plan(options, len(chosen))
    records: list[dict[str, Any]] = []
    meter = energy.meter()
    with meter.quiet() if meter else nullcontext():
        records += _timed_rounds(ready, plan, chosen, chosen_pairs, source, monitor)
        if meter:
            largest, rows = max(options.batch_sizes), np.arange(len(chosen))

            def answer(position: int) -> list[dict[str, Any]]:
                return [_measure(ready[position], min(largest, len(rows)), rows, chosen, chosen_pairs)]

            records += energy_rounds(len(ready), answer, ("texts", "tokens"), largest, source, monitor)
    return measurements(records, COLUMNS)


def _timed_rounds(
    ready: Sequence[_Timed],
    plan: Sequence[tuple[str, int, int, int]],
    chosen: list[str],
    chosen_pairs: list[str | None] | None,
    source: np.random.Generator,
    monitor: Monitor,
) -> list[dict[str, Any]]:
    """Latency and throughput as planned."""
    records: list[dict[str, Any]] = []
    for done, (mode, threads, batch, turn) in enumerate(plan):
        with use_threads(threads):
            if turn == 0:
                for timed in ready:
                    _warm(timed, batch, chosen, chosen_pairs)
            picked = source.integers(len(chosen), size=1) if mode == "latency" else np.arange(len(chosen))
            for position in source.permutation(len(ready)):
                record = _measure(ready[position], batch, picked, chosen, chosen_pairs)
                records.append({"mode": mode, "threads": threads, "batch": batch, "round": turn, **record})
        monitor.progress(done + 1, len(plan), unit="rounds", note=f"{mode}, {threads} threads, batch {batch}")
    return records


def energy_rounds(
    models: int,
    answer: Callable[[int], list[dict[str, Any]]],
    counted: Sequence[str],
    batch: int,
    source: np.random.Generator,
    monitor: Monitor,
) -> list[dict[str, Any]]:
    """kWh of answering the same over and over for a while, with all threads; models interleaved, a record a model and round.

    Args:
        models: how many.
        answer: one pass of a model, by its position: records with seconds and what is ``counted``, which are added up.
        counted: such as 'texts' and 'tokens'.
        batch: for the records.
        source: of the order.
        monitor: may cancel between rounds.
    """
    records: list[dict[str, Any]] = []
    for turn in range(ENERGY_ROUNDS):
        for position in source.permutation(models):
            before = energy.reading()
            passes: list[dict[str, Any]] = []
            while not passes or sum(one["seconds"] for one in passes) < ENERGY_SECONDS:
                passes += answer(int(position))
            sums = {name: sum(one[name] for one in passes) for name in (*counted, "seconds")}
            facts = {"mode": "energy", "threads": all_threads(), "batch": batch, "round": turn}
            records.append({**passes[0], **sums, **facts, "kwh": energy.since(before)})
        monitor.check()
    return records


def measurements(records: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Records as a table of ``columns``, with the device and, where energy was not read, no kWh."""
    frame = pd.DataFrame(records).reindex(columns=list(columns))
    frame["kwh"] = frame["kwh"].astype(np.float64)
    frame["device"] = device_name()
    return frame


def device_name() -> str:
    """What the figures were measured on: the GPU's name, or the processor's and its number of cores."""
    if pick_device().type == "cuda":
        return str(torch.cuda.get_device_name())
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        lines = [line for line in facts.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return f"{name}, {os.cpu_count()} cores"


def all_threads() -> int:
    """Threads that torch takes when it is left alone."""
    return torch.get_num_threads()


def _plan(options: LatencySpec, available: int) -> list[tuple[str, int, int, int]]:
    threads = sorted({1, all_threads()})
    latency = [("latency", count, 1, turn) for count, turn in product(threads, range(options.rounds))]
    sizes = sorted({min(size, available) for size in options.batch_sizes})
    return latency + [("throughput", *rest) for rest in product(threads, sizes, range(PASSES))]


def _prepare(
    model: TimedModel,
    labels: tuple[str, ...],
    texts: list[str],
    pairs: list[str | None] | None,
    max_tokens: int,
    precision: Precision,
) -> _Timed:
    predictor = Predictor(model.model_dir, labels, max_tokens=max_tokens, precision=precision)
    return _Timed(model, predictor, predictor.encode(texts, pairs).lengths)


def _warm(timed: _Timed, batch: int, texts: list[str], pairs: list[str | None] | None) -> None:
    for rows in [np.array([row % len(texts)]) for row in range(WARM)] + [np.arange(min(batch, len(texts)))]:
        _measure(timed, batch, rows, texts, pairs)


def _measure(
    timed: _Timed,
    batch: int,
    rows: np.ndarray[Any, np.dtype[np.int64]],
    texts: list[str],
    pairs: list[str | None] | None,
) -> dict[str, Any]:
    asked = [texts[row] for row in rows]
    asked_pairs = None if pairs is None else [pairs[row] for row in rows]
    timed.predictor.batch_size = batch
    began = time.perf_counter()
    timed.predictor.probabilities(asked, asked_pairs)
    seconds = time.perf_counter() - began
    facts = {"arm": timed.model.arm, "seed": timed.model.seed, "texts": len(rows)}
    return {**facts, "tokens": int(timed.tokens[rows].sum()), "seconds": seconds}
