"""A causal language model of a few kilobytes with a byte-level tokenizer and a chat template, prompts, and a spec that runs in seconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from distill.spec import RunSpec, parse_spec

TEMPLATE = (
    "{% for m in messages %}<|start|>{{ m['role'] }} {{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant {% endif %}"
)
WORDS = ("red", "green", "blue", "cat", "dog", "sun", "moon", "tree", "stone", "river", "small", "large", "why", "who")


@cache
def _tokenizer(vocabulary: int) -> Any:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    bpe = ByteLevelBPETokenizer()
    text = [" ".join(WORDS[(start + step) % len(WORDS)] for step in range(9)) for start in range(len(WORDS))]
    bpe.train_from_iterator(text, vocab_size=vocabulary, special_tokens=["<|pad|>", "<|start|>", "<|end|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="<|end|>", pad_token="<|pad|>", model_max_length=256
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def tiny_lm(
    folder: Path, *, layers: int = 4, seed: int = 0, kind: str = "llama", vocabulary: int = 320, template: bool = True
) -> Path:
    """A random causal LM (hidden 32) in ``folder``; ``kind`` is 'llama', 'qwen2' or 'gpt2'."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

    tokenizer = _tokenizer(vocabulary)
    size = len(tokenizer) + 8  # padded, as many are; some tokenizers add a token of their own when they are loaded
    shared = {"vocab_size": size, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": 0, "initializer_range": 0.3}
    still = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    shape = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    }
    torch.manual_seed(seed)
    if kind == "gpt2":
        model: Any = GPT2LMHeadModel(
            GPT2Config(n_embd=32, n_layer=layers, n_head=4, n_positions=256, **still, **shared)
        )
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(tie_word_embeddings=False, **shape, **shared))
    else:
        model = LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **shape, **shared))
    model.eval().save_pretrained(folder)
    tokenizer.chat_template = TEMPLATE if template else None
    tokenizer.save_pretrained(folder)
    tokenizer.chat_template = TEMPLATE
    return folder


def tiny_prompts(n: int) -> pd.DataFrame:
    """Prompts of unlike length, most of them with a reference."""
    rows = []
    for row in range(n):
        words = [WORDS[(row * 7 + step * (1 + row % 5)) % len(WORDS)] for step in range(2 + row % 11)]
        reference = None if row % 9 == 0 else WORDS[row % len(WORDS)]
        domain = "colour" if row % 2 else "nature"
        rows.append({"id": f"p{row}", "prompt": f"{' '.join(words)} {row}", "answer": reference, "domain": domain})
    return pd.DataFrame(rows)


def tiny_generation_spec(root: Path, model: Path, **over: Any) -> RunSpec:
    """A run over a JSONL file of prompts below ``root``; ``over`` replaces top-level keys."""
    path = root / "prompts.jsonl"
    tiny_prompts(60).to_json(path, orient="records", lines=True)
    columns = {"text": "prompt", "pair": "answer", "id": "id", "groups": ["domain"]}
    value: dict[str, Any] = {
        "name": "tiny language model",
        "task": "generation",
        "data": {
            "source": {"kind": "file", "path": str(path)},
            "columns": columns,
            "split": {"teacher_train": 0, "pool": 30, "dev": 10, "test": 20, "near_duplicate": 1.0},
        },
        "teacher": {"kind": "local_lm", "options": {"source": str(model)}},
        "generation": {"max_new_tokens": 8, "max_prompt_tokens": 64, "batch_size": 8, "top_k_signals": 10},
        "signals": {"precision": "fp32"},
        "student": {"layers": 2},
        "training": {"epochs": 1, "batch_size": 8, "checks_per_epoch": 1, "precision": "fp32", "learning_rate": 1e-3},
        "audit": {"resamples": 200, "latency": {"rounds": 5, "texts": 8, "batch_sizes": [1, 4]}},
        **over,
    }
    return parse_spec(value)
