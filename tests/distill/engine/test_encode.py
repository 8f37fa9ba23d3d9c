from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoTokenizer, RobertaConfig

from distill.engine.encode import encode, longest, rounded, shuffled_batches, sorted_batches

LENGTHS = st.lists(st.integers(1, 64), min_size=1, max_size=400).map(lambda x: np.asarray(x, dtype=np.int64))
CPU = torch.device("cpu")


@given(LENGTHS, st.integers(1, 16), st.integers(0, 2**40), st.integers(0, 9))
def test_every_text_is_in_one_batch_and_the_order_depends_on_seed_and_epoch(
    lengths: np.ndarray, size: int, seed: int, epoch: int
) -> None:
    batches = shuffled_batches(lengths, size, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert len(batches) == -(-len(lengths) // size)
    again = shuffled_batches(lengths, size, seed, epoch)
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_epochs_differ_and_little_is_padding() -> None:
    lengths = np.random.default_rng(0).integers(3, 64, 5000)
    first, second = (np.concatenate(shuffled_batches(lengths, 32, 1, epoch)) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    padded = sum(lengths[rows].max() * len(rows) for rows in shuffled_batches(lengths, 32, 1, 0))
    assert padded < 1.05 * lengths.sum()


@given(LENGTHS, st.integers(1, 16))
def test_sorted_batches_begin_with_the_longest(lengths: np.ndarray, size: int) -> None:
    order = np.concatenate(sorted_batches(lengths, size))
    assert sorted(order) == list(range(len(lengths)))
    assert (np.diff(lengths[order]) <= 0).all()


def test_a_batch_is_what_the_tokenizer_would_pad(classifier: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    texts = ["great flight", "bad", "w1 w2 w3 w4 w5 w6 w7 w8 w9", ""]
    encoded = encode(tokenizer, texts, None, 8)
    rows = np.array([2, 0, 3])
    batch = encoded.batch(rows, CPU)
    expected = tokenizer([texts[i] for i in rows], truncation=True, max_length=8, padding=True, return_tensors="pt")
    assert torch.equal(batch.ids, expected["input_ids"])
    assert batch.mask is not None and torch.equal(batch.mask, expected["attention_mask"])
    assert encoded.batch(np.array([0]), CPU).mask is None


def test_pairs_have_types_and_the_longer_text_is_cut(classifier: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    encoded = encode(tokenizer, ["great", "bad"], ["w1 w2 w3 w4 w5 w6", None], 8)
    batch = encoded.batch(np.array([0, 1]), CPU)
    expected = tokenizer(["great", "bad"], ["w1 w2 w3 w4 w5 w6", ""], truncation=True, max_length=8, padding=True)
    assert batch.types is not None and batch.types.tolist() == expected["token_type_ids"]
    assert batch.ids.tolist() == expected["input_ids"]


def test_the_limit_is_where_the_positions_end(classifier: Path) -> None:
    tokenizer, config = AutoTokenizer.from_pretrained(classifier), AutoConfig.from_pretrained(classifier)
    assert longest(tokenizer, config, 24) == 24
    assert longest(tokenizer, config, 4000) == config.max_position_embeddings
    assert longest(tokenizer, RobertaConfig(max_position_embeddings=64, pad_token_id=1), 4000) == 62


def test_no_texts_give_an_empty_array(classifier: Path) -> None:
    assert len(encode(AutoTokenizer.from_pretrained(classifier), [], None, 8)) == 0


@given(st.integers(1, 8192))
def test_widths_are_few_and_little_wider(width: int) -> None:
    wide = rounded(width)
    assert width <= wide <= max(width + 3, width * 9 / 8) and rounded(wide) == wide
    assert len({rounded(w) for w in range(1, width + 1)}) <= 16 + 8 * max(0, (width - 1).bit_length() - 6)
