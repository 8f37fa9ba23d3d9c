"""A causal language model on this machine: a directory, a hub id, or a GGUF file. Its answers come with the distribution at each token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from distill.errors import ModelError
from distill.files import digest_of, file_digest, read_json
from distill.monitor import Monitor
from distill.plugins import GENERATION, StageContext, teacher
from distill.signals import library_versions
from distill.spec import GenerationSpec, Part, SignalSpec
from distill.store import ModelCard
from distill.teachers.base import resolved_precision, teacher_card
from distill.token_signals import TokenSignal
from distill.writing import Question, Writer, Written

if TYPE_CHECKING:
    from distill.engine.generate import Answer
    from distill.engine.language_model import LanguageModel

TEMPLATES = ("chat_template.jinja", "chat_template.json")
ALIGNED = 0.9  # in bfloat16 two tokens of like probability may change places between two ways of computing; a shift by one gives 0.1


class LocalLmOptions(Part):
    """Which model."""

    source: str = Field("pack:smollm2", description="Directory, hub id, GGUF file, or 'pack:NAME'.")
    revision: str | None = Field(None, description="Commit, branch or tag of a hub id.")
    gguf_file: str | None = Field(None, description="Name of a GGUF file in that directory or hub repository.")
    licence: str = Field("", description="Licence of the weights, where the checkpoint names none.")


@dataclass
class LocalWriter:
    """Loaded when it is first asked and kept for the next time."""

    card: ModelCard
    signals: SignalSpec
    _model: LanguageModel | None = field(default=None, repr=False)
    _said: set[str] = field(default_factory=set, repr=False)

    def key(self, asking: GenerationSpec) -> dict[str, Any]:
        """Everything that decides an answer beside the question."""
        return {
            "kind": "answers",
            "weights": self.card.weights_digest,
            "tokenizer": self.card.tokenizer_digest,
            "template": template_digest(Path(str(self.card.model_dir))),
            "asking": asking.model_dump(mode="json"),
            "precision": resolved_precision(self.signals.precision),
            "versions": library_versions(),
        }

    def write(self, questions: Sequence[Question], asking: GenerationSpec, monitor: Monitor) -> list[Written]:
        """Answers and their signals, from one pass.

        Raises:
            ModelError: the model cannot be loaded, its template is broken, or it answers with something that is not a number.
        """
        from distill.engine.generate import Asking, write_answers
        from distill.engine.sampling import uniforms

        model = self.model
        prompts = model.prompts([question.text for question in questions], asking)
        self._say(prompts.cut, prompts.templated, model.prompt_limit(asking), monitor)
        how = Asking(
            asking.max_new_tokens,
            model.ends,
            asking.batch_size,
            asking.temperature,
            asking.top_p,
            min(asking.top_k_signals, model.vocabulary),
        )
        draws = None
        if asking.temperature > 0:
            draws = [uniforms(asking.seed, q.content_id, q.sample, asking.max_new_tokens) for q in questions]
        began = time.monotonic()

        def progress(finished: int, tokens: int) -> None:
            rate = tokens / max(1e-6, time.monotonic() - began)
            monitor.progress(finished, len(questions), "answers", f"{rate:,.0f} tokens/s")

        answers = write_answers(model.forward, prompts.ids, how, draws, progress)
        texts = model.texts([answer.ids for answer in answers])
        return [
            _written(question, prompt, answer, text)
            for question, prompt, answer, text in zip(questions, prompts.ids, answers, texts, strict=True)
        ]

    def self_test(self, texts: Sequence[str], asking: GenerationSpec) -> str:
        """Whether the signals stand at the right tokens, in a sentence.

        Raises:
            ModelError: they do not.
        """
        from distill.engine.alignment import check_alignment

        model = self.model
        found = check_alignment(model, model.prompts(texts, asking).ids, min(asking.top_k_signals, model.vocabulary))
        if found.first < 1.0 or found.again < ALIGNED:
            raise ModelError(
                f"The teacher's distributions do not stand at the tokens that it writes: of {found.tokens} only"
                f" {found.again:.0%} are its first choice when they are looked at again.",
                hint="Try signals.precision fp32; if that does not help, this architecture cannot be used as a teacher.",
            )
        return (
            f"Self-test: at temperature 0 all {found.tokens} tokens are the first of those kept, and {found.again:.1%} are the first"
            f" choice of transformers' own pass too (log-probabilities differ by at most {found.worst:.3f})."
        )

    @property
    def model(self) -> LanguageModel:
        """Loaded now if it is not yet."""
        from distill.engine.language_model import LanguageModel

        if self._model is None:
            self._model = LanguageModel(str(self.card.model_dir), resolved_precision(self.signals.precision))
        return self._model

    def _say(self, cut: int, templated: bool, limit: int, monitor: Monitor) -> None:
        """What was done to prompts, in a sentence, once where it does not change."""
        if cut:
            monitor.note(f"{cut:,} prompts were longer than {limit} tokens and lost their beginning.", warning=True)
        if not templated and "template" not in self._said:
            self._said.add("template")
            monitor.note("The model has no chat template: it gets the prompt alone and goes on from it.", warning=True)


def _written(question: Question, prompt: Any, answer: Answer, text: str) -> Written:
    signal = TokenSignal(question.name, prompt, answer.ids, answer.topk_ids, answer.topk_logprobs, answer.tail)
    # a token that was drawn from beyond the k has at most the probability of the last of them
    emitted = np.where(np.isnan(signal.emitted), answer.topk_logprobs[:, -1], signal.emitted)
    return Written(
        text=text,
        finish="empty" if not text else answer.finish,
        tokens=len(answer.ids),
        logprob=float(emitted.mean()),
        entropy=float(signal.entropy.mean()),
        signal=signal,
    )


def holds_template(folder: Path) -> bool:
    """True where one of those files does hold a chat template."""
    settings = folder / "tokenizer_config.json"
    inside = settings.exists() and bool(read_json(settings).get("chat_template"))
    return inside or any((folder / name).exists() for name in TEMPLATES)


def template_digest(folder: Path) -> str:
    """Digest of the files that may hold a chat template."""
    names = (*TEMPLATES, "tokenizer_config.json")
    return digest_of({name: file_digest(folder / name) for name in names if (folder / name).exists()})


@teacher(
    "local_lm", "A causal language model on this machine, a hub id or a GGUF file.", LocalLmOptions, tasks=GENERATION
)
def local_lm(context: StageContext, options: Any) -> Writer:
    """Resolve the model; a GGUF file is turned into safetensors once.

    Raises:
        ModelError, PackError: it is not there, cannot be read, or needs pickle or remote code.
    """
    from distill.engine.causal_loading import resolve_causal

    folder = resolve_causal(
        options.source, context.cache, context.monitor, revision=options.revision, gguf_file=options.gguf_file
    ).resolve()
    known: dict[str, Any] = {"id": options.source, "version": options.revision or ""}
    if options.licence:
        known["licence"] = options.licence
    size = read_json(folder / "config.json").get("vocab_size")
    if isinstance(size, int):  # what a uniform draw from it would score is the floor of the audit's likelihoods
        known["extra"] = {"vocabulary": size}
    return LocalWriter(teacher_card(folder, "local_lm", **known), context.spec.signals)
