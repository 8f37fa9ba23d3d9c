"""A vocabulary trimmed to the tokens that some texts use: rows of the embedding matrix go, and the tokenizer with them.

Texts whose tokens are all kept get the same tokens as before, and so the same answers: WordPiece takes the longest piece that
the vocabulary has, and a kept piece stays the longest; BPE is left every merge that leads to a kept token, and the merges
that go were never made in such a text. Other texts fall back on shorter pieces; single characters always stay.
"""

from __future__ import annotations

import copy
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from distill.engine.encode import encode
from distill.engine.loading import LoadedClassifier
from distill.errors import ModelError
from distill.files import read_json, write_json
from distill.types import Ints

HINT = "Known are WordPiece and BPE tokenizers in their fast form. Leave this arm out."


@dataclass(frozen=True)
class Trimmed:
    """The smaller model, and which ids of the old vocabulary it kept, ascending: the new id of ``kept[i]`` is i."""

    loaded: LoadedClassifier
    kept: Ints


def used_ids(
    loaded: LoadedClassifier, texts: Sequence[str], pairs: Sequence[str | None] | None, max_tokens: int
) -> Ints:
    """Ids of the tokens of some texts, ascending."""
    return np.unique(encode(loaded.tokenizer, texts, pairs, max_tokens).ids).astype(np.int64)


def trim(loaded: LoadedClassifier, used: Iterable[int]) -> Trimmed:
    """A copy of ``loaded`` that knows the tokens ``used``, the special ones and all single characters.

    Raises:
        ModelError: the tokenizer is of another kind than WordPiece or BPE, or the model has no matrix to trim; it is named.
    """
    with tempfile.TemporaryDirectory(prefix="heirloom-trim-") as place:
        folder = Path(place)
        loaded.tokenizer.save_pretrained(folder)
        path = folder / "tokenizer.json"
        if not path.exists():
            raise ModelError("The tokenizer has no fast form, so its vocabulary cannot be trimmed.", hint=HINT)
        facts = read_json(path)
        kept = _kept(facts, {int(one) for one in used})
        write_json(path, _rewritten(facts, kept))
        tokenizer = _reopened(loaded.tokenizer, folder, len(kept))
    ids = np.array(kept, dtype=np.int64)
    return Trimmed(replace(loaded, model=_with_rows(loaded.model, ids), tokenizer=tokenizer), ids)


def _kept(facts: dict[str, Any], used: set[int]) -> list[int]:
    """Old ids that stay, ascending."""
    model = facts["model"]
    kind, vocabulary = model.get("type"), model.get("vocab")
    added = {int(one["id"]) for one in facts.get("added_tokens", [])}
    if kind == "WordPiece":
        prefix = model.get("continuing_subword_prefix") or ""
        single = {place for token, place in vocabulary.items() if len(token.removeprefix(prefix)) <= 1}
        return sorted(used | added | single | {vocabulary[model["unk_token"]]})
    if kind == "BPE" and not model.get("continuing_subword_prefix") and not model.get("dropout"):
        names = {place: token for token, place in vocabulary.items()}
        single = {place for token, place in vocabulary.items() if len(_stem(model, token)) <= 1 or _is_byte(token)}
        whole = used | added | single
        history = {place for token in (names[one] for one in used if one in names) for place in _history(model, token)}
        unknown = {vocabulary[model["unk_token"]]} if model.get("unk_token") in vocabulary else set()
        return sorted(whole | history | unknown)
    raise ModelError(f"A tokenizer of the kind '{kind}' cannot be trimmed.", hint=HINT)


def _is_byte(token: str) -> bool:
    """True for '<0x0A>', on which a BPE tokenizer falls back."""
    return len(token) == 6 and token.startswith("<0x") and token.endswith(">")


def _stem(model: dict[str, Any], token: str) -> str:
    return token.removesuffix(model.get("end_of_word_suffix") or "\0")


def _pairs(model: dict[str, Any]) -> list[tuple[str, str]]:
    """Merges in their order; older files write them as 'a b'."""
    split = [one.split(" ", 1) if isinstance(one, str) else one for one in model["merges"]]
    return [(first, second) for first, second in split]


