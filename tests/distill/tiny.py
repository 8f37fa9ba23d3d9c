"""A classifier of a few kilobytes, rows that it can learn, and a spec that runs in seconds. torch is imported when a model is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from distill.events import Event
from distill.monitor import Monitor
from distill.plugins import StageContext
from distill.spec import RunSpec, parse_spec
from distill.store import Run, RunStore
from distill.workspace import Workspace

LABELS = ("negative", "neutral", "positive")
WORDS = {
    "negative": ("bad", "late", "lost", "rude", "awful"),
    "neutral": ("seat", "gate", "flight", "ticket", "bag"),
    "positive": ("great", "kind", "early", "thanks", "lovely"),
}
FILLERS = tuple(f"w{index}" for index in range(120))


def tiny_model(folder: Path, labels: Sequence[str] | None = LABELS, layers: int = 4, seed: int = 0) -> Path:
    """A random BERT (hidden 32) with its tokenizer; ``labels=None`` gives an encoder without a head."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    words = [word for group in WORDS.values() for word in group]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *FILLERS]
    (folder / "vocab.txt").write_text("\n".join(vocab), encoding="utf-8")
    BertTokenizerFast(vocab={word: index for index, word in enumerate(vocab)}).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocab),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.15,
    )
    if labels is not None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: index for index, label in enumerate(labels)}
    torch.manual_seed(seed)
    model = BertModel(config) if labels is None else BertForSequenceClassification(config)
    model.save_pretrained(folder)
    return folder


def tiny_rows(n: int, seed: int = 0) -> pd.DataFrame:
    """Rows with id, text, label and gender; a word of the text gives the label away."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(LABELS, size=n)
    texts = []
    for row, label in enumerate(labels):
        fill = list(rng.choice(FILLERS, size=int(rng.integers(3, 9)), replace=False))
        fill.insert(int(rng.integers(0, len(fill))), str(rng.choice(WORDS[str(label)])))
        texts.append(" ".join([*fill, FILLERS[row % 120], FILLERS[(row // 120) % 120]]))
    gender = rng.choice(["female", "male"], size=n)
    return pd.DataFrame({"id": [f"t{row}" for row in range(n)], "text": texts, "label": labels, "gender": gender})


def tiny_spec(root: Path, rows: pd.DataFrame | None = None, **over: Any) -> RunSpec:
    """A run over a CSV of tiny rows below ``root``; ``over`` replaces top-level keys."""
    path = root / "rows.csv"
    (tiny_rows(360) if rows is None else rows).to_csv(path, index=False)
    columns = {"text": "text", "label": "label", "id": "id", "groups": ["gender"]}
    split = {"teacher_train": 120, "pool": 140, "dev": 40, "test": 60, "near_duplicate": 1.0}
    value: dict[str, Any] = {
        "name": "tiny",
        "data": {"source": {"kind": "file", "path": str(path)}, "columns": columns, "split": split},
        "signals": {"max_tokens": 24, "precision": "fp32"},
        "training": {"epochs": 1, "batch_size": 16, "checks_per_epoch": 1, "precision": "fp32", "learning_rate": 1e-3},
        "seeds": [1, 2],
        "audit": {"latency": {"rounds": 5, "texts": 8, "batch_sizes": [1, 8]}},
        **over,
    }
    return parse_spec(value)


def make_context(root: Path, spec: RunSpec, run_id: str | None = None) -> tuple[StageContext, list[Event]]:
    """A fresh run of ``spec`` in the workspace ``root/home``, and the list that receives its events."""
    workspace = Workspace(root / "home").made()
    run = RunStore(workspace).create(spec, run_id)
    return context_of(run, workspace)


def context_of(run: Run, workspace: Workspace) -> tuple[StageContext, list[Event]]:
    """A context for an existing run."""
    seen: list[Event] = []

    def sink(event: Event) -> None:
        seen.append(event)
        run.append(event)

    monitor = Monitor(sink=sink, cancelled=run.cancel_asked)
    return StageContext(run=run, spec=run.spec, cache=workspace.cache, monitor=monitor), seen


def asked(loaded: Any, max_tokens: int = 24) -> Any:
    """A predictor in fp32 of a classifier in memory, as it is when it was saved and loaded again."""
    from distill.engine.loading import save_classifier
    from distill.engine.predict import Predictor

    with TemporaryDirectory() as folder:
        save_classifier(loaded, Path(folder) / "model")
        return Predictor(Path(folder) / "model", loaded.labels, max_tokens=max_tokens, precision="fp32")
