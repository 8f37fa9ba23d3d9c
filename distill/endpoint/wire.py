"""What is sent to an OpenAI-compatible server and what comes back, for both of its APIs.

Chat answers carry log-probabilities as ``choices[].logprobs.content[] = {token, logprob, bytes, top_logprobs[]}``; the older completions
API as parallel lists ``{tokens, token_logprobs, top_logprobs: [{token: logprob}]}`` (OpenAI API reference, "Create chat completion" and
"Create completion"; llama.cpp, vLLM and TGI follow it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Finish = Literal["stop", "length", "other"]


class HalfAnswerError(ValueError):
    """A body that is no answer: cut off, no JSON, or without the parts that an answer has."""


@dataclass(frozen=True)
class Question:
    """One thing to ask.

    Attributes:
        messages: role and content of each turn.
        max_tokens: longest answer.
        temperature, top_p, seed: of sampling.
        sample: which of several answers to the same question this is.
        stop: texts at which the answer ends.
    """

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    sample: int = 0
    stop: tuple[str, ...] = ()

    @property
    def bound(self) -> int:
        """More prompt tokens than this are not charged: a token has at least a byte, and a template some tokens a turn."""
        return sum(len(content.encode()) + 16 for _, content in self.messages) + 64


@dataclass(frozen=True)
class Choice:
    """One token that could have stood there: its text, its log-probability, and its bytes where the server gives others than the text's."""

    text: str
    logprob: float
    raw: bytes | None = None


@dataclass(frozen=True)
class Token:
    """One token of an answer, and the most probable ones at its place."""

    chosen: Choice
    top: tuple[Choice, ...]


@dataclass(frozen=True)
class Answer:
    """What the server said.

    Attributes:
        text: the answer.
        finish: why it ended.
        tokens: with log-probabilities; empty where the server gives none.
        prompt_tokens, answer_tokens: as charged; None where the server does not count.
        model: the name that the server gives itself.
    """

    text: str
    finish: Finish
    tokens: tuple[Token, ...]
    prompt_tokens: int | None
    answer_tokens: int | None
    model: str


def path_of(api: str) -> str:
    """The path below the base address."""
    return "/chat/completions" if api == "chat" else "/completions"


def body_of(question: Question, *, api: str, model: str, top_logprobs: int) -> dict[str, Any]:
    """The JSON body of a request."""
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": question.max_tokens,
        "temperature": question.temperature,
        "stream": False,
    }
    if question.top_p < 1.0:
        body["top_p"] = question.top_p
    if question.seed is not None:
        body["seed"] = question.seed + question.sample
    if question.stop:
        body["stop"] = list(question.stop)
    if api == "chat":
        body["messages"] = [{"role": role, "content": content} for role, content in question.messages]
        if top_logprobs:
            body |= {"logprobs": True, "top_logprobs": top_logprobs}
    else:
        body["prompt"] = flat(question.messages)
        if top_logprobs:
            body["logprobs"] = top_logprobs
    return body


def flat(messages: Sequence[tuple[str, str]]) -> str:
    """The turns as one text for a server without a chat API: paragraphs, an answer right behind its question."""
    pieces: list[str] = []
    for role, content in messages:
        pieces.append(f" {content}\n\n" if role == "assistant" else content)
        if role == "system":
            pieces.append("\n\n")
    return "".join(pieces)


def parse_answer(body: Any) -> Answer:
    """The first choice of a response.

    Raises:
        HalfAnswerError: the body is not what the API promises.
    """
    try:
        choice = body["choices"][0]
        chat = "message" in choice
        text = choice["message"].get("content") if chat else choice["text"]
        usage = body.get("usage") or {}
        if not isinstance(text, str | None):
            raise HalfAnswerError("the answer is no text")
        return Answer(
            text or "",
            _finish(choice.get("finish_reason")),
            _tokens(choice.get("logprobs") or {}),
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
            str(body.get("model") or ""),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise HalfAnswerError("the answer lacks parts") from error


def _finish(reason: object) -> Finish:
    if reason in ("stop", "eos", "eos_token", "stop_sequence"):
        return "stop"
    return "length" if reason in ("length", "max_tokens") else "other"


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _tokens(logprobs: Mapping[str, Any]) -> tuple[Token, ...]:
    if logprobs.get("content"):
        return tuple(
            Token(_choice(entry), tuple(_choice(other) for other in entry.get("top_logprobs") or ()))
            for entry in logprobs["content"]
        )
    if not logprobs.get("tokens"):
        return ()
    texts, chosen, tops = logprobs["tokens"], logprobs["token_logprobs"], logprobs.get("top_logprobs") or []
    found = []
    for place, (text, value) in enumerate(zip(texts, chosen, strict=True)):
        top = tops[place] if place < len(tops) and isinstance(tops[place], Mapping) else {}
        ranked = sorted(top.items(), key=lambda pair: -_logprob(pair[1]))
        found.append(Token(Choice(str(text), _logprob(value)), tuple(Choice(str(t), _logprob(v)) for t, v in ranked)))
    return tuple(found)


def _choice(entry: Mapping[str, Any]) -> Choice:
    text, said = str(entry["token"]), entry.get("bytes")
    raw = None if said is None else bytes(said)
    # bytes only where the text does not say them: half of a character, say
    plain = raw is None or raw == text.encode("utf-8", "surrogatepass")
    return Choice(text, _logprob(entry["logprob"]), None if plain else raw)


def _logprob(value: object) -> float:
    """A log-probability to a millionth, as it is stored; null and NaN are minus infinity."""
    number = float(value) if isinstance(value, int | float) else -math.inf
    return -math.inf if math.isnan(number) else min(round(number, 6), 0.0) if math.isfinite(number) else -math.inf


def to_json(answer: Answer) -> dict[str, Any]:
    """An answer as plain data for the store; tokens as short lists."""
    return {
        "text": answer.text,
        "finish": answer.finish,
        "model": answer.model,
        "usage": [answer.prompt_tokens, answer.answer_tokens],
        "tokens": [[_packed(t.chosen), [_packed(c) for c in t.top]] for t in answer.tokens],
    }


def from_json(value: Mapping[str, Any]) -> Answer:
    """The reverse of :func:`to_json`."""
    tokens = tuple(Token(_unpacked(chosen), tuple(_unpacked(c) for c in top)) for chosen, top in value["tokens"])
    prompt_tokens, answer_tokens = value["usage"]
    return Answer(value["text"], value["finish"], tokens, prompt_tokens, answer_tokens, value["model"])


def _packed(choice: Choice) -> list[Any]:
    value = None if math.isinf(choice.logprob) else choice.logprob
    return [choice.text, value, *([] if choice.raw is None else [choice.raw.hex()])]


def _unpacked(value: Sequence[Any]) -> Choice:
    return Choice(
        value[0], -math.inf if value[1] is None else value[1], bytes.fromhex(value[2]) if len(value) > 2 else None
    )
