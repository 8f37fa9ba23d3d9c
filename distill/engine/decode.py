"""Keys and values of texts under way: rows of a batch come and go while the others are written on.

:class:`LeanDecoder` is for what :mod:`distill.engine.llama` runs itself; a finished row's place is given to the next prompt, so the batch
stays full. :class:`ForeignDecoder` is transformers' cache, for every other architecture: a batch is begun together and ends together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from distill.engine.encode import rounded
from distill.engine.llama import CausalForward, causal_gaps, gaps_of
from distill.types import Ints

STRIDE = 32  # tokens by which the visible part of the cache grows: every new shape costs the processor a new kernel, some 50 ms
TOGETHER = 8  # prompts read at once


class Decoder(Protocol):
    """Texts under way in numbered places."""

    refills: bool

    def begin(self, places: Ints, prompts: Sequence[Any]) -> Tensor:
        """Put prompts into places; states [m, h] from which the first token of each is drawn."""
        ...

    def go_on(self, places: Ints, tokens: Tensor) -> Tensor:
        """Append one token [m] to the texts in ``places`` (rising); states [m, h] for the next."""
        ...


class LeanDecoder:
    """See the module's docstring.

    Args:
        forward: with ``lean`` true.
        places: rows.
        longest: tokens that no text exceeds.
    """

    refills = True

    def __init__(self, forward: CausalForward, places: int, longest: int) -> None:
        self._forward = forward
        shape = (places, forward.shared, longest, forward.width)
        self._keys = [torch.zeros(shape, dtype=forward.dtype, device=forward.device) for _ in forward.layers]
        self._values = [torch.zeros(shape, dtype=forward.dtype, device=forward.device) for _ in forward.layers]
        self._lengths = torch.zeros(places, dtype=torch.int64, device=forward.device)

    def begin(self, places: Ints, prompts: Sequence[Any]) -> Tensor:
        return torch.cat(
            [
                self._read(places[start : start + TOGETHER], prompts[start : start + TOGETHER])
                for start in range(0, len(prompts), TOGETHER)
            ]
        )

    def _read(self, places: Ints, prompts: Sequence[Any]) -> Tensor:
        """Prompts of at most TOGETHER texts; rows and width are rounded up to one of few shapes."""
        forward, lengths = self._forward, torch.tensor([len(prompt) for prompt in prompts])
        width = min(rounded(int(lengths.max())), self._keys[0].shape[2])
        ids = np.zeros((TOGETHER if len(self._lengths) >= TOGETHER else len(prompts), width), dtype=np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
        rows = torch.from_numpy(places).to(forward.device)
        states = forward.embed(torch.from_numpy(ids).to(forward.device))
        turn = forward.turn_at(states, torch.arange(width, device=forward.device)[None])
        gaps = causal_gaps(width, states)
        for number, layer in enumerate(forward.layers):
            query, key, value = forward.projected(layer, layer.before(states), turn)
            self._keys[number][rows, :, :width] = key[: len(prompts)]
            self._values[number][rows, :, :width] = value[: len(prompts)]
            states = forward.finished(layer, states, query, key, value, gaps)
        lengths = lengths.to(forward.device)
        self._lengths[rows] = lengths
        last = states[torch.arange(len(prompts), device=forward.device), lengths - 1]
        return forward.norm(last)

    def go_on(self, places: Ints, tokens: Tensor) -> Tensor:
        forward = self._forward
        chosen = self._filled_up(places)
        live = torch.from_numpy(np.searchsorted(chosen, places)).to(forward.device)
        everything = len(chosen) == len(self._lengths)  # then the cache need not be copied
        rows = torch.from_numpy(chosen).to(forward.device)
        # a dead row looks at one token, so that nothing in it is infinite, and writes where the next prompt will write over it
        lengths = torch.zeros_like(rows).index_copy_(0, live, self._lengths[rows[live]])
        tokens = torch.zeros_like(rows).index_copy_(0, live, tokens)
        seen = min(-(-(int(lengths.max()) + 1) // STRIDE) * STRIDE, self._keys[0].shape[2])
        states = forward.embed(tokens[:, None])
        turn = forward.turn_at(states, lengths[:, None])
        outside = torch.arange(seen, device=forward.device)[None] > lengths[:, None]
        gaps = gaps_of(outside, states)[:, None, None, None]
        for number, layer in enumerate(forward.layers):
            query, key, value = forward.projected(layer, layer.before(states), turn)
            keys, values = self._keys[number], self._values[number]
            keys[rows, :, lengths] = key[:, :, 0]
            values[rows, :, lengths] = value[:, :, 0]
            if everything:
                keys, values = keys[:, :, :seen], values[:, :, :seen]
            else:
                keys, values = keys[rows, :, :seen], values[rows, :, :seen]
            states = forward.finished(layer, states, query, keys, values, gaps)
        self._lengths[rows[live]] += 1
        return forward.norm(states[live, 0])

    def _filled_up(self, places: Ints) -> Ints:
        """``places`` and dead ones among them, rising, so that the number of rows is one of few: see STRIDE."""
        total = len(self._lengths)
        size = total
        while size // 2 >= len(places) and size % 2 == 0:
            size //= 2
        dead = np.setdiff1d(np.arange(total, dtype=np.int64), places)[: size - len(places)]
        return np.sort(np.concatenate([places, dead]))


class ForeignDecoder:
    """transformers' own cache; texts are padded on the left."""

    refills = False

    def __init__(self, forward: CausalForward) -> None:
        self._forward = forward
        self._cache: Any = None
        self._mask = torch.zeros(0, 0)
        self._places: dict[int, int] = {}

    def begin(self, places: Ints, prompts: Sequence[Any]) -> Tensor:
        width = max(len(prompt) for prompt in prompts)
        ids = np.zeros((len(prompts), width), dtype=np.int64)
        mask = np.zeros((len(prompts), width), dtype=np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = 1
        self._places = {int(place): row for row, place in enumerate(places)}
        self._mask = torch.from_numpy(mask).to(self._forward.device)
        self._cache = None
        return self._ask(torch.from_numpy(ids).to(self._forward.device), self._mask.cumsum(1).sub(1).clamp(min=0))

    def go_on(self, places: Ints, tokens: Tensor) -> Tensor:
        rows = torch.tensor([self._places[int(place)] for place in places], device=tokens.device)
        column = torch.zeros(len(self._mask), 1, dtype=self._mask.dtype, device=tokens.device)
        column[rows] = 1
        self._mask = torch.cat([self._mask, column], dim=1)
        ids = torch.zeros(len(self._mask), 1, dtype=torch.int64, device=tokens.device)
        ids[rows, 0] = tokens
        positions = self._mask.sum(1, keepdim=True).sub(1).clamp(min=0)
        return self._ask(ids, positions)[rows]

    def _ask(self, ids: Tensor, positions: Tensor) -> Tensor:
        """States (or logits, see CausalForward) at the last position."""
        forward = self._forward
        asked = {"input_ids": ids, "attention_mask": self._mask, "position_ids": positions}
        model = forward.model.base_model if forward.gives_states else forward.model
        try:
            output = model(**asked, past_key_values=self._cache, use_cache=True)
        except TypeError:  # an architecture without position ids (BLOOM counts from the mask)
            asked.pop("position_ids")
            output = model(**asked, past_key_values=self._cache, use_cache=True)
        self._cache = output.past_key_values
        last: Tensor = output.last_hidden_state if forward.gives_states else output.logits
        return last[:, -1]


def decoder_of(forward: CausalForward, places: int, longest: int) -> Decoder:
    """The decoder that suits the model."""
    return LeanDecoder(forward, places, longest) if forward.lean else ForeignDecoder(forward)
