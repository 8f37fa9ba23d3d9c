"""A second task beside the label: which tokens the teacher's reason for it is made of.

Hsieh et al. 2023, "Distilling Step-by-Step!", train one model on two prefixed tasks, to give the label and to give the reason. A classifier
cannot write, so its second task is to say which tokens the reason holds: the state from which the label is read, after one linear map, times
the word embeddings, as a distribution over the vocabulary, against the shares of the tokens in the reason (a bag of words: order is not
learnt). The map is thrown away after training, so the student costs at inference what every other one costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from distill.engine.encode import Encoded, encode
from distill.engine.forward import Forward
from distill.types import Ints

HEAD = "reasons"  # attribute of the model that holds the map while it is trained


@dataclass(frozen=True)
class Reasons:
    """What is learnt beside the labels.

    Attributes:
        texts: for each training text the teacher's reason, None where there is none, length n.
        prefix: put before a text when it is read for its reason: what tells the two tasks apart.
        weight: of the second loss.
    """

    texts: Sequence[str | None]
    prefix: str
    weight: float

    def task(self, tokenizer: Any, texts: Sequence[str], chosen: Ints, limit: int) -> ReasonTask | None:
        """The second task for the rows ``chosen`` of ``texts``; None where none of them has a reason."""
        place = np.full(len(chosen), -1, dtype=np.int64)
        have = np.array([bool((self.texts[row] or "").strip()) for row in chosen.tolist()], dtype=np.bool_)
        if not have.any() or not self.weight:
            return None
        place[have] = np.arange(int(have.sum()))
        rows = chosen[have].tolist()
        asked = encode(tokenizer, [f"{self.prefix}{texts[row]}" for row in rows], None, limit)
        coded = tokenizer([self.texts[row] for row in rows], add_special_tokens=False, return_attention_mask=False)
        return ReasonTask(asked, bags([ids[:limit] for ids in coded["input_ids"]]), place, self.weight)


def bags(ids: Sequence[Sequence[int]]) -> list[tuple[Ints, Tensor]]:
    """For each text its distinct tokens, and the share of each among its tokens (float32, sums to 1)."""
    found = []
    for row in ids:
        tokens, counts = np.unique(np.asarray(row, dtype=np.int64), return_counts=True)
        found.append((tokens, torch.from_numpy(counts / max(1, counts.sum())).float()))
    return found


@dataclass(frozen=True)
class ReasonTask:
    """``place`` [n]: position of each training row's reason in ``asked`` and ``bags``, −1 where it has none."""

    asked: Encoded
    bags: list[tuple[Ints, Tensor]]
    place: Ints
    weight: float

    def attach(self, model: Any) -> None:
        """Put the map on the model: the identity, so that training starts from the states as they are."""
        width = model.get_input_embeddings().weight.shape[1]
        states = getattr(model.config, "hidden_size", width)
        head = nn.Linear(states, width)
        nn.init.eye_(head.weight)
        nn.init.zeros_(head.bias)
        setattr(model, HEAD, head)

    def detach(self, model: Any) -> None:
        """Take it off again."""
        if hasattr(model, HEAD):
            delattr(model, HEAD)

    def loss(self, forward: Forward, model: Any, rows: Ints, device: torch.device) -> Tensor | None:
        """Weight × sum over rows with a reason of H(bag, student) in nats, divided by all rows; None where no row has one."""
        places = self.place[rows]
        places = places[places >= 0]
        if not len(places):
            return None
        states = forward.first(self.asked.batch(places, device))
        logits = (getattr(model, HEAD)(states) @ model.get_input_embeddings().weight.T).float()
        return self.weight * bag_loss(logits, [self.bags[place] for place in places.tolist()]) / len(rows)

    def digest_into(self, digest: Any) -> None:
        """Everything that decides the second task."""
        digest.update(f"reasons {self.weight!r}".encode() + self.place.tobytes() + self.asked.ids.tobytes())
        for tokens, shares in self.bags:
            digest.update(tokens.tobytes() + shares.numpy().tobytes())


def bag_loss(logits: Tensor, wanted: Sequence[tuple[Ints, Tensor]]) -> Tensor:
    """Sum over rows of −Σ share · log p(token), in nats; ``logits`` [n, vocabulary] in float32, ``wanted`` a bag for each row.

    The cross-entropy of torch with probabilities as targets, without a dense [n, vocabulary] target.
    """
    rows = np.concatenate([np.full(len(tokens), row) for row, (tokens, _) in enumerate(wanted)])
    tokens = torch.from_numpy(np.concatenate([tokens for tokens, _ in wanted])).to(logits.device)
    shares = torch.cat([shares for _, shares in wanted]).to(logits.device)
    at = torch.from_numpy(rows.astype(np.int64)).to(logits.device)
    logprobs = logits[at, tokens] - torch.logsumexp(logits, dim=-1)[at]
    return -(shares * logprobs).sum()
