"""A smaller model from some of a teacher's layers."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from distill.engine import prune
from distill.engine.loading import L, with_model
from distill.errors import ModelError, SpecError


def evenly_spread(total: int, count: int) -> tuple[int, ...]:
    """``count`` of ``total`` layers (0-based), first and last included: 6 -> 3 gives 0, 2, 5; one layer is the last.

    The spacing is numpy's linspace rounded down, the choice of DistilBERT-style initialisation (every n-th layer) made to
    end at the teacher's last layer, whose output the head knows.

    Raises:
        SpecError: ``count`` is not between 1 and ``total``.
    """
    if not 1 <= count <= total:
        raise SpecError(
            f"A student of {count} layers cannot be picked from a teacher of {total}.",
            hint=f"Choose between 1 and {total} layers.",
        )
    if count == 1:
        return (total - 1,)
    return tuple(position * (total - 1) // (count - 1) for position in range(count))


def layer_stack(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """Name and module of the encoder's stack of layers: the outermost list of like modules as long as the configuration says.

    Raises:
        ModelError: the architecture has no such stack, or more than one (layers shared as in ALBERT, or two towers).
    """
    total = getattr(model.config, "num_hidden_layers", None)
    stacks: list[tuple[str, nn.ModuleList]] = []
    for name, module in model.named_modules():
        alike = isinstance(module, nn.ModuleList) and len(module) == total and len({type(m) for m in module}) == 1
        if alike and isinstance(module, nn.ModuleList) and not any(name.startswith(f"{outer}.") for outer, _ in stacks):
            stacks.append((name, module))
    if len(stacks) != 1:
        raise ModelError(
            f"Layers of the architecture '{model.config.model_type}' cannot be picked: it has no single stack of layers.",
            hint="Give the student a checkpoint of its own (student.init: checkpoint).",
        )
    return stacks[0]


def pick_layers(loaded: L, layers: int | Sequence[int]) -> L:
    """A copy of ``loaded`` that keeps only some layers, and everything below and above them.

    The copy is built from its own, shortened configuration and filled with the kept weights, so what is in memory is what
    a later load from disk gives.

    Args:
        loaded: the teacher; left as it is.
        layers: how many, evenly spread; or exactly which (0-based), in order.

    Raises:
        SpecError: a number that the teacher does not have.
        ModelError: an architecture whose layers cannot be picked; it is named.
    """
    model = loaded.model
    name, stack = layer_stack(model)
    total = len(stack)
    chosen = evenly_spread(total, layers) if isinstance(layers, int) else tuple(layers)
    if not chosen or any(not 0 <= layer < total for layer in chosen) or list(chosen) != sorted(set(chosen)):
        raise SpecError(
            f"The layers {list(chosen)} cannot be picked from a teacher of {total} layers.",
            hint=f"Name each layer once, in rising order, from 0 to {total - 1}.",
        )
    config = copy.deepcopy(model.config)
    for key, value in vars(model.config).items():
        if isinstance(value, list | tuple) and len(value) == total and key != "architectures":
            setattr(config, key, [value[layer] for layer in chosen])
    config.num_hidden_layers = len(chosen)
    shape = getattr(config, prune.KEY, None)
    if shape is not None:  # a teacher with cut layers: each layer keeps its own size
        shape = {part: [sizes[layer] for layer in chosen] for part, sizes in shape.items()}
        setattr(config, prune.KEY, shape)
    with torch.random.fork_rng(devices=[]):  # the weights drawn here are all replaced
        student = type(model)(config)
    if shape is not None:
        prune.shrink(student, shape)
    try:
        student.load_state_dict(_kept(model, name, chosen), strict=True)
    except RuntimeError as error:
        raise ModelError(
            f"The layers {list(chosen)} of the architecture '{config.model_type}' do not make a model of their own.",
            hint="Keep the first layer, or give the student a checkpoint of its own (student.init: checkpoint).",
        ) from error
    return with_model(loaded, student.eval())


def _kept(model: PreTrainedModel, stack: str, chosen: tuple[int, ...]) -> dict[str, torch.Tensor]:
    place = re.compile(rf"{re.escape(stack)}\.(\d+)\.")
    new = {old: position for position, old in enumerate(chosen)}
    kept: dict[str, torch.Tensor] = {}
    for key, tensor in model.state_dict().items():
        found = place.match(key)
        if found is None:
            kept[key] = tensor
        elif int(found.group(1)) in new:
            kept[f"{stack}.{new[int(found.group(1))]}.{key[found.end() :]}"] = tensor
    return kept
