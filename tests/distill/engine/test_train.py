from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distill.engine.loading import load_classifier
from distill.engine.train import DevSet, TrainResult, train_classifier
from distill.errors import Cancelled, DataError, ModelError
from distill.events import Curve, Event
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from tests.distill.tiny import LABELS, asked, tiny_rows

ROWS = tiny_rows(256)
TEXTS = list(ROWS["text"])
Y = np.array([LABELS.index(label) for label in ROWS["label"]])
TARGETS = np.eye(3)[Y]
OPTIONS: dict[str, Any] = {
    "temperature": 1.0,
    "learning_rate": 3e-3,
    "epochs": 3,
    "batch_size": 16,
    "precision": "fp32",
}
DEV = DevSet(TEXTS[192:], None, Y[192:])


def _train(
    source: Path, folder: Path, monitor: Monitor | None = None, dev: DevSet | None = DEV, **over: Any
) -> TrainResult:
    checkpoint = over.pop("checkpoint_every_seconds", 0.0)
    return train_classifier(
        load_classifier(str(source), LABELS),
        TEXTS[:192],
        None,
        over.pop("targets", TARGETS[:192]),
        TrainingSpec(**{**OPTIONS, **over}),
        seed=5,
        max_tokens=24,
        dev=dev,
        arm="distilled",
        folder=folder,
        monitor=monitor or Monitor(),
        checkpoint_every_seconds=checkpoint,
    )


def _weights(result: TrainResult) -> dict[str, torch.Tensor]:
    return dict(result.loaded.model.state_dict())


def _assert_same_bits(one: TrainResult, other: TrainResult) -> None:
    theirs = _weights(other)
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in _weights(one).items())
    assert one.best_dev_agreement == other.best_dev_agreement
    assert (one.steps, one.texts_seen) == (other.steps, other.texts_seen)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_learns_reports_and_cleans_up(classifier: Path, tmp_path: Path, precision: str) -> None:
    events: list[Event] = []
    result = _train(
        classifier, tmp_path, Monitor(events.append), precision=precision, freeze_embeddings=False, epochs=20
    )
    assert result.best_dev_agreement is not None and result.best_dev_agreement > 0.8
    assert (result.steps, result.epochs_run, result.texts_seen) == (240, 20.0, 3840)
    curves = [event for event in events if isinstance(event, Curve)]
    losses = [event.value for event in curves if event.name == "loss"]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    assert len([event for event in curves if event.name == "agreement"]) == 20 * 4
    assert not (tmp_path / "checkpoint").exists()
    assert result.loaded.model.dtype == torch.float32 and not result.loaded.model.training
    probs = asked(result.loaded).probabilities(DEV.texts)
    assert np.mean(probs.argmax(1) == DEV.target) == pytest.approx(result.best_dev_agreement, abs=0.04)


def test_same_seed_same_bits(classifier: Path, tmp_path: Path) -> None:
    _assert_same_bits(_train(classifier, tmp_path / "a"), _train(classifier, tmp_path / "b"))


def test_frozen_embeddings_stay(classifier: Path, tmp_path: Path) -> None:
    before = load_classifier(str(classifier), LABELS).model.state_dict()
    after = _weights(_train(classifier, tmp_path, precision="bf16"))
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) == (".embeddings." in name), name


CHILD = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(int(sys.argv[3]))
from distill.monitor import Monitor
from tests.distill.engine.test_train import _train

def kill(event):
    if event.kind == "curve" and event.name == "loss" and event.step == 17:
        os.kill(os.getpid(), signal.SIGKILL)

_train(Path(sys.argv[1]), Path(sys.argv[2]), Monitor(kill), precision=sys.argv[4])
"""


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_kill_minus_9_and_resume_gives_the_same_bits(classifier: Path, tmp_path: Path, precision: str) -> None:
    threads = str(torch.get_num_threads())
    killed = subprocess.run(
        [sys.executable, "-c", CHILD, str(classifier), str(tmp_path / "killed"), threads, precision],
        cwd=Path(__file__).parents[3],
        check=False,
    )
    assert killed.returncode == -9
    assert (tmp_path / "killed" / "checkpoint" / "state.safetensors").exists()
    events: list[Event] = []
    resumed = _train(classifier, tmp_path / "killed", Monitor(events.append), precision=precision)
    steps = [event.step for event in events if isinstance(event, Curve) and event.name == "loss"]
    assert min(steps) == 17  # mid-epoch: twelve steps make an epoch, the checkpoint was after the sixteenth
    _assert_same_bits(resumed, _train(classifier, tmp_path / "whole", precision=precision))


def test_cancel_keeps_the_work(classifier: Path, tmp_path: Path) -> None:
    curves: list[Event] = []
    stopping = Monitor(curves.append, cancelled=lambda: len(curves) > 5)
    stopping.check = lambda: _raise_if(len(curves) > 5)  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        _train(classifier, tmp_path / "a", stopping, checkpoint_every_seconds=1e9)
    resumed = _train(classifier, tmp_path / "a")
    _assert_same_bits(resumed, _train(classifier, tmp_path / "b"))


def _raise_if(flag: bool) -> None:
    if flag:
        raise Cancelled("The run was cancelled.")


def test_a_checkpoint_of_another_training_is_not_taken_up(classifier: Path, tmp_path: Path) -> None:
    curves: list[Event] = []
    stopping = Monitor(curves.append)
    stopping.check = lambda: _raise_if(len(curves) > 5)  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        _train(classifier, tmp_path / "a", stopping)
    other = _train(classifier, tmp_path / "a", learning_rate=1e-3)
    _assert_same_bits(other, _train(classifier, tmp_path / "b", learning_rate=1e-3))


def test_early_stopping_keeps_the_best(classifier: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    result = _train(classifier, tmp_path, Monitor(events.append), patience=2, epochs=40, freeze_embeddings=False)
    agreements = [e.value for e in events if isinstance(e, Curve) and e.name == "agreement"]
    assert result.epochs_run < 40
    assert result.best_dev_agreement == max(agreements)
    assert max(agreements[-3:]) <= agreements[-3]


def test_fewer_texts_on_request(classifier: Path, tmp_path: Path) -> None:
    assert _train(classifier, tmp_path, dev=None, max_texts=50, epochs=1).texts_seen == 50


def test_without_dev_the_last_weights_count(classifier: Path, tmp_path: Path) -> None:
    assert _train(classifier, tmp_path, dev=None, epochs=1).best_dev_agreement is None


def test_a_loss_that_is_no_number_is_an_error(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a number any more"):
        _train(classifier, tmp_path, targets=np.full((192, 3), np.nan))


def test_targets_of_another_shape(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shape"):
        _train(classifier, tmp_path, targets=TARGETS[:10])
