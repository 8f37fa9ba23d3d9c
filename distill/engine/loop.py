"""The training loop that classifiers and language models share: order of the texts, updates, dev checks, checkpoints, best weights.

What a subclass adds is which loss a batch has, what dev is judged by, and what else decides the result. Float32 master weights lie under a
model that may compute in bfloat16; resuming gives the same bits on a CPU with the same threads and versions.
"""

from __future__ import annotations

import copy
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
import transformers
from torch import Tensor

from distill.engine import pick_device, pick_dtype, seed_everything
from distill.engine.checkpoint import discard_state, load_state, random_states, restore_random, save_state
from distill.engine.encode import shuffled_batches
from distill.engine.loading import Loaded
from distill.engine.optimise import MasterAdamW, rate_at
from distill.errors import Cancelled, ModelError
from distill.files import digest_of
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from distill.types import Ints

POINTS = 100  # of the loss curve, at most


class Learnt(Protocol):
    """What is learnt from: n texts."""

    def __len__(self) -> int: ...

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, shape [n]."""

    def digest_into(self, digest: Any) -> None:
        """Add all that decides the result."""


M = TypeVar("M", bound=Loaded)
S = TypeVar("S", bound=Learnt)


@dataclass
class Progress:
    """Where a training stands; goes into the checkpoint as it is. ``loss`` is a sum over ``loss_weight`` since the last point."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seen: int = 0
    tokens: int = 0
    loss_weight: int = 0
    best: float | None = None
    stale: int = 0
    stopped: bool = False
    seconds: float = 0.0
    loss: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))


