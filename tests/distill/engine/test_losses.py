from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, rel_entr, softmax

from distill.engine.losses import soft_target_loss, soften, top_k_loss

TEMPERATURES = st.floats(0.5, 8.0)
SEEDS = st.integers(0, 2**31)


def _random(seed: int, n: int = 5, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(seed)
    return source.normal(0, 3, (n, k)), softmax(source.normal(0, 2, (n, k)), axis=1)


@given(SEEDS, TEMPERATURES)
@settings(max_examples=60, deadline=None)
def test_equals_scipy(seed: int, temperature: float) -> None:
    logits, teacher = _random(seed)
    soft = softmax(np.log(teacher) / temperature, axis=1)
    expected = temperature**2 * rel_entr(soft, softmax(logits / temperature, axis=1)).sum(axis=1).mean()
    loss = soft_target_loss(torch.tensor(logits), torch.tensor(teacher), temperature)
    assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(SEEDS, TEMPERATURES)
@settings(max_examples=40, deadline=None)
def test_softening_probabilities_equals_softening_logits(seed: int, temperature: float) -> None:
    logits, _ = _random(seed)
    softened = soften(torch.tensor(softmax(logits, axis=1)), temperature).numpy()
    np.testing.assert_allclose(softened, softmax(logits / temperature, axis=1), atol=1e-10)


@given(SEEDS, TEMPERATURES)
@settings(max_examples=40, deadline=None)
def test_teacher_as_student_has_no_loss_and_no_gradient(seed: int, temperature: float) -> None:
    logits, _ = _random(seed)
    student = torch.tensor(logits, requires_grad=True)
    loss = soft_target_loss(student, torch.tensor(softmax(logits, axis=1)), temperature)
    torch.autograd.backward(loss)
    assert abs(loss.item()) < 1e-9
    assert student.grad is not None and float(student.grad.abs().max()) < 1e-9


@given(SEEDS, TEMPERATURES, st.floats(0, 1), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_gradient_does_not_depend_on_how_the_batch_is_cut(seed: int, t: float, weight: float, cut: int) -> None:
    logits, teacher = _random(seed, n=8)
    whole = torch.tensor(logits, requires_grad=True)
    torch.autograd.backward(soft_target_loss(whole, torch.tensor(teacher), t, weight))
    pieces = torch.tensor(logits, requires_grad=True)
    for rows in (slice(None, cut), slice(cut, None)):
        torch.autograd.backward(soft_target_loss(pieces[rows], torch.tensor(teacher[rows]), t, weight, total=8))
    torch.testing.assert_close(whole.grad, pieces.grad, rtol=1e-9, atol=1e-12)


def test_gradient_is_the_derivative() -> None:
    logits, teacher = _random(3)
    student = torch.tensor(logits, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: soft_target_loss(x, torch.tensor(teacher), 2.0, 0.3), (student,))


def test_one_hot_targets_at_temperature_1_are_cross_entropy() -> None:
    logits, _ = _random(5)
    labels = np.array([0, 3, 1, 2, 2])
    loss = soft_target_loss(torch.tensor(logits), torch.eye(4, dtype=torch.float64)[labels], 1.0)
    assert float(loss) == pytest.approx(-log_softmax(logits, axis=1)[np.arange(5), labels].mean(), rel=1e-9)


def test_hard_labels_are_the_teachers_when_none_are_given() -> None:
    logits, teacher = map(torch.tensor, _random(9))
    own = soft_target_loss(logits, teacher, 2.0, 1.0)
    assert float(own) == pytest.approx(float(torch.nn.functional.cross_entropy(logits, teacher.argmax(1))))
    other = soft_target_loss(logits, teacher, 2.0, 1.0, (teacher.argmax(1) + 1) % 4)
    assert float(own) != pytest.approx(float(other))


def test_temperature_squared_keeps_the_size_of_the_gradient() -> None:
    """Hinton et al. 2015: at high T the gradient of T² · KL tends to (student − teacher logits, centred) / k."""
    logits, teacher = _random(1)
    student = torch.tensor(logits, requires_grad=True)
    torch.autograd.backward(soft_target_loss(student, torch.tensor(teacher), 500.0, total=1))
    difference = logits - np.log(teacher)
    expected = (difference - difference.mean(axis=1, keepdims=True)) / logits.shape[1]
    assert student.grad is not None
    np.testing.assert_allclose(student.grad.numpy(), expected, atol=0.02)


def test_bfloat16_logits_are_computed_in_float32() -> None:
    logits, teacher = _random(2)
    low = torch.tensor(logits).bfloat16()
    loss = soft_target_loss(low, torch.tensor(teacher), 2.0)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(float(soft_target_loss(low.double(), torch.tensor(teacher), 2.0)), rel=1e-5)


def _top(logits: np.ndarray, k: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logprobs = torch.log_softmax(torch.tensor(logits), -1)
    values, ids = logprobs.topk(k, dim=-1)
    return ids, values, 1 - values.exp().sum(-1)


@given(SEEDS, TEMPERATURES)
@settings(max_examples=40, deadline=None)
def test_cached_signals_at_full_k_are_the_live_loss(seed: int, temperature: float) -> None:
    logits, teacher = _random(seed, n=6, k=12)
    ids, values, tail = _top(np.log(teacher), 12)
    live = soft_target_loss(torch.tensor(logits), torch.tensor(teacher), temperature)
    cached = top_k_loss(torch.tensor(logits), ids, values, tail, temperature)
    assert cached.item() == pytest.approx(live.item(), rel=1e-8, abs=1e-11)


@given(SEEDS, TEMPERATURES, st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_teacher_as_student_has_no_token_loss_at_any_k(seed: int, temperature: float, k: int) -> None:
    logits, _ = _random(seed, n=6, k=12)
    student = torch.tensor(logits, requires_grad=True)
    loss = top_k_loss(student, *_top(logits, k), temperature)
    torch.autograd.backward(loss)
    assert abs(loss.item()) < 1e-9
    assert student.grad is not None and float(student.grad.abs().max()) < 1e-8


@given(SEEDS, st.integers(1, 11))
@settings(max_examples=40, deadline=None)
def test_the_tail_costs_something_and_coarsening_never_adds(seed: int, k: int) -> None:
    logits, teacher = _random(seed, n=6, k=12)
    ids, values, tail = _top(np.log(teacher), k)
    loss = top_k_loss(torch.tensor(logits), ids, values, tail, 1.0)
    assert 0 <= loss.item() <= soft_target_loss(torch.tensor(logits), torch.tensor(teacher), 1.0).item() + 1e-9
    student = torch.tensor(np.log(teacher), requires_grad=True)
    shifted = student + 2.0 * torch.ones(6, 12, dtype=torch.float64).scatter(-1, ids, 0.0)  # mass into the tail
    assert top_k_loss(shifted, ids, values, tail, 1.0).item() > 0


def test_token_gradient_is_the_derivative_and_adds_up() -> None:
    logits, teacher = _random(4, n=6, k=12)
    ids, values, tail = _top(np.log(teacher), 5)
    student = torch.tensor(logits, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: top_k_loss(x, ids, values, tail, 2.0), (student,))
    whole = top_k_loss(student, ids, values, tail, 2.0)
    cuts = (slice(0, 2), slice(2, 6))
    pieces = [top_k_loss(student[cut], ids[cut], values[cut], tail[cut], 2.0, total=6) for cut in cuts]
    torch.testing.assert_close(whole, pieces[0] + pieces[1])
