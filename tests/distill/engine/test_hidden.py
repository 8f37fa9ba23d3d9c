"""Losses on inner states: against loops over single numbers, their exact gradients, zero at the teacher, and a training that goes by them."""

from __future__ import annotations

import copy
import hashlib
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import BertTokenizerFast

from distill.engine.encode import Batch
from distill.engine.forward import Forward
from distill.engine.hidden import HiddenGoal, HiddenTask, cosine_distance, require_fit, same_tokens, state_distance
from distill.engine.layers import pick_layers
from distill.engine.loading import LoadedClassifier
from distill.errors import ModelError, SpecError
from tests.distill.engine.architectures import LEAN, OTHERS, make

LABELS = ("a", "b", "c")
CPU = torch.device("cpu")
MASK = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 2 + [0] * 4])
ALL = (0, 1, 2, 3)


def _states(seed: int, n: int = 3, length: int = 4, width: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(n, length, width, generator=source, dtype=torch.float64) for _ in range(2))
    return student, teacher, torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])


def _naive(student: Any, teacher: Any, mask: Any, total: int, what: str) -> float:
    """The two losses by loops over single numbers."""
    summed = 0.0
    for row in range(len(student)):
        tokens = [place for place in range(len(mask[row])) if mask[row][place]]
        of_row = 0.0
        for place in tokens:
            a, b = student[row][place].tolist(), teacher[row][place].tolist()
            if what == "distance":
                of_row += sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)
            else:
                dot = sum(x * y for x, y in zip(a, b, strict=True))
                of_row += 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))
        summed += of_row / len(tokens)
    return summed / total


@pytest.mark.parametrize("what", ["distance", "cosine"])
def test_a_loss_equals_loops_and_its_gradient_is_exact(what: str) -> None:
    student, teacher, mask = _states(1)
    loss = state_distance if what == "distance" else cosine_distance
    assert float(loss(student, teacher, mask)) == pytest.approx(_naive(student, teacher, mask, 3, what), abs=1e-12)
    student.requires_grad_(True)
    (found,) = torch.autograd.grad(loss(student, teacher, mask, 7), student)
    step = 1e-6
    for place in np.ndindex(*student.shape):
        moved = [student.detach().clone() for _ in range(2)]
        moved[0][place] += step
        moved[1][place] -= step
        up, down = (_naive(one, teacher, mask, 7, what) for one in moved)
        assert float(found[place]) == pytest.approx((up - down) / (2 * step), abs=1e-7)
    assert not found[1, 2:].any() and not found[2, 1:].any(), "padding has no gradient"


def test_the_gradients_by_hand() -> None:
    """d/ds of the squared distance, and of 1 - cos(s, t) = -(t/|t| - cos s/|s|) / |s|."""
    student, teacher, mask = _states(2)
    student.requires_grad_(True)
    seen = (mask[:, :, None] / mask.sum(dim=1)[:, None, None]).double() / len(student)
    (found,) = torch.autograd.grad(state_distance(student, teacher, mask), student)
    torch.testing.assert_close(found, 2 * (student - teacher).detach() * seen / student.shape[2])
    (found,) = torch.autograd.grad(cosine_distance(student, teacher, mask), student)
    mine, theirs = student.detach(), teacher
    a, b = mine.norm(dim=-1, keepdim=True), theirs.norm(dim=-1, keepdim=True)
    cosine = (mine * theirs).sum(dim=-1, keepdim=True) / (a * b)
    torch.testing.assert_close(found, -seen * (theirs / b - cosine * mine / a) / a)


def test_pieces_of_a_batch_sum_to_the_batch() -> None:
    student, teacher, mask = _states(3)
    for loss in (state_distance, cosine_distance):
        whole = loss(student, teacher, mask)
        pieces = [loss(student[cut], teacher[cut], mask[cut], 3) for cut in (slice(0, 1), slice(1, 3))]
        torch.testing.assert_close(whole, pieces[0] + pieces[1])
        torch.testing.assert_close(loss(student[:1], teacher[:1], None), loss(student[:1], teacher[:1], mask[:1]))


def _loaded(config: Any, seed: int = 0) -> LoadedClassifier:
    return LoadedClassifier(make(config, seed), None, LABELS)


def _batch() -> Batch:
    return Batch(2 + torch.arange(18).view(3, 6) * 7 % 90, None, MASK)


def _task(goal: HiddenGoal, student: Any) -> HiddenTask:
    return HiddenTask(goal, student, CPU, torch.float32, 16)


def _forward(model: Any) -> Forward:
    return Forward(model, CPU, torch.float32, 16)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta", "deberta-v2", "modernbert"])
