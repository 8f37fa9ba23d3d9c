"""The loss of a language model straight from its last states: logits of some positions at a time, never of a whole batch.

A batch of 32 answers of 48 tokens over 49,152 tokens of vocabulary has 300 MB of logits, and a loss that is composed of torch's operations
holds several times that. Here the gradient by the logits is written down (it is short) and multiplied by the head at once, piece by piece,
as in Liger's fused linear cross-entropy (Hsu et al. 2024). The head's own gradient is only computed where the head is trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill.engine.losses import Divergence, coarse_divergence, log_tail

PIECE = 128  # positions whose logits exist at once: 25 MB at a vocabulary of 49,152


@dataclass(frozen=True)
class TokenTargets:
    """What the teacher said at t positions.

    Attributes:
        top_ids: [t, k] int64, distinct in a row; for hard targets [t, 1], the token itself.
        top_logprobs: [t, k]; 0 for hard targets.
        tail: [t]; 0 for hard targets.
        weights: [t], how much each position counts; 1 when None.
    """

    top_ids: Tensor
    top_logprobs: Tensor
    tail: Tensor
    weights: Tensor | None = None


@dataclass(frozen=True)
class LossOptions:
    """Temperature, divergence and its β, and the number of positions in the whole batch."""

    temperature: float
    total: int
    divergence: Divergence = "forward"
    beta: float = 0.5


def head_loss(states: Tensor, weight: Tensor, targets: TokenTargets, options: LossOptions) -> Tensor:
    """:func:`distill.engine.losses.top_k_loss` of ``states`` [t, h] times ``weight`` [vocabulary, h], summed and divided by the total.

    Returns:
        A scalar in float32, differentiable by states and, where it is trained, by weight.
    """
    loss: Tensor = _HeadLoss.apply(states, weight, targets, options)  # type: ignore[no-untyped-call]
    return loss


class _HeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weight: Tensor, targets: TokenTargets, options: LossOptions) -> Tensor:
        wants_weight = weight.requires_grad
        by_states = torch.empty_like(states)
        by_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device) if wants_weight else None
        loss = torch.zeros((), dtype=torch.float64, device=states.device)
        for start in range(0, len(states), PIECE):
            piece = slice(start, start + PIECE)
            part, gradient = _piece(states[piece] @ weight.T, targets, piece, options)
            loss += part
            gradient = gradient.to(weight.dtype)
            by_states[piece] = gradient @ weight
            if by_weight is not None:
                by_weight += (gradient.T @ states[piece]).float()
        ctx.save_for_backward(by_states, *([] if by_weight is None else [by_weight.to(weight.dtype)]))
        return loss.float()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        by_states, *by_weight = ctx.saved_tensors
        scale = outer[0]
        return by_states * scale, by_weight[0] * scale if by_weight else None, None, None


def _piece(logits: Tensor, targets: TokenTargets, piece: slice, options: LossOptions) -> tuple[Tensor, Tensor]:
    """Loss of some positions (float64) and its gradient by their logits.

    With s the student's log-probabilities of the k tokens and of the tail, and g the gradient by s (each row sums to 0, since the
    divergence does not change when a constant is added to s), the gradient by the logit of one of the k is its g, and by the logit
    of another token its share of the tail times the tail's g.
    """
    exact = torch.float64 if logits.dtype == torch.float64 else torch.float32
    logits = logits.to(exact)
    ids = targets.top_ids[piece]
    whole = torch.logsumexp(logits, dim=-1, keepdim=True)
    student = logits.gather(-1, ids) - whole
    teacher = targets.top_logprobs[piece].to(exact)
    with_tail = ids.shape[-1] < logits.shape[-1]
    others = torch.sub(logits, whole, out=logits).exp_()
    if with_tail:
        others.scatter_(-1, ids, 0.0)
        rest = others.sum(dim=-1, keepdim=True).clamp_(min=torch.finfo(exact).tiny)
        student = torch.cat([student, rest.log()], dim=-1)
        teacher = torch.cat([teacher, log_tail(targets.tail[piece], exact)], dim=-1)
    with torch.enable_grad():
        student = student.detach().requires_grad_(True)
        rows = coarse_divergence(student, teacher, options.temperature, options.divergence, options.beta)
        if targets.weights is not None:
            rows = rows * targets.weights[piece].to(exact)
        loss = rows.sum() / options.total
        (slope,) = torch.autograd.grad(loss, student)
    if with_tail:
        gradient = others.mul_(slope[:, -1:] / rest)
        gradient.scatter_(-1, ids, slope[:, :-1])
    else:
        gradient = torch.zeros_like(others).scatter_(-1, ids, slope)
    return loss.detach().double(), gradient
