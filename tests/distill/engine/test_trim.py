"""A trimmed vocabulary: same tokens and same answers where every token is kept, for both kinds of tokenizer, after saving too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from distill.engine.loading import LoadedClassifier, load_classifier, save_classifier
from distill.engine.trim import trim, used_ids
from distill.errors import ModelError
from tests.distill.tiny import asked

LABELS = ("no", "yes")
POOL = ["the crew was lovely", "my bag was lost again", "delayed, delayed and delayed", "lower lowest newer newest"]
KEPT = ["the bag was lovely", "my crew was delayed again", "newest bag, lowest crew"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MORE = ["unrelated words such as hippopotamus and xylophone fill the vocabulary", "widest newest lowest slowest"] * 4


def _tokenizer(kind: str) -> Any:
    special = SPECIAL
    if kind == "WordPiece":
        raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special)
    elif kind == "BPE":
        raw = Tokenizer(models.BPE(unk_token="[UNK]"))
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=special, initial_alphabet=alphabet)
    else:
        raw = Tokenizer(models.Unigram())
        raw.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="[UNK]")
    raw.train_from_iterator([*POOL, *MORE], trainer)
    places = [(name, raw.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    raw.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=places
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=raw, **names)


def _loaded(kind: str) -> LoadedClassifier:
    tokenizer = _tokenizer(kind)
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = BertConfig(vocab_size=len(tokenizer), id2label=dict(enumerate(LABELS)), initializer_range=0.4, **sizes)
    config.label2id = {label: place for place, label in enumerate(LABELS)}
    return LoadedClassifier(BertForSequenceClassification(config).eval(), tokenizer, LABELS)


def _answers(loaded: LoadedClassifier, texts: list[str]) -> Any:
    return asked(loaded, 32).probabilities(texts)


@pytest.mark.parametrize("kind", ["WordPiece", "BPE"])
def test_texts_of_kept_tokens_get_the_same_answers(kind: str, tmp_path: Path) -> None:
    loaded = _loaded(kind)
    made = trim(loaded, used_ids(loaded, POOL, None, 32))
    assert len(made.kept) < len(loaded.tokenizer)
    for text in [*POOL, *KEPT]:
        old, new = loaded.tokenizer(text)["input_ids"], made.loaded.tokenizer(text)["input_ids"]
        if set(old) <= set(made.kept.tolist()):
            assert made.kept[new].tolist() == old
    for text in POOL:
        assert set(loaded.tokenizer(text)["input_ids"]) <= set(made.kept.tolist())
    save_classifier(made.loaded, tmp_path / "small")
    again = load_classifier(str(tmp_path / "small"), LABELS)
    assert again.model.get_input_embeddings().weight.shape[0] == len(made.kept)
    expected = _answers(loaded, POOL)
    assert np.array_equal(_answers(again, POOL), expected)


@pytest.mark.parametrize("kind", ["WordPiece", "BPE"])
def test_other_texts_fall_back_on_shorter_pieces(kind: str) -> None:
    loaded = _loaded(kind)
    made = trim(loaded, used_ids(loaded, POOL[:1], None, 32))
    coded = made.loaded.tokenizer("hippopotamus")["input_ids"]
    assert len(coded) > len(loaded.tokenizer("hippopotamus")["input_ids"])
    assert np.isfinite(_answers(made.loaded, ["hippopotamus"])).all()


def test_another_kind_is_refused_by_name() -> None:
    loaded = _loaded("Unigram")
    with pytest.raises(ModelError, match="'Unigram' cannot be trimmed"):
        trim(loaded, [5, 6])


def test_pairs_and_special_tokens_keep_their_places() -> None:
    loaded = _loaded("WordPiece")
    made = trim(loaded, used_ids(loaded, POOL, None, 32))
    old = loaded.tokenizer("the crew", "my bag", return_token_type_ids=True)
    new = made.loaded.tokenizer("the crew", "my bag", return_token_type_ids=True)
    assert made.kept[new["input_ids"]].tolist() == old["input_ids"]
    assert new["token_type_ids"] == old["token_type_ids"]
    assert made.kept[made.loaded.tokenizer.pad_token_id] == loaded.tokenizer.pad_token_id