def test_a_student_that_is_its_teacher_has_no_loss_and_no_gradient(kind: str) -> None:
    config = {**LEAN, **OTHERS}[kind]
    teacher, student = _loaded(config), make(config)
    task, forward, batch = _task(HiddenGoal(teacher, ALL, 2.0, 3.0), student), _forward(student), _batch()
    logits, loss = task.logits_and_loss(forward, batch, 3)
    assert float(loss.detach()) == pytest.approx(0, abs=2e-6)
    found = torch.autograd.grad(loss, list(student.parameters()), allow_unused=True)
    assert max(float(g.abs().max()) for g in found if g is not None) < 1e-5
    torch.testing.assert_close(logits, forward(batch), atol=1e-5, rtol=1e-5)
    assert not any(p.requires_grad for p in teacher.model.parameters())


def test_picked_layers_are_held_against_the_states_they_came_from() -> None:
    teacher = _loaded(LEAN["bert"])
    student = pick_layers(teacher, (0, 3)).model
    batch = _batch()
    with torch.no_grad():
        own = [
            model(batch.ids, attention_mask=batch.mask, output_hidden_states=True).hidden_states
            for model in (student, teacher.model)
        ]
    _, loss = _task(HiddenGoal(teacher, (0, -1), 1.0, 0.0), student).logits_and_loss(_forward(student), batch, 3)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-6), "the first layer of both is one and the same"
    _, loss = _task(HiddenGoal(teacher, (-1, 3), 1.0, 0.0), student).logits_and_loss(_forward(student), batch, 3)
    expected = _naive(own[0][2].double(), own[1][4].double(), MASK, 3, "distance")
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_twins_behind_the_rows_are_left_alone() -> None:
    student = make(LEAN["bert"], seed=5)
    task, forward, batch = _task(HiddenGoal(_loaded(LEAN["bert"]), ALL, 1.0, 1.0), student), _forward(student), _batch()
    logits, of_two = task.logits_and_loss(forward, batch, 2)
    assert len(logits) == 3
    alone = task.logits_and_loss(forward, Batch(batch.ids[:2], None, MASK[:2]), 2)[1]
    torch.testing.assert_close(of_two, alone, atol=1e-5, rtol=1e-5)


def test_a_student_with_other_ids_is_held_against_the_same_tokens() -> None:
    """Its ids are counted backwards, and so are the rows of its embeddings: it is its teacher all the same."""
    turned = make(LEAN["bert"])
    with torch.no_grad():
        table = turned.get_input_embeddings().weight
        table.copy_(table.flip(0).clone())
    goal = HiddenGoal(_loaded(LEAN["bert"]), ALL, 1.0, 1.0, np.arange(99, -1, -1))
    other_ids = Batch(99 - _batch().ids, None, MASK)
    _, loss = _task(goal, turned).logits_and_loss(_forward(turned), other_ids, 3)
    assert float(loss.detach()) == pytest.approx(0, abs=2e-6)


def test_what_does_not_fit_is_said() -> None:
    teacher, student = make(LEAN["bert"]), make(LEAN["bert"])
    for layers in ((0, 1), (0, 1, 2, 4), (0, 1, 2, -2)):
        with pytest.raises(SpecError, match="does not fit a student of 4 layers and a teacher of 4"):
            require_fit(student, teacher, layers)
    with pytest.raises(SpecError, match="leaves every layer out"):
        require_fit(student, teacher, (-1, -1, -1, -1))
    config = copy.deepcopy(LEAN["bert"])
    config.hidden_size = 16
    with pytest.raises(ModelError, match="16 numbers and the teacher's 32"):
        require_fit(make(config), teacher, ALL)


def test_the_goal_is_in_the_digest() -> None:
    def digest(**over: Any) -> str:
        data = hashlib.sha256()
        HiddenGoal(**{"teacher": None, "layers": (0,), "distance": 1.0, "cosine": 0.0, **over}).digest_into(data)
        return data.hexdigest()

    changes: list[dict[str, Any]] = [
        {},
        {"layers": (1,)},
        {"distance": 2.0},
        {"cosine": 1.0},
        {"digest": "x"},
        {"kept": np.arange(3)},
    ]
    assert len({digest(**over) for over in changes}) == len(changes)


def test_one_vocabulary_that_is_cut_by_other_rules_is_another_tokenizer() -> None:
    def reader(**rules: Any) -> LoadedClassifier:
        vocabulary = {
            word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "bad", "Bad"])
        }
        return replace(_loaded(LEAN["bert"]), tokenizer=BertTokenizerFast(vocab=vocabulary, **rules))

    one = reader(do_lower_case=True)
    one.tokenizer("bad", truncation=True, max_length=4, padding=True)
    assert same_tokens(one, reader(do_lower_case=True))
    assert not same_tokens(one, reader(do_lower_case=False))
