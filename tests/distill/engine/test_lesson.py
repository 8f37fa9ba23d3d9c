"""Weights and twins in training: losses, what they do, and that a resumed training gives the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.engine.lesson import Twins
from distill.engine.loading import load_classifier
from distill.engine.losses import pairing_loss, soft_target_loss
from distill.engine.train import TrainResult, train_classifier
from distill.errors import Cancelled, DataError
from distill.events import Curve, Event
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from tests.distill.tiny import LABELS, asked, tiny_rows

ROWS = tiny_rows(96)
TEXTS = list(ROWS["text"])
TARGETS = np.eye(3)[[LABELS.index(label) for label in ROWS["label"]]]
TWINS = Twins([None if n % 3 == 0 else f"{text} w7" for n, text in enumerate(TEXTS)], 2.0)
WEIGHTS = np.linspace(0.5, 1.5, len(TEXTS))


def train(source: Path, folder: Path, monitor: Monitor | None = None, **over: Any) -> TrainResult:
    given = {"weights": WEIGHTS, "twins": TWINS, "pairs": None, **over}
    return train_classifier(
        load_classifier(str(source), LABELS),
        TEXTS,
        given["pairs"],
        TARGETS,
        TrainingSpec(temperature=1.0, learning_rate=3e-3, epochs=2, batch_size=16, precision="fp32"),
        seed=5,
        max_tokens=24,
        dev=None,
        arm="distilled",
        folder=folder,
        monitor=monitor or Monitor(),
        weights=given["weights"],
        twins=given["twins"],
        checkpoint_every_seconds=0.0,
    )


def same(one: TrainResult, other: TrainResult) -> bool:
    theirs = other.loaded.model.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.loaded.model.state_dict().items())


def test_equal_weights_change_nothing_and_a_row_of_weight_0_teaches_nothing() -> None:
    logits, probs = torch.randn(6, 3, dtype=torch.float64), torch.softmax(torch.randn(6, 3, dtype=torch.float64), -1)
    plain = soft_target_loss(logits, probs, 2.0, 0.3)
    torch.testing.assert_close(soft_target_loss(logits, probs, 2.0, 0.3, weights=torch.ones(6)), plain)
    leaf = logits.clone().requires_grad_()
    weights = torch.tensor([0.0, 1.0, 2.0, 0.5, 0.0, 1.0])
    torch.autograd.backward(soft_target_loss(leaf, probs, 2.0, 0.3, weights=weights))
    assert leaf.grad is not None
    assert (leaf.grad[[0, 4]] == 0).all()
    assert (leaf.grad[[1, 2, 3, 5]] != 0).any(dim=1).all()


def test_pairing_is_the_mean_squared_difference_and_does_not_depend_on_how_a_batch_is_cut() -> None:
    one, other = torch.randn(8, 3), torch.randn(8, 3)
    torch.testing.assert_close(pairing_loss(one, other), ((one - other) ** 2).mean())
    assert pairing_loss(one, one) == 0
    pieces = [pairing_loss(one[part], other[part], total=8) for part in (slice(0, 3), slice(3, 8))]
    torch.testing.assert_close(pieces[0] + pieces[1], pairing_loss(one, other))


def test_pairing_draws_the_answers_to_twins_together(classifier: Path, tmp_path: Path) -> None:
    def apart(result: TrainResult) -> float:
        predictor = asked(result.loaded)
        have = [n for n, twin in enumerate(TWINS.texts) if twin is not None]
        one = predictor.probabilities([TEXTS[n] for n in have])
        other = predictor.probabilities([str(TWINS.texts[n]) for n in have])
        return float(np.abs(one - other).mean())

    plain = apart(train(classifier, tmp_path / "plain", weights=None, twins=None))
    paired = apart(train(classifier, tmp_path / "paired", weights=None, twins=Twins(TWINS.texts, 30.0)))
    assert paired < 0.6 * plain


def test_a_strength_of_0_is_no_pairing_and_what_decides_is_in_the_fingerprint(classifier: Path, tmp_path: Path) -> None:
    plain = train(classifier, tmp_path / "a", weights=None, twins=None)
    assert same(plain, train(classifier, tmp_path / "b", weights=None, twins=Twins(TWINS.texts, 0.0)))
    with pytest.raises(Cancelled):
        train(classifier, tmp_path / "c", _StopsAfter(3))
    other: list[Event] = []
    train(classifier, tmp_path / "c", Monitor(other.append), twins=Twins(TWINS.texts, 2.5))
    assert not any(event.kind == "note" for event in other)  # it did not go on from the other's checkpoint


def test_a_resumed_training_gives_the_same_bits(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train(classifier, tmp_path / "cut", _StopsAfter(4))
    events: list[Event] = []
    resumed = train(classifier, tmp_path / "cut", Monitor(events.append))
    steps = [event.step for event in events if isinstance(event, Curve)]
    assert min(steps) > 1
    assert same(resumed, train(classifier, tmp_path / "whole"))


def test_twins_are_for_single_texts(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="single texts"):
        train(classifier, tmp_path, pairs=["w1"] * len(TEXTS))


class _StopsAfter(Monitor):
    """Cancels at the n-th step, however fast the steps are."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    def check(self) -> None:
        self._left -= 1
        if self._left <= 0:
            raise Cancelled("The run was cancelled.")
