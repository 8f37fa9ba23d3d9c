"""One function that trains every language model which learns: token-level, sequence-level, on-policy, step by step.

Prompt and padding positions have no part in the loss, which is the mean over the answers' tokens of a batch. As in
:mod:`distill.engine.train`: float32 master weights under a model that may compute in bfloat16, resumable to the bit on a CPU.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from distill.engine import pick_device, pick_dtype, seed_everything
from distill.engine.causal_loading import LoadedCausal
from distill.engine.checkpoint import discard_state, load_state, random_states, restore_random, save_state
from distill.engine.encode import shuffled_batches, sorted_batches
from distill.engine.head_loss import LossOptions, TokenTargets, head_loss
from distill.engine.llama import CausalForward
from distill.engine.losses import Divergence, top_k_loss
from distill.engine.optimise import MasterAdamW, rate_at
from distill.engine.token_lesson import Taught, TokenBatch, TokenLesson, make_batch
from distill.errors import Cancelled, DataError, ModelError
from distill.files import digest_of
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from distill.types import Ints

POINTS = 100  # of the loss curve, at most

Replace = Callable[[CausalForward, list[Taught], int], list[Taught]]


@dataclass(frozen=True)
class Recipe:
    """What kind of learning it is.

    Attributes:
        divergence, beta: see :func:`distill.engine.losses.coarse_divergence`; for tokens whose distribution is known.
        replace: ``(model, batch, step) -> batch``: on-policy learning writes answers of its own here; None learns what it is given.
        name: what ``replace`` does, for the fingerprint.
    """

    divergence: Divergence = "forward"
    beta: float = 0.5
    replace: Replace | None = None
    name: str = ""


@dataclass(frozen=True)
class CausalResult:
    """What training gave: the model with its best weights (by dev loss; the last without dev), steps, passes, seconds, tokens seen."""

    loaded: LoadedCausal
    steps: int
    epochs_run: float
    seconds: float
    best_dev_loss: float | None
    texts_seen: int
    tokens_seen: int


@dataclass
class _Progress:
    epoch: int = 0
    batch: int = 0
    step: int = 0
    seen: int = 0
    tokens: int = 0
    loss_steps: int = 0
    best: float | None = None
    stale: int = 0
    stopped: bool = False
    seconds: float = 0.0
    loss: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))


def train_causal(
    loaded: LoadedCausal,
    lesson: TokenLesson,
    options: TrainingSpec,
    recipe: Recipe,
    *,
    seed: int,
    dev: TokenLesson | None,
    arm: str,
    folder: Path,
    monitor: Monitor,
    checkpoint_every_seconds: float = 30.0,
) -> CausalResult:
    """Train ``loaded`` (in place), or go on where an interrupted training of the same kind stopped.

    Args:
        loaded: where training starts.
        lesson: what is learnt; at least one answer.
        options: how to learn; ``max_texts`` is the caller's.
        recipe: which loss.
        seed: of the order of the texts and of dropout.
        dev: answers whose loss chooses the best weights; None keeps the last ones.
        arm: name for the curves.
        folder: ``checkpoint/`` goes there and is removed at the end.
        monitor: gets progress (unit 'texts') and curves, and may cancel.
        checkpoint_every_seconds: how much work a kill may cost.

    Raises:
        DataError: nothing to train on.
        ModelError: the loss is not a number any more.
        Cancelled: a person stopped it; the checkpoint holds the state.
    """
    if not len(lesson):
        raise DataError("There is no answer to learn from.", hint="All answers were empty or rejected: ask others.")
    return _Training(loaded, lesson, options, recipe, seed, dev, arm, folder, monitor).run(checkpoint_every_seconds)


def freeze_embeddings(model: Any) -> None:
    """Leave the token embeddings, and a head that is tied to them, as they are."""
    for parameter in model.get_input_embeddings().parameters():
        parameter.requires_grad_(False)


class _Training:
    def __init__(
        self,
        loaded: LoadedCausal,
        lesson: TokenLesson,
        options: TrainingSpec,
        recipe: Recipe,
        seed: int,
        dev: TokenLesson | None,
        arm: str,
        folder: Path,
        monitor: Monitor,
    ) -> None:
        self.loaded, self.lesson, self.options, self.recipe, self.seed = loaded, lesson, options, recipe, seed
        self.dev = dev if dev is not None and len(dev) else None
        self.arm, self.folder, self.monitor = arm, folder / "checkpoint", monitor
        self.device = pick_device()
        self.dtype = pick_dtype(options.precision, self.device)
        self.per_epoch = -(-len(lesson) // options.batch_size)
        self.steps = self.per_epoch * options.epochs
        every = max(1, options.checks_per_epoch)
        self.checks = {-(-self.per_epoch * (check + 1) // every) for check in range(every)}
        seed_everything(seed)
        if not any(hasattr(module, "lora_A") for module in loaded.model.modules()):
            for parameter in loaded.model.parameters():
                parameter.requires_grad_(True)
            if options.freeze_embeddings:
                freeze_embeddings(loaded.model)
        self.fingerprint = self._fingerprint()
        # The compute copy may be bfloat16; ``loaded`` keeps the float32 values of what is frozen.
        self.model = copy.deepcopy(loaded.model).train()
        self.forward = CausalForward(self.model, self.device, self.dtype)
        masters = {name: p.detach() for name, p in loaded.model.named_parameters() if p.requires_grad}
        self.adamw = MasterAdamW(self.model, masters, options.learning_rate, options.weight_decay, options.clip)
        self.best_weights: dict[str, Tensor] = {}
        self.at = _Progress()

    def run(self, checkpoint_every: float) -> CausalResult:
        self._restore()
        began, saved = time.monotonic() - self.at.seconds, time.monotonic()
        total = self.options.epochs * len(self.lesson)
        lengths = self.lesson.lengths
        self.monitor.restart(self.at.seen)
        try:
            while self.at.epoch < self.options.epochs and not self.at.stopped:
                batches = shuffled_batches(lengths, self.options.batch_size, self.seed, self.at.epoch)
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
        return CausalResult(
            self.loaded,
            self.at.step,
            self.at.seen / len(self.lesson),
            time.monotonic() - began,
            self.at.best,
            self.at.seen,
            self.at.tokens,
        )

    def _step(self, rows: Ints) -> None:
        at = self.at
        if self.recipe.replace is None:
            batch = self.lesson.batch(rows, self.device, share=self.forward.lean)
        else:
            given = [self.lesson.taught[row] for row in rows.tolist()]
            batch = make_batch(self.recipe.replace(self.forward, given, at.step), self.device, share=self.forward.lean)
            self.model.train()
        loss = self.loss_of(batch)
        torch.autograd.backward(loss)
        self.adamw.step(rate_at(at.step, self.steps, self.options.warmup, self.options.schedule))
        at.loss += loss.detach().double().cpu()
        at.loss_steps += 1
        at.step += 1
        at.batch += 1
        at.seen += len(rows)
        at.tokens += batch.tokens
        if at.step % max(1, self.steps // POINTS) == 0 or at.step == self.steps:
            self._report_loss()
        if self.dev is not None and at.batch in self.checks:
            self._check_dev()

    def loss_of(self, batch: TokenBatch) -> Tensor:
        """Mean over the batch's answer tokens, in nats: the divergence where the teacher's distribution is known, else cross-entropy."""
        states = self.forward.states(batch.ids, prefix=batch.prefix)[batch.rows, batch.columns]
        soft = LossOptions(self.options.temperature, batch.tokens, self.recipe.divergence, self.recipe.beta)
        hard = LossOptions(1.0, batch.tokens)
        share = self.options.hard_label_weight
        parts = [
            self._part(states[: batch.soft], batch.targets, soft),
            self._part(states[batch.soft :], batch.hard, hard),
        ]
        loss = torch.stack([part for part in parts if part is not None]).sum()
        if share and batch.targets is not None:
            first = batch.targets
            nothing = torch.zeros_like(first.tail)
            mine = TokenTargets(batch.answers[: batch.soft, None], nothing[:, None], nothing, first.weights)
            extra = self._part(states[: batch.soft], mine, hard)
            assert extra is not None and parts[0] is not None
            loss = loss + share * (extra - parts[0])
        return loss

    def _part(self, states: Tensor, targets: TokenTargets | None, options: LossOptions) -> Tensor | None:
        if targets is None:
            return None
        weight = self.forward.head_weight
        if weight is not None:
            return head_loss(states, weight, targets, options)
        logits = self.forward.logits(states)
        return top_k_loss(
            logits,
            targets.top_ids,
            targets.top_logprobs,
            targets.tail,
            options.temperature,
            total=options.total,
            divergence=options.divergence,
            beta=options.beta,
            weights=targets.weights,
        )

    def _report_loss(self) -> None:
        mean = float(self.at.loss) / self.at.loss_steps
        if not np.isfinite(mean):
            raise ModelError(
                f"The loss of {self.arm} is not a number any more after {self.at.step} steps.",
                hint="Lower the learning rate, or use precision fp32.",
            )
        self.monitor.curve(self.arm, self.seed, self.at.step, "loss", mean)
        self.at.loss, self.at.loss_steps = torch.zeros((), dtype=torch.float64), 0

    def _check_dev(self) -> None:
        assert self.dev is not None
        loss = self._dev_loss(self.dev)
        self.monitor.curve(self.arm, self.seed, self.at.step, "dev_loss", loss)
        better = self.at.best is None or loss < self.at.best
        if better:
            self.best_weights = self.adamw.weights()
            self.at.best = loss
        self.at.stale = 0 if better else self.at.stale + 1
        self.at.stopped = self.options.patience is not None and self.at.stale >= self.options.patience

    def _dev_loss(self, dev: TokenLesson) -> float:
        """Mean loss of a token over all of dev."""
        self.model.eval()
        total = tokens = 0.0
        with torch.no_grad():
            for rows in sorted_batches(dev.lengths, self.options.batch_size):
                batch = dev.batch(rows, self.device, share=self.forward.lean)
                total += float(self.loss_of(batch)) * batch.tokens
                tokens += batch.tokens
        self.model.train()
        return total / max(1.0, tokens)

    def _use_best(self) -> None:
        """Put the best weights into ``loaded``."""
        weights = self.best_weights or self.adamw.weights()
        with torch.no_grad():
            for name, parameter in self.loaded.model.named_parameters():
                if name in weights:
                    parameter.copy_(weights[name])
                parameter.requires_grad_(True)
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
        if self.dev is not None:
            self.dev.digest_into(data)
        for parameter in self.loaded.model.parameters():
            if parameter.requires_grad:
                data.update(parameter.detach().cpu().numpy().tobytes())
        versions = [torch.__version__, transformers.__version__, torch.get_num_threads(), str(self.device)]
        recipe = [self.recipe.divergence, self.recipe.beta, self.recipe.name]
        options = self.options.model_dump(mode="json")
        return digest_of([options, recipe, self.seed, data.hexdigest(), versions, str(self.dtype), self.steps])
