"""The second task of step by step: its loss against torch's, what it does to a training, and that nothing of it stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distill.engine.loading import load_classifier
from distill.engine.reasons import HEAD, Reasons, bag_loss, bags
from distill.engine.train import TrainResult, train_classifier
from distill.errors import Cancelled
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from tests.distill.tiny import LABELS, tiny_rows

ROWS = tiny_rows(48)
TEXTS = list(ROWS["text"])
TARGETS = np.eye(3)[[LABELS.index(label) for label in ROWS["label"]]]


@given(st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=6), min_size=1, max_size=5), st.integers(0, 99))
def test_bag_loss_is_cross_entropy_with_the_shares_as_targets(reasons: list[list[int]], seed: int) -> None:
    logits = torch.randn(len(reasons), 11, generator=torch.Generator().manual_seed(seed)).requires_grad_(True)
    dense = torch.zeros(len(reasons), 11)
    for row, ids in enumerate(reasons):
        for token in ids:
            dense[row, token] += 1 / len(ids)
    expected = torch.nn.functional.cross_entropy(logits, dense, reduction="sum")
    found = bag_loss(logits, bags(reasons))
    torch.testing.assert_close(found, expected)
    mine, theirs = torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits)
    torch.testing.assert_close(mine[0], theirs[0])


def _train(source: Path, folder: Path, reasons: Reasons | None, monitor: Monitor | None = None) -> TrainResult:
    return train_classifier(
        load_classifier(str(source), LABELS),
        TEXTS,
        None,
        TARGETS,
        TrainingSpec(temperature=1.0, epochs=1, batch_size=8, precision="fp32", learning_rate=1e-3),
        seed=5,
        max_tokens=24,
        dev=None,
        arm="a",
        folder=folder,
        monitor=monitor or Monitor(),
        reasons=reasons,
        checkpoint_every_seconds=0.0,
    )


def _weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return dict(result.loaded.model.state_dict())


def test_reasons_change_what_is_learnt_and_leave_no_weights_behind(classifier: Path, tmp_path: Path) -> None:
    reasons = Reasons([text if row % 2 else None for row, text in enumerate(TEXTS)], "why: ", 1.0)
    with_them, without = _train(classifier, tmp_path / "a", reasons), _train(classifier, tmp_path / "b", None)
    assert set(_weights(with_them)) == set(_weights(without))
    assert not hasattr(with_them.loaded.model, HEAD)
    assert any(not torch.equal(tensor, _weights(without)[name]) for name, tensor in _weights(with_them).items())


@pytest.mark.parametrize(
    "reasons", [Reasons([None] * 48, "why: ", 1.0), Reasons([" "] * 48, "why: ", 1.0), Reasons(TEXTS, "", 0.0)]
)
def test_without_reasons_or_weight_it_is_the_plain_training(classifier: Path, tmp_path: Path, reasons: Reasons) -> None:
    mine, plain = (
        _weights(_train(classifier, tmp_path / "a", reasons)),
        _weights(_train(classifier, tmp_path / "b", None)),
    )
    assert all(torch.equal(tensor, plain[name]) for name, tensor in mine.items())


class _Stops(Monitor):
    """Cancels once so many texts were read."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def progress(self, step: int, *rest: Any, **more: Any) -> None:
        if step >= self.after:
            raise Cancelled("stop")


def test_a_stopped_training_goes_on_to_the_same_bits(classifier: Path, tmp_path: Path) -> None:
    reasons = Reasons(TEXTS, "why: ", 0.5)
    whole = _train(classifier, tmp_path / "a", reasons)
    with pytest.raises(Cancelled):
        _train(classifier, tmp_path / "b", reasons, _Stops(24))
    again = _train(classifier, tmp_path / "b", reasons)
    assert all(torch.equal(tensor, _weights(again)[name]) for name, tensor in _weights(whole).items())


@pytest.fixture
def other_head(classifier: Path) -> Callable[[], Any]:
    """A classifier that Heirloom knows no lean way for: its states come from transformers' own forward."""

    def load() -> Any:
        loaded = load_classifier(str(classifier), LABELS)
        loaded.model.config.is_decoder = True
        return loaded

    return load


def test_first_states_are_those_of_transformers(classifier: Path, other_head: Callable[[], Any]) -> None:
    from distill.engine.encode import encode
    from distill.engine.forward import Forward

    lean_model, plain_model = load_classifier(str(classifier), LABELS), other_head()
    batch = encode(lean_model.tokenizer, TEXTS[:5], None, 24).batch(np.arange(5), torch.device("cpu"))
    lean = Forward(lean_model.model, torch.device("cpu"), torch.float32, 24)
    plain = Forward(plain_model.model, torch.device("cpu"), torch.float32, 24)
    assert lean._lean is not None and plain._lean is None
    plain_model.model.config.is_decoder = False
    with torch.inference_mode():
        torch.testing.assert_close(lean.first(batch), plain.first(batch), atol=1e-5, rtol=1e-5)
