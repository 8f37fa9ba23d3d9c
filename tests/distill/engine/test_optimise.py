from __future__ import annotations

import copy
from typing import Literal

import pytest
import torch
from torch import nn

from distill.engine.optimise import MasterAdamW, rate_at


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_schedules(schedule: Literal["linear", "cosine", "constant"]) -> None:
    shares = [rate_at(step, 100, 0.1, schedule) for step in range(100)]
    assert all(0 < share <= 1 for share in shares)
    assert shares[:10] == sorted(shares[:10]) and max(shares) == shares[10] == 1
    assert shares[-1] == 1 if schedule == "constant" else shares[-1] < 0.02
    assert rate_at(0, 1, 0.0, schedule) == 1


def _grads(model: nn.Module, seed: int) -> None:
    source = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=source).to(parameter.dtype)


def _masters(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def test_equals_torch_with_clipping() -> None:
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4))
    theirs = copy.deepcopy(ours)
    adamw = MasterAdamW(ours, _masters(ours), 1e-2, 0.1, 1.0)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in theirs.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, lr=1e-2)
    for step in range(6):
        _grads(ours, step)
        _grads(theirs, step)
        nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        reference.step()
        adamw.step(1.0)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
        assert one.grad is None


def test_master_weights_keep_what_bfloat16_would_lose() -> None:
    model = nn.Linear(8, 8, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    masters = _masters(model)
    low = copy.deepcopy(model).bfloat16()
    adamw = MasterAdamW(low, masters, 1e-4, 0.0, 1.0)
    for _ in range(100):
        low.weight.grad = torch.ones_like(low.weight)
        adamw.step(1.0)
    assert low.weight.dtype == torch.bfloat16
    torch.testing.assert_close(adamw.weights()["weight"], torch.full((8, 8), 0.99), atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_state_goes_round(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    start = nn.Linear(5, 4)
    one, other = copy.deepcopy(start).to(dtype), copy.deepcopy(start).to(dtype)
    first = MasterAdamW(one, _masters(start), 1e-2, 0.1, 1.0)
    for step in range(3):
        _grads(one, step)
        first.step(0.5)
    second = MasterAdamW(other, _masters(start), 1e-2, 0.1, 1.0)
    second.restore({name: tensor.clone() for name, tensor in first.state().items()})
    for step in range(3, 6):
        for model, adamw in ((one, first), (other, second)):
            _grads(model, step)
            adamw.step(0.5)
    for name, tensor in first.state().items():
        assert torch.equal(tensor, second.state()[name]), name
    assert torch.equal(one.weight, other.weight)
