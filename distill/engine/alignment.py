"""A self-test of token signals: what was kept for a token must be what the model says where that token was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from distill.engine.chat import Int32s
from distill.engine.generate import Asking, write_answers
from distill.engine.language_model import LanguageModel

TOKENS = 16  # of each answer that is looked at


@dataclass(frozen=True)
class Alignment:
    """What the self-test found.

    Attributes:
        tokens: how many were looked at.
        first: share at which the most probable token kept is the token written at temperature 0.
        again: share at which transformers' own pass over prompt and answer has the same most probable token.
        worst: largest difference of a written token's log-probability between the two ways, in nats.
    """

    tokens: int
    first: float
    again: float
    worst: float


def check_alignment(model: LanguageModel, prompts: Sequence[Int32s], top_k: int) -> Alignment:
    """Write some tokens at temperature 0 and look at them once more by another way: transformers' own forward, no cache, one text alone."""
    asking = Asking(TOKENS, model.ends, len(prompts), top_k=top_k)
    answers = write_answers(model.forward, prompts, asking, None)
    first, again, worst, tokens = 0, 0, 0.0, 0
    with torch.inference_mode():
        for prompt, answer in zip(prompts, answers, strict=True):
            text = torch.from_numpy(np.concatenate([prompt, answer.ids])[:-1].astype(np.int64))[None]
            logits = model.loaded.model(input_ids=text.to(model.forward.device), use_cache=False).logits
            logprobs = torch.log_softmax(logits[0, len(prompt) - 1 :].float(), dim=-1).cpu()
            ids = torch.from_numpy(answer.ids.astype(np.int64))
            own = logprobs.gather(-1, ids[:, None])[:, 0].numpy()
            first += int((answer.topk_ids[:, 0] == answer.ids).sum())
            again += int((logprobs.argmax(dim=-1) == ids).sum())
            worst = max(worst, float(np.abs(own - answer.topk_logprobs[:, 0]).max()))
            tokens += len(answer.ids)
    return Alignment(tokens, first / max(1, tokens), again / max(1, tokens), worst)
