"""Answers of the local teacher: Heirloom's batched writer against transformers' generate in the order given, same model, batch size and limits.

    python -m benchmarks.generation_labelling [--prompts 128] [--rounds 3] [--json FILE]

Both sample at temperature 0.7 and top-p 0.95 in bfloat16 (where the processor profits) with the same limit; Heirloom keeps the 50 most probable
tokens of each step beside it, generate keeps nothing. Tokens are those of the answers up to their end. Processor time is shown beside. Then
the signals are packed: bytes a token, and how far the grid moves a log-probability.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._common import arguments, clocks, medians, report
from benchmarks._language_models import prompts, teacher_dir
from distill.engine import pick_device, pick_dtype
from distill.engine.causal_loading import load_causal
from distill.engine.generate import Answer, Asking, write_answers
from distill.engine.language_model import LanguageModel
from distill.engine.sampling import uniforms
from distill.spec import GenerationSpec
from distill.token_signals import TokenSignal, read_signals, write_signals
from distill.writing import SHARD

ASKING = GenerationSpec()
SIZE_TARGET, ERROR_TARGET = 114.0, 0.02


def _heirloom(model: LanguageModel, ids: list[Any]) -> list[Answer]:
    how = Asking(
        ASKING.max_new_tokens, model.ends, ASKING.batch_size, ASKING.temperature, ASKING.top_p, ASKING.top_k_signals
    )
    draws = [uniforms(1, str(row), 0, ASKING.max_new_tokens) for row in range(len(ids))]
    return write_answers(model.forward, ids, how, draws)


def _peer(model: Any, ids: list[Any], end: int) -> int:
    """Tokens that transformers' generate wrote for prompts in batches, padded on the left as its documentation says."""
    tokens = 0
    torch.manual_seed(1)
    for start in range(0, len(ids), ASKING.batch_size):
        part = ids[start : start + ASKING.batch_size]
        width = max(len(row) for row in part)
        padded = torch.full((len(part), width), end)
        mask = torch.zeros(len(part), width, dtype=torch.int64)
        for place, row in enumerate(part):
            padded[place, width - len(row) :] = torch.from_numpy(row.astype(np.int64))
            mask[place, width - len(row) :] = 1
        with torch.inference_mode():
            written = model.generate(
                input_ids=padded,
                attention_mask=mask,
                max_new_tokens=ASKING.max_new_tokens,
                do_sample=True,
                temperature=ASKING.temperature,
                top_p=ASKING.top_p,
                top_k=0,
                pad_token_id=end,
            )[:, width:]
        ended = (written == end).int().cumsum(dim=1)
        tokens += int((ended - (written == end).int() == 0).sum())
    return tokens


def _packed(ids: list[Any], answers: list[Answer]) -> tuple[float, float]:
    """Bytes a token, prompts included, and mean |Δ log p| on the k."""
    signals = [
        TokenSignal(f"{row:032x}/0", prompt, one.ids, one.topk_ids, one.topk_logprobs, one.tail)
        for row, (prompt, one) in enumerate(zip(ids, answers, strict=True))
    ]
    size = moved = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for start in range(0, len(signals), SHARD):
            path = Path(folder) / f"{start}.parquet"
            write_signals(path, signals[start : start + SHARD])
            size += path.stat().st_size
            for before, after in zip(signals[start : start + SHARD], read_signals(path), strict=True):
                moved += float(np.abs(before.topk_logprobs - after.topk_logprobs).sum())
    tokens = sum(len(one.ids) for one in answers)
    return size / tokens, moved / (tokens * ASKING.top_k_signals)


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--prompts", type=int, default=128)
    given = parser.parse_args()
    folder = teacher_dir(given.folder)
    model = LanguageModel(folder)
    ids = model.prompts(prompts(given.prompts), ASKING).ids
    peer = load_causal(folder).model.to(pick_dtype("auto", pick_device()))
    _heirloom(model, ids[:8])
    _peer(peer, ids[:8], model.ends[0])
    rounds: list[dict[str, float]] = []
    answers: list[Answer] = []
    for turn in range(given.rounds):
        began = clocks()
        answers = _heirloom(model, ids)
        middle = clocks()
        theirs = _peer(peer, ids, model.ends[0])
        ended = clocks()
        mine = sum(len(one.ids) for one in answers)
        own, other = (middle - began) / mine, (ended - middle) / theirs
        rounds.append(
            {
                "heirloom": float(1 / own[0]),
                "generate": float(1 / other[0]),
                "ratio": float(other[0] / own[0]),
                "cpu_ratio": float(other[1] / own[1]),
            }
        )
        print(f"round {turn + 1}: {1 / own[0]:.0f} against {1 / other[0]:.0f} tokens/s", flush=True)
    size, moved = _packed(ids, answers)
    found = medians(rounds)
    print(
        f"\nanswers to {len(ids)} prompts: {found['heirloom']:.0f} tokens/s with the top {ASKING.top_k_signals} kept, transformers"
        f" generate {found['generate']:.0f}: {found['ratio']:.2f}x (target 1.5x; in processor time {found['cpu_ratio']:.2f}x)\n"
        f"packed signals: {size:.1f} bytes a token, prompts included (target {SIZE_TARGET:g}); mean |Δ log p| {moved:.4f}"
        f" (target {ERROR_TARGET:g})"
    )
    report({**found, "bytes_per_token": size, "mean_error": moved, "rounds": rounds}, given.json)


if __name__ == "__main__":
    main()
