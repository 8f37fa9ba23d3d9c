"""Parts of a Llama layer with their gradients written down: fewer passes over memory, and less kept for the way back.

Composed of torch's operations a normalisation keeps four float32 copies of its input; on a CPU, where a training step is half arithmetic and
half moving numbers, that costs both time and most of the memory. Results are those of transformers' modules but for rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def rms_norm(states: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root mean square normalisation (Zhang and Sennrich 2019) over the last dimension, in float32 inside."""
    normed: Tensor = _RmsNorm.apply(states, weight, eps)  # type: ignore[no-untyped-call]
    return normed


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) · up (Shazeer 2020, "GLU Variants Improve Transformer")."""
    product: Tensor = _Gated.apply(gate, up)  # type: ignore[no-untyped-call]
    return product


def turned(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021) of [n, heads, l, d] by [n, 1, l, d], halves as in transformers' Llama."""
    rotated: Tensor = _Turned.apply(states, cos, sin)  # type: ignore[no-untyped-call]
    return rotated


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, eps: float) -> Tensor:
        exact = states.float() if states.dtype != torch.float64 else states
        spread = torch.linalg.vector_norm(exact, dim=-1, keepdim=True).square_().div_(states.shape[-1]).add_(eps)
        shrink = spread.rsqrt_()
        ctx.save_for_backward(states, weight, shrink)
        normed: Tensor = (exact * shrink).to(states.dtype) * weight
        return normed

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        states, weight, shrink = ctx.saved_tensors
        unit = states.to(shrink.dtype) * shrink
        slope = outer[0].to(shrink.dtype)
        by_weight = (slope * unit).flatten(0, -2).sum(dim=0).to(weight.dtype) if ctx.needs_input_grad[1] else None
        slope = slope * weight.to(shrink.dtype)
        along = (slope * unit).mean(dim=-1, keepdim=True)
        by_states = slope.addcmul_(unit, along, value=-1).mul_(shrink)
        return by_states.to(states.dtype), by_weight, None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, ...]:
        gate, up = ctx.saved_tensors
        slope = outer[0]
        by_up = functional.silu(gate).mul_(slope)
        by_gate = torch.ops.aten.silu_backward(slope * up, gate)
        return by_gate, by_up


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turn(states, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turn(outer[0], cos, sin, -1.0), None, None


def _turn(states: Tensor, cos: Tensor, sin: Tensor, sign: float) -> Tensor:
    """Turn by the angle, or back (sign −1). Both halves of cos and sin are equal, as the architecture has them."""
    half = states.shape[-1] // 2
    first, second = states[..., :half], states[..., half:]
    cos, sin = cos[..., :half], sin[..., :half]
    found = torch.empty(states.shape, dtype=states.dtype, device=states.device)
    torch.mul(first, cos, out=found[..., :half]).addcmul_(second, sin, value=-sign)
    torch.mul(second, cos, out=found[..., half:]).addcmul_(first, sin, value=sign)
    return found
