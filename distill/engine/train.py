"""One function that trains every arm which learns: distilled, hard labels, fine-tuned, and the teacher itself.

A target is a row of probabilities; a hard label is a one-hot row, for which soft-target KL at temperature 1 is cross-entropy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.engine import generator
from distill.engine.encode import Encoded, encode, longest, sorted_batches
from distill.engine.forward import Forward
from distill.engine.hidden import HiddenGoal, HiddenTask
from distill.engine.lesson import Lesson, Twins, pairing_of
from distill.engine.loading import LoadedClassifier
from distill.engine.loop import Training
from distill.engine.losses import pairing_loss, soft_target_loss
from distill.engine.reasons import Reasons, ReasonTask
from distill.errors import DataError
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from distill.types import Floats, Ints

DEV_BATCH = 128


@dataclass(frozen=True)
class DevSet:
    """Rows on which choices are made: texts, their pairs or None, and the label to agree with [n]."""

    texts: Sequence[str]
    pairs: Sequence[str | None] | None
    target: Ints


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        loaded: the classifier with its best weights (by dev agreement; the last ones without a dev set), float32.
        steps: updates made.
        epochs_run: passes over the texts, a fraction when stopped early.
        seconds: of training, dev checks included, over all resumptions.
        best_dev_agreement: share of dev rows with the target label, None without a dev set.
        texts_seen: texts read, counted once per pass.
    """

    loaded: LoadedClassifier
    steps: int
    epochs_run: float
    seconds: float
    best_dev_agreement: float | None
    texts_seen: int


def train_classifier(
    loaded: LoadedClassifier,
    texts: Sequence[str],
    pairs: Sequence[str | None] | None,
    targets: Floats,
    options: TrainingSpec,
    *,
    seed: int,
    max_tokens: int,
    dev: DevSet | None,
    arm: str,
    folder: Path,
    monitor: Monitor,
    weights: Floats | None = None,
    twins: Twins | None = None,
    reasons: Reasons | None = None,
    hidden: HiddenGoal | None = None,
    checkpoint_every_seconds: float = 20.0,
) -> TrainResult:
    """Train ``loaded`` (in place) on ``targets``, or go on where an interrupted training of the same kind stopped.

    Resuming gives the same bits on a CPU with the same threads and versions.

    Args:
        loaded: where training starts.
        texts, pairs: n training texts, and their second texts or None.
        targets: [n, k] probabilities in the order of the labels; one-hot for hard labels.
        options: how to learn.
        seed: of the order of the texts and of dropout.
        max_tokens: longer texts are cut.
        dev: rows to choose the best weights by; None keeps the last ones.
        arm: name for the curves.
        folder: ``checkpoint/`` goes there and is removed at the end.
        monitor: gets progress (unit 'texts') and curves, and may cancel.
        weights: of each text in the loss, shape [n], mean 1; all alike when None.
        twins: second texts whose logits are drawn to those of the first; only for single texts.
        reasons: a second task, dropped after training; only for single texts and encoders.
        hidden: states of the teacher's layers that the student's should have.
        checkpoint_every_seconds: how much work a kill may cost.

    Raises:
        DataError: nothing to train on, or targets of another shape.
        ModelError: the loss is not a number any more.
        Cancelled: a person stopped it; the checkpoint holds the state.
    """
    if not len(texts) or targets.shape != (len(texts), len(loaded.labels)):
        raise DataError(
            f"There are {len(texts)} texts and targets of shape {targets.shape} for {len(loaded.labels)} labels.",
            hint="Training needs at least one text and a row of probabilities for each.",
        )
    chosen = np.arange(len(texts), dtype=np.int64)
    if options.max_texts is not None and options.max_texts < len(texts):
        chosen = np.sort(generator(seed, 0x7E).permutation(len(texts))[: options.max_texts])
    rows = chosen.tolist()
    picked = [texts[row] for row in rows]
    picked_pairs = None if pairs is None else [pairs[row] for row in rows]
    limit = longest(loaded.tokenizer, loaded.model.config, max_tokens)
    pairing = pairing_of(twins, pairs, chosen)
    encoded = encode(loaded.tokenizer, [*picked, *pairing.texts], picked_pairs, limit)
    lesson = Lesson(encoded, targets[chosen], None if weights is None else weights[chosen], pairing)
    task = None if reasons is None else reasons.task(loaded.tokenizer, texts, chosen, limit)
    training = ClassifierTraining(loaded, lesson, options, seed, limit, dev, arm, folder, monitor, task, hidden)
    training.run(checkpoint_every_seconds)
    at = training.at
    return TrainResult(loaded, at.step, training.epochs_run, at.seconds, at.best, at.seen)


