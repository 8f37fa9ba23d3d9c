"""The states of a causal language model, without logits where nobody reads them.

For the Llama family (Llama, SmolLM, Mistral, Qwen2) a leaner way than transformers' own: texts are padded on the right, so the causal mask
alone keeps padding out; heads that share keys and values are multiplied together instead of being copied; and keys and values can be
kept in a cache whose rows belong to different texts. Parameters are the model's own. Before a model is run this way its logits on a
probe are compared with those of transformers; where they differ, or the architecture is another, transformers' forward is used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from distill.engine.llama_ops import gated, rms_norm, turned

LEAN_TYPES = frozenset({"llama", "mistral", "qwen2"})
_TOLERANCE = 2e-4  # on float32 logits


class Norm:
    """A root mean square normalisation of the Llama family."""

    def __init__(self, module: Any) -> None:
        self._module, self._eps = module, float(module.variance_epsilon)

    def __call__(self, states: Tensor) -> Tensor:
        return rms_norm(states, self._module.weight, self._eps)


@dataclass(frozen=True)
class Layer:
    """One decoder layer."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    out: nn.Linear
    gate: nn.Linear
    up: nn.Linear
    down: nn.Linear
    before: Norm
    between: Norm


class CausalForward:
    """States and logits of ``model``, which is moved and cast in place.

    Args:
        model: a causal LM with float32 weights.
        device: where it shall run.
        dtype: of weights and activations.
    """

    def __init__(self, model: Any, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model
        self.device, self.dtype = device, dtype
        self.head = model.get_output_embeddings()
        self.lean = self._whole_head = False
        if _could_be_lean(model):
            self._bind(model)
            self.lean = self._whole_head = True
            self.lean = self._whole_head = _same(model, lambda ids: self.logits(self.states(ids)))
        if not self.lean and self.head is not None:
            self._whole_head = _same(
                model, lambda ids: self.head(model.base_model(input_ids=ids, use_cache=False).last_hidden_state)
            )
        model.to(device=device, dtype=dtype)

    def _bind(self, model: Any) -> None:
        base, attention = model.base_model, model.base_model.layers[0].self_attn
        self.layers = [_layer(layer) for layer in base.layers]
        self.norm, self.embed, self.rotary = Norm(base.norm), base.embed_tokens, base.rotary_emb
        self.width, self.scale = int(attention.head_dim), float(attention.scaling)
        self.heads = attention.q_proj.out_features // self.width
        self.shared = attention.k_proj.out_features // self.width

    def states(
        self, ids: Tensor, mask: Tensor | None = None, positions: Tensor | None = None, prefix: Tensor | None = None
    ) -> Tensor:
        """States after the last norm, [n, l, h].

        Args:
            ids: [n, l], padded on the right with any id; what stands at the padding is not to be read.
            mask: [n, l, l] or [1, l, l], True where row may look at column; causal when None.
            positions: [n, l]; 0, 1, … when None.
            prefix: [p] ids with which every text begins (a chat template's): read once for all of them, and not in the result. Only
                where ``lean`` is true, and without mask and positions.
        """
        if not self.lean:
            return self._foreign_states(ids, mask, positions)
        if prefix is not None:
            return self._after(prefix, ids)
        length = ids.shape[1]
        where = torch.arange(length, device=ids.device)[None] if positions is None else positions
        states = self.embed(ids)
        turn = self.turn_at(states, where)
        gaps = causal_gaps(length, states) if mask is None else gaps_of(~mask, states)[:, None, None]
        for layer in self.layers:
            query, key, value = self.projected(layer, layer.before(states), turn)
            states = self.finished(layer, states, query, key, value, gaps)
        return self.norm(states)

    def _after(self, prefix: Tensor, ids: Tensor) -> Tensor:
        """States of texts that go on from ``prefix``; it goes through the layers beside them, as one text."""
        rows, length = ids.shape
        before = len(prefix)
        first, states = self.embed(prefix[None]), self.embed(ids)
        places = torch.arange(before + length, device=ids.device)[None]
        turn_first, turn = self.turn_at(first, places[:, :before]), self.turn_at(states, places[:, before:])
        whole = causal_gaps(before + length, states)
        gaps_first, gaps = whole[:before, :before], whole[before:]
        for layer in self.layers:
            q, k, v = self.projected(layer, layer.before(first), turn_first)
            query, key, value = self.projected(layer, layer.before(states), turn)
            key = torch.cat([k.expand(rows, -1, -1, -1), key], dim=2)
            value = torch.cat([v.expand(rows, -1, -1, -1), value], dim=2)
            if layer is not self.layers[-1]:  # nobody reads the prefix's last states
                first = self.finished(layer, first, q, k, v, gaps_first)
            states = self.finished(layer, states, query, key, value, gaps)
        return self.norm(states)

    def finished(self, layer: Layer, states: Tensor, query: Tensor, key: Tensor, value: Tensor, gaps: Tensor) -> Tensor:
        """The rest of a layer; ``gaps`` is added to the scores [n, shared, group, l, m]."""
        states = states + layer.out(attend(query, key, value, gaps, self.scale))
        normed = layer.between(states)
        inner: Tensor = layer.down(gated(layer.gate(normed), layer.up(normed)))
        return states + inner

    def projected(self, layer: Layer, normed: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries [n, heads, l, d] and keys, and values, both [n, shared, l, d]."""
        rows, length, _ = normed.shape
        query = layer.query(normed).view(rows, length, self.heads, self.width).transpose(1, 2)
        key = layer.key(normed).view(rows, length, self.shared, self.width).transpose(1, 2)
        value = layer.value(normed).view(rows, length, self.shared, self.width).transpose(1, 2)
        return turned(query, *turn), turned(key, *turn), value

    def turn_at(self, states: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the rotary embedding at ``positions`` [n, l], each [n, 1, l, d]."""
        cos, sin = self.rotary(states, position_ids=positions)
        return cos[:, None], sin[:, None]

    def logits(self, states: Tensor) -> Tensor:
        """[…, vocabulary] of states that :meth:`states` gave, in the model's dtype."""
        logits: Tensor = self.head(states) if self._whole_head else states
        return logits

    def _foreign_states(self, ids: Tensor, mask: Tensor | None, positions: Tensor | None) -> Tensor:
        """transformers' own way. Where the model does more to its states than multiply them by the head, these are the logits."""
        extra: dict[str, Any] = {}
        if mask is not None:
            gaps = torch.zeros(mask.shape, dtype=self.dtype, device=ids.device)
            extra["attention_mask"] = gaps.masked_fill(~mask, torch.finfo(self.dtype).min)[:, None].expand(
                len(ids), 1, *mask.shape[1:]
            )
        if positions is not None:
            extra["position_ids"] = positions
        if self._whole_head:
            return self.model.base_model(input_ids=ids, use_cache=False, **extra).last_hidden_state  # type: ignore[no-any-return]
        return self.model(input_ids=ids, use_cache=False, **extra).logits  # type: ignore[no-any-return]

    @property
    def gives_states(self) -> bool:
        """True where :meth:`states` gives states; False where it gives logits already."""
        return self._whole_head

    @cached_property
    def float_head(self) -> Tensor | None:
        """The head's weight in float32, made once; None where the head is more than a weight."""
        return None if self.head_weight is None else self.head_weight.detach().float()

    def forget_head(self) -> None:
        """Call after the weights have changed."""
        self.__dict__.pop("float_head", None)

    @property
    def head_weight(self) -> Tensor | None:
        """[vocabulary, h] where logits are states times this and nothing else; else None."""
        return self.head.weight if self._whole_head and self.head.bias is None else None


def gaps_of(hidden: Tensor, states: Tensor) -> Tensor:
    """What is added to scores: nothing, or the smallest number where ``hidden`` is True; in the dtype of ``states``."""
    nothing = torch.zeros(hidden.shape, dtype=states.dtype, device=states.device)
    return nothing.masked_fill_(hidden, torch.finfo(states.dtype).min)


def causal_gaps(length: int, states: Tensor) -> Tensor:
    """[length, length] for texts that look back."""
    return gaps_of(torch.ones(length, length, dtype=torch.bool, device=states.device).triu_(1), states)


def attend(query: Tensor, key: Tensor, value: Tensor, gaps: Tensor, scale: float) -> Tensor:
    """Attention of ``query`` [n, heads, l, d] over ``key`` and ``value`` [n, shared, m, d]; the result is [n, l, heads · d].

    ``gaps`` is added to the scores and broadcasts to [n, shared, group, l, m].
    """
    rows, heads, length, width = query.shape
    shared, seen = key.shape[1], key.shape[2]
    group = heads // shared
    scores = torch.matmul(query.reshape(rows, shared, group * length, width) * scale, key.transpose(2, 3))
    weights = torch.softmax(scores.view(rows, shared, group, length, seen) + gaps, dim=-1)
    mixed = torch.matmul(weights.view(rows, shared, group * length, seen), value)
    return mixed.view(rows, heads, length, width).transpose(1, 2).reshape(rows, length, heads * width)


def _layer(layer: Any) -> Layer:
    attention, inner = layer.self_attn, layer.mlp
    return Layer(
        attention.q_proj,
        attention.k_proj,
        attention.v_proj,
        attention.o_proj,
        inner.gate_proj,
        inner.up_proj,
        inner.down_proj,
        Norm(layer.input_layernorm),
        Norm(layer.post_attention_layernorm),
    )


def probe_ids(model: Any) -> Tensor:
    """Two rows of ids that the model knows."""
    vocabulary = model.get_input_embeddings().weight.shape[0]
    return torch.remainder(2 + torch.arange(12).view(2, 6) * 7, vocabulary)


def _could_be_lean(model: Any) -> bool:
    """True for an architecture that the lean way is written for; whether it is right is then seen on a probe."""
    config = model.config
    if config.model_type not in LEAN_TYPES or getattr(config, "hidden_act", "") != "silu":
        return False
    window = getattr(config, "sliding_window", None)
    slides = window is not None and getattr(config, "use_sliding_window", True)
    return not getattr(config, "attention_dropout", 0.0) and not (slides and window < config.max_position_embeddings)


def _same(model: Any, way: Callable[[Tensor], Tensor]) -> bool:
    """True where ``way`` gives transformers' logits for a probe (float32)."""
    was_training, parameter = model.training, next(model.parameters())
    model.eval()
    with torch.inference_mode():
        ids = probe_ids(model).to(parameter.device)
        own = model(input_ids=ids, use_cache=False).logits
        try:
            mine = way(ids)
        except (AttributeError, RuntimeError, TypeError):
            mine = own[..., :0]  # parts of the architecture have other names
        same = own.shape == mine.shape and torch.allclose(mine, own, atol=_TOLERANCE, rtol=_TOLERANCE, equal_nan=True)
    model.train(was_training)
    return bool(same)
