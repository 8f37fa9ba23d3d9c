"""What a language model learns from: prompts, answers, and what the teacher said at each token of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from distill.engine.encode import rounded
from distill.engine.head_loss import TokenTargets
from distill.types import Floats, Ints

WORTH = 4  # tokens that all prompts must share to be read once
Int32s = npt.NDArray[np.int32]
Float32s = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Taught:
    """One answer to learn.

    Attributes:
        prompt: token ids, not learnt.
        answer: token ids [t], the end token included where there is one.
        topk_ids, topk_logprobs, tail: the teacher's distribution at each of the t tokens; None learns the tokens themselves.
        weight: how much each of its tokens counts.
    """

    prompt: Int32s
    answer: Int32s
    topk_ids: Int32s | None = None
    topk_logprobs: Float32s | None = None
    tail: Float32s | None = None
    weight: float = 1.0

    @property
    def soft(self) -> bool:
        """True where the teacher's distribution is known."""
        return self.topk_ids is not None


@dataclass(frozen=True)
class TokenBatch:
    """Texts padded on the right, and which positions predict what.

    Attributes:
        ids: [n, width] token ids, without the prefix.
        prefix: [p] ids with which all texts begin; None where they are read as they are.
        rows, columns: [t] positions whose state predicts a token of an answer: soft ones first.
        answers: [t] the tokens themselves.
        soft: how many of them are soft.
        targets: of the soft ones, None when there are none.
        hard: of the others, None when there are none.
    """

    ids: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    answers: torch.Tensor
    soft: int
    targets: TokenTargets | None
    hard: TokenTargets | None
    prefix: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        """Answer tokens."""
        return len(self.rows)


class TokenLesson:
    """Many answers to learn.

    Args:
        taught: the answers; empty ones are not among them.
        limit: tokens of prompt and answer together; longer ones lose the beginning of the prompt.
    """

    def __init__(self, taught: Sequence[Taught], limit: int) -> None:
        self.taught = [_fitting(one, limit) for one in taught]
        self.limit = limit

    def __len__(self) -> int:
        return len(self.taught)

    @property
    def lengths(self) -> Ints:
        """Tokens of each text, prompt and answer, shape [n]."""
        return np.array([len(one.prompt) + len(one.answer) for one in self.taught], dtype=np.int64)

    def batch(self, rows: Ints, device: torch.device, *, share: bool = False) -> TokenBatch:
        """The texts ``rows`` as one batch; see :func:`make_batch`."""
        return make_batch([self.taught[row] for row in rows.tolist()], device, share=share)

    def digest_into(self, digest: Any) -> None:
        """Add all that decides the result."""
        for one in self.taught:
            digest.update(one.prompt.tobytes() + b"|" + one.answer.tobytes() + repr(one.weight).encode())
            if one.topk_ids is not None and one.topk_logprobs is not None and one.tail is not None:
                digest.update(one.topk_ids.tobytes() + one.topk_logprobs.tobytes() + one.tail.tobytes())


def make_batch(taught: Sequence[Taught], device: torch.device, *, share: bool = False) -> TokenBatch:
    """One padded batch. The last token of an answer is predicted but never read.

    With ``share`` what all prompts begin with (the chat template and the system prompt) is put aside as a prefix.
    """
    start = _shared(taught) if share else 0
    texts = [np.concatenate([one.prompt, one.answer])[start:-1] for one in taught]
    width = rounded(max(len(text) for text in texts))
    ids = np.zeros((len(taught), width), dtype=np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    soft = [row for row, one in enumerate(taught) if one.soft]
    hard = [row for row, one in enumerate(taught) if not one.soft]
    where = [(row, len(taught[row].prompt) - 1 - start + np.arange(len(taught[row].answer))) for row in (*soft, *hard)]
    rows = np.concatenate([np.full(len(columns), row, dtype=np.int64) for row, columns in where])
    columns = np.concatenate([columns for _, columns in where]).astype(np.int64)
    return TokenBatch(
        torch.from_numpy(ids).to(device),
        torch.from_numpy(rows).to(device),
        torch.from_numpy(columns).to(device),
        torch.from_numpy(np.concatenate([taught[row].answer for row in (*soft, *hard)]).astype(np.int64)).to(device),
        int(sum(len(taught[row].answer) for row in soft)),
        _soft([taught[row] for row in soft], device),
        _hard([taught[row] for row in hard], device),
        torch.from_numpy(taught[0].prompt[:start].astype(np.int64)).to(device) if start else None,
    )


def _shared(taught: Sequence[Taught]) -> int:
    """Tokens with which all prompts begin, the last of a prompt not counted: it predicts. 0 where it is not worth it."""
    if len(taught) < 2:
        return 0
    most = min(len(one.prompt) for one in taught) - 1
    first = taught[0].prompt[:most]
    same = np.logical_and.reduce([one.prompt[:most] == first for one in taught])
    count = most if same.all() else int(np.flatnonzero(~same)[0])
    return count if count >= WORTH else 0


def _soft(taught: Sequence[Taught], device: torch.device) -> TokenTargets | None:
    if not taught:
        return None
    ids = np.concatenate([one.topk_ids for one in taught if one.topk_ids is not None])
    logprobs = np.concatenate([one.topk_logprobs for one in taught if one.topk_logprobs is not None])
    tail = np.concatenate([one.tail for one in taught if one.tail is not None])
    return TokenTargets(
        torch.from_numpy(ids.astype(np.int64)).to(device),
        torch.from_numpy(logprobs.astype(np.float32)).to(device),
        torch.from_numpy(tail.astype(np.float32)).to(device),
        _weights(taught, device),
    )


def _hard(taught: Sequence[Taught], device: torch.device) -> TokenTargets | None:
    if not taught:
        return None
    ids = torch.from_numpy(np.concatenate([one.answer for one in taught]).astype(np.int64)).to(device)
    nothing = torch.zeros(len(ids), device=device)
    return TokenTargets(ids[:, None], nothing[:, None], nothing, _weights(taught, device))


def _weights(taught: Sequence[Taught], device: torch.device) -> torch.Tensor | None:
    if all(one.weight == 1.0 for one in taught):
        return None
    each: Floats = np.concatenate([np.full(len(one.answer), one.weight) for one in taught])
    return torch.from_numpy(each.astype(np.float32)).to(device)


def _fitting(one: Taught, limit: int) -> Taught:
    over = len(one.prompt) + len(one.answer) - limit
    if over <= 0:
        return one
    kept = one.prompt[min(over, len(one.prompt) - 1) :]
    room = limit - len(kept)
    ids, logprobs, tail = one.topk_ids, one.topk_logprobs, one.tail
    return Taught(
        kept,
        one.answer[:room],
        None if ids is None else ids[:room],
        None if logprobs is None else logprobs[:room],
        None if tail is None else tail[:room],
        one.weight,
    )
