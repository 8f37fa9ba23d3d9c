"""From a user's prompt to the token ids that a language model goes on from: chat template, system prompt, and a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2.exceptions import TemplateError

from distill.errors import ModelError

Int32s = npt.NDArray[np.int32]
CHUNK = 2_048  # prompts tokenised in one call


@dataclass(frozen=True)
class Prompts:
    """Rendered prompts.

    Attributes:
        ids: token ids of each.
        cut: how many lost their beginning.
        templated: False where the tokenizer has no chat template and the prompt stands alone.
    """

    ids: list[Int32s]
    cut: int
    templated: bool


def render(tokenizer: Any, texts: Sequence[str], system: str, limit: int) -> Prompts:
    """Token ids of ``texts``, at most ``limit`` each.

    A prompt that is too long loses the beginning of the user's text; the template around it stays whole. Without a chat template the
    system prompt, where there is one, stands before the text.

    Raises:
        ModelError: the template is broken, or is itself longer than the limit.
    """
    templated = bool(getattr(tokenizer, "chat_template", None))
    ids: list[Int32s] = []
    for start in range(0, len(texts), CHUNK):
        whole = [_wrap(tokenizer, text, system, templated) for text in texts[start : start + CHUNK]]
        ids += _tokens(tokenizer, whole, special=not templated)
    cut = 0
    for place, row in enumerate(ids):
        if len(row) > limit:
            ids[place] = _shorter(tokenizer, texts[place], system, templated, limit, len(row))
            cut += 1
    return Prompts(ids, cut, templated)


def _wrap(tokenizer: Any, text: str, system: str, templated: bool) -> str:
    if not templated:
        return f"{system}\n\n{text}" if system else text
    user = {"role": "user", "content": text}
    messages = [{"role": "system", "content": system}, user] if system else [user]
    try:
        try:
            return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except TemplateError:
            if not system:
                raise
            # some templates know no system role (Gemma's): then it stands before the user's text
            joined = [{"role": "user", "content": f"{system}\n\n{text}"}]
            return str(tokenizer.apply_chat_template(joined, tokenize=False, add_generation_prompt=True))
    except (TemplateError, ValueError, TypeError) as error:
        raise ModelError(
            f"The chat template of the model cannot be used: {str(error)[:200]}.",
            hint="Mend chat_template in its tokenizer_config.json, or remove it.",
        ) from error


def _tokens(tokenizer: Any, texts: Sequence[str], *, special: bool) -> list[Int32s]:
    # a template brings its own beginning-of-text token; tokenised with special tokens it would stand twice
    coded = tokenizer(list(texts), add_special_tokens=special, return_attention_mask=False, verbose=False)
    return [np.asarray(row, dtype=np.int32) for row in coded["input_ids"]]


def _shorter(tokenizer: Any, text: str, system: str, templated: bool, limit: int, length: int) -> Int32s:
    """The prompt with the beginning of ``text`` cut off so that it fits."""
    own = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    over = length - limit
    while over < len(own):
        kept = tokenizer.decode(own[over:])
        row = _tokens(tokenizer, [_wrap(tokenizer, kept, system, templated)], special=not templated)[0]
        if len(row) <= limit:
            return row
        over += len(row) - limit
    raise ModelError(
        f"The chat template and the system prompt alone are longer than {limit} tokens.",
        hint="Raise generation.max_prompt_tokens, or shorten the system prompt.",
    )
