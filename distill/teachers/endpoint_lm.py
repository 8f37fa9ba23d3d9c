"""A language model behind an OpenAI-compatible API as a teacher that writes: answers, and the distribution at each token where it gives one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field

from distill.endpoint import wire
from distill.endpoint.answers import Kept
from distill.endpoint.asking import Endpoint
from distill.endpoint.options import EndpointOptions
from distill.endpoint.tokens import MisalignedError, Pieces, mean_entropy, mean_logprob, token_signal
from distill.files import digest_of
from distill.monitor import Monitor
from distill.plugins import GENERATION, StageContext, teacher
from distill.spec import GenerationSpec
from distill.store import ModelCard
from distill.teachers.endpoint import day_of, endpoint_card
from distill.token_signals import TokenSignal
from distill.writing import Question, Writer, Written

if TYPE_CHECKING:
    from pathlib import Path


class EndpointLmOptions(EndpointOptions):
    """Which server, for how much, and in which tokens its log-probabilities are read."""

    tokenizer: str = Field(
        "",
        description="Directory, hub id or 'pack:NAME' with the model's own tokenizer: then students can learn the distribution at each "
        "token. Empty: they learn the text alone (sequence-level).",
    )


@dataclass
class EndpointWriter:
    """Asks for answers over HTTP. What was paid for lies in the workspace's store of answers, one by one."""

    card: ModelCard
    options: EndpointLmOptions
    endpoint: Endpoint
    tokenizer_dir: Path | None
    _loaded: tuple[Any, Pieces] | None = field(default=None, repr=False)
    _said: set[str] = field(default_factory=set, repr=False)

    def key(self, asking: GenerationSpec) -> dict[str, Any]:
        """Everything that decides an answer beside the question."""
        return {
            "kind": "answers",
            "endpoint": self.card.extra["decides"],
            "tokenizer": self.card.tokenizer_digest,
            "asking": asking.model_dump(mode="json"),
        }

    def write(self, questions: Sequence[Question], asking: GenerationSpec, monitor: Monitor) -> list[Written]:
        """Answers, and their signals where every token of the server is one of the tokenizer.

        Raises:
            EndpointError: no key, a wrong one, the budget, or a server that cannot be asked. What was paid for is kept.
        """
        group = digest_of([self.card.extra["decides"], _settings(asking)])
        keys = [digest_of([group, question.text, question.sample]) for question in questions]
        wanted = {
            key: question_of(question.text, question.sample, asking)
            for key, question in zip(keys, questions, strict=True)
        }
        found: dict[str, Kept] = {}
        outcome = self.endpoint.ask(wanted, found.__setitem__, monitor)
        why: Counter[str] = Counter()
        prompts = self._prompts(questions, asking)
        written = []
        for key, question, prompt in zip(keys, questions, prompts, strict=True):
            kept = found.get(key)
            written.append(Written("", "empty", 0) if kept is None else self._written(question, prompt, kept, why))
        self._tell(monitor, why, list(outcome.refused.values()), len(questions))
        return written

    def _prompts(self, questions: Sequence[Question], asking: GenerationSpec) -> list[Sequence[int]]:
        """Token ids of the prompts as the tokenizer's template renders them; empty without a tokenizer."""
        if self.tokenizer_dir is None or not self.options.top_logprobs:
            return [()] * len(questions)
        from distill.engine.chat import render

        tokenizer, _ = self._tokens()
        rendered = render(tokenizer, [q.text for q in questions], asking.system, asking.max_prompt_tokens)
        return [ids.tolist() for ids in rendered.ids]

    def _written(self, question: Question, prompt: Sequence[int], kept: Kept, why: Counter[str]) -> Written:
        answer, signal = kept.answer, self._signal(question, prompt, kept, why)
        count = answer.answer_tokens if answer.answer_tokens is not None else len(answer.tokens)
        return Written(
            text=answer.text,
            finish="empty" if not answer.text.strip() else "length" if answer.finish == "length" else "stop",
            tokens=len(signal.answer_ids) if signal else count,
            logprob=mean_logprob(answer),
            entropy=mean_entropy(answer),
            signal=signal,
            labelled_at=kept.at,
        )

    def _signal(self, question: Question, prompt: Sequence[int], kept: Kept, why: Counter[str]) -> TokenSignal | None:
        if self.tokenizer_dir is None or not self.options.top_logprobs or not kept.answer.text.strip():
            return None
        try:
            return token_signal(question.name, prompt, kept.answer, self._tokens()[1], self.options.top_logprobs)
        except MisalignedError as error:
            why[str(error)] += 1
            return None

    def _tokens(self) -> tuple[Any, Pieces]:
        """Tokenizer and the bytes of its tokens, read when they are first needed."""
        if self._loaded is None:
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(
                self.tokenizer_dir, local_files_only=True, trust_remote_code=False
            )
            self._loaded = (tokenizer, Pieces(tokenizer))
        return self._loaded

    def _tell(self, monitor: Monitor, why: Counter[str], refused: list[str], total: int) -> None:
        """What is odd about these answers, each kind once."""
        if why and "tokens" not in self._said:
            self._said.add("tokens")
            reason, _ = why.most_common(1)[0]
            monitor.note(
                f"{sum(why.values()):,} of {total:,} answers cannot be learnt token by token and are learnt as text (sequence-level): "
                f"{reason}.",
                warning=True,
            )
        if refused:
            monitor.note(f"The endpoint refused {len(refused):,} of {total:,} prompts: {refused[0]}.", warning=True)


def question_of(text: str, sample: int, asking: GenerationSpec) -> wire.Question:
    """The request for one answer."""
    messages = (("system", asking.system), ("user", text)) if asking.system else (("user", text),)
    return wire.Question(
        messages,
        asking.max_new_tokens,
        temperature=asking.temperature,
        top_p=asking.top_p,
        seed=asking.seed if asking.temperature > 0 else None,
        sample=sample,
    )


def _settings(asking: GenerationSpec) -> dict[str, Any]:
    """What of the asking reaches the server."""
    return asking.model_dump(mode="json", include={"system", "max_new_tokens", "temperature", "top_p", "seed"})


@teacher(
    "endpoint_lm",
    "A language model behind an OpenAI-compatible API, asked for answers over the network.",
    EndpointLmOptions,
    tasks=GENERATION,
)
def endpoint_lm(context: StageContext, options: Any) -> Writer:
    """The teacher; nothing is asked yet.

    Raises:
        ModelError, PackError: the tokenizer is not there.
    """
    day = day_of(context.run, options)
    decides = {name: getattr(options, name) for name in ("base_url", "model", "api", "top_logprobs")} | {"day": day}
    card = endpoint_card("endpoint_lm", options, day, decides)
    folder = None
    if options.tokenizer:
        from distill.engine.causal_loading import resolve_causal
        from distill.engine.loading import tokenizer_digest

        folder = resolve_causal(options.tokenizer, context.cache, context.monitor).resolve()
        extra = {**card.extra, "tokenizer_dir": str(folder)}
        card = card.model_copy(update={"tokenizer_digest": tokenizer_digest(folder), "extra": extra})
    place = Endpoint(options, context.cache, context.run.id, digest_of(decides))
    return EndpointWriter(card, options, place, folder)
