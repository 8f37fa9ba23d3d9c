"""Answers of a language model to many prompts, and on request what it said about each of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from distill.engine.decode import Decoder, decoder_of
from distill.engine.llama import CausalForward
from distill.engine.sampling import pick
from distill.errors import ModelError
from distill.types import Floats

Int32s = npt.NDArray[np.int32]
Finish = Literal["stop", "length", "empty"]
REFILL = 0.25  # share of the places that must be free before new prompts are read: reading some at once is cheaper


@dataclass(frozen=True)
class Asking:
    """How answers are written.

    Attributes:
        max_new_tokens: of an answer, its end token included.
        ends: ids that end an answer.
        batch_size: answers under way at once.
        temperature, top_p: see :func:`distill.engine.sampling.pick`.
        top_k: log-probabilities to keep for each token; 0 keeps none.
    """

    max_new_tokens: int
    ends: tuple[int, ...]
    batch_size: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0


@dataclass(frozen=True)
class Answer:
    """One answer. ``ids`` [t] end with the end token where there is one; the rest has shape [t, k], [t] or is empty."""

    ids: Int32s
    finish: Finish
    topk_ids: Int32s
    topk_logprobs: npt.NDArray[np.float32]
    tail: npt.NDArray[np.float32]


@dataclass
class _UnderWay:
    prompt: int
    ids: list[int] = field(default_factory=list)
    top_ids: list[npt.NDArray[np.int32]] = field(default_factory=list)
    top_logprobs: list[npt.NDArray[np.float32]] = field(default_factory=list)
    tail: list[float] = field(default_factory=list)


def write_answers(
    forward: CausalForward,
    prompts: Sequence[Int32s],
    asking: Asking,
    draws: Sequence[Floats] | None,
    progress: Callable[[int, int], None] = lambda answers, tokens: None,
) -> list[Answer]:
    """An answer to each prompt, in order.

    Prompts of like length are read together, longest first; where the decoder can, the place of a finished answer is given to the next
    prompt. Signals are those of the distribution at temperature 1 from which (tempered) the token was drawn, so they cost no second pass.

    Args:
        forward: the model.
        prompts: token ids of each, not empty.
        asking: how.
        draws: for each prompt ``max_new_tokens`` numbers in [0, 1); None at temperature 0.
        progress: told how many answers are finished and how many tokens were written.

    Raises:
        ModelError: the model answers with something that is not a number.
    """
    order = np.argsort(-np.array([len(prompt) for prompt in prompts], dtype=np.int64), kind="stable")
    batch = min(asking.batch_size, max(1, len(prompts)))
    longest = (max((len(prompt) for prompt in prompts), default=0)) + asking.max_new_tokens
    decoder = decoder_of(forward, batch, longest)
    done: list[Answer | None] = [None] * len(prompts)
    waiting = [int(position) for position in order[::-1]]
    under_way: dict[int, _UnderWay] = {}
    finished = tokens = 0
    with torch.inference_mode():
        while waiting or under_way:
            free = [place for place in range(batch) if place not in under_way]
            if waiting and free and _may_begin(decoder, len(free), batch, bool(under_way)):
                places = np.array(free[: len(waiting)], dtype=np.int64)
                for place in places:
                    under_way[int(place)] = _UnderWay(waiting.pop())
                states = decoder.begin(places, [prompts[under_way[int(place)].prompt] for place in places])
            else:
                places = np.array(sorted(under_way), dtype=np.int64)
                last = torch.tensor([under_way[int(place)].ids[-1] for place in places], device=forward.device)
                states = decoder.go_on(places, last)
            _extend(forward, states, [under_way[int(place)] for place in places], asking, draws)
            tokens += len(places)
            for place in places:
                text = under_way[int(place)]
                if text.ids[-1] in asking.ends or len(text.ids) >= asking.max_new_tokens:
                    done[text.prompt] = _finished(under_way.pop(int(place)), asking)
                    finished += 1
            progress(finished, tokens)
    return [answer for answer in done if answer is not None]


def _may_begin(decoder: Decoder, free: int, batch: int, others: bool) -> bool:
    return not others or (decoder.refills and free >= REFILL * batch)


def _extend(
    forward: CausalForward, states: Tensor, texts: list[_UnderWay], asking: Asking, draws: Sequence[Floats] | None
) -> None:
    """Append a token to each text, and what the model said about it."""
    logits = exact_logits(forward, states)
    whole = torch.logsumexp(logits, dim=-1, keepdim=True)
    if not bool(torch.isfinite(whole).all()):
        raise ModelError(
            "The model answers with something that is not a number.",
            hint="Its weights are damaged, or overflow in bfloat16: try signals.precision fp32.",
        )
    drawn = None if draws is None else np.array([draws[text.prompt][len(text.ids)] for text in texts])
    chosen = pick(logits, asking.temperature, asking.top_p, drawn)
    if asking.top_k:
        values, ids = torch.topk(logits - whole, min(asking.top_k, logits.shape[-1]), dim=-1)
        tail = (1.0 - torch.exp(values.double()).sum(dim=-1)).clamp(min=0).tolist()
        top_ids, top_logprobs = ids.int().cpu().numpy(), values.float().cpu().numpy()
    for row, text in enumerate(texts):
        text.ids.append(int(chosen[row]))
        if asking.top_k:
            text.top_ids.append(top_ids[row])
            text.top_logprobs.append(top_logprobs[row])
            text.tail.append(tail[row])


def exact_logits(forward: CausalForward, states: Tensor) -> Tensor:
    """Float32 logits of states. The head is multiplied in float32: bfloat16 would round a logit of 20 to the next eighth."""
    weight = forward.float_head
    return forward.logits(states).float() if weight is None else states.float() @ weight.T


def _finished(text: _UnderWay, asking: Asking) -> Answer:
    stopped = text.ids[-1] in asking.ends
    empty = stopped and len(text.ids) == 1
    k = len(text.top_ids[0]) if text.top_ids else 0
    return Answer(
        np.asarray(text.ids, dtype=np.int32),
        "empty" if empty else "stop" if stopped else "length",
        np.asarray(text.top_ids, dtype=np.int32).reshape(len(text.top_ids), k),
        np.asarray(text.top_logprobs, dtype=np.float32).reshape(len(text.top_ids), k),
        np.asarray(text.tail, dtype=np.float32),
    )


def spoken(ids: Int32s, ends: Sequence[int]) -> Int32s:
    """An answer without its end token."""
    return ids[:-1] if len(ids) and int(ids[-1]) in ends else ids


def texts_of(tokenizer: Any, answers: Sequence[Int32s], ends: Sequence[int]) -> list[str]:
    """The answers as text, special tokens left out."""
    return [str(tokenizer.decode(spoken(ids, ends), skip_special_tokens=True)).strip() for ids in answers]
