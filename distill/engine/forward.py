"""Logits of a batch, in the way that suits model and device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.engine.dropout import use_quick_dropout
from distill.engine.encode import Batch
from distill.engine.lean import LONG, lean_classifier


class Forward:
    """Logits of ``model`` for padded batches. The model is moved and cast in place.

    On a CPU the BERT family takes the lean way, and everything else eager attention for short texts: the backward pass of SDPA
    is slow there (half of a training step was seen to go into it). Elsewhere transformers' own forward with SDPA.

    Args:
        model: a sequence classifier with float32 weights.
        device: where it shall run.
        dtype: of weights and activations.
        max_tokens: longest text to come.
    """

    def __init__(self, model: Any, device: torch.device, dtype: torch.dtype, max_tokens: int) -> None:
        on_cpu = device.type == "cpu"
        self._model = model
        self._lean = lean_classifier(model) if on_cpu and model.dtype == torch.float32 else None
        if on_cpu:
            use_quick_dropout(model)
        eager = (on_cpu and max_tokens <= LONG) or not getattr(model, "_supports_sdpa", False)
        model.set_attn_implementation("eager" if eager else "sdpa")
        model.to(device=device, dtype=dtype)

    def __call__(self, batch: Batch) -> Tensor:
        """[n, k] in the model's dtype."""
        if self._lean is not None:
            return self._lean(batch)
        output: Tensor = self._model(**_inputs(batch)).logits
        return output

    def first(self, batch: Batch) -> Tensor:
        """[n, h], the state of each text's first position after the last layer: what the BERT family reads its label from."""
        if self._lean is not None:
            return self._lean.first(batch)[:, 0]
        states: Tensor = self._model.base_model(**_inputs(batch))[0]
        return states[:, 0]

    def states(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits [n, k] and the states [n, l, h] after each layer. Never the lean way: its last layer sees the first position alone."""
        output = self._model(**_inputs(batch), output_hidden_states=True)
        return output.logits, tuple(output.hidden_states[1:])


def _inputs(batch: Batch) -> dict[str, Tensor]:
    extra = {} if batch.types is None else {"token_type_ids": batch.types}
    mask = batch.mask if batch.mask is not None else torch.ones_like(batch.ids)
    return {"input_ids": batch.ids, "attention_mask": mask, **extra}
