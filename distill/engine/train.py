"""One function that trains every arm which learns: distilled, hard labels, fine-tuned, and the teacher itself.

A target is a row of probabilities; a hard label is a one-hot row, for which soft-target KL at temperature 1 is cross-entropy.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from distill.engine import generator, pick_device, pick_dtype, seed_everything
from distill.engine.checkpoint import discard_state, load_state, random_states, restore_random, save_state
from distill.engine.encode import Encoded, encode, longest, shuffled_batches, sorted_batches
from distill.engine.forward import Forward
from distill.engine.hidden import HiddenGoal, HiddenTask
from distill.engine.lesson import Lesson, Twins, pairing_of
from distill.engine.loading import LoadedClassifier
from distill.engine.losses import pairing_loss, soft_target_loss
from distill.engine.optimise import MasterAdamW, rate_at
from distill.engine.reasons import Reasons, ReasonTask
from distill.errors import Cancelled, DataError, ModelError
from distill.files import digest_of
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from distill.types import Floats, Ints

POINTS = 100  # of the loss curve, at most
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


@dataclass
class _Progress:
    """Where a training stands; goes into the checkpoint as it is."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seen: int = 0
    loss_rows: int = 0
    best: float | None = None
    stale: int = 0
    stopped: bool = False
    seconds: float = 0.0
    loss: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))


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
    training = _Training(loaded, lesson, options, seed, limit, dev, arm, folder, monitor, task, hidden)
    return training.run(checkpoint_every_seconds)


def freeze_embeddings(model: Any) -> None:
    """Leave the embeddings (token, position, type and their normalisation) as they are."""
    base = model.base_model
    frozen = getattr(base, "embeddings", None)
    module = frozen if isinstance(frozen, torch.nn.Module) else model.get_input_embeddings()
    for parameter in module.parameters():
        parameter.requires_grad_(False)


