"""Distillation training: Heirloom from stored signals against transformers.Trainer with a KL compute_loss and the teacher live.

    python -m benchmarks.training [--texts 4096] [--rounds 3] [--json FILE]

Same two-layer student, same trainable parameters (embeddings frozen), same loss, learning rate, schedule, clipping and epochs.
The peers:

    tuned      batch 32, bfloat16, grouped by length (SDPA attention and fused AdamW are the Trainer's own defaults)
    defaults   TrainingArguments as they come: batch 8, float32, random order

Every run has a process of its own, runs are interleaved, and the clock covers tokenisation and training, neither imports nor
loading. Peak memory is the process's largest resident set. The time to label the texts once is shown beside, since Heirloom
pays it before the first of all its trainings. The default Trainer reads fewer texts (its speed does not depend on them).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

from benchmarks._common import (
    LABELS,
    MAX_TOKENS,
    TEMPERATURE,
    accuracy,
    arguments,
    clocks,
    in_fresh_process,
    medians,
    options,
    prepare,
    report,
    tweets,
)
from distill.engine.loading import load_classifier, save_classifier
from distill.engine.losses import soft_target_loss
from distill.engine.memory import peak_resident
from distill.engine.predict import Predictor
from distill.engine.train import freeze_embeddings, train_classifier
from distill.monitor import Monitor
from distill.types import Floats

SCHEDULE: dict[str, Any] = {
    "learning_rate": 2e-4,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0.06,
    "weight_decay": 0.01,
    "max_grad_norm": 1.0,
}
TUNED: dict[str, Any] = {
    **SCHEDULE,
    "per_device_train_batch_size": 32,
    "bf16": True,
    "train_sampling_strategy": "group_by_length",
}
EPOCHS = 2


class DistilTrainer(Trainer):  # type: ignore[misc] # transformers is not typed
    """The usual recipe: the teacher runs live inside compute_loss."""

    def __init__(self, teacher: torch.nn.Module, **given: Any) -> None:
        super().__init__(**given)
        self.teacher = teacher

    def compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> torch.Tensor:
        """KL between the softened teacher and student, times T²."""
        with torch.no_grad():
            taught = self.teacher(**inputs).logits.float()
        return soft_target_loss(model(**inputs).logits.float(), taught.softmax(-1), TEMPERATURE)


def run_peer(given: argparse.Namespace, settings: dict[str, Any]) -> dict[str, float]:
    """Train the student with the Trainer."""
    teacher, student = prepare(given.folder)
    texts = tweets()["pool"].texts[: given.texts]
    taught = load_classifier(str(teacher), LABELS).model.eval()
    learner = load_classifier(str(student), LABELS)
    freeze_embeddings(learner.model)
    began = clocks()
    coded = learner.tokenizer(texts, truncation=True, max_length=MAX_TOKENS)
    rows = [{key: coded[key][row] for key in coded} for row in range(len(texts))]
    trainer = DistilTrainer(
        taught,
        model=learner.model,
        args=TrainingArguments(
            output_dir=str(given.out / "trainer"),
            use_cpu=True,
            seed=given.seed,
            num_train_epochs=EPOCHS,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            remove_unused_columns=False,
            **settings,
        ),
        train_dataset=rows,
        data_collator=DataCollatorWithPadding(learner.tokenizer),
    )
    trainer.train()
    took = clocks() - began
    peak = peak_resident()
    learner.model.eval()
    save_classifier(learner, given.out / "model")
    return _facts(learner.model, len(texts), took, peak, given.out / "model")


def run_heirloom(given: argparse.Namespace) -> dict[str, float]:
    """Train the student from the stored signals."""
    _, student = prepare(given.folder)
    texts = tweets()["pool"].texts[: given.texts]
    signals = np.load(given.folder / "signals.npy")[: given.texts]
    learner = load_classifier(str(student), LABELS)
    began = clocks()
    result = train_classifier(
        learner,
        texts,
        None,
        signals,
        options(epochs=EPOCHS),
        seed=given.seed,
        max_tokens=MAX_TOKENS,
        dev=None,
        arm="distilled",
        folder=given.out,
        monitor=Monitor(),
    )
    took = clocks() - began
    peak = peak_resident()
    freeze_embeddings(result.loaded.model)
    save_classifier(result.loaded, given.out / "model")
    return _facts(result.loaded.model, len(texts), took, peak, given.out / "model")


def _facts(model: Any, texts: int, took: Floats, peak: int, folder: Path) -> dict[str, float]:
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    speed, cpu_speed = texts * EPOCHS / took
    return {
        "speed": float(speed),
        "cpu_speed": float(cpu_speed),
        "peak": peak / 1e6,
        "trainable": trainable,
        "accuracy": accuracy(folder),
    }


def label(folder: Path, count: int) -> float:
    """Store the teacher's signals for the first ``count`` pool texts; seconds that it took."""
    teacher, _ = prepare(folder)
    texts = tweets()["pool"].texts[:count]
    predictor = Predictor(teacher, LABELS, max_tokens=MAX_TOKENS)
    began = time.perf_counter()
    probs = predictor.probabilities(texts)
    seconds = time.perf_counter() - began
    np.save(folder / "signals.npy", probs)
    return seconds


