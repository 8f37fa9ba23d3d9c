"""Logits of a batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from distill.engine.encode import Batch

SHORT = 128  # tokens up to which plain products beat the fused attention kernels of a CPU, forward and backward


class Forward:
    """Logits of ``model`` for padded batches.

    Args:
        model: a sequence classifier, already on ``device`` and in its dtype.
        device: where it is.
        max_tokens: longest text to come; decides the attention: ``eager`` for short texts on a CPU, else SDPA.
    """

    def __init__(self, model: Any, device: torch.device, max_tokens: int) -> None:
        self._model = model
        wanted = "eager" if device.type == "cpu" and max_tokens <= SHORT else "sdpa"
        if wanted == "sdpa" and not getattr(model, "_supports_sdpa", False):
            wanted = "eager"
        model.set_attn_implementation(wanted)

    def __call__(self, batch: Batch) -> Tensor:
        """[n, k] in the model's dtype."""
        extra = {} if batch.types is None else {"token_type_ids": batch.types}
        mask = batch.mask if batch.mask is not None else torch.ones_like(batch.ids)
        output: Tensor = self._model(input_ids=batch.ids, attention_mask=mask, **extra).logits
        return output
