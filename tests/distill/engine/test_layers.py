from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification

from distill.engine.layers import evenly_spread, pick_layers
from distill.engine.loading import LoadedClassifier, load_classifier, save_classifier
from distill.errors import ModelError, SpecError
from tests.distill.engine.architectures import ALBERT, LAYERS, LEAN, OTHERS, make

LABELS = ("a", "b", "c")
IDS = torch.arange(3, 21).view(2, 9)


@pytest.mark.parametrize(
    ("total", "count", "expected"),
    [(6, 3, (0, 2, 5)), (6, 2, (0, 5)), (6, 1, (5,)), (6, 6, (0, 1, 2, 3, 4, 5)), (12, 4, (0, 3, 7, 11))],
)
def test_evenly_spread(total: int, count: int, expected: tuple[int, ...]) -> None:
    assert evenly_spread(total, count) == expected


@given(st.integers(1, 48).flatmap(lambda total: st.tuples(st.just(total), st.integers(1, total))))
def test_spread_layers_rise_and_end_with_the_last(case: tuple[int, int]) -> None:
    total, count = case
    layers = evenly_spread(total, count)
    assert len(set(layers)) == count and sorted(layers) == list(layers) and layers[-1] == total - 1
    if count > 1:
        gaps = {after - before for before, after in pairwise(layers)}
        assert layers[0] == 0 and max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize("count", [0, 7])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(SpecError, match="cannot be picked"):
        evenly_spread(6, count)


@pytest.mark.parametrize("config", [*LEAN.values(), *OTHERS.values()], ids=[*LEAN, *OTHERS])
def test_picked_layers_survive_a_round_trip(config: object, tmp_path: Path) -> None:
    teacher = make(config)
    student = pick_layers(LoadedClassifier(teacher, None, LABELS), (0, LAYERS - 1)).model
    assert student.config.num_hidden_layers == 2
    student.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        torch.testing.assert_close(again(input_ids=IDS).logits, student(input_ids=IDS).logits)
        whole = pick_layers(LoadedClassifier(teacher, None, LABELS), LAYERS).model
        torch.testing.assert_close(whole(input_ids=IDS).logits, teacher(input_ids=IDS).logits)


def test_the_right_layers_are_kept_and_the_teacher_is_left_alone() -> None:
    teacher = make(LEAN["bert"])
    student = pick_layers(LoadedClassifier(teacher, None, LABELS), (1, 3)).model
    kept = [layer.output.dense.weight for layer in student.bert.encoder.layer]
    assert torch.equal(kept[0], teacher.bert.encoder.layer[1].output.dense.weight)
    assert torch.equal(kept[1], teacher.bert.encoder.layer[3].output.dense.weight)
    with torch.no_grad():
        kept[0].zero_()
    assert float(teacher.bert.encoder.layer[1].output.dense.weight.detach().abs().max()) > 0


def test_shared_layers_cannot_be_picked() -> None:
    with pytest.raises(ModelError, match="'albert' cannot be picked"):
        pick_layers(LoadedClassifier(make(ALBERT), None, LABELS), 2)


@pytest.mark.parametrize("layers", [(0, 9), (1, 1), (2, 0), ()])
def test_wrong_layers_are_named(layers: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match="4 layers"):
        pick_layers(LoadedClassifier(make(LEAN["bert"]), None, LABELS), layers)


def test_a_student_is_loaded_like_any_other(classifier: Path, tmp_path: Path) -> None:
    labels = ("negative", "neutral", "positive")
    save_classifier(pick_layers(load_classifier(str(classifier), labels), 2), tmp_path / "student")
    assert load_classifier(str(tmp_path / "student"), labels).model.config.num_hidden_layers == 2
