"""Distilling a language model from stored signals: Heirloom against TRL's GKDTrainer (λ 0, forward KL) on the same completions, teacher live.

    python -m benchmarks.generation_training [--answers 256] [--rounds 3] [--json FILE]

SmolLM2-135M-Instruct teaches a student with 15 of its 30 layers; batch 32, AdamW, bfloat16 on float32 weights, embeddings (and the head that
is tied to them) frozen on both sides, one pass. TRL's DistillationTrainer writes its own completions, so GKDTrainer is the one that can be given
them. Each side runs in a process of its own; its first two steps warm up, the rest are on the clock. TRL takes the batch in four parts (gradient accumulation): with all 32 answers at once its logits did not fit into 23 GB. Tokens are those of the answers. Heirloom's
time holds reading and unpacking the signals; what it took to capture them (answers included) is shown beside.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks._common import arguments, clocks, medians, report
from benchmarks._language_models import in_process, peers_python, prompts, student_dir, teacher_dir
from distill.engine.memory import peak_resident
from distill.files import read_json, write_json
from distill.monitor import Monitor
from distill.spec import GenerationSpec, TrainingSpec
from distill.token_signals import TokenSignal, read_signals, write_signals

BATCH, RATE, WARM = 32, 5e-4, 2
PARTS = 4  # in which TRL takes a batch
ASKING = GenerationSpec()


def _answers(folder: Path, count: int) -> tuple[Path, float]:
    """The packed signals of ``count`` answers, and the seconds it took to write and capture them; made once."""
    path, facts = folder / f"answers-{count}.parquet", folder / f"answers-{count}.json"
    if not facts.exists():
        from distill.engine.generate import Asking, write_answers
        from distill.engine.language_model import LanguageModel
        from distill.engine.sampling import uniforms

        print(f"Writing {count} answers once …", flush=True)
        model = LanguageModel(teacher_dir(folder))
        ids = model.prompts(prompts(count), ASKING).ids
        draws = [uniforms(1, str(row), 0, ASKING.max_new_tokens) for row in range(count)]
        how = Asking(
            ASKING.max_new_tokens, model.ends, ASKING.batch_size, ASKING.temperature, ASKING.top_p, ASKING.top_k_signals
        )
        began = time.perf_counter()
        written = write_answers(model.forward, ids, how, draws)
        signals = [
            TokenSignal(f"{row}/0", prompt, one.ids, one.topk_ids, one.topk_logprobs, one.tail)
            for row, (prompt, one) in enumerate(zip(ids, written, strict=True))
        ]
        write_signals(path, signals)
        write_json(facts, {"seconds": time.perf_counter() - began})
    return path, float(read_json(facts)["seconds"])


def _heirloom(folder: Path, count: int) -> dict[str, Any]:
    from distill.engine.causal_loading import load_causal
    from distill.engine.encode import shuffled_batches
    from distill.engine.token_lesson import Taught, TokenLesson
    from distill.engine.train_causal import CausalTraining, Recipe

    path, _ = _answers(folder, count)
    unpacking = clocks()
    taught = [Taught(s.prompt_ids, s.answer_ids, s.topk_ids, s.topk_logprobs, s.tail) for s in read_signals(path)]
    unpacked = (clocks() - unpacking) * (1 - WARM * BATCH / count)  # its share of the steps on the clock
    options = TrainingSpec(temperature=1.0, learning_rate=RATE, batch_size=BATCH, epochs=1)
    lesson = TokenLesson(taught, 8192)
    seen = _Losses()
    own = CausalTraining(load_causal(student_dir(folder)), lesson, options, Recipe(), 1, None, "b", folder / "t", seen)
    batches = shuffled_batches(lesson.lengths, BATCH, 1, 0)
    for rows in batches[:WARM]:
        own.step(rows)
    began, tokens = clocks(), own.at.tokens
    for rows in batches[WARM:]:
        own.step(rows)
    wall, busy = (clocks() - began + unpacked).tolist()
    return _facts(own.at.tokens - tokens, wall, busy, seen.values)


class _Losses(Monitor):
    """Collects the loss curve, which has a point at each step here."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def curve(self, arm: str, seed: int, step: int, name: str, value: float) -> None:
        self.values += [value] if name == "loss" else []


def _facts(tokens: int, wall: float, busy: float, losses: list[float]) -> dict[str, Any]:
    return {"tokens_s": tokens / wall, "tokens_cpu_s": tokens / busy, "peak": peak_resident(), "losses": losses}