class Training(ABC, Generic[M, S]):
    """One training, from its start or from its checkpoint to its end.

    Attributes:
        loaded: trained in place; it keeps the float32 values of what is frozen while ``model`` is the compute copy.
        at: where it stands.
    """

    def __init__(
        self, loaded: M, lesson: S, options: TrainingSpec, seed: int, arm: str, folder: Path, monitor: Monitor
    ) -> None:
        self.loaded, self.lesson, self.options, self.seed = loaded, lesson, options, seed
        self.arm, self.folder, self.monitor = arm, folder / "checkpoint", monitor
        self.device = pick_device()
        self.dtype = pick_dtype(options.precision, self.device)
        self.per_epoch = -(-len(lesson) // options.batch_size)
        self.steps = self.per_epoch * options.epochs
        every = max(1, options.checks_per_epoch)
        self.checks = {-(-self.per_epoch * (check + 1) // every) for check in range(every)}
        seed_everything(seed)
        self.choose(loaded.model)
        self.fingerprint = self._fingerprint()
        self.model = copy.deepcopy(loaded.model).train()
        self.prepare(self.model)
        masters = {name: p.detach() for name, p in loaded.model.named_parameters() if p.requires_grad}
        self.adamw = MasterAdamW(self.model, masters, options.learning_rate, options.weight_decay, options.clip)
        self.best_weights: dict[str, Tensor] = {}
        self.at = Progress()

    # -- what a subclass says -------------------------------------------------------------------------------------------

    @abstractmethod
    def choose(self, model: Any) -> None:
        """Say by ``requires_grad`` which weights learn, and put on the model what it needs while it is trained."""

    @abstractmethod
    def prepare(self, model: Any) -> None:
        """Move and cast the compute copy."""

    @abstractmethod
    def loss(self, rows: Ints) -> tuple[Tensor, int]:
        """Mean loss of a batch, and how much it counts in the loss curve."""

    @abstractmethod
    def check_dev(self) -> None:
        """Judge the weights by dev, where there is one, with :meth:`judged`."""

    def release(self, model: Any) -> None:
        """Take off the trained model what :meth:`choose` put on it."""

    def digest_into(self, digest: Any) -> None:
        """Add data that decide the result beside the lesson."""

    def decides(self) -> Sequence[Any]:
        """Further settings that decide the result, for the fingerprint."""
        return ()

    # -- the loop -------------------------------------------------------------------------------------------------------

    def run(self, checkpoint_every: float) -> None:
        """Train to the end; then ``loaded`` has the best weights and the checkpoint is gone.

        Raises:
            ModelError: the loss is not a number any more.
            Cancelled: a person stopped it; the checkpoint holds the state.
        """
        self._restore()
        began, saved = time.monotonic() - self.at.seconds, time.monotonic()
        total, lengths = self.options.epochs * len(self.lesson), self.lesson.lengths
        self.monitor.restart(self.at.seen)
        try:
            while self.at.epoch < self.options.epochs and not self.at.stopped:
                batches = shuffled_batches(lengths, self.options.batch_size, self.seed, self.at.epoch)
                while self.at.batch < len(batches) and not self.at.stopped:
                    self.step(batches[self.at.batch])
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
        self.at.seconds = time.monotonic() - began

    @property
    def epochs_run(self) -> float:
        """Passes over the texts, a fraction when stopped early."""
        return self.at.seen / len(self.lesson)

    def step(self, rows: Ints) -> None:
        """One update."""
        at = self.at
        loss, weight = self.loss(rows)
        torch.autograd.backward(loss)
        self.adamw.step(rate_at(at.step, self.steps, self.options.warmup, self.options.schedule))
        at.loss += loss.detach().double().cpu() * weight
        at.loss_weight += weight
        at.step += 1
        at.batch += 1
        at.seen += len(rows)
        if at.step % max(1, self.steps // POINTS) == 0 or at.step == self.steps:
            self._report_loss()
        if at.batch in self.checks:
            self.check_dev()

    def judged(self, name: str, score: float, *, better: bool, take: bool) -> None:
        """Note dev's ``score``; ``take`` the weights as the best so far, and stop when there was nothing ``better`` for too long."""
        self.monitor.curve(self.arm, self.seed, self.at.step, name, score)
        if take:
            self.best_weights = self.adamw.weights()
            self.at.best = score
        self.at.stale = 0 if better else self.at.stale + 1
        self.at.stopped = self.options.patience is not None and self.at.stale >= self.options.patience

    def _report_loss(self) -> None:
        mean = float(self.at.loss) / self.at.loss_weight
        if not np.isfinite(mean):
            raise ModelError(
                f"The loss of {self.arm} is not a number any more after {self.at.step} steps.",
                hint="Lower the learning rate, or use precision fp32.",
            )
        self.monitor.curve(self.arm, self.seed, self.at.step, "loss", mean)
        self.at.loss, self.at.loss_weight = torch.zeros((), dtype=torch.float64), 0

    def _use_best(self) -> None:
        """Put the best weights into ``loaded``."""
        weights = self.best_weights or self.adamw.weights()
        with torch.no_grad():
            for name, parameter in self.loaded.model.named_parameters():
                if name in weights:
                    parameter.copy_(weights[name])
                parameter.requires_grad_(True)
        self.release(self.loaded.model)
        self.loaded.model.eval()

    # -- checkpoints ----------------------------------------------------------------------------------------------------

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
        self.at = Progress(**facts["at"], loss=tensors["loss"])
        self.adamw.restore(tensors)
        self.best_weights = {name[5:]: tensor for name, tensor in tensors.items() if name.startswith("best.")}
        restore_random(tensors, self.device)
        self.monitor.note(f"{self.arm}, seed {self.seed}: goes on after {self.at.seen} texts.")

    def _fingerprint(self) -> str:
        """Digest of everything that decides the result: another training's checkpoint must not be taken up."""
        data = hashlib.sha256()
        self.lesson.digest_into(data)
        self.digest_into(data)
        for parameter in self.loaded.model.parameters():
            if parameter.requires_grad:
                data.update(parameter.detach().cpu().numpy().tobytes())
        versions = [torch.__version__, transformers.__version__, torch.get_num_threads(), str(self.device)]
        options = self.options.model_dump(mode="json")
        return digest_of([options, *self.decides(), self.seed, data.hexdigest(), versions, str(self.dtype), self.steps])
