"""Small random classifiers of the architectures that encoders come in."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    BertConfig,
    CamembertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

LAYERS = 4
_SIZES: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "num_labels": 3,
}
_ROBERTA = {**_SIZES, "type_vocab_size": 1}
_DISTIL = {"vocab_size": 100, "dim": 32, "hidden_dim": 64, "n_layers": LAYERS, "n_heads": 4, "num_labels": 3}
_MODERN = {"pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1, "eos_token_id": 2}

LEAN: dict[str, Any] = {
    "bert": BertConfig(**_SIZES),
    "roberta": RobertaConfig(**_ROBERTA),
    "xlm-roberta": XLMRobertaConfig(**_ROBERTA),
    "camembert": CamembertConfig(**_ROBERTA),
    "electra": ElectraConfig(**_SIZES, embedding_size=16),
    "distilbert": DistilBertConfig(**_DISTIL, max_position_embeddings=64, initializer_range=0.2),
}
OTHERS: dict[str, Any] = {
    "mpnet": MPNetConfig(**_SIZES),
    "deberta-v2": DebertaV2Config(**_SIZES),
    "modernbert": ModernBertConfig(**{**_SIZES, **_MODERN}),
}
ALBERT = AlbertConfig(**_SIZES, embedding_size=16)


def make(config: Any, seed: int = 0) -> Any:
    """A random model in evaluation mode."""
    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_config(config).eval()
