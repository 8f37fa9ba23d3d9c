"""One function that trains every language model which learns: token-level, sequence-level, on-policy, step by step.

Prompt and padding positions have no part in the loss, which is the mean over the answers' tokens of a batch. The loop is
:mod:`distill.engine.loop`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.engine.causal_loading import LoadedCausal
from distill.engine.encode import sorted_batches
from distill.engine.head_loss import LossOptions, TokenTargets, head_loss
from distill.engine.llama import CausalForward
from distill.engine.loop import Training
from distill.engine.losses import Divergence, top_k_loss
from distill.engine.token_lesson import Taught, TokenBatch, TokenLesson, make_batch
from distill.errors import DataError
from distill.monitor import Monitor
from distill.spec import TrainingSpec
from distill.types import Ints

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
    training = CausalTraining(loaded, lesson, options, recipe, seed, dev, arm, folder, monitor)
    training.run(checkpoint_every_seconds)
    at = training.at
    return CausalResult(loaded, at.step, training.epochs_run, at.seconds, at.best, at.seen, at.tokens)


def freeze_embeddings(model: Any) -> None:
    """Leave the token embeddings, and a head that is tied to them, as they are."""
    for parameter in model.get_input_embeddings().parameters():
        parameter.requires_grad_(False)


class CausalTraining(Training[LoadedCausal, TokenLesson]):
    """A language model in training; see :func:`train_causal`."""

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
        self.recipe = recipe
        self.dev = dev if dev is not None and len(dev) else None
        super().__init__(loaded, lesson, options, seed, arm, folder, monitor)

    def choose(self, model: Any) -> None:
        """All weights but the embeddings, where they are to stay; adapters have chosen already."""
        if any(hasattr(module, "lora_A") for module in model.modules()):
            return
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        if self.options.freeze_embeddings:
            freeze_embeddings(model)

    def prepare(self, model: Any) -> None:
        """The lean way through the model, where there is one."""
        self.forward = CausalForward(model, self.device, self.dtype)

    def digest_into(self, digest: Any) -> None:
        """Dev decides too."""
        if self.dev is not None:
            self.dev.digest_into(digest)

    def decides(self) -> Sequence[Any]:
        """The recipe."""
        return [[self.recipe.divergence, self.recipe.beta, self.recipe.name]]

    def loss(self, rows: Ints) -> tuple[Tensor, int]:
        """Of a batch, which the student may write itself."""
        if self.recipe.replace is None:
            batch = self.lesson.batch(rows, self.device, share=self.forward.lean)
        else:
            given = [self.lesson.taught[row] for row in rows.tolist()]
            written = self.recipe.replace(self.forward, given, self.at.step)
            batch = make_batch(written, self.device, share=self.forward.lean)
            self.model.train()
        self.at.tokens += batch.tokens
        return self.loss_of(batch), 1

    def check_dev(self) -> None:
        """By the mean loss of a token."""
        if self.dev is not None:
            loss = self._dev_loss(self.dev)
            better = self.at.best is None or loss < self.at.best
            self.judged("dev_loss", loss, better=better, take=better)

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