def _trl(folder: Path, count: int) -> dict[str, Any]:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")  # where memory ends, this process goes first
    signals = read_signals(_answers(folder, count)[0])
    rows = [{"prompt_ids": s.prompt_ids.tolist(), "answer_ids": s.answer_ids.tolist()} for s in signals]
    seen: list[int] = []
    moments: list[Any] = []

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        width = max(len(row["prompt_ids"]) + len(row["answer_ids"]) for row in batch)
        ids = torch.zeros(len(batch), width, dtype=torch.int64)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for place, row in enumerate(batch):
            text, start = row["prompt_ids"] + row["answer_ids"], len(row["prompt_ids"])
            ids[place, : len(text)] = torch.tensor(text)
            mask[place, : len(text)] = 1
            labels[place, start : len(text)] = ids[place, start : len(text)]
        seen.append(int((labels != -100).sum()))
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            moments.append(clocks())

    model = AutoModelForCausalLM.from_pretrained(student_dir(folder), dtype=torch.float32)
    model.get_input_embeddings().weight.requires_grad_(False)
    teacher = AutoModelForCausalLM.from_pretrained(teacher_dir(folder), dtype=torch.bfloat16)
    settings = GKDConfig(
        output_dir=str(folder / "trl"), lmbda=0.0, beta=0.0, temperature=1.0, bf16=True, use_cpu=True,
        per_device_train_batch_size=BATCH // PARTS, gradient_accumulation_steps=PARTS, num_train_epochs=1, learning_rate=RATE, gradient_checkpointing=False,
        save_strategy="no", report_to="none", logging_steps=1, seed=1, disable_tqdm=True,
    )  # fmt: skip
    trainer = GKDTrainer(
        model=model,
        teacher_model=teacher,
        args=settings,
        data_collator=collate,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(teacher_dir(folder)),
        callbacks=[Clock()],
    )
    trainer.train()
    steps = len(moments)
    wall, busy = (moments[-1] - moments[WARM - 1]).tolist()
    losses = [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]
    return _facts(sum(seen[WARM * PARTS : steps * PARTS]), wall, busy, losses)


def main() -> None:
    """Measure and print; with --role do one side's part."""
    parser = arguments(__doc__)
    parser.add_argument("--answers", type=int, default=256)
    parser.add_argument("--role", choices=["heirloom", "trl"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.role:
        print(json.dumps({"heirloom": _heirloom, "trl": _trl}[given.role](given.folder, given.answers)))
        return
    _, capture = _answers(given.folder, given.answers)
    student_dir(given.folder)
    python = peers_python(given.folder)
    options = ("--answers", str(given.answers), "--folder", str(given.folder))
    rounds: list[dict[str, float]] = []
    for turn in range(given.rounds):
        mine = in_process(sys.executable, "generation_training", "--role", "heirloom", *options)
        peer = in_process(python, "generation_training", "--role", "trl", *options)
        rounds.append(
            {
                "heirloom": mine["tokens_s"],
                "trl": peer["tokens_s"],
                "ratio": mine["tokens_s"] / peer["tokens_s"],
                "cpu_ratio": mine["tokens_cpu_s"] / peer["tokens_cpu_s"],
                "memory": mine["peak"] / peer["peak"],
                "peak": mine["peak"],
                "trl_peak": peer["peak"],
                "first_loss": mine["losses"][0],
                "trl_first_loss": peer["losses"][0],
                "last_loss": float(np.mean(mine["losses"][-3:])),
                "trl_last_loss": float(np.mean(peer["losses"][-3:])),
            }
        )
        print(f"round {turn + 1}: {mine['tokens_s']:.0f} against {peer['tokens_s']:.0f} tokens/s", flush=True)
    found = medians(rounds)
    print(
        f"\n15 of 30 layers on {given.answers} answers: {found['heirloom']:.0f} answer tokens/s, TRL {found['trl']:.0f}:"
        f" {found['ratio']:.2f}x (target 1.5x; in processor time {found['cpu_ratio']:.2f}x); capturing took {capture:.0f} s\n"
        f"peak memory {found['peak'] / 1e9:.2f} GB against {found['trl_peak'] / 1e9:.2f} GB: {found['memory']:.0%} (target 60 %)\n"
        f"loss from {found['first_loss']:.2f} to {found['last_loss']:.2f}, TRL from {found['trl_first_loss']:.2f}"
        f" to {found['trl_last_loss']:.2f}"
    )
    report({**found, "capture_seconds": capture, "rounds": rounds}, given.json)


if __name__ == "__main__":
    main()
