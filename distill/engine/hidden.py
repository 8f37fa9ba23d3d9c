"""Inner states as a second goal: what the teacher's layers think of a token, not its last word alone.

The teacher is asked live. Its states are far too many to keep (10,000 texts × 20 tokens × 6 layers × 384 numbers are 2 GB), and asking it
once more costs a third of what the student's own step costs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from distill.engine.encode import Batch
from distill.engine.forward import Forward
from distill.engine.loading import LoadedClassifier
from distill.errors import ModelError, SpecError
from distill.types import Ints

LEAVE_OUT = -1


def state_distance(student: Tensor, teacher: Tensor, mask: Tensor | None, total: int | None = None) -> Tensor:
    """Mean squared difference of states, averaged over each text's own tokens, summed over texts and divided by ``total``.

    Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", and Jiao et al. 2020, "TinyBERT", equation 8, without a projection: a student
    of the teacher's layers is as wide as its teacher.

    Args:
        student, teacher: [n, l, h] after one layer.
        mask: [n, l], 1 where there is a token; None: everywhere.
        total: texts in the whole batch, when this is a piece of it; n when None.
    """
    return _over_tokens((student - teacher).square().mean(dim=-1), mask, total)


def cosine_distance(student: Tensor, teacher: Tensor, mask: Tensor | None, total: int | None = None) -> Tensor:
    """1 − cosine of the states' angle, averaged and summed as :func:`state_distance` does.

    Sanh et al. 2019, "DistilBERT", section 2: aligns the directions of the states. Arguments as there.
    """
    return _over_tokens(1 - functional.cosine_similarity(student, teacher, dim=-1), mask, total)


def _over_tokens(values: Tensor, mask: Tensor | None, total: int | None) -> Tensor:
    """[n, l] averaged over each row's tokens, summed over rows, divided by ``total``; padding counts for nothing."""
    rows = values.shape[0] if total is None else total
    if mask is None:
        return values.mean(dim=1).sum() / rows
    seen = mask.to(values.dtype)
    return ((values * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)).sum() / rows


@dataclass(frozen=True)
class HiddenGoal:
    """What of the teacher's inside a student should have.

    Attributes:
        teacher: asked live; its weights stay as they are.
        layers: for each of the student's layers the teacher's layer (0-based) whose states it should have; −1 leaves a layer out.
        distance: weight of :func:`state_distance`, a mean over the mapped layers.
        cosine: weight of :func:`cosine_distance`, a mean over the mapped layers.
        kept: for a student with a trimmed vocabulary the teacher's id of each of its tokens; None where the vocabularies are one.
        digest: of the teacher's weights.
    """

    teacher: LoadedClassifier
    layers: tuple[int, ...]
    distance: float
    cosine: float
    kept: Ints | None = None
    digest: str = ""

    def digest_into(self, digest: Any) -> None:
        """Add all that decides the result."""
        digest.update(f"hidden {self.layers} {self.distance!r} {self.cosine!r} {self.digest}".encode())
        if self.kept is not None:
            digest.update(self.kept.tobytes())


class HiddenTask:
    """A :class:`HiddenGoal` ready to be asked on ``device``."""

    def __init__(
        self, goal: HiddenGoal, student: Any, device: torch.device, dtype: torch.dtype, max_tokens: int
    ) -> None:
        """Raises ModelError or SpecError where teacher and student do not fit together."""
        self.goal = goal
        model = goal.teacher.model
        require_fit(student, model, goal.layers)
        model.eval().requires_grad_(False)
        self.teacher = Forward(model, device, dtype, max_tokens)
        self.pairs = [(mine, theirs) for mine, theirs in enumerate(goal.layers) if theirs != LEAVE_OUT]
        self.kept = None if goal.kept is None else torch.from_numpy(goal.kept).to(device)

    def logits_and_loss(self, student: Forward, batch: Batch, rows: int) -> tuple[Tensor, Tensor]:
        """The student's logits of the whole batch, and the loss of its first ``rows`` texts (twins behind them are left alone)."""
        logits, mine = student.states(batch)
        with torch.no_grad():
            _, theirs = self.teacher.states(self._as_teacher(batch))
        mask = None if batch.mask is None else batch.mask[:rows]
        loss = logits.new_zeros((), dtype=torch.float32)
        for place, wanted in self.pairs:
            inside, outside = mine[place][:rows].float(), theirs[wanted][:rows].float()
            if self.goal.distance:
                loss = loss + self.goal.distance * state_distance(inside, outside, mask) / len(self.pairs)
            if self.goal.cosine:
                loss = loss + self.goal.cosine * cosine_distance(inside, outside, mask) / len(self.pairs)
        return logits, loss

    def _as_teacher(self, batch: Batch) -> Batch:
        """The batch in the teacher's ids. A text whose tokens were all kept has the same tokens in the same places in both vocabularies."""
        return batch if self.kept is None else Batch(self.kept[batch.ids], batch.types, batch.mask)


def require_fit(student: Any, teacher: Any, layers: Sequence[int]) -> None:
    """Raise where the layer map names layers that are not there, or the states differ in width."""
    mine, theirs = int(student.config.num_hidden_layers), int(teacher.config.num_hidden_layers)
    if len(layers) != mine or any(not LEAVE_OUT <= layer < theirs for layer in layers):
        raise SpecError(
            f"The layer map {list(layers)} does not fit a student of {mine} layers and a teacher of {theirs}.",
            hint=f"Name one of the teacher's layers (0 to {theirs - 1}) for each of the student's, or {LEAVE_OUT} to leave it out.",
        )
    if all(layer == LEAVE_OUT for layer in layers):
        raise SpecError(
            "The layer map leaves every layer out.", hint="Name one layer at least, or set both weights to 0."
        )
    widths = [int(model.config.hidden_size) for model in (student, teacher)]
    if widths[0] != widths[1]:
        raise ModelError(
            f"The student's states have {widths[0]} numbers and the teacher's {widths[1]}, so they cannot be compared.",
            hint="Pick the student from the teacher's layers, or set hidden_weight and cosine_weight to 0.",
        )


def same_tokens(first: LoadedClassifier, second: LoadedClassifier) -> bool:
    """True when both cut any text into the same ids: by the same vocabulary, and evening out and splitting it alike."""
    return _cutting(first.tokenizer) == _cutting(second.tokenizer)


def _cutting(tokenizer: Any) -> dict[str, Any]:
    """What decides how a tokenizer cuts; how many tokens it was last asked for at most is no part of it."""
    known: dict[str, Any] = {"vocabulary": tokenizer.get_vocab()}
    if tokenizer.is_fast:
        rules = json.loads(tokenizer.backend_tokenizer.to_str())
        known |= {part: rules.get(part) for part in ("normalizer", "pre_tokenizer", "post_processor")}
    return known
