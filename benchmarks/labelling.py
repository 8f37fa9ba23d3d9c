"""Labelling tweets: Heirloom's predictor against transformers.pipeline("text-classification", batch_size=32).

    python -m benchmarks.labelling [--texts 2048] [--rounds 3] [--json FILE]

Both read the same distinct tweets in the same order with the same teacher and return all probabilities; tokenisation is
inside the clock, loading is not. Processor time is shown beside: on a machine with other work it is the steadier ratio. Heirloom runs at its default precision (auto), the pipeline at its own (float32).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import pipeline

from benchmarks._common import LABELS, MAX_TOKENS, arguments, clocks, medians, prepare, report, tweets
from distill.engine.predict import Predictor
from distill.types import Floats


def _peer_probabilities(classify: Any, texts: list[str]) -> Floats:
    answers = classify(texts, batch_size=32, top_k=None, truncation=True, max_length=MAX_TOKENS)
    by_label = [{entry["label"]: entry["score"] for entry in answer} for answer in answers]
    return np.array([[scores[label] for label in LABELS] for scores in by_label])


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=int, default=2048)
    given = parser.parse_args()
    teacher, _ = prepare(given.folder)
    texts = tweets()["pool"].texts[: given.texts]
    predictor = Predictor(teacher, LABELS, max_tokens=MAX_TOKENS)
    classify = pipeline("text-classification", model=str(teacher), device="cpu", dtype=torch.float32)
    predictor.probabilities(texts[:256])
    _peer_probabilities(classify, texts[:64])
    rounds: list[dict[str, float]] = []
    for turn in range(given.rounds):
        began = clocks()
        ours = predictor.probabilities(texts)
        middle = clocks()
        theirs = _peer_probabilities(classify, texts)
        ended = clocks()
        mine, peers = (middle - began), (ended - middle)
        speeds = {"heirloom": len(texts) / mine[0], "pipeline": len(texts) / peers[0]}
        rounds.append({**speeds, "ratio": peers[0] / mine[0], "cpu_ratio": peers[1] / mine[1]})
        print(f"round {turn + 1}: {speeds['heirloom']:.0f} against {speeds['pipeline']:.0f} texts/s", flush=True)
    differences = np.abs(ours - theirs).ravel()
    p99, worst = float(np.quantile(differences, 0.99)), float(differences.max())
    same = float(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1)))
    middle_of = medians(rounds)
    print(
        f"\nlabelling, {len(texts)} tweets: {middle_of['heirloom']:.0f} texts/s, transformers.pipeline "
        f"{middle_of['pipeline']:.0f}: {middle_of['ratio']:.1f}x (target 3x; in processor time {middle_of['cpu_ratio']:.1f}x)\n"
        f"probabilities differ by {p99:.4f} at p99 (target 0.01), {worst:.4f} at worst; same label for {same:.1%}"
    )
    report({**middle_of, "p99": p99, "worst": worst, "same_label": same, "rounds": rounds}, given.json)


if __name__ == "__main__":
    main()
