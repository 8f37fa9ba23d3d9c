"""Texts to token ids, once; then batches of like length, so that little of a batch is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distill.engine import generator
from distill.types import Ints

CHUNK = 8192  # texts tokenised in one call: bounds the memory that the tokenizer's own objects take
BUCKET = 64  # batches that are sorted by length together: enough for almost no padding, few enough to stay shuffled


@dataclass(frozen=True)
class Encoded:
    """Token ids of many texts in one flat array.

    Attributes:
        ids: [tokens] int32, all texts one after the other.
        types: [tokens] int8, 1 in the second text of a pair; None when the tokenizer makes no difference or all are 0.
        offsets: [n + 1]; text i is ``ids[offsets[i]:offsets[i + 1]]``.
        pad: id that fills a batch up.
        limit: tokens that no text exceeds.
    """

    ids: npt.NDArray[np.int32]
    types: npt.NDArray[np.int8] | None
    offsets: Ints
    pad: int
    limit: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, shape [n]."""
        return np.diff(self.offsets)

    def batch(self, rows: Ints, device: torch.device) -> Batch:
        """The texts ``rows`` padded to the longest of them, or a little more: see :func:`rounded`."""
        lengths = self.lengths[rows]
        width = min(rounded(int(lengths.max())), self.limit)
        inside = np.arange(width)[None, :] < lengths[:, None]
        source = (self.offsets[rows][:, None] + np.arange(width)[None, :])[inside]
        ids = np.full(inside.shape, self.pad, dtype=np.int64)
        ids[inside] = self.ids[source]
        types = None
        if self.types is not None:
            filled = np.zeros(inside.shape, dtype=np.int64)
            filled[inside] = self.types[source]
            types = torch.from_numpy(filled).to(device)
        mask = None if inside.all() else torch.from_numpy(inside.astype(np.int64)).to(device)
        return Batch(torch.from_numpy(ids).to(device), types, mask)


@dataclass(frozen=True)
class Batch:
    """Padded token ids [n, width], token types or None, and 1 where there is a token (None: everywhere)."""

    ids: torch.Tensor
    types: torch.Tensor | None
    mask: torch.Tensor | None


def longest(tokenizer: Any, config: Any, max_tokens: int) -> int:
    """``max_tokens``, or less where tokenizer or position embeddings end earlier."""
    limits = [max_tokens, int(min(tokenizer.model_max_length, 1_000_000))]
    positions = getattr(config, "max_position_embeddings", None)
    if positions and positions > 0:
        # RoBERTa's family counts positions from the padding id + 1 on.
        shift = (config.pad_token_id or 0) + 1 if "roberta" in config.model_type or config.model_type == "mpnet" else 0
        limits.append(positions - shift)
    return min(limits)


def encode(tokenizer: Any, texts: Sequence[str], pairs: Sequence[str | None] | None, max_tokens: int) -> Encoded:
    """Tokenise texts, or sentence pairs, and cut each at ``max_tokens`` (of a pair, the longer text is cut first)."""
    ids: list[npt.NDArray[np.int32]] = []
    types: list[npt.NDArray[np.int8]] = []
    lengths: list[int] = []
    typed = pairs is not None and "token_type_ids" in tokenizer.model_input_names
    for start in range(0, len(texts), CHUNK):
        second = [pair or "" for pair in pairs[start : start + CHUNK]] if pairs is not None else None
        coded = tokenizer(
            list(texts[start : start + CHUNK]),
            second,
            truncation=True,
            max_length=max_tokens,
            return_attention_mask=False,
            return_token_type_ids=typed,
            verbose=False,
        )
        lengths += [len(row) for row in coded["input_ids"]]
        ids += [np.asarray(row, dtype=np.int32) for row in coded["input_ids"]]
        if typed:
            types += [np.asarray(row, dtype=np.int8) for row in coded["token_type_ids"]]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    flat_ids = np.concatenate(ids) if ids else np.zeros(0, dtype=np.int32)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return Encoded(flat_ids, np.concatenate(types) if types else None, offsets, int(pad), max_tokens)


def rounded(width: int) -> int:
    """The next of few widths: multiples of 4 up to 64, of 8 up to 128, and so on, at most an eighth more.

    For every new shape the processor's kernels are compiled anew and kept: with all 60 widths of the tweets that took seconds
    and half a gigabyte, with 16 of them the padding costs less than it saves.
    """
    step = max(4, 1 << max(0, (width - 1).bit_length() - 4))
    return -(-width // step) * step


def sorted_batches(lengths: Ints, batch_size: int) -> list[Ints]:
    """Positions in batches of ``batch_size``, longest texts first (so that memory peaks at once); ties in input order."""
    order = np.argsort(-lengths, kind="stable").astype(np.int64)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def shuffled_batches(lengths: Ints, batch_size: int, seed: int, epoch: int) -> list[Ints]:
    """Every position once, shuffled by (seed, epoch) alone, in batches of like length.

    As in Hugging Face's LengthGroupedSampler: the shuffled texts are sorted by length within groups of BUCKET batches, and the
    batches are shuffled again.
    """
    source = generator(seed, epoch)
    order = source.permutation(len(lengths)).astype(np.int64)
    group = batch_size * BUCKET
    batches: list[Ints] = []
    for start in range(0, len(order), group):
        part = order[start : start + group]
        part = part[np.argsort(-lengths[part], kind="stable")]
        batches += [part[first : first + batch_size] for first in range(0, len(part), batch_size)]
    return [batches[position] for position in source.permutation(len(batches))]
