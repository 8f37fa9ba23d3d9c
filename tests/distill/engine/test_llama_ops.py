"""The written-down gradients are those of finite differences, and the values those of the composed operations."""

from __future__ import annotations

import torch
from torch.nn import functional

from distill.engine.llama_ops import gated, rms_norm, turned


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_(True)


def angles(length: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    phase = torch.arange(length).double()[:, None] * torch.rand(width // 2).double()[None]
    phase = torch.cat([phase, phase], dim=-1)[None, None]
    return phase.cos(), phase.sin()


def test_gradients_are_those_of_finite_differences() -> None:
    cos, sin = angles(3, 6)
    assert torch.autograd.gradcheck(lambda x, w: rms_norm(x, w, 1e-5), (numbers(2, 3, 5), numbers(5, seed=1)))
    assert torch.autograd.gradcheck(gated, (numbers(2, 3, 4), numbers(2, 3, 4, seed=1)))
    assert torch.autograd.gradcheck(lambda x: turned(x, cos, sin), (numbers(2, 4, 3, 6),))


def test_values_are_those_of_the_composed_operations() -> None:
    x, w = numbers(2, 3, 8), numbers(8, seed=1)
    expected = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5) * w
    torch.testing.assert_close(rms_norm(x, w, 1e-5), expected)
    torch.testing.assert_close(gated(x, x.flip(0)), functional.silu(x) * x.flip(0))
    cos, sin = angles(3, 8)
    y = numbers(2, 2, 3, 8, seed=2)
    swapped = torch.cat([-y[..., 4:], y[..., :4]], dim=-1)
    torch.testing.assert_close(turned(y, cos, sin), y * cos + swapped * sin)
    strided = numbers(2, 3, 2, 8, seed=3).transpose(1, 2)
    assert turned(strided, cos, sin).is_contiguous()