def _one_run(given: argparse.Namespace) -> dict[str, float]:
    if given.role == "heirloom":
        return run_heirloom(given)
    return run_peer(given, TUNED if given.role == "tuned" else {})


def _measure(given: argparse.Namespace, role: str, seed: int, texts: int) -> dict[str, float]:
    out = given.folder / "runs" / f"{role}-{seed}"
    values = ["--role", role, "--seed", str(seed), "--texts", str(texts), "--out", str(out)]
    found = in_fresh_process("training", *values, "--folder", str(given.folder))
    print(
        f"  {role:9} {found['speed']:6.0f} texts/s  accuracy {found['accuracy']:.4f}  peak {found['peak']:.0f} MB",
        flush=True,
    )
    return found


def main() -> None:
    """Measure and print; with --role, one run that prints JSON."""
    parser = arguments(__doc__)
    parser.add_argument("--texts", type=int, default=4096)
    parser.add_argument("--role", choices=["heirloom", "tuned", "defaults"], help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role:
        print(json.dumps(_one_run(given)))
        return
    prepare(given.folder)
    labelling = label(given.folder, given.texts)
    rounds: list[dict[str, dict[str, float]]] = []
    for turn in range(given.rounds):
        print(f"round {turn + 1}")
        sizes = {"heirloom": given.texts, "tuned": given.texts, "defaults": max(256, given.texts // 8)}
        rounds.append({role: _measure(given, role, turn + 1, size) for role, size in sizes.items()})
    _conclude(given, labelling, rounds)


def _conclude(given: argparse.Namespace, labelling: float, rounds: list[dict[str, dict[str, float]]]) -> None:
    middle = {role: medians([turn[role] for turn in rounds]) for role in rounds[0]}
    ratios = {
        (peer, clock): statistics.median(turn["heirloom"][clock] / turn[peer][clock] for turn in rounds)
        for peer in ("tuned", "defaults")
        for clock in ("speed", "cpu_speed")
    }
    means = {role: statistics.mean(turn[role]["accuracy"] for turn in rounds) for role in ("heirloom", "tuned")}
    ours = middle["heirloom"]
    with_labelling = given.texts * EPOCHS / (given.texts * EPOCHS / ours["speed"] + labelling)
    print(
        f"\ntraining, {given.texts} tweets x {EPOCHS} epochs, {ours['trainable']:,.0f} trainable parameters: "
        f"{ours['speed']:.0f} texts/s (labelling them once: {labelling:.1f} s, included in one training: "
        f"{with_labelling:.0f} texts/s)\n"
        f"Trainer, tuned:    {middle['tuned']['speed']:5.0f} texts/s: {ratios[('tuned', 'speed')]:.1f}x (target 3x; "
        f"in processor time {ratios[('tuned', 'cpu_speed')]:.1f}x)\n"
        f"Trainer, defaults: {middle['defaults']['speed']:5.0f} texts/s: {ratios[('defaults', 'speed')]:.1f}x (target 6x; "
        f"in processor time {ratios[('defaults', 'cpu_speed')]:.1f}x)\n"
        f"accuracy over {len(rounds)} seeds: {means['heirloom']:.4f}, tuned {means['tuned']:.4f} (target: within 0.005)\n"
        f"peak memory: {ours['peak']:.0f} MB, tuned {middle['tuned']['peak']:.0f} MB: "
        f"{ours['peak'] / middle['tuned']['peak']:.2f}x (target: at most 1)"
    )
    assert ours["trainable"] == middle["tuned"]["trainable"], "the students differ in what they train"
    named = {f"{peer}_{clock}": ratio for (peer, clock), ratio in ratios.items()}
    figures = {"ratios": named, "medians": middle, "accuracy": means, "labelling_seconds": labelling}
    report({**figures, "texts": given.texts, "rounds": rounds}, given.json)


if __name__ == "__main__":
    main()
