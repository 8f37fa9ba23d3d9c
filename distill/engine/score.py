"""What a language model makes of given text: teacher-forced measures of answers, and log-likelihoods of continuations.

Log-likelihoods follow lm-evaluation-harness (Gao et al., its `hf` model): the continuation's tokens are those that ``encode(context + continuation)``
has beyond ``encode(context)``; spaces at the context's end go to the continuation; an empty context is the beginning-of-text token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.engine.encode import rounded
from distill.engine.forest import NODES, batch_of, plant
from distill.engine.generate import exact_logits
from distill.engine.language_model import LanguageModel
from distill.errors import ModelError
from distill.types import Floats, Ints

Int32s = npt.NDArray[np.int32]
Float32s = npt.NDArray[np.float32]
PIECE = 256  # positions whose logits exist at once
TOKENS = 2_048  # of a batch, padding included: enough for full speed, little enough for the cache of a processor


@dataclass(frozen=True)
class Forced:
    """What an arm says at each token of a teacher's answer. All have shape [t].

    Attributes:
        kl: KL(teacher ‖ arm) over the whole vocabulary in nats; NaN where the teacher's distribution is not known.
        agrees: True where both have the same most probable token (the teacher's own token where only that is known).
        logprob: the arm's log-probability of the teacher's token.
    """

    kl: Float32s
    agrees: npt.NDArray[np.bool_]
    logprob: Float32s


@dataclass(frozen=True)
class KnownStates:
    """The teacher's states at the tokens of its answers, [t, h] each, and its head [vocabulary, h]: logits on demand, little memory."""

    states: list[Tensor]
    head: Tensor


def batches_of(lengths: Ints, tokens: int = TOKENS) -> list[Ints]:
    """Positions in batches of like length whose padded size is about ``tokens``, longest first."""
    order = np.argsort(-lengths, kind="stable").astype(np.int64)
    batches, start = [], 0
    while start < len(order):
        size = max(1, tokens // rounded(max(1, int(lengths[order[start]]))))
        batches.append(order[start : start + size])
        start += size
    return batches


def answer_states(
    model: LanguageModel,
    prompts: Sequence[Int32s],
    answers: Sequence[Int32s],
    progress: Callable[[int], None] = lambda done: None,
) -> list[Tensor]:
    """States (see CausalForward) from which each token of each answer is predicted, [t, h] each, in order."""
    texts = [np.concatenate([prompt, answer])[:-1] for prompt, answer in zip(prompts, answers, strict=True)]
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    found: list[Tensor] = [torch.empty(0)] * len(texts)
    done = 0
    with torch.inference_mode():
        for rows in batches_of(lengths):
            states = model.forward.states(padded([texts[row] for row in rows], model.forward.device))
            for place, row in enumerate(rows):
                first = len(prompts[row]) - 1
                found[row] = states[place, first : first + len(answers[row])].clone()
            done += len(rows)
            progress(done)
    return found


def top_of(model: LanguageModel, states: Tensor, k: int) -> tuple[Int32s, Float32s, Float32s]:
    """The k most probable tokens at each state [t, h], their log-probabilities, and the mass of the rest."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(states), PIECE):
            logits = exact_logits(model.forward, states[start : start + PIECE])
            values, ids = torch.topk(logits - torch.logsumexp(logits, dim=-1, keepdim=True), k, dim=-1)
            tail = (1.0 - torch.exp(values.double()).sum(dim=-1)).clamp(min=0)
            found.append((ids.int().cpu().numpy(), values.float().cpu().numpy(), tail.float().cpu().numpy()))
    ids_, logprobs, tails = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return ids_, logprobs, tails


def padded(texts: Sequence[Int32s], device: torch.device) -> Tensor:
    """Token ids padded on the right, [n, width]; the width is one of few."""
    width = rounded(max(1, *(len(text) for text in texts)))
    ids = np.zeros((len(texts), width), dtype=np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    return torch.from_numpy(ids).to(device)


def forced(
    model: LanguageModel, states: Sequence[Tensor], answers: Sequence[Int32s], teacher: KnownStates | None
) -> list[Forced]:
    """Teacher-forced measures of each answer from the arm's ``states``; ``teacher`` None: only its text is known."""
    found = []
    with torch.inference_mode():
        for place, (mine, ids) in enumerate(zip(states, answers, strict=True)):
            pieces = [
                _forced_piece(
                    model,
                    mine[start : start + PIECE],
                    ids[start : start + PIECE],
                    None if teacher is None else teacher.states[place][start : start + PIECE],
                    None if teacher is None else teacher.head,
                )
                for start in range(0, len(ids), PIECE)
            ]
            kl, agrees, logprob = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
            if not np.isfinite(logprob).all():
                raise ModelError(
                    f"The model {model.name} answers with something that is not a number.",
                    hint="Its weights are damaged: train it again with a lower learning rate.",
                )
            found.append(Forced(kl, agrees, logprob))
    return found


def _forced_piece(
    model: LanguageModel, mine: Tensor, ids: Int32s, theirs: Tensor | None, head: Tensor | None
) -> tuple[Float32s, npt.NDArray[np.bool_], Float32s]:
    tokens = torch.from_numpy(ids.astype(np.int64)).to(mine.device)
    arm = torch.log_softmax(exact_logits(model.forward, mine), dim=-1)
    logprob = arm.gather(-1, tokens[:, None])[:, 0]
    first = arm.argmax(dim=-1)
    if theirs is None or head is None:
        nothing = np.full(len(ids), np.nan, dtype=np.float32)
        return nothing, (first == tokens).cpu().numpy(), logprob.float().cpu().numpy()
    logits = theirs @ head.T if theirs.shape[-1] == head.shape[-1] else theirs
    teacher = torch.log_softmax(logits[:, : arm.shape[-1]].float(), dim=-1)
    arm = arm[:, : teacher.shape[-1]]
    kl = (teacher.exp() * (teacher - arm)).sum(dim=-1).clamp(min=0)
    agrees = first == teacher.argmax(dim=-1)
    return kl.float().cpu().numpy(), agrees.cpu().numpy(), logprob.float().cpu().numpy()


# -- log-likelihoods ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihood of a continuation in nats, its tokens, and whether each of them is the model's first choice."""

    loglik: float
    tokens: int
    greedy: bool


def encode_pairs(
    tokenizer: Any, contexts: Sequence[str], continuations: Sequence[str], limit: int
) -> list[tuple[Int32s, int]]:
    """Token ids of context and continuation together, and how many of them belong to the continuation.

    Longer ones than ``limit`` + 1 lose their beginning, as in lm-evaluation-harness.
    """
    parts = [_spaces_over(context, continuation) for context, continuation in zip(contexts, continuations, strict=True)]
    heads = _encode(tokenizer, [context for context, _ in parts])
    wholes = _encode(tokenizer, [context + continuation for context, continuation in parts])
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    found = []
    for (context, _), head, whole in zip(parts, heads, wholes, strict=True):
        if context == "":
            head, whole = [start], [start, *whole]
        ids = np.asarray(whole[-(limit + 1) :], dtype=np.int32)
        found.append((ids, max(0, min(len(whole) - len(head), len(ids) - 1))))
    return found


def _spaces_over(context: str, continuation: str) -> tuple[str, str]:
    spaces = len(context) - len(context.rstrip())
    return (context[:-spaces], context[-spaces:] + continuation) if spaces else (context, continuation)


def _encode(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    distinct = list(dict.fromkeys(texts))
    coded = tokenizer(distinct, add_special_tokens=False, return_attention_mask=False, verbose=False)["input_ids"]
    known = dict(zip(distinct, coded, strict=True))
    return [list(known[text]) for text in texts]


def log_likelihoods(
    model: LanguageModel,
    contexts: Sequence[str],
    continuations: Sequence[str],
    progress: Callable[[int], None] = lambda done: None,
) -> list[Likelihood]:
    """Log-likelihood of each continuation after its context, in order. What several texts begin with is read once.

    Raises:
        ModelError: the model answers with something that is not a number.
    """
    pairs = encode_pairs(model.tokenizer, contexts, continuations, model.context)
    found = [Likelihood(0.0, 0, True)] * len(pairs)
    asked = [row for row, (_, n) in enumerate(pairs) if n]
    trees = plant([pairs[row][0][:-1] for row in asked], NODES if model.forward.lean else 0)
    done = len(pairs) - len(asked)
    with torch.inference_mode():
        for batch in batches_of(np.array([len(tree) for tree in trees], dtype=np.int64)):
            some = [trees[place] for place in batch]
            states = model.forward.states(*batch_of(some, model.forward.device))
            rows = [
                (place, asked[row], path)
                for place, tree in enumerate(some)
                for row, path in zip(tree.rows, tree.paths, strict=True)
            ]
            counts = [pairs[row][1] for _, row, _ in rows]
            chosen = [
                states[place, torch.from_numpy(path[-n:])] for (place, _, path), n in zip(rows, counts, strict=True)
            ]
            targets = np.concatenate([pairs[row][0][-n:] for (_, row, _), n in zip(rows, counts, strict=True)])
            logprob, first = _token_logprobs(model, torch.cat(chosen), targets)
            for (_, row, _), n, end in zip(rows, counts, np.cumsum(counts), strict=True):
                part = slice(int(end) - n, int(end))
                found[row] = Likelihood(float(logprob[part].sum()), n, bool(first[part].all()))
            done += len(rows)
            progress(done)
    return found


def _token_logprobs(model: LanguageModel, states: Tensor, targets: Int32s) -> tuple[Floats, npt.NDArray[np.bool_]]:
    logprob = np.empty(len(targets), dtype=np.float64)
    first = np.empty(len(targets), dtype=np.bool_)
    for start in range(0, len(targets), PIECE):
        piece = slice(start, start + PIECE)
        ids = torch.from_numpy(targets[piece].astype(np.int64)).to(states.device)
        logits = exact_logits(model.forward, states[piece])
        scores = logits.gather(-1, ids[:, None])[:, 0] - torch.logsumexp(logits, dim=-1)
        logprob[piece] = scores.double().cpu().numpy()
        first[piece] = (logits.argmax(dim=-1) == ids).cpu().numpy()
    if not np.isfinite(logprob).all():
        raise ModelError(
            f"The model {model.name} answers with something that is not a number.",
            hint="Its weights are damaged: train it again with a lower learning rate.",
        )
    return logprob, first