def freeze_embeddings(model: Any) -> None:
    """Leave the embeddings (token, position, type and their normalisation) as they are."""
    base = model.base_model
    frozen = getattr(base, "embeddings", None)
    module = frozen if isinstance(frozen, torch.nn.Module) else model.get_input_embeddings()
    for parameter in module.parameters():
        parameter.requires_grad_(False)


class ClassifierTraining(Training[LoadedClassifier, Lesson]):
    """A classifier in training; see :func:`train_classifier`."""

    def __init__(
        self,
        loaded: LoadedClassifier,
        lesson: Lesson,
        options: TrainingSpec,
        seed: int,
        max_tokens: int,
        dev: DevSet | None,
        arm: str,
        folder: Path,
        monitor: Monitor,
        reasons: ReasonTask | None = None,
        hidden: HiddenGoal | None = None,
    ) -> None:
        self.max_tokens, self.dev, self.reasons, self.goal = max_tokens, dev, reasons, hidden
        self.dev_encoded = None if dev is None else encode(loaded.tokenizer, dev.texts, dev.pairs, max_tokens)
        super().__init__(loaded, lesson, options, seed, arm, folder, monitor)
        self.targets = torch.from_numpy(np.ascontiguousarray(lesson.targets)).float().to(self.device)
        self.weights = None if lesson.weights is None else torch.from_numpy(lesson.weights).float().to(self.device)

    def choose(self, model: Any) -> None:
        """All weights but the embeddings, where they are to stay; the second task's map is put on."""
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        if self.options.freeze_embeddings:
            freeze_embeddings(model)
        if self.reasons is not None:
            self.reasons.attach(model)

    def prepare(self, model: Any) -> None:
        """The way through the model that suits device and length; the teacher beside it where its states are learnt."""
        self.forward, goal = Forward(model, self.device, self.dtype, self.max_tokens), self.goal
        self.hidden = None if goal is None else HiddenTask(goal, model, self.device, self.dtype, self.max_tokens)

    def release(self, model: Any) -> None:
        """The second task's map is for training alone."""
        if self.reasons is not None:
            self.reasons.detach(model)

    def digest_into(self, digest: Any) -> None:
        """Second tasks and dev decide too."""
        if self.reasons is not None:
            self.reasons.digest_into(digest)
        if self.goal is not None:
            self.goal.digest_into(digest)
        if self.dev is not None and self.dev_encoded is not None:
            digest.update(self.dev_encoded.ids.tobytes() + np.asarray(self.dev.target).tobytes())

    def loss(self, rows: Ints) -> tuple[Tensor, int]:
        """Soft targets, and the twins' penalty where a row has one: rows and twins go through the model together."""
        places, pairing = torch.from_numpy(rows), self.lesson.pairing
        paired = np.flatnonzero(pairing.place[rows] >= 0)
        together = np.concatenate([rows, pairing.place[rows[paired]]])
        batch, inside = self.lesson.encoded.batch(together, self.device), None
        if self.hidden is None:
            logits = self.forward(batch)
        else:
            logits, inside = self.hidden.logits_and_loss(self.forward, batch, len(rows))
        weights = None if self.weights is None else self.weights[places]
        loss = soft_target_loss(
            logits[: len(rows)],
            self.targets[places],
            self.options.temperature,
            self.options.hard_label_weight,
            weights=weights,
        )
        if len(paired):
            first = logits[torch.from_numpy(paired)]
            loss = loss + pairing.strength * pairing_loss(first, logits[len(rows) :], total=len(rows))
        loss = loss if inside is None else loss + inside
        beside = None if self.reasons is None else self.reasons.loss(self.forward, self.model, rows, self.device)
        return loss if beside is None else loss + beside, len(rows)

    def check_dev(self) -> None:
        """By the share of dev rows with the label that is asked for; of equals the later one has learnt more."""
        if self.dev is None or self.dev_encoded is None:
            return
        agreement, best = self._agreement(self.dev_encoded, self.dev.target), self.at.best
        better = best is None or agreement > best
        self.judged("agreement", agreement, better=better, take=better or agreement == best)

    def _agreement(self, encoded: Encoded, target: Ints) -> float:
        self.model.eval()
        same = 0
        with torch.inference_mode():
            for rows in sorted_batches(encoded.lengths, DEV_BATCH):
                logits = self.forward(encoded.batch(rows, self.device))
                same += int((logits.argmax(dim=1).cpu().numpy() == target[rows]).sum())
        self.model.train()
        return same / max(1, len(encoded))
