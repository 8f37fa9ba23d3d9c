"""Pruning: heads and feed-forward units that matter least are cut out, or single weights are set to zero.

A structurally pruned model has smaller matrices than its architecture's configuration can say, so their sizes stand in the
configuration under ``heirloom_pruned`` and :func:`shrink` gives a freshly built model the same shape before weights are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from distill.engine.encode import encode, sorted_batches
from distill.engine.lean import LEAN_TYPES, Layer, LeanClassifier
from distill.errors import ModelError
from distill.types import Ints

KEY = "heirloom_pruned"
BATCH = 8  # texts whose gradients are summed before their absolute value is taken


def encoder_layers(model: Any) -> list[Layer]:
    """The encoder's layers by their parts; raises ModelError, which names the architecture, where they are not known."""
    kind = model.config.model_type
    if kind not in LEAN_TYPES:
        raise ModelError(
            f"The architecture '{kind}' cannot be pruned: its heads and feed-forward units are not known.",
            hint=f"Known are {', '.join(sorted(LEAN_TYPES))}. Leave this arm out.",
        )
    return LeanClassifier(model).layers


def _width(layer: Layer) -> int:
    """Numbers of one head."""
    return int(layer.query.out_features) // layer.heads


@dataclass(frozen=True)
class Importance:
    """For each layer the importance of its heads [heads] and of its feed-forward units [inner]; higher is kept."""

    heads: list[Tensor]
    inner: list[Tensor]