def _history(model: dict[str, Any], token: str) -> set[int]:
    """Ids of every token that arises while BPE builds ``token`` from its characters."""
    if "_ranks" not in model:  # once for all tokens
        model["_ranks"] = {pair: rank for rank, pair in enumerate(_pairs(model))}
    ranks, vocabulary = model["_ranks"], model["vocab"]
    suffix = model.get("end_of_word_suffix") or ""
    stem = _stem(model, token)
    parts = list(stem)
    if suffix and stem != token and parts:
        parts[-1] += suffix
    seen = set(parts)
    while len(parts) > 1:
        rank, place = min((ranks.get(pair, len(ranks)), place) for place, pair in enumerate(itertools.pairwise(parts)))  # fmt: skip
        if rank == len(ranks):
            break  # a token that no merge builds: it stands in the vocabulary for itself
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
        seen.add(parts[place])
    return {vocabulary[part] for part in seen if part in vocabulary}


def _rewritten(facts: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    """tokenizer.json with the new ids."""
    new = {old: place for place, old in enumerate(kept)}
    facts = copy.deepcopy(facts)
    model = facts["model"]
    model.pop("_ranks", None)
    model["vocab"] = {token: new[place] for token, place in model["vocab"].items() if place in new}
    if "merges" in model:
        known = model["vocab"]
        model["merges"] = [list(pair) for pair in _pairs(model) if pair[0] + pair[1] in known and set(pair) <= set(known)]  # fmt: skip
    for token in facts.get("added_tokens", []):
        token["id"] = new[int(token["id"])]
    if facts.get("padding"):
        facts["padding"]["pad_id"] = new[int(facts["padding"]["pad_id"])]
    _renumber(facts.get("post_processor"), new)
    return facts


def _renumber(processor: Any, new: dict[int, int]) -> None:
    """The ids that a post-processor adds: templates, BERT's and RoBERTa's, alone or in a sequence."""
    if not isinstance(processor, dict):
        return
    for one in processor.get("processors", []):
        _renumber(one, new)
    if isinstance(processor.get("special_tokens"), dict):
        for token in processor["special_tokens"].values():
            token["ids"] = [new[int(one)] for one in token["ids"]]
    for key in ("sep", "cls"):
        if isinstance(processor.get(key), list):
            processor[key][1] = new[int(processor[key][1])]


def _reopened(old: Any, folder: Path, rows: int) -> Any:
    """The rewritten tokenizer; the class is the plain fast one, since others build parts anew from a vocabulary of their own."""
    facts = read_json(folder / "tokenizer_config.json")
    facts["tokenizer_class"] = "PreTrainedTokenizerFast"
    facts.pop("added_tokens_decoder", None)  # it names ids of the old vocabulary
    facts["model_input_names"] = list(old.model_input_names)
    write_json(folder / "tokenizer_config.json", facts)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if len(tokenizer) > rows:
        raise ModelError("The trimmed tokenizer knows more tokens than were kept.", hint=HINT)
    return tokenizer


def _with_rows(model: Any, kept: Ints) -> Any:
    """A copy of ``model`` whose embedding matrix has the rows ``kept`` of the old one."""
    smaller = copy.deepcopy(model)
    old = smaller.get_input_embeddings()
    if not isinstance(old, nn.Embedding) or int(kept.max()) >= old.weight.shape[0]:
        raise ModelError(
            f"The embeddings of '{model.config.model_type}' cannot be trimmed.", hint="Leave this arm out."
        )
    new = {int(place): row for row, place in enumerate(kept)}
    padding = new.get(old.padding_idx) if old.padding_idx is not None else None
    matrix = nn.Embedding(len(kept), old.weight.shape[1], padding_idx=padding)
    matrix.weight = nn.Parameter(old.weight.detach()[torch.from_numpy(kept)].clone())
    smaller.set_input_embeddings(matrix)
    counted_from = getattr(getattr(smaller.base_model, "embeddings", None), "padding_idx", padding)
    if padding is not None and padding != counted_from:  # RoBERTa counts positions from its padding id on
        raise ModelError("The padding id would move, and positions are counted from it.", hint="Leave this arm out.")
    config = smaller.config
    config.vocab_size = len(kept)
    for key in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "unk_token_id"):
        value = getattr(config, key, None)
        if isinstance(value, int):
            setattr(config, key, new.get(value))
    return smaller.eval()
