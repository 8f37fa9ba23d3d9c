"""AdamW with float32 master weights under a model that may compute in bfloat16."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import AdamW

Schedule = Literal["linear", "cosine", "constant"]


def rate_at(step: int, steps: int, warmup: float, schedule: Schedule) -> float:
    """Share of the learning rate at ``step`` (0-based) of ``steps``: rises over the first ``warmup`` share, then falls.

    ``linear`` falls to 0 after the last step, ``cosine`` by half a cosine, ``constant`` not at all.
    """
    rise = math.ceil(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    if schedule == "constant":
        return 1.0
    gone = (step - rise) / max(1, steps - rise)
    return 0.5 * (1 + math.cos(math.pi * gone)) if schedule == "cosine" else 1.0 - gone


class MasterAdamW:
    """AdamW over the trainable parameters of ``model``.

    Where the model computes in bfloat16 the weights are kept in float32 beside it: an update that is too small for
    bfloat16's 8 bits of mantissa would be lost otherwise (Micikevicius et al. 2018, "Mixed Precision Training").
    Biases and normalisation weights are not decayed.

    Args:
        model: already in its compute dtype.
        masters: float32 values of the trainable parameters, by name; they become the master weights.
        learning_rate, weight_decay, clip: as in the TrainingSpec.
    """

    def __init__(
        self,
        model: nn.Module,
        masters: dict[str, Tensor],
        learning_rate: float,
        weight_decay: float,
        clip: float,
    ) -> None:
        self._rate = learning_rate
        self._clip = clip
        named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
        self.names = [name for name, _ in named]
        self._live: list[Tensor] = [parameter for _, parameter in named]
        self._mixed = any(parameter.dtype != torch.float32 for parameter in self._live)
        self._masters: list[Tensor] = list(self._live)
        if self._mixed:
            self._masters = [masters[name].clone().to(parameter.device) for name, parameter in named]
            for master in self._masters:
                master.grad = torch.zeros_like(master)
        self._grads = [master.grad for master in self._masters if master.grad is not None]
        decayed = [m for m, p in zip(self._masters, self._live, strict=True) if p.ndim > 1]
        plain = [m for m, p in zip(self._masters, self._live, strict=True) if p.ndim <= 1]
        groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0}]
        self._adamw = AdamW([group for group in groups if group["params"]], lr=learning_rate, fused=True)

    def step(self, share: float) -> None:
        """Clip, update with ``share`` of the learning rate, and forget the gradients."""
        live: list[Any] = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self._live]
        if self._mixed:
            torch._foreach_copy_(self._grads, live)
        torch.nn.utils.clip_grad_norm_(self._masters, self._clip, foreach=True)
        for group in self._adamw.param_groups:
            group["lr"] = self._rate * share
        self._adamw.step()
        if self._mixed:
            with torch.no_grad():
                torch._foreach_copy_(self._live, self._masters)
        for parameter in self._live:
            parameter.grad = None

    def weights(self) -> dict[str, Tensor]:
        """Copies of the float32 weights, by name."""
        return {name: m.detach().clone().float() for name, m in zip(self.names, self._masters, strict=True)}

    def state(self) -> dict[str, Tensor]:
        """Weights and moments as flat tensors by name, for a checkpoint."""
        tensors: dict[str, Tensor] = {}
        for name, master in zip(self.names, self._masters, strict=True):
            tensors[f"weight.{name}"] = master.detach()
            for part, value in self._adamw.state.get(master, {}).items():
                tensors[f"adam.{part}.{name}"] = value
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Set weights and moments as ``state`` gave them."""
        with torch.no_grad():
            for name, master in zip(self.names, self._masters, strict=True):
                master.copy_(tensors[f"weight.{name}"])
                parts = ("step", "exp_avg", "exp_avg_sq")
                found = {part: tensors[f"adam.{part}.{name}"] for part in parts if f"adam.{part}.{name}" in tensors}
                self._adamw.state[master] = {part: value.to(master.device) for part, value in found.items()}
            if self._mixed:
                torch._foreach_copy_(self._live, self._masters)
