"""The fused loss gives the value and the gradients of the plain one, and does not depend on how a batch is cut."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from distill.engine import head_loss as module
from distill.engine.head_loss import LossOptions, TokenTargets, head_loss
from distill.engine.losses import top_k_loss

DIVERGENCES: tuple[Literal["forward", "reverse", "jsd"], ...] = ("forward", "reverse", "jsd")


def problem(k: int, t: int = 37, h: int = 8, v: int = 29) -> tuple[torch.Tensor, torch.Tensor, TokenTargets]:
    torch.manual_seed(k)
    states = torch.randn(t, h, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(v, h, dtype=torch.float64, requires_grad=True)
    teacher = torch.log_softmax(2 * torch.randn(t, v, dtype=torch.float64), dim=-1)
    values, ids = torch.topk(teacher, k, dim=-1)
    tail = (1 - values.exp().sum(-1)).clamp(min=0)
    return states, weight, TokenTargets(ids, values, tail)


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize("k", [1, 5, 29])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_it_equals_the_plain_loss(
    divergence: Literal["forward", "reverse", "jsd"], k: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 10)
    states, weight, targets = problem(k)
    mine = head_loss(states, weight, targets, LossOptions(temperature, len(states), divergence, 0.3))
    own = torch.autograd.grad(mine, [states, weight])
    plain = top_k_loss(
        states @ weight.T,
        targets.top_ids,
        targets.top_logprobs,
        targets.tail,
        temperature,
        divergence=divergence,
        beta=0.3,
    )
    expected = torch.autograd.grad(plain, [states, weight])
    torch.testing.assert_close(mine.double(), plain, rtol=1e-6, atol=1e-6)
    for mine_part, plain_part in zip(own, expected, strict=True):
        torch.testing.assert_close(mine_part.double(), plain_part, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_student_equal_to_the_teacher_has_no_loss_and_no_gradient(
    divergence: Literal["forward", "reverse", "jsd"],
) -> None:
    states, weight, _ = problem(4)
    logits = torch.log_softmax(states @ weight.T, dim=-1).detach()
    values, ids = torch.topk(logits, 4, dim=-1)
    targets = TokenTargets(ids, values, 1 - values.exp().sum(-1))
    loss = head_loss(states, weight, targets, LossOptions(1.5, len(states), divergence))
    slopes = torch.autograd.grad(loss, [states, weight])
    assert abs(float(loss)) < 1e-9
    assert all(float(slope.abs().max()) < 1e-9 for slope in slopes)


def test_gradients_do_not_depend_on_how_a_batch_is_cut() -> None:
    states, weight, targets = problem(6)
    whole = torch.autograd.grad(head_loss(states, weight, targets, LossOptions(1.0, 37)), states)[0]
    parts = []
    for piece in (slice(0, 11), slice(11, 37)):
        some = TokenTargets(targets.top_ids[piece], targets.top_logprobs[piece], targets.tail[piece])
        loss = head_loss(states[piece], weight, some, LossOptions(1.0, 37))
        parts.append(torch.autograd.grad(loss, states)[0][piece])
    torch.testing.assert_close(torch.cat(parts), whole)


def test_hard_targets_are_cross_entropy() -> None:
    states, weight, _ = problem(3)
    tokens = torch.arange(37) % 29
    targets = TokenTargets(tokens[:, None], torch.zeros(37, 1), torch.zeros(37))
    mine = head_loss(states, weight, targets, LossOptions(1.0, 37))
    torch.testing.assert_close(
        mine.double(), torch.nn.functional.cross_entropy(states @ weight.T, tokens), rtol=1e-6, atol=1e-6
    )


def test_weights_count_positions() -> None:
    states, weight, targets = problem(5)
    weights = torch.zeros(37)
    weights[:10] = 2.0
    weighted = TokenTargets(targets.top_ids, targets.top_logprobs, targets.tail, weights)
    some = TokenTargets(targets.top_ids[:10], targets.top_logprobs[:10], targets.tail[:10])
    mine = head_loss(states, weight, weighted, LossOptions(1.0, 37))
    part = head_loss(states[:10], weight, some, LossOptions(1.0, 37))
    torch.testing.assert_close(mine, 2 * part)