class _Training:
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
        self.loaded, self.lesson, self.options, self.seed = loaded, lesson, options, seed
        self.reasons, self.goal = reasons, hidden
        self.arm, self.folder, self.monitor = arm, folder / "checkpoint", monitor
        self.device = pick_device()
        self.dtype = pick_dtype(options.precision, self.device)
        self.targets = torch.from_numpy(np.ascontiguousarray(lesson.targets)).float().to(self.device)
        self.weights = None if lesson.weights is None else torch.from_numpy(lesson.weights).float().to(self.device)
        self.dev = dev
        self.dev_encoded = None if dev is None else encode(loaded.tokenizer, dev.texts, dev.pairs, max_tokens)
        self.per_epoch = -(-len(lesson) // options.batch_size)
        self.steps = self.per_epoch * options.epochs
        every = max(1, options.checks_per_epoch)
        self.checks = {-(-self.per_epoch * (check + 1) // every) for check in range(every)}
        seed_everything(seed)
        for parameter in loaded.model.parameters():
            parameter.requires_grad_(True)
        if options.freeze_embeddings:
            freeze_embeddings(loaded.model)
        if reasons is not None:
            reasons.attach(loaded.model)
        self.fingerprint = self._fingerprint()
        # The compute copy may be bfloat16; ``loaded`` keeps the float32 values of what is frozen.
        self.model = copy.deepcopy(loaded.model).train()
        self.forward = Forward(self.model, self.device, self.dtype, max_tokens)
        self.hidden = None if hidden is None else HiddenTask(hidden, self.model, self.device, self.dtype, max_tokens)
        masters = {name: p.detach() for name, p in loaded.model.named_parameters() if p.requires_grad}
        self.adamw = MasterAdamW(self.model, masters, options.learning_rate, options.weight_decay, options.clip)
        self.best_weights: dict[str, Tensor] = {}
        self.at = _Progress()

    def run(self, checkpoint_every: float) -> TrainResult:
        self._restore()
        began, saved = time.monotonic() - self.at.seconds, time.monotonic()
        total = self.options.epochs * len(self.lesson)
        self.monitor.restart(self.at.seen)
        try:
            while self.at.epoch < self.options.epochs and not self.at.stopped:
                batches = shuffled_batches(self.lesson.lengths, self.options.batch_size, self.seed, self.at.epoch)
                while self.at.batch < len(batches) and not self.at.stopped:
                    self._step(batches[self.at.batch])
                    self.at.seconds = time.monotonic() - began
                    if time.monotonic() - saved >= checkpoint_every:
                        self._save()
                        saved = time.monotonic()
                    self.monitor.progress(self.at.seen, total, unit="texts")
                if not self.at.stopped:
                    self.at.epoch, self.at.batch = self.at.epoch + 1, 0
        except Cancelled:
            self._save()
            raise
        self._use_best()
        discard_state(self.folder)
        return TrainResult(
            self.loaded,
            self.at.step,
            self.at.seen / len(self.lesson),
            time.monotonic() - began,
            self.at.best,
            self.at.seen,
        )

    def _step(self, rows: Ints) -> None:
        options, at = self.options, self.at
        loss = self._loss(rows)
        torch.autograd.backward(loss)
        self.adamw.step(rate_at(at.step, self.steps, options.warmup, options.schedule))
        at.loss += loss.detach().double().cpu() * len(rows)
        at.loss_rows += len(rows)
        at.step += 1
        at.batch += 1
        at.seen += len(rows)
        if at.step % max(1, self.steps // POINTS) == 0 or at.step == self.steps:
            self._report_loss()
        if self.dev is not None and at.batch in self.checks:
            self._check_dev()

    def _loss(self, rows: Ints) -> Tensor:
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
        return loss if beside is None else loss + beside

    def _report_loss(self) -> None:
        mean = float(self.at.loss) / self.at.loss_rows
        if not np.isfinite(mean):
            raise ModelError(
                f"The loss of {self.arm} is not a number any more after {self.at.step} steps.",
                hint="Lower the learning rate, or use precision fp32.",
            )
        self.monitor.curve(self.arm, self.seed, self.at.step, "loss", mean)
        self.at.loss, self.at.loss_rows = torch.zeros((), dtype=torch.float64), 0

    def _check_dev(self) -> None:
        assert self.dev is not None and self.dev_encoded is not None
        agreement = self._agreement(self.dev_encoded, self.dev.target)
        self.monitor.curve(self.arm, self.seed, self.at.step, "agreement", agreement)
        better = self.at.best is None or agreement > self.at.best
        if better or agreement == self.at.best:  # of equals the later one has learnt more
            self.best_weights = self.adamw.weights()
            self.at.best = agreement
        self.at.stale = 0 if better else self.at.stale + 1
        self.at.stopped = self.options.patience is not None and self.at.stale >= self.options.patience

    def _agreement(self, encoded: Encoded, target: Ints) -> float:
        self.model.eval()
        same = 0
        with torch.inference_mode():
            for rows in sorted_batches(encoded.lengths, DEV_BATCH):
                logits = self.forward(encoded.batch(rows, self.device))
                same += int((logits.argmax(dim=1).cpu().numpy() == target[rows]).sum())
        self.model.train()
        return same / max(1, len(encoded))

    def _use_best(self) -> None:
        """Put the best weights into ``loaded``."""
        weights = self.best_weights or self.adamw.weights()
        with torch.no_grad():
            for name, parameter in self.loaded.model.named_parameters():
                if name in weights:
                    parameter.copy_(weights[name])
                parameter.requires_grad_(True)
        if self.reasons is not None:
            self.reasons.detach(self.loaded.model)
        self.loaded.model.eval()

    def _save(self) -> None:
        facts = {key: value for key, value in vars(self.at).items() if key != "loss"}
        tensors = {"loss": self.at.loss, **self.adamw.state(), **random_states(self.device)}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_weights.items()}
        save_state(self.folder, tensors, {"fingerprint": self.fingerprint, "at": facts})

    def _restore(self) -> None:
        found = load_state(self.folder, self.fingerprint)
        if found is None:
            return
        tensors, facts = found
        self.at = _Progress(**facts["at"], loss=tensors["loss"])
        self.adamw.restore(tensors)
        self.best_weights = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
        restore_random(tensors, self.device)
        self.monitor.note(f"{self.arm}, seed {self.seed}: goes on after {self.at.seen} texts.")

    def _fingerprint(self) -> str:
        """Digest of everything that decides the result: another training's checkpoint must not be taken up."""
        data = hashlib.sha256()
        self.lesson.digest_into(data)
        if self.reasons is not None:
            self.reasons.digest_into(data)
        if self.goal is not None:
            self.goal.digest_into(data)
        if self.dev is not None and self.dev_encoded is not None:
            data.update(self.dev_encoded.ids.tobytes() + np.asarray(self.dev.target).tobytes())
        for parameter in self.loaded.model.parameters():
            if parameter.requires_grad:
                data.update(parameter.detach().cpu().numpy().tobytes())
        versions = [torch.__version__, transformers.__version__, torch.get_num_threads(), str(self.device)]
        return digest_of(
            [self.options.model_dump(mode="json"), self.seed, data.hexdigest(), versions, str(self.dtype), self.steps]
        )
