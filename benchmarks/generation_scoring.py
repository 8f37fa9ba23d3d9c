"""Log-likelihoods of continuations: Heirloom's scorer against lm-evaluation-harness (its `hf` model), same model, same items, float32.

    python -m benchmarks.generation_scoring [--questions 60] [--rounds 3] [--json FILE]

Items are every option of multiple-choice questions of three packs, as the audit asks them. Each side loads the model outside the clock and
scores all items inside it (tokenisation included); lm-evaluation-harness takes the batch size that is given, 32. The scores must agree.
Processor time is shown beside: on a machine with other work it is the steadier ratio.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._common import arguments, clocks, medians, report
from benchmarks._language_models import in_process, peers_python, teacher_dir
from distill.data import packs

BATCH = 32
SETS = ("openbookqa", "piqa", "mmlu_clinical")


def items(questions: int) -> list[tuple[str, str]]:
    """Context and continuation of every option of the first questions of each set."""
    found = []
    for name in SETS:
        frame = packs.dataset(name).frame
        kept = list(dict.fromkeys(frame["unit"]))[:questions]
        rows = frame[frame["unit"].isin(kept)]
        found += [(f"Question: {t}\nAnswer:", f" {p}") for t, p in zip(rows["text"], rows["pair"], strict=True)]
    return found


def _heirloom(model_dir: Path, asked: list[tuple[str, str]]) -> dict[str, Any]:
    from distill.engine.language_model import LanguageModel
    from distill.engine.score import log_likelihoods

    model = LanguageModel(model_dir, "fp32")
    log_likelihoods(model, [c for c, _ in asked[:16]], [c for _, c in asked[:16]])
    began = clocks()
    found = log_likelihoods(model, [context for context, _ in asked], [text for _, text in asked])
    wall, busy = (clocks() - began).tolist()
    return {
        "seconds": wall,
        "cpu": busy,
        "scores": [one.loglik for one in found],
        "greedy": [one.greedy for one in found],
    }


def _harness(model_dir: Path, asked: list[tuple[str, str]]) -> dict[str, Any]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(model_dir), dtype="float32", device="cpu", batch_size=BATCH)

    def requests(pairs: list[tuple[str, str]]) -> list[Any]:
        return [Instance("loglikelihood", {}, pair, number) for number, pair in enumerate(pairs)]

    model.loglikelihood(requests(asked[:16]), disable_tqdm=True)
    began = clocks()
    found = model.loglikelihood(requests(asked), disable_tqdm=True)
    wall, busy = (clocks() - began).tolist()
    return {
        "seconds": wall,
        "cpu": busy,
        "scores": [one[0] for one in found],
        "greedy": [bool(one[1]) for one in found],
    }


def main() -> None:
    """Measure and print; with --role do one side's part."""
    parser = arguments(__doc__)
    parser.add_argument("--questions", type=int, default=60, help="of each set")
    parser.add_argument("--role", choices=["heirloom", "harness"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    asked = items(given.questions)
    model_dir = teacher_dir(given.folder)
    if given.role:
        print(json.dumps({"heirloom": _heirloom, "harness": _harness}[given.role](model_dir, asked)))
        return
    python = peers_python(given.folder)
    options = ("--questions", str(given.questions), "--folder", str(given.folder))
    rounds: list[dict[str, float]] = []
    worst = 0.0
    for turn in range(given.rounds):
        mine = in_process(sys.executable, "generation_scoring", "--role", "heirloom", *options)
        peer = in_process(python, "generation_scoring", "--role", "harness", *options)
        worst = max(worst, float(np.abs(np.array(mine["scores"]) - np.array(peer["scores"])).max()))
        speeds = {"heirloom": len(asked) / mine["seconds"], "harness": len(asked) / peer["seconds"]}
        ratios = {"ratio": peer["seconds"] / mine["seconds"], "cpu_ratio": peer["cpu"] / mine["cpu"]}
        same = float(np.mean(np.array(mine["greedy"]) == np.array(peer["greedy"])))
        rounds.append({**speeds, **ratios, "same_greedy": same})
        print(f"round {turn + 1}: {speeds['heirloom']:.1f} against {speeds['harness']:.1f} items/s", flush=True)
    middle = medians(rounds)
    print(
        f"\nlog-likelihood of {len(asked)} items: {middle['heirloom']:.1f} items/s, lm-evaluation-harness {middle['harness']:.1f}:"
        f" {middle['ratio']:.2f}x (target 1.5x; in processor time {middle['cpu_ratio']:.2f}x)\n"
        f"scores differ by {worst:.1e} nats at most (target 1e-3); same greedy flag for {middle['same_greedy']:.1%}"
    )
    report({**middle, "worst": worst, "items": len(asked), "rounds": rounds}, given.json)


if __name__ == "__main__":
    main()
