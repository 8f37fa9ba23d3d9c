"""Teachers that write: what a stage asks them and what they give back. Kept by what decided it, shard by shard, so that asking twice costs nothing.

A teacher of the task 'generation' is a :class:`Writer`. Answers and, where the teacher gives them, the distributions over each token lie
in ``cache/signals/DIGEST/``, one Parquet file a shard, in the layout of :mod:`distill.token_signals`. No torch here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from distill.errors import StoreError
from distill.events import now
from distill.files import digest_of
from distill.locks import hold
from distill.monitor import Monitor, Within
from distill.spec import GenerationSpec
from distill.store import ModelCard
from distill.token_signals import TokenSignal, columns_of, iterate, write_signals

SHARD = 256  # answers between two points from which an interrupted labelling goes on
Finish = Literal["stop", "length", "empty"]
_EMPTY = np.zeros(0, dtype=np.int32)


@dataclass(frozen=True)
class Question:
    """One prompt, by content, and which of its answers is asked for (0, 1, …)."""

    content_id: str
    text: str
    sample: int = 0

    @property
    def name(self) -> str:
        """Key of the answer in the cache."""
        return f"{self.content_id}/{self.sample}"


@dataclass(frozen=True)
class Written:
    """One answer.

    Attributes:
        text: what the teacher wrote, without special tokens.
        finish: 'stop', 'length' (the limit came first) or 'empty'.
        tokens: of the answer, as the teacher counts.
        logprob: mean log-probability of its tokens in nats; None where the teacher does not say.
        entropy: mean entropy of a token in nats, a lower bound from the top k; None where unknown.
        signal: the distribution at each token; None where the teacher gives texts only. Its row_id is the question's name.
        labelled_at: when it was asked, ISO 8601; filled by the cache when empty.
    """

    text: str
    finish: Finish
    tokens: int
    logprob: float | None = None
    entropy: float | None = None
    signal: TokenSignal | None = None
    labelled_at: str = ""


class Writer(Protocol):
    """A teacher that writes. ``card.model_dir`` is None where there is no model on this machine."""

    @property
    def card(self) -> ModelCard:
        """What is known of it."""
        ...

    def key(self, asking: GenerationSpec) -> dict[str, Any]:
        """Everything that decides an answer beside the question itself: model, template, settings, versions."""
        ...

    def write(self, questions: Sequence[Question], asking: GenerationSpec, monitor: Monitor) -> list[Written]:
        """An answer to each question, in order. Reports ``monitor.progress(answers, len(questions), 'answers', note)``.

        Raises:
            ModelError, EndpointError: it cannot go on; answers of earlier calls are kept by the caller.
        """
        ...


@dataclass(frozen=True)
class Answers:
    """What a teacher wrote, in the order of the questions; ``folder`` holds the packed signals."""

    written: list[Written]
    folder: Path
    asked: int
    reused: int
    bytes_per_token: float | None = None


@dataclass
class AnswerCache:
    """Answers of one teacher under one key.

    Args:
        root: the workspace's cache folder.
        key: see :meth:`Writer.key`.
    """

    root: Path
    key: Mapping[str, Any]
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.root / "signals" / digest_of(dict(self.key))[:32]

    def read(self) -> dict[str, Written]:
        """All stored answers by question name; a torn shard is removed and counts as not asked."""
        found: dict[str, Written] = {}
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                for name, written in _shard(path):
                    found.setdefault(name, written)
            except StoreError:
                path.unlink(missing_ok=True)
        return found

    def ask(self, questions: Sequence[Question], writer: Writer, asking: GenerationSpec, monitor: Monitor) -> Answers:
        """An answer to each question; only what is missing is asked, shard by shard.

        Questions of like length share a shard, cut from the whole list in a fixed order and never from what is missing.

        Args:
            questions: without repetition.
            writer: the teacher.
            asking: how.
            monitor: told while a shard is written; may raise Cancelled, which keeps the finished shards.
        """
        with hold(self.folder.with_suffix(".lock"), monitor, "these answers"):
            stored = self.read()
            reused = sum(question.name in stored for question in questions)
            done = reused
            order = sorted(range(len(questions)), key=lambda place: (len(questions[place].text), questions[place].name))
            monitor.restart(done)
            for start in range(0, len(order), SHARD):
                missing = [questions[place] for place in order[start : start + SHARD]]
                missing = [question for question in missing if question.name not in stored]
                if not missing:
                    continue
                written = writer.write(missing, asking, Within(monitor, done, len(questions), unit="answers"))
                self._add(missing, written)
                done += len(missing)
                monitor.progress(done, len(questions), unit="answers")
            everything = self.read() if done > reused else stored
        answers = [everything[question.name] for question in questions]
        return Answers(answers, self.folder, done - reused, reused, self._size(answers))

    def _size(self, answers: Sequence[Written]) -> float | None:
        """Bytes on disk for each token whose distribution is kept."""
        tokens = sum(len(written.signal.answer_ids) for written in answers if written.signal is not None)
        stored = sum(path.stat().st_size for path in self.folder.glob("*.parquet"))
        return stored / tokens if tokens else None

    def _add(self, questions: Sequence[Question], written: Sequence[Written]) -> None:
        """Append one shard, named by its content, whole or not at all."""
        k = max((answer.signal.topk_ids.shape[1] for answer in written if answer.signal), default=0)
        signals = [
            answer.signal or _nothing(question.name, k) for question, answer in zip(questions, written, strict=True)
        ]
        columns: dict[str, list[Any]] = {
            "text": [answer.text for answer in written],
            "finish": [answer.finish for answer in written],
            "tokens": [answer.tokens for answer in written],
            "logprob": [answer.logprob for answer in written],
            "entropy": [answer.entropy for answer in written],
            "labelled_at": [answer.labelled_at or now() for answer in written],
        }
        name = digest_of([question.name for question in questions])[:32]
        write_signals(self.folder / f"{name}.parquet", signals, columns)


def _nothing(name: str, k: int) -> TokenSignal:
    """An answer of which only the text is known."""
    ids, numbers = np.zeros((0, k), dtype=np.int32), np.zeros((0, k), dtype=np.float32)
    return TokenSignal(name, _EMPTY, _EMPTY, ids, numbers, np.zeros(0, dtype=np.float32))


_COLUMNS = ("text", "finish", "tokens", "logprob", "entropy", "labelled_at")


def _shard(path: Path) -> Iterator[tuple[str, Written]]:
    columns = columns_of(path, _COLUMNS)
    for place, signal in enumerate(iterate(path)):
        values = {name: columns[name][place] for name in _COLUMNS}
        yield signal.row_id, Written(**values, signal=signal if len(signal.answer_ids) else None)