def importance(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    pairs: Sequence[str | None] | None,
    labels: Ints,
    max_tokens: int,
) -> Importance:
    """How much the loss would change without each head and unit, to first order, over some texts.

    The absolute gradient of the cross-entropy with respect to a gate of 1 on the part's output, summed over small batches
    (Michel et al. 2019, "Are Sixteen Heads Really Better than One?", equation 2; Molchanov et al. 2017 for units).
    """
    layers = encoder_layers(model)
    gates = [(torch.ones(one.heads, requires_grad=True), torch.ones(one.up.out_features, requires_grad=True)) for one in layers]  # fmt: skip
    sums = Importance([torch.zeros_like(head) for head, _ in gates], [torch.zeros_like(inner) for _, inner in gates])
    handles = []
    for layer, (head, inner) in zip(layers, gates, strict=True):
        handles.append(layer.out.register_forward_pre_hook(_gated(head, _width(layer))))
        handles.append(layer.down.register_forward_pre_hook(_gated(inner, 1)))
    encoded = encode(tokenizer, texts, pairs, max_tokens)
    try:
        for rows in sorted_batches(encoded.lengths, BATCH):
            batch = encoded.batch(rows, torch.device("cpu"))
            mask = torch.ones_like(batch.ids) if batch.mask is None else batch.mask
            types = {} if batch.types is None else {"token_type_ids": batch.types}
            logits = model(input_ids=batch.ids, attention_mask=mask, **types).logits
            loss = functional.cross_entropy(logits, torch.from_numpy(labels[rows]))
            flat = [gate for both in gates for gate in both]
            found = torch.autograd.grad(loss, flat)
            for position, gradient in enumerate(found):
                (sums.inner if position % 2 else sums.heads)[position // 2].add_(gradient.abs())
    finally:
        for handle in handles:
            handle.remove()
    return sums


def _gated(gate: Tensor, repeat: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor]]:
    def hook(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (given[0] * gate.repeat_interleave(repeat),)

    return hook


def cut(model: Any, found: Importance, sparsity: float, *, heads_too: bool = True) -> None:
    """Cut the least important heads and units out of every layer, in place; the same share in each, one at least stays.

    Args:
        model: of a known architecture.
        found: what matters.
        sparsity: share that goes, between 0 and 1.
        heads_too: False leaves the heads alone, so that the feed-forward layers become narrower and nothing else.
    """
    layers = encoder_layers(model)
    kept_heads, kept_inner = [], []
    for layer, heads, inner in zip(layers, found.heads, found.inner, strict=True):
        best = _best(heads, sparsity if heads_too else 0.0)
        width = _width(layer)
        rows = (best[:, None] * width + torch.arange(width)[None, :]).flatten()
        units = _best(inner, sparsity)
        for linear in (layer.query, layer.key, layer.value):
            _take(linear, rows=rows)
        _take(layer.out, columns=rows)
        _take(layer.up, rows=units)
        _take(layer.down, columns=units)
        kept_heads.append(len(best))
        kept_inner.append(len(units))
    _name_heads(model, kept_heads)
    setattr(model.config, KEY, {"heads": kept_heads, "inner": kept_inner})


def picked(found: Importance, layers: Sequence[int]) -> Importance:
    """The importance of some layers alone (0-based): of a student that is made of them."""
    return Importance([found.heads[layer] for layer in layers], [found.inner[layer] for layer in layers])


def _best(values: Tensor, sparsity: float) -> Tensor:
    count = max(1, round(len(values) * (1 - sparsity)))
    return torch.sort(torch.argsort(values, descending=True, stable=True)[:count]).values


def _take(linear: nn.Linear, *, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    weight = linear.weight.detach()
    weight = weight if rows is None else weight[rows]
    weight = weight if columns is None else weight[:, columns]
    linear.weight = nn.Parameter(weight.clone())
    if rows is not None and linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[rows].clone())
    linear.out_features, linear.in_features = weight.shape


def _name_heads(model: Any, heads: Sequence[int]) -> None:
    """Tell the layers' modules how many heads they have now."""
    distil = model.config.model_type == "distilbert"
    stack = model.base_model.transformer if distil else model.base_model.encoder
    for layer, count in zip(stack.layer, heads, strict=True):
        if distil:
            layer.attention.n_heads = count
        else:
            layer.attention.self.num_attention_heads = count


def shrink(model: Any, shape: Any) -> None:
    """Give a freshly built model the sizes of ``shape`` ({'heads': […], 'inner': […]}); its weights are loaded after that.

    Raises:
        ModelError: the sizes do not fit the model.
    """
    layers = encoder_layers(model)
    try:
        heads, inner = [int(n) for n in shape["heads"]], [int(n) for n in shape["inner"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"'{KEY}' in the configuration cannot be read.", hint="Copy config.json again.") from error
    fits = len(heads) == len(inner) == len(layers) and all(
        1 <= h <= one.heads and 1 <= n <= one.up.out_features for one, h, n in zip(layers, heads, inner, strict=True)
    )
    if not fits:
        raise ModelError(f"'{KEY}' in the configuration does not fit the model.", hint="Copy config.json again.")
    for layer, head, units in zip(layers, heads, inner, strict=True):
        rows, width = torch.arange(head * _width(layer)), torch.arange(units)
        for linear in (layer.query, layer.key, layer.value):
            _take(linear, rows=rows)
        _take(layer.out, columns=rows)
        _take(layer.up, rows=width)
        _take(layer.down, columns=width)
    _name_heads(model, heads)


@dataclass(frozen=True)
class Zeros:
    """Which weights of which matrices stay zero, and how a training is kept to it."""

    places: list[tuple[nn.Linear, Tensor]]

    @property
    def count(self) -> int:
        """How many weights are zero."""
        return sum(int(place.sum()) for _, place in self.places)

    def apply(self) -> None:
        """Set them to zero."""
        for linear, place in self.places:
            linear.weight.data.masked_fill_(place, 0.0)

    def hold(self) -> list[Any]:
        """Set them to zero before every forward pass, copies of the model included; the handles remove that again."""
        return [linear.register_forward_pre_hook(_zeroing(place)) for linear, place in self.places]


def _zeroing(place: Tensor) -> Callable[[Any, tuple[Tensor, ...]], None]:
    def hook(module: Any, given: tuple[Tensor, ...]) -> None:
        module.weight.data.masked_fill_(place.to(module.weight.device), 0.0)

    return hook


def smallest(model: Any, sparsity: float) -> Zeros:
    """The weights of smallest magnitude in each matrix of the encoder's layers, a share of ``sparsity`` (Han et al. 2015)."""
    places = []
    for layer in encoder_layers(model):
        for linear in (layer.query, layer.key, layer.value, layer.out, layer.up, layer.down):
            sizes = linear.weight.detach().abs().flatten()
            place = torch.zeros_like(sizes, dtype=torch.bool)
            place[torch.argsort(sizes, stable=True)[: int(np.floor(len(sizes) * sparsity))]] = True
            places.append((linear, place.view_as(linear.weight)))
    return Zeros(places)
