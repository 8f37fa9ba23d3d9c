"""The torch engine: loading, picking layers, training, predicting and timing encoder classifiers.

This package is the only place that imports torch and transformers at module top. Import it (and anything below it) only in
the process that trains or predicts, lazily, inside the function that needs it.

    loading     checkpoint -> LoadedClassifier, and back (safetensors only)
    layers      a student from some of a teacher's layers
    losses      soft targets
    encode      texts -> ragged arrays of token ids -> batches of like length
    forward     logits of a batch: transformers' own, or a leaner way for the BERT family
    predict     probabilities in input order
    train       one function for every arm that learns
    checkpoint  the state of a training that was interrupted
    timing      latency and throughput, arms interleaved
    memory      peak memory of one model, in a process of its own

Threads: OpenMP waits passively, and torch takes all cores unless ``use_threads`` says otherwise. Bit-identical results need the same number of threads
and the same versions, so a checkpoint carries both.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

# libgomp reads this once, when torch loads it. By default its threads spin between two parallel regions; on a machine that has
# other work to do (a browser, the server) they then wait for each other: a small training was seen to take 59 s, not 3.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

Precision = Literal["auto", "fp32", "bf16"]


def keep_freed_memory() -> None:
    """Tell glibc to keep what a step frees for the next one: giving it back and taking it anew costs 10 % of a training step."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        mallopt(m_mmap_threshold, 1 << 28)
        mallopt(m_trim_threshold, 1 << 30)


keep_freed_memory()


def seed_everything(seed: int) -> None:
    """Seed torch on every device; nothing in the engine draws from ``random`` or from numpy's global state."""
    torch.manual_seed(seed)


def generator(*parts: int) -> np.random.Generator:
    """A numpy generator that depends on ``parts`` (seed, epoch, …) alone."""
    return np.random.default_rng(np.random.SeedSequence([part & 0xFFFFFFFF for part in parts]))


def pick_device(name: str = "auto") -> torch.device:
    """``cuda`` where there is one, else ``cpu``; or the device that ``name`` says."""
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def profits_from_bf16(device: torch.device) -> bool:
    """True where bfloat16 products run in hardware; elsewhere they are emulated and slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"))
    return False


def pick_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype of weights and activations: ``auto`` means bfloat16 where it profits, else float32."""
    if precision == "auto":
        return torch.bfloat16 if profits_from_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


@contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Within the block torch, and the tokeniser, use ``count`` threads (None: as they are)."""
    if count is None:
        yield
        return
    before, parallel = torch.get_num_threads(), os.environ.get("TOKENIZERS_PARALLELISM")
    torch.set_num_threads(count)
    os.environ["TOKENIZERS_PARALLELISM"] = "false" if count == 1 else "true"
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if parallel is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = parallel
