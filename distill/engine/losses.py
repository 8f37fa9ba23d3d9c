"""Losses of distillation."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Divergence = Literal["forward", "reverse", "jsd"]
_NOTHING = -60.0  # nats; what stands for the logarithm of nothing in the reverse divergence


def soften(probs: Tensor, temperature: float) -> Tensor:
    """Probabilities at temperature T from probabilities at T = 1: p^(1/T), renormalised. Any shape, classes last.

    It equals softmax(logits / T): the logits are log p up to a constant per row, which softmax ignores.
    """
    return torch.softmax(probs.log() / temperature, dim=-1)


def soft_target_loss(
    student_logits: Tensor,
    teacher_probs: Tensor,
    temperature: float,
    hard_label_weight: float = 0.0,
    hard_labels: Tensor | None = None,
    *,
    total: int | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """(1 − w) · T² · KL(teacher_T ‖ student_T) + w · cross-entropy with the label, in nats.

    Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network": both sides are softened by the same T, and
    T² keeps the size of the gradient when T changes. Rows are summed and divided by ``total``, so the gradient of a batch does
    not depend on how it is cut into pieces.

    Args:
        student_logits: [n, k], any float dtype; computed in float32 or better.
        teacher_probs: [n, k] at T = 1, rows sum to 1; zeros are allowed (one-hot rows make this cross-entropy at T = 1).
        temperature: T > 0.
        hard_label_weight: w in [0, 1].
        hard_labels: [n] indices; the teacher's most probable label when None.
        total: rows in the whole batch, when this is a piece of it; n when None.
        weights: [n], how much each row counts; 1 when None. Their sum is not divided by, so they should have mean 1.

    Returns:
        A scalar. It is 0, and so is its gradient, when the student equals the teacher and w is 0.
    """
    logits = student_logits.float() if student_logits.dtype in (torch.bfloat16, torch.float16) else student_logits
    probs = teacher_probs.to(logits.dtype)
    rows = logits.shape[0] if total is None else total
    loss = logits.new_zeros(())
    if hard_label_weight < 1:
        target = soften(probs, temperature)
        log_student = functional.log_softmax(logits / temperature, dim=-1)
        divergence = _summed(functional.kl_div(log_student, target, reduction="none").sum(dim=-1), weights)
        loss = loss + (1 - hard_label_weight) * temperature**2 * divergence / rows
    if hard_label_weight > 0:
        hard = probs.argmax(dim=-1) if hard_labels is None else hard_labels
        loss = (
            loss + hard_label_weight * _summed(functional.cross_entropy(logits, hard, reduction="none"), weights) / rows
        )
    return loss


def pairing_loss(logits: Tensor, twin_logits: Tensor, *, total: int | None = None) -> Tensor:
    """Mean over classes of the squared difference of logits, summed over pairs and divided by ``total``.

    Counterfactual logit pairing (Garg et al. 2019, "Counterfactual Fairness in Text Classification through Robustness").

    Args:
        logits, twin_logits: [m, k] of a text and of its counterfactual.
        total: rows in the whole batch, those without a twin included; m when None.
    """
    difference = logits.float() - twin_logits.float()
    return difference.square().mean(dim=-1).sum() / (logits.shape[0] if total is None else total)


def _summed(rows: Tensor, weights: Tensor | None) -> Tensor:
    return rows.sum() if weights is None else (rows * weights.to(rows.dtype)).sum()


def top_k_loss(
    student_logits: Tensor,
    top_ids: Tensor,
    top_logprobs: Tensor,
    tail: Tensor,
    temperature: float,
    *,
    total: int | None = None,
    divergence: Divergence = "forward",
    beta: float = 0.5,
    weights: Tensor | None = None,
) -> Tensor:
    """T² · divergence of teacher and student over the teacher's top k tokens and one more outcome, 'any other token', in nats.

    The tail is an outcome of its own: where the student puts mass on tokens that the teacher did not list, it pays for it. Both
    sides are coarsened at T = 1 and then softened alike, so a student equal to the teacher has zero loss and gradient at every k,
    and at k = vocabulary (no tail) the forward divergence is :func:`soft_target_loss`.

    Args:
        student_logits: [t, vocabulary] at the answer's positions only: padding and prompt are left out by the caller.
        top_ids: [t, k] token ids, distinct in a row.
        top_logprobs: [t, k] the teacher's log-probabilities at T = 1.
        tail: [t] the teacher's probability of all other tokens together; not read when k is the whole vocabulary.
        temperature: T > 0.
        total: positions in the whole batch, when this is a piece of it; t when None.
        divergence, beta: see :func:`coarse_divergence`.
        weights: [t], how much each position counts; 1 when None.
    """
    logits = student_logits.float() if student_logits.dtype in (torch.bfloat16, torch.float16) else student_logits
    positions = logits.shape[0] if total is None else total
    whole = torch.logsumexp(logits, dim=-1, keepdim=True)
    student = logits.gather(-1, top_ids) - whole
    teacher = top_logprobs.to(logits.dtype)
    if top_ids.shape[-1] < logits.shape[-1]:
        others = logits.scatter(-1, top_ids, float("-inf"))
        student = torch.cat([student, torch.logsumexp(others, dim=-1, keepdim=True) - whole], dim=-1)
        teacher = torch.cat([teacher, log_tail(tail, logits.dtype)], dim=-1)
    return _summed(coarse_divergence(student, teacher, temperature, divergence, beta), weights) / positions


def log_tail(tail: Tensor, dtype: torch.dtype) -> Tensor:
    """Log of the tail's probability as a column [t, 1]; an empty tail is minus infinity."""
    return tail.to(dtype).clamp(min=0).log().unsqueeze(-1)


def coarse_divergence(
    student: Tensor, teacher: Tensor, temperature: float, divergence: Divergence = "forward", beta: float = 0.5
) -> Tensor:
    """T² · divergence of each row in nats, [t], from log-probabilities of the same outcomes at T = 1, [t, outcomes].

    ``forward`` is KL(teacher ‖ student), ``reverse`` KL(student ‖ teacher), ``jsd`` the generalised Jensen-Shannon divergence
    β · KL(teacher ‖ m) + (1 − β) · KL(student ‖ m) with m = β · teacher + (1 − β) · student (Agarwal et al. 2024, "On-Policy
    Distillation of Language Models", equation 1).
    """
    log_target = functional.log_softmax(teacher / temperature, dim=-1)
    log_student = functional.log_softmax(student / temperature, dim=-1)
    if divergence == "forward":
        rows = _kl(log_target, log_student)
    elif divergence == "reverse":
        # an outcome to which the teacher gives nothing would cost the student infinitely much
        rows = _kl(log_student, log_target.clamp(min=_NOTHING))
    else:
        mixed = torch.logaddexp(log_target + math.log(beta), log_student + math.log1p(-beta))
        rows = beta * _kl(log_target, mixed) + (1 - beta) * _kl(log_student, mixed)
    return temperature**2 * rows


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) of each row; an outcome of probability 0 under p costs nothing."""
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), torch.zeros((), dtype=p.dtype, device=p.device)).sum(dim=-1)
