"""Which files make a directory a model, as far as one can tell without loading it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

TOKENIZERS: Final = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)


def has_tokenizer(folder: Path) -> bool:
    """True when one of the files lies there that a tokenizer can be made of."""
    return any((folder / name).exists() for name in TOKENIZERS)
