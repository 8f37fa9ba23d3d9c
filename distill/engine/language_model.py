"""A causal language model that is asked: prompts in, answers and measures out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill.engine import Precision, pick_device, pick_dtype
from distill.engine.causal_loading import LoadedCausal, load_causal
from distill.engine.chat import Int32s, Prompts, render
from distill.engine.generate import texts_of
from distill.engine.llama import CausalForward
from distill.errors import ModelError
from distill.spec import GenerationSpec


class LanguageModel:
    """Model, tokenizer and forward pass.

    Args:
        model_dir: directory of a causal LM in safetensors.
        precision: ``auto`` is bfloat16 where the processor profits.
        device: ``auto``, ``cpu``, ``cuda`` …

    Raises:
        ModelError, UnsafeModelError: see :func:`distill.engine.causal_loading.load_causal`.
    """

    def __init__(self, model_dir: str | Path, precision: Precision = "auto", device: str = "auto") -> None:
        self.name = str(model_dir)
        self._prepare(load_causal(model_dir), precision, device)

    @classmethod
    def of(cls, loaded: LoadedCausal, precision: Precision = "auto", device: str = "auto") -> LanguageModel:
        """Around a model in memory, which is cast and moved: pass one that nobody else uses."""
        made = cls.__new__(cls)
        made.name = "the model in memory"
        made._prepare(loaded, precision, device)
        return made

    def _prepare(self, loaded: LoadedCausal, precision: Precision, device: str) -> None:
        self.loaded = loaded
        self.tokenizer: Any = loaded.tokenizer
        self.ends, self.context = loaded.ends, loaded.context
        place = pick_device(device)
        self.forward = CausalForward(loaded.model.eval(), place, pick_dtype(precision, place))
        self.vocabulary = int(loaded.model.get_input_embeddings().weight.shape[0])

    def prompt_limit(self, asking: GenerationSpec) -> int:
        """Tokens that a prompt may have so that an answer of full length still fits the context.

        Raises:
            ModelError: the context is too short for any prompt.
        """
        room = self.context - asking.max_new_tokens
        if room < 1:
            raise ModelError(
                f"The model looks at {self.context} tokens, and an answer may have {asking.max_new_tokens}.",
                hint="Lower generation.max_new_tokens.",
            )
        return min(asking.max_prompt_tokens, room)

    def prompts(self, texts: Sequence[str], asking: GenerationSpec) -> Prompts:
        """Rendered prompts within the limit."""
        return render(self.tokenizer, texts, asking.system, self.prompt_limit(asking))

    def texts(self, answers: Sequence[Int32s]) -> list[str]:
        """Answers as text."""
        return texts_of(self.tokenizer, answers, self.ends)
